"""Output (messages to stderr, data to stdout) and the exit of a command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import IO, TYPE_CHECKING, NoReturn, TypeVar

import click

from tagger.cli.messages import diff_lines, explanation_lines, outcome_line, postfix, predicted_line
from tagger.errors import TaggerError
from tagger.report.escape import printable
from tagger.types import Action, Outcome

if TYPE_CHECKING:
    from tagger.app.summary import Summary
    from tagger.app.tag import Explanation

T = TypeVar("T")
EXIT_NOTHING_DONE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 1, 3, 130


@dataclass(frozen=True, slots=True)
class Console:
    """Messages and progress bars on stderr; with `diff`, what would change on stdout."""

    quiet: bool = False
    verbose: bool = False
    diff: bool = False
    strict: bool = False  # a quiet run also fails by failures that earlier runs reported

    def say(self, message: str) -> None:
        """Print one line, unless quiet."""
        if not self.quiet:
            click.echo(printable(message), err=True)

    def outcome(self, outcome: Outcome) -> None:
        """Print the result for a track, without tearing a progress bar."""
        if self.verbose or (self.diff and outcome.action in (Action.WOULD_WRITE, Action.FAILED)):
            from tqdm import tqdm

            stream = sys.stdout if self.diff else sys.stderr
            lines = diff_lines(outcome) if self.diff else [outcome_line(outcome)]
            with tqdm.external_write_mode(file=stream), ignoring_closed_pipe(stream):
                print_lines(lines, stream)

    def news(self, outcome: Outcome) -> None:
        """Print an outcome that is new since the last run, if quiet."""
        if self.quiet and not (self.verbose or self.diff):
            with ignoring_closed_pipe(sys.stderr):
                print_lines([outcome_line(outcome)], sys.stderr)

    def bar(
        self,
        items: Iterable[T],
        total: int,
        label: str,
        outcome: Callable[[T], Outcome] | None = None,
    ) -> Iterator[T]:
        """Yield the items and show a progress bar, but none if quiet or not on a terminal.

        The bar shows the outcome of the last item; if verbose, each outcome gets its own line.
        """
        from tqdm import tqdm

        hidden = self.quiet or not (sys.stderr and sys.stderr.isatty())
        bar = tqdm(items, label, total or None, leave=False, unit=" tracks", disable=hidden)
        for item in bar:
            if outcome and self.verbose:
                stream = sys.stderr
                with tqdm.external_write_mode(file=stream), ignoring_closed_pipe(stream):
                    print_lines([predicted_line(outcome(item))], stream)
            elif outcome and not hidden:
                bar.set_postfix_str(postfix(outcome(item)), refresh=False)
            yield item


def print_lines(lines: Iterable[str], stream: IO[str] | None = None) -> None:
    """Print data, to stdout or another stream."""
    for line in lines:
        click.echo(line, file=stream)


@contextmanager
def ignoring_closed_pipe(stream: IO[str]) -> Iterator[None]:
    """Let the run continue when the reader of the stream closes it early, as `head` does."""
    try:
        yield
    except BrokenPipeError:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


def end(console: Console, summary: Summary, lines: Iterable[str]) -> NoReturn:
    """Print the closing lines and exit with the code for the summary."""
    for line in lines:
        console.say(line)
    only_new = console.quiet and not console.strict
    failed = summary.new_failures if only_new else summary.actions[Action.FAILED]
    sys.exit(EXIT_SOME_FAILED if failed else 0)


def end_explained(tracks: Iterable[Explanation]) -> NoReturn:
    """Print how each track gets its genre, and exit with the code."""
    failed = False
    for track in tracks:
        print_lines(explanation_lines(track))
        failed = failed or track.outcome.action is Action.FAILED
    sys.exit(EXIT_SOME_FAILED if failed else 0)


@contextmanager
def exit_on_errors() -> Iterator[None]:
    """Turn errors that a user can fix, and Ctrl-C, into one line and an exit code."""
    # `docker stop` and a shutdown must end a run as cleanly as Ctrl-C does.
    with handled(signal.SIGTERM, signal.default_int_handler):
        try:
            yield
        except TaggerError as error:
            click.echo(printable(f"tag-genres: {error}"), err=True)
            sys.exit(EXIT_NOTHING_DONE)
        except KeyboardInterrupt:
            message = "all finished work is kept; run the same command again to continue"
            click.echo(f"\ninterrupted: {message}", err=True)
            sys.exit(EXIT_INTERRUPTED)


@contextmanager
def handled(
    number: signal.Signals, handler: Callable[[int, FrameType | None], None] | signal.Handlers
) -> Iterator[None]:
    """Handle a signal within the block; then restore the previous handler."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        if before is not None:  # None: it was not set from Python, and cannot be restored
            signal.signal(number, before)
