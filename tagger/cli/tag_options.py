"""The options of how genres are stored in tags, for the commands that write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import click

from tagger.cli.command import option_group
from tagger.cli.options import ChangeOptions, change_options
from tagger.cli.values import code_page, separator
from tagger.types import ID3_VERSIONS, Id3Version, TagOptions

P = ParamSpec("P")
R = TypeVar("R")

TAGS = TagOptions()


@option_group(
    click.option(
        "--id3",
        type=click.Choice(ID3_VERSIONS),
        default=TAGS.id3,
        show_default=True,
        help="The version of ID3v2 tags that are written: new ones, and old ones, which are "
        "converted. keep converts none, and makes new ones in 2.4.",
    ),
    click.option(
        "--id3v23-join",
        metavar="TEXT|nul",
        callback=separator,
        default=TAGS.id3v23_join,
        show_default=True,
        help="What stands between genres before ID3v2.4, where a tag holds one text: such as / or "
        "nul, a NUL character.",
    ),
    click.option(
        "--no-wav-info",
        is_flag=True,
        help="Do not add a RIFF INFO list to a WAV; an existing one is always kept in step.",
    ),
    click.option(
        "--charset",
        metavar="NAME",
        callback=code_page,
        help="The code page of texts in tags that are not in Unicode (ID3v1, RIFF INFO, ID3v2 that "
        "says Latin-1), such as cp1251, shift_jis or gbk.  [default: unknown; they keep their "
        "bytes]",
    ),
)
def tag_options(
    *, id3: Id3Version, id3v23_join: str, no_wav_info: bool, charset: str | None
) -> TagOptions:
    """For a command that writes genres: it takes `TagOptions`."""
    return TagOptions(id3, id3v23_join, wav_info=not no_wav_info, charset=charset)


def genre_change_options(
    command: Callable[Concatenate[ChangeOptions, P], R],
) -> Callable[P, R]:
    """For a command that writes genres: it takes `ChangeOptions` with the options of tags."""

    @tag_options
    @change_options
    @wraps(command)
    def with_tags(
        change: ChangeOptions, tags: TagOptions, /, *args: P.args, **given: P.kwargs
    ) -> R:
        writing = replace(change.writing, tags=tags)
        return command(replace(change, writing=writing), *args, **given)

    return with_tags
