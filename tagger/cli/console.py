"""What a person sees: messages and bars on stderr, data on stdout, and how a command ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from tagger.cli.messages import diff_lines, explained, outcome_line, postfix, predicted_line
from tagger.errors import TaggerError
from tagger.report.escape import printable
from tagger.types import Action, Outcome

if TYPE_CHECKING:
    from tagger.app.summary import Summary
    from tagger.app.tag import Explanation

T = TypeVar("T")
EXIT_NOTHING_DONE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 1, 3, 130


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
            lines = diff_lines(outcome) if self.diff else [outcome_line(outcome)]
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
                    print_lines([predicted_line(outcome(item))], stream)
            elif outcome and not hidden:
                bar.set_postfix_str(postfix(outcome(item)), refresh=False)
            yield item


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
