"""The command line: parse, call `app`, print, exit. Nothing heavy is imported at the top."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tagger import __version__
from tagger.errors import TaggerError
from tagger.genres import ON_EXISTING, Policy
from tagger.model import DEFAULT_MODEL
from tagger.report import printable
from tagger.types import DEVICES, PRECISIONS, Action, PredictOptions

if TYPE_CHECKING:
    from tagger.app import Summary

T = TypeVar("T")
OPTIONS = PredictOptions()
POLICY = Policy()
EXIT_NOTHING_DONE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 1, 3, 130
EXAMPLES = """\b
Examples:
  tag-genres ~/Music                          predict, list in genres.csv, change nothing
  tag-genres ~/Music --write-tags --dry-run   show what would be written
  tag-genres ~/Music --write-tags             fill in genres where there are none
  tag-genres undo                             take the last run's tags back
  tag-genres song.mp3 --csv - --quiet         one file, CSV on stdout

\b
Exit codes: 0 all done, 1 nothing could be done, 2 wrong usage,
3 finished but some tracks failed, 130 interrupted (a second run goes on).
"""


@dataclass(frozen=True, slots=True)
class Console:
    """Messages and bars on stderr; stdout is for data."""

    quiet: bool = False
    verbose: bool = False

    def say(self, message: str) -> None:
        """Show one line, unless quiet."""
        if not self.quiet:
            click.echo(printable(message), err=True)

    def detail(self, message: str) -> None:
        """Show one line if verbose, without tearing a bar."""
        if self.verbose:
            from tqdm import tqdm

            tqdm.write(printable(message), file=sys.stderr)

    def bar(self, items: Iterable[T], total: int, label: str) -> Iterator[T]:
        """Pass the items on behind a progress bar; none when quiet or not on a terminal."""
        from tqdm import tqdm

        hidden = self.quiet or not sys.stderr.isatty()
        yield from tqdm(items, label, total or None, leave=False, unit=" tracks", disable=hidden)


def window_count(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    """What `--windows` stands for: a positive number, or None for "all"."""
    if value == "all":
        return None
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise click.BadParameter(f"{value!r} is neither a positive number nor 'all'")


class MainCommand(click.Command):
    """The main command; a first word that names another one runs that instead."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Hand over to the other command, if one is named."""
        other = OTHER_COMMANDS.get(args[0]) if args else None
        if other is not None:
            return other.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run whichever command the context is for."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that remembers predictions and writes.  [default: in your state folder]",
)


@click.command(cls=MainCommand, epilog=EXAMPLES, context_settings={"max_content_width": 100})
@click.argument(
    "paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path)
)
@click.option("--write-tags", is_flag=True, help="Write the genre into each file's own tag.")
@click.option("--dry-run", is_flag=True, help="Say what would be written; change no file.")
@click.option(
    "--on-existing",
    type=click.Choice(ON_EXISTING),
    default=POLICY.on_existing,
    show_default=True,
    help="What to do with a track that has a genre.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    default=POLICY.min_confidence,
    show_default=True,
    help="Below it a track is unsure, and not written.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=POLICY.top,
    show_default=True,
    help="At most so many genres a track; further ones need half the confidence of the best.",
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=Path("genres.csv"),
    show_default=True,
    help="Where the report goes; - is stdout.",
)
@click.option("--all-probabilities", is_flag=True, help="Add a column for each label.")
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="A bundled model, a folder saved by save_pretrained, or a Hugging Face hub id.",
)
@click.option(
    "--windows",
    callback=window_count,
    metavar="N|all",
    default=str(OPTIONS.windows),
    show_default=True,
    help="Windows heard of each track; 'all' covers every sample.",
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
    default=OPTIONS.batch_size,
    show_default=True,
    help="Windows computed at once.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes that decode; 0 decodes in the main one.  [default: half of the cores]",
)
@state_option
@click.option("--quiet", is_flag=True, help="No progress and no summary.")
@click.option("--verbose", is_flag=True, help="A line for every track.")
@click.version_option(__version__)
def main(
    paths: tuple[Path, ...],
    write_tags: bool,
    dry_run: bool,
    on_existing: str,
    min_confidence: float,
    top: int,
    csv_file: Path,
    all_probabilities: bool,
    model: str,
    windows: int | None,
    device: str,
    precision: str,
    batch_size: int,
    workers: int | None,
    state: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Predict the genre of every track under each PATH, and write it if asked.

    A trained Audio Spectrogram Transformer hears several windows of each track; the mean of its
    predictions goes into a CSV report and, with --write-tags, into the file's own tag. Nothing else
    in a file changes, and every write can be undone. What is predicted once is remembered: a second
    run goes on where the first stopped. `tag-genres undo --help` tells how to go back.
    """
    if min_confidence != min_confidence:  # NaN passes click's range
        raise click.BadParameter("not a number", param_hint="--min-confidence")
    console = Console(quiet, verbose)
    with _ended_well():
        from tagger.app import TagRequest, tag_library

        request = TagRequest(
            paths=paths,
            model=model,
            write_tags=write_tags,
            dry_run=dry_run,
            csv=csv_file,
            all_probabilities=all_probabilities,
            state=state,
            policy=Policy(on_existing, min_confidence, top),
            options=PredictOptions(windows, batch_size, workers, device, precision),
        )
        summary = tag_library(request, console)
    for line in _summarise(summary, request.csv):
        console.say(line)
    sys.exit(EXIT_SOME_FAILED if summary.actions[Action.FAILED] else 0)


@click.command()
@click.option("--run", type=int, help="Number of a run.  [default: the last with tags to undo]")
@click.option("--dry-run", is_flag=True, help="Say what would be put back; change no file.")
@state_option
@click.option("--quiet", is_flag=True, help="Errors only.")
def undo(run: int | None, dry_run: bool, state: Path | None, quiet: bool) -> None:
    """Put back the genres that a run replaced.

    A file that changed since is left alone and named. Exit codes are those of tag-genres.
    """
    console = Console(quiet)
    with _ended_well():
        from tagger.app import undo_run

        number, outcomes = undo_run(run, state, console, dry_run=dry_run)
    done = sum(outcome.action in (Action.WRITTEN, Action.WOULD_WRITE) for outcome in outcomes)
    failed = [outcome for outcome in outcomes if outcome.action is Action.FAILED]
    verb = "would put back" if dry_run else "put back"
    console.say(f"run {number}: {verb} the genre of {done:,} file{'s' * (done != 1)}")
    for outcome in failed:
        click.echo(printable(f"failed: {outcome.path}: {outcome.reason}"), err=True)
    sys.exit(EXIT_SOME_FAILED if failed else 0)


OTHER_COMMANDS: dict[str, click.Command] = {"undo": undo}


@contextmanager
def _ended_well() -> Iterator[None]:
    """Turn errors that a user can mend, and Ctrl-C, into one line and an exit code."""
    # `docker stop` and shutdowns end a run as gently as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except TaggerError as error:
        click.echo(printable(f"tag-genres: {error}"), err=True)
        sys.exit(EXIT_NOTHING_DONE)
    except KeyboardInterrupt:
        again = "all finished work is kept; run the same command again to go on"
        click.echo(f"\ninterrupted: {again}", err=True)
        sys.exit(EXIT_INTERRUPTED)


def _summarise(summary: Summary, csv_file: Path) -> Iterator[str]:
    """The closing lines of a run."""
    actions = summary.actions
    counted = [f"{a.value.replace('-', ' ')} {actions[a]:,}" for a in Action if actions[a]]
    genres = [f"{genre} {count:,}" for genre, count in summary.genres.most_common(3)]
    if len(summary.genres) > 3:
        genres.append(f"{len(summary.genres) - 3} more")
    yield " · ".join(counted)
    if genres:
        yield f"heard: {' · '.join(genres)}"
    if summary.untaggable:
        yield f"skipped: {summary.untaggable:,} that cannot be tagged (predicted only)"
    for outcome in summary.failures:
        yield f"failed: {outcome.path}: {outcome.reason}"
    if actions[Action.FAILED] > len(summary.failures):
        hidden = actions[Action.FAILED] - len(summary.failures)
        where = "the report" if str(csv_file) == "-" else csv_file
        yield f"failed: {hidden:,} more (see `reason` in {where})"
    if str(csv_file) != "-":
        yield f"report: {csv_file}"
    if summary.how_to_undo:
        yield summary.how_to_undo
