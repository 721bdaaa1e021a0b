"""The options of how genres are stored in tags, for the commands that write them."""

from __future__ import annotations

import click

from tagger.cli.command import option_group
from tagger.cli.values import Choice, code_page, separator
from tagger.types import ID3_VERSIONS, Id3Version, TagOptions

TAGS = TagOptions()


@option_group(
    click.option(
        "--id3",
        type=Choice(ID3_VERSIONS),
        default=TAGS.id3,
        show_default=True,
        help="Version of the ID3v2 tags that are written. 2.4 or 2.3 converts a tag of another "
        "version. keep converts none, and new tags are 2.4.",
    ),
    click.option(
        "--id3v23-join",
        metavar="TEXT|nul",
        callback=separator,
        default=TAGS.id3v23_join,
        help="Separator of several genres in an ID3v2.3 tag. It is used in ID3v2.2 too. Examples "
        f'are / and nul (a NUL character).  [default: "{TAGS.id3v23_join}"]',
    ),
    click.option(
        "--no-wav-info",
        is_flag=True,
        help="Do not add a RIFF INFO list to a WAV. If it has one, the genre is still written "
        "there too.",
    ),
    click.option(
        "--charset",
        metavar="NAME",
        callback=code_page,
        help="Code page of tags that are not in Unicode. It is used for ID3v1, RIFF INFO, and "
        "ID3v2 that claims Latin-1. Examples are cp1251, shift_jis and gbk.  [default: unknown, "
        "which keeps their bytes]",
    ),
)
def tag_options(
    *, id3: Id3Version, id3v23_join: str, no_wav_info: bool, charset: str | None
) -> TagOptions:
    """For a command that writes genres: it takes `TagOptions`."""
    return TagOptions(id3, id3v23_join, wav_info=not no_wav_info, charset=charset)
