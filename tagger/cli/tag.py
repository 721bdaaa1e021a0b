"""The command line: parse, call `app`, print, exit. Nothing heavy is imported at the top."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tagger.cli.commands import OTHER_COMMANDS
from tagger.cli.console import Console, end, end_explained, ended_well
from tagger.cli.messages import summary_lines
from tagger.cli.options import (
    CONFIG_FOUND,
    MainCommand,
    ModelName,
    Rules,
    a_number,
    config_option,
    made,
    skipped,
    window_count,
    writing_options,
)
from tagger.genres.albums import BY
from tagger.genres.labels import STYLES
from tagger.genres.policy import MIN_CONFIDENCE, MIN_CONFIDENCE_MULTI_LABEL, ON_EXISTING, Policy
from tagger.genres.vocabulary import Vocabulary, load_aliases, load_tree, load_whitelist
from tagger.models.find import DEFAULT_MODEL
from tagger.types import DEVICES, PRECISIONS, PredictOptions, WriteOptions
from tagger.version import __version__

OPTIONS = PredictOptions()
POLICY = Policy()
EXAMPLES = """\b
Examples:
  tag-genres ~/Music                          predict, list in genres.csv, change nothing
  tag-genres ~/Music --write-tags --dry-run   show what would be written
  tag-genres ~/Music --write-tags             fill in genres where there are none
  tag-genres undo                             take the last run's tags back
  tag-genres models                           the models that have a name, and which are here
  tag-genres song.mp3 --csv - --quiet         one file, CSV on stdout

\b
Exit codes: 0 all done, 1 nothing could be done, 2 wrong usage,
3 finished but some tracks failed, 130 interrupted (a second run goes on).
"""


@click.command(
    cls=MainCommand,
    others=OTHER_COMMANDS,
    epilog=EXAMPLES,
    context_settings={"max_content_width": 100},
)
@click.argument(
    "paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path)
)
@click.option("--write-tags", is_flag=True, help="Write the genre into each file's own tag.")
@click.option(
    "--explain", is_flag=True, help="Show for each track how its genre comes about; write nothing."
)
@click.option(
    "--on-existing",
    type=click.Choice(ON_EXISTING),
    default=POLICY.on_existing,
    show_default=True,
    help="What to do with a track that has a genre; replace-own replaces what an earlier run "
    "wrote with --provenance, and keeps the rest.",
)
@click.option(
    "--only-missing",
    is_flag=True,
    help="Do not even hear a track that has a genre; its tag is kept.",
)
@click.option(
    "--skip",
    multiple=True,
    metavar="GENRE|.SUFFIX",
    callback=skipped,
    help="Do not hear a track that has this genre, or whose name ends so; its tag is kept.",
)
@click.option(
    "--protect", multiple=True, metavar="GENRE", help="Leave a track alone that has this genre."
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    callback=a_number,
    help="Below it a track is unsure, and not written.  "
    f"[default: {MIN_CONFIDENCE:g}; {MIN_CONFIDENCE_MULTI_LABEL:g} where the model gives each "
    "label a probability of its own]",
)
@click.option(
    "--min-music",
    type=click.FloatRange(0, 1),
    callback=a_number,
    default=POLICY.min_music,
    show_default=True,
    help="With a model that knows AudioSet's label Music: below it a track is no music, and not "
    "written.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=POLICY.top,
    show_default=True,
    help="At most so many genres a track.",
)
@click.option(
    "--ratio",
    type=click.FloatRange(0, 1),
    callback=a_number,
    default=POLICY.ratio,
    show_default=True,
    help="What a further genre must reach, as a share of the confidence of the best.",
)
@click.option(
    "--aliases",
    type=Rules(load_aliases),
    help="TOML file: a genre = its other spellings, plain or /regex/.",
)
@click.option(
    "--whitelist",
    type=Rules(load_whitelist),
    help="Text file with a genre a line; no other one is written.",
)
@click.option(
    "--tree",
    type=Rules(load_tree),
    help="TOML file: a genre = those below it; or beets' genres-tree.yaml. A genre that is not on "
    "the whitelist goes up to the nearest one that is.",
)
@click.option(
    "--with-parents", is_flag=True, help="Write the genre above each one in the tree as well."
)
@click.option(
    "--style",
    type=click.Choice(STYLES),
    default=POLICY.style,
    show_default=True,
    help="With a model whose labels are styles of Discogs: write the style, the parent that it "
    "stands under, or both.",
)
@click.option(
    "--by",
    type=click.Choice(BY),
    default="track",
    show_default=True,
    help="What gets one genre: each track, each album (compilations stay by track), or folder.",
)
@click.option(
    "--provenance",
    is_flag=True,
    help="Add a field TAG_GENRES to the tag that says which model wrote the genre.",
)
@click.option(
    "--csv",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=Path("genres.csv"),
    show_default=True,
    help="Where the report goes; - is stdout.",
)
@click.option("--all-probabilities", is_flag=True, help="Add a column for each label.")
@click.option(
    "--model",
    type=ModelName(),
    multiple=True,
    default=(DEFAULT_MODEL,),
    envvar="TAG_GENRES_MODEL",
    show_envvar=True,
    show_default=True,
    help="A name that `tag-genres models` lists, a folder saved by save_pretrained, or a Hugging "
    "Face hub id. May be repeated: then the mean over the models counts.",
)
@click.option(
    "--windows",
    callback=window_count,
    metavar="N|auto|all",
    default=str(OPTIONS.windows),
    show_default=True,
    help="Windows heard of each track; 'auto' hears more of them until its genre is settled, 'all' "
    "covers every sample.",
)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default=OPTIONS.device,
    show_default=True,
    help="Where the model runs; auto takes a GPU if there is one.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=OPTIONS.precision,
    show_default=True,
    help="What the model computes in; auto takes bfloat16 where that is fast.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Windows computed at once.  [default: chosen for the device]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that decode.  [default: as many as there are cores]",
)
@click.option(
    "--decode-timeout",
    type=click.FloatRange(min=0, min_open=True),
    callback=a_number,
    default=OPTIONS.decode_timeout,
    show_default=True,
    metavar="SECONDS",
    help="Give up on a track that takes longer to decode; of one with many windows, on 32 of them.",
)
@click.option(
    "--follow-links", is_flag=True, help="Also take what links lead to outside of the paths."
)
@writing_options
@config_option
@click.version_option(__version__)
def main(**given: Any) -> None:
    """Predict the genre of every track under each PATH, and write it if asked.

    A trained Audio Spectrogram Transformer hears several windows of each track; the mean of its
    predictions goes into a CSV report and, with --write-tags, into the file's own tag. Nothing else
    in a file changes, and every write can be undone. What is predicted once is remembered: a second
    run goes on where the first stopped. Other commands: `tag-genres undo --help` tells how to go
    back, `tag-genres apply --help` writes what you edited in the report, `tag-genres models --help`
    lists models that know more, and `tag-genres doctor --help` tells whether all is well here.
    """
    console = Console(
        given["quiet"], given["verbose"], diff=given["dry_run"] and str(given["csv"]) != "-"
    )
    if config := click.get_current_context().meta.get(CONFIG_FOUND):
        console.say(f"config: {config}")
    vocabulary = made(Vocabulary, {name: v for name, v in given.items() if v is not None})
    source = click.get_current_context().get_parameter_source("tree")
    is_typed = source is ParameterSource.COMMANDLINE  # a config may keep it for later
    if is_typed and not (given["whitelist"] or given["with_parents"]):
        raise click.UsageError("--tree does nothing without --whitelist or --with-parents")
    if given["with_parents"] and given["tree"] is None:
        raise click.UsageError("--with-parents needs --tree, which says what they are")
    if given["only_missing"] and given["on_existing"] != POLICY.on_existing:
        raise click.UsageError("--only-missing goes with --on-existing keep alone")
    from tagger.cli.logfile import logged

    with ended_well(), logged(given["state"]):
        from tagger.app.tag import TagRequest, explain_library, tag_library

        request = made(
            TagRequest,
            {
                **given,
                "policy": made(Policy, {**given, "vocabulary": vocabulary}),
                "options": made(PredictOptions, given),
                "writing": made(WriteOptions, given),
            },
        )
        if given["explain"]:
            end_explained(explain_library(request, console))
        summary = tag_library(request, console)
    end(console, summary, summary_lines(summary, request.csv))
