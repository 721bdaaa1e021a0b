"""What a person sees: messages and bars on stderr, data on stdout, and how a command ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from tagger.errors import TaggerError
from tagger.report.table import printable
from tagger.types import Action, Outcome

if TYPE_CHECKING:
    from tagger.app.tag import Explanation, Summary
    from tagger.state.journal import Run

T = TypeVar("T")
EXIT_NOTHING_DONE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 1, 3, 130
SHOWN_NOTES = 5
SHOWN_SCORES, LEAST_SCORE = 10, 0.005  # of an explanation
SHOWN_SIGNS = 1000  # of genres and reasons, in a line for one track
SHORT = 40  # signs behind a bar


class Command(click.Command):
    """A command whose errors of usage hold nothing that a terminal would obey.

    Click's own ones repeat what was typed or stands in a config file.
    """

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the arguments."""
        with _plain_errors():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _plain_errors():
            return super().invoke(ctx)


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        raise click.UsageError(printable(error.format_message()), error.ctx) from error
    except click.ClickException as error:
        raise click.ClickException(printable(error.format_message())) from error


@dataclass(frozen=True, slots=True)
class Console:
    """Messages and bars on stderr; with `diff`, what would change on stdout."""

    quiet: bool = False
    verbose: bool = False
    diff: bool = False

    def say(self, message: str) -> None:
        """Show one line, unless quiet."""
        if not self.quiet:
            click.echo(printable(message), err=True)

    def outcome(self, outcome: Outcome) -> None:
        """Show what became of a track, without tearing a bar."""
        if self.verbose or (self.diff and outcome.action in (Action.WOULD_WRITE, Action.FAILED)):
            from tqdm import tqdm

            stream = sys.stdout if self.diff else sys.stderr
            lines = diff_lines(outcome) if self.diff else [_line(outcome)]
            with tqdm.external_write_mode(file=stream), going_on_without_reader(stream):
                print_lines(lines, stream)

    def bar(
        self,
        items: Iterable[T],
        total: int,
        label: str,
        outcome: Callable[[T], Outcome] | None = None,
    ) -> Iterator[T]:
        """Pass the items on behind a progress bar; none when quiet or not on a terminal.

        The outcome of the last one stands behind the bar; of each in a line of its own, if verbose.
        """
        from tqdm import tqdm

        hidden = self.quiet or not (sys.stderr and sys.stderr.isatty())
        bar = tqdm(items, label, total or None, leave=False, unit=" tracks", disable=hidden)
        for item in bar:
            if outcome and self.verbose:
                stream = sys.stderr
                with tqdm.external_write_mode(file=stream), going_on_without_reader(stream):
                    print_lines([_heard(outcome(item))], stream)
            elif outcome and not hidden:
                bar.set_postfix_str(_short(outcome(item)), refresh=False)
            yield item


def _line(outcome: Outcome) -> str:
    best = outcome.ranked[0][0] if outcome.ranked else ""
    detail = "; ".join(outcome.genres) or outcome.reason or best or "(no genre)"
    if outcome.genres and outcome.reason:
        detail += f" ({outcome.reason})"
    path, detail = printable(str(outcome.path)), printable(detail, SHOWN_SIGNS)
    return f"{outcome.action.value}: {path}: {detail}"


def _heard(outcome: Outcome) -> str:
    best = _scores(outcome.ranked[:1]) or outcome.reason or "no genre"
    return f"heard: {printable(str(outcome.path))}: {printable(best, SHOWN_SIGNS)}"


def _short(outcome: Outcome) -> str:
    best = outcome.ranked[0][0] if outcome.ranked else outcome.reason or "no genre"
    return printable(f"{printable(best, SHORT // 2)}: {outcome.path.name}", SHORT)


def diff_lines(outcome: Outcome) -> Iterator[str]:
    """One track as in a diff: path, genres before, genres after with confidence and reason."""
    yield click.style(printable(str(outcome.path)), bold=True)
    before = printable("; ".join(outcome.existing), SHOWN_SIGNS)
    if outcome.action is not Action.WOULD_WRITE:
        told = printable(f"{outcome.action.value}: {outcome.reason}", SHOWN_SIGNS)
        line = "   ".join(filter(None, (before, told)))
        yield click.style(f"  {line}", fg="yellow" if outcome.action is Action.FAILED else None)
        return
    if before:
        yield click.style(f"- {before}", fg="red")
    after = printable("; ".join(outcome.genres), SHOWN_SIGNS) or "(no genre)"
    confidence = f"{outcome.ranked[0][1]:.2f}" if outcome.ranked else ""
    why = "  ".join(filter(None, (confidence, printable(outcome.reason, SHOWN_SIGNS))))
    yield click.style(f"+ {after}", fg="green") + (f"   {why}" if why else "")


def explained(track: Explanation) -> Iterator[str]:
    """What was heard in one track, each rule that was applied, and what would be written."""
    yield click.style(printable(str(track.outcome.path)), bold=True)
    for line in _explanation(track):
        yield printable(f"  {line}", SHOWN_SIGNS)


def _explanation(track: Explanation) -> Iterator[str]:
    outcome = track.outcome
    if outcome.prediction is not None:
        of = f" ({track.source})" if track.source else ""
        yield f"tag:    {'; '.join(outcome.existing) or '(no genre)'}"
        yield f"labels: {_scores(outcome.prediction.ranked)}{of}"
        yield f"genres: {_scores(outcome.ranked) or 'none'}"
    for step in track.steps:
        yield f"rule:   {step}"
    if outcome.action is Action.WOULD_WRITE:
        yield f"result: would write {'; '.join(outcome.genres)}"
    else:
        yield f"result: {outcome.action.value}: {outcome.reason}"


def _scores(ranked: Iterable[tuple[str, float]]) -> str:
    told = (f"{name} {share:.2f}" for name, share in ranked if share >= LEAST_SCORE)
    return " · ".join(islice(told, SHOWN_SCORES))


def summary_lines(summary: Summary, csv: Path | None) -> Iterator[str]:
    """The closing lines of a run; `csv` is its report."""
    actions = summary.actions
    counts = [f"{a.value.replace('-', ' ')} {actions[a]:,}" for a in Action if actions[a]]
    yield " · ".join(counts) or "nothing to do"
    genres = [f"{genre} {count:,}" for genre, count in summary.genres.most_common(3)]
    if len(summary.genres) > 3:
        more = len(summary.genres) - 3
        genres.append(f"{more} more genre{'s' * (more != 1)}")
    if genres:
        yield f"heard: {' · '.join(genres)}"
    if len(summary.models) > 1 and (heard := summary.agreed.total()):
        yield f"the models agree on {summary.agreed[True]:,} of {heard:,} tracks"
    if summary.untaggable:
        yield f"skipped: {summary.untaggable:,} that cannot be tagged (predicted only)"
    where = csv if csv and str(csv) != "-" else "the report"
    yield from failure_lines(summary, f"see `reason` in {where}" if csv else "--verbose shows them")
    if csv and str(csv) != "-":
        yield f"report: {csv}"
    if actions[Action.WOULD_WRITE]:
        yield "no file was changed; without --dry-run, they are written"
    if summary.how_to_undo:
        yield summary.how_to_undo
    if summary.stronger_exist:
        yield "there are stronger models than the bundled one, see: tag-genres models"


def undo_lines(what: str, summary: Summary) -> Iterator[str]:
    """The closing lines of an undo."""
    actions = summary.actions
    planned = actions[Action.WOULD_WRITE]
    done = planned or actions[Action.WRITTEN]
    verb = "would put back" if planned else "put back"
    yield f"{what}: {verb} the genre of {done:,} file{'s' * (done != 1)}"
    yield from failure_lines(summary, "--verbose shows them")
    if actions[Action.WRITTEN]:
        yield f"this is run {summary.run}, and can be undone as well"
    elif actions[Action.FAILED]:
        yield "other runs can be undone by their number, see: tag-genres undo --list"


def failure_lines(summary: Summary, seen: str) -> Iterator[str]:
    """The first failures, and where the others are."""
    for outcome in summary.noted[:SHOWN_NOTES]:
        yield f"written: {outcome.path}: {outcome.reason}"
    if len(summary.noted) > SHOWN_NOTES:
        yield f"written: {len(summary.noted) - SHOWN_NOTES:,} more like this (--verbose shows them)"
    for outcome in summary.failures:
        yield f"failed: {outcome.path}: {outcome.reason}"
    if hidden := summary.actions[Action.FAILED] - len(summary.failures):
        yield f"failed: {hidden:,} more ({seen})"


def run_lines(runs: Iterable[Run]) -> Iterator[str]:
    """A table of the runs that changed tags."""
    yield f"{'run':>4}  {'when (UTC)':<16}  {'what':<5}  {'files':>7}  {'undone':>7}  by"
    for run in runs:
        when = run.started[:16].replace("T", " ")
        undone = run.files - run.standing
        yield printable(
            f"{run.id:>4}  {when:<16}  {run.kind:<5}  {run.files:>7,}  {undone:>7,}  {run.source}"
        )


def print_lines(lines: Iterable[str], stream: IO[str] | None = None) -> None:
    """Data, on stdout or another stream."""
    for line in lines:
        click.echo(line, file=stream)


@contextmanager
def going_on_without_reader(stream: IO[str]) -> Iterator[None]:
    """Let the run go on when whoever reads the stream has seen enough, as `head` does."""
    try:
        yield
    except BrokenPipeError:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


def end(console: Console, summary: Summary, lines: Iterable[str]) -> NoReturn:
    """Show the closing lines and leave with the exit code for the summary."""
    for line in lines:
        console.say(line)
    sys.exit(EXIT_SOME_FAILED if summary.actions[Action.FAILED] else 0)


def end_explained(tracks: Iterable[Explanation]) -> NoReturn:
    """Show how each track comes to its genre, and leave with the exit code."""
    failed = False
    for track in tracks:
        print_lines(explained(track))
        failed = failed or track.outcome.action is Action.FAILED
    sys.exit(EXIT_SOME_FAILED if failed else 0)


@contextmanager
def ended_well() -> Iterator[None]:
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
