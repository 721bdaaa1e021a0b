"""Output (messages to stderr, data to stdout) and the exit of a command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, NoReturn, TypeVar

import click

from tagger.cli.messages import diff_lines, explanation_lines, outcome_line, predicted_line
from tagger.cli.terminal import can_redraw, fitted
from tagger.errors import ReportError, TaggerError
from tagger.report.escape import printable
from tagger.types import Action, Outcome
from tagger.writing.interrupts import STOPS

if TYPE_CHECKING:
    from tagger.app.progress import Work
    from tagger.app.summary import Summary
    from tagger.app.tag import Explanation
    from tagger.cli.folder_diff import FolderDiff
    from tagger.cli.screen import Step

T = TypeVar("T")
OTHER_STOPS = STOPS[1:]  # beside Ctrl-C
EXIT_NOTHING_DONE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 1, 3, 130


@dataclass(frozen=True, slots=True)
class Console:
    """Messages and progress bars on stderr; with `diff`, what would change on stdout."""

    quiet: bool = False
    verbose: bool = False
    diff: bool = False
    strict: bool = False  # a quiet run also fails by failures that earlier runs reported
    folders: FolderDiff | None = None  # the diff for a terminal

    def say(self, message: str) -> None:
        """Print one line, unless quiet."""
        if not self.quiet:
            click.echo(fitted(printable(message), sys.stderr), err=True)

    def outcome(self, outcome: Outcome) -> None:
        """Print the result for a track, if the user wants to see it."""
        if self.folders is not None:
            with ignoring_closed_pipe(sys.stdout):
                print_lines(self.folders.lines(outcome), sys.stdout)
        elif self.verbose or (self.diff and outcome.action in (Action.WOULD_WRITE, Action.FAILED)):
            stream = sys.stdout if self.diff else sys.stderr
            lines = diff_lines(outcome) if self.diff else [outcome_line(outcome)]
            with ignoring_closed_pipe(stream):
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
        work: Work | None = None,
    ) -> Iterator[T]:
        """Yield the items and show a progress bar, but none if quiet or not on a terminal.

        If verbose, each outcome gets its own line.
        """
        with self._step(label, total or None, work) as shown:
            for item in items:
                if outcome and self.verbose:
                    with ignoring_closed_pipe(sys.stderr):
                        print_lines([predicted_line(outcome(item))], sys.stderr)
                if shown is not None:
                    shown.update()
                yield item

    def end_diff(self) -> None:
        """Print what is left of the diff."""
        if self.folders is not None:
            with ignoring_closed_pipe(sys.stdout):
                print_lines(self.folders.rest(), sys.stdout)

    def now(self, path: Path) -> None:
        """Name the file that is being worked on, if a bar is shown."""
        if self.shows_steps:
            from tagger.cli.screen import now

            now(path.name)

    def busy(self, label: str) -> AbstractContextManager[object]:
        """Show that something is being done, and for how long, as a bar is shown."""
        return self._step(label, counts=False)

    def paused(self) -> AbstractContextManager[object]:
        """Show no bar within the block."""
        if not self.shows_steps:
            return nullcontext()
        from tagger.cli.screen import paused

        return paused()

    @property
    def shows_steps(self) -> bool:
        """Whether people see what is being done: on a terminal, unless quiet."""
        return not self.quiet and bool(sys.stderr) and sys.stderr.isatty()

    def _step(
        self, label: str, total: int | None = None, work: Work | None = None, *, counts: bool = True
    ) -> AbstractContextManager[Step | None]:
        if not self.shows_steps:
            return nullcontext()
        from tagger.cli.screen import step

        return step(label, total, work, counts=counts)


def print_lines(lines: Iterable[str], stream: IO[str] | None = None) -> None:
    """Print data, to stdout or another stream."""
    for line in lines:
        click.echo(line, file=stream)


@contextmanager
def ignoring_closed_pipe(stream: IO[str]) -> Iterator[None]:
    """Let the run continue when the reader of the stream closes it early, as `head` does.

    Raises `ReportError` where nothing can be written, as on a full disk.
    """
    try:
        yield
    except OSError as error:
        with open(os.devnull, "wb") as nowhere:  # the rest must not fail again
            os.dup2(nowhere.fileno(), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            name = "standard output" if stream is sys.stdout else "standard error"
            reason = (error.strerror or "unknown error").lower()
            raise ReportError(f"{name} cannot be written: {reason}") from error


def end(console: Console, summary: Summary) -> NoReturn:
    """Exit with the code for the summary."""
    only_new = console.quiet and not console.strict
    failed = summary.new_failures if only_new else summary.actions[Action.FAILED]
    sys.exit(EXIT_SOME_FAILED if failed else 0)


def end_explained(tracks: Iterable[Explanation]) -> NoReturn:
    """Print how each track gets its genre, and exit with the code."""
    failed = False
    for track in tracks:
        path, *lines = explanation_lines(track)
        print_lines([path, *(fitted(line, sys.stdout) for line in lines)])
        failed = failed or track.outcome.action is Action.FAILED
    sys.exit(EXIT_SOME_FAILED if failed else 0)


@contextmanager
def exit_on_errors() -> Iterator[None]:
    """Turn errors that a user can fix, and Ctrl-C, into one line and an exit code."""
    # `docker stop` and a shutdown must end a run as cleanly as Ctrl-C does.
    with handled_all(OTHER_STOPS, signal.default_int_handler), _leaving_at_once():
        try:
            yield
        except TaggerError as error:
            remove_bar()
            from tagger.cli.named import located

            message = printable(f"tag-genres: {located(error)}")
            click.echo(fitted(message, sys.stderr), err=True)
            sys.exit(EXIT_NOTHING_DONE)
        except KeyboardInterrupt:
            _say_interrupted()
            sys.exit(EXIT_INTERRUPTED)


@contextmanager
def _leaving_at_once() -> Iterator[None]:
    """Let the first Ctrl-C end a run with all that is to be closed; a second one does not wait.

    What a run leaves behind then, the next one cleans up as after a crash.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # such as `nohup`
        yield
        return
    pressed = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            _say_interrupted()
            os._exit(EXIT_INTERRUPTED)
        pressed = True
        raise KeyboardInterrupt

    with handled(signal.SIGINT, interrupt):
        yield


def _say_interrupted() -> None:
    remove_bar()
    message = "interrupted: all finished work is kept; run the same command again to continue"
    # On a terminal it takes the place of the "^C" that the terminal shows.
    start = "\r" if can_redraw(sys.stderr) else "\n"
    with suppress(OSError, RuntimeError):  # a second Ctrl-C may come within a print
        click.echo(f"{start}{fitted(message, sys.stderr)}", err=True)


def remove_bar() -> None:
    """Remove the progress bar, if there is one."""
    if screen := sys.modules.get("tagger.cli.screen"):
        screen.close_all()


@contextmanager
def handled_all(
    numbers: Iterable[signal.Signals],
    handler: Callable[[int, FrameType | None], None] | signal.Handlers,
) -> Iterator[None]:
    """Handle several signals within the block."""
    with ExitStack() as stack:
        for number in numbers:
            stack.enter_context(handled(number, handler))
        yield


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
