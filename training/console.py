"""Messages on stderr, and progress: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import IO, NoReturn

import click
from tqdm import tqdm

from tagger.cli.console import EXIT_INTERRUPTED, handled
from tagger.cli.terminal import width, wrapped
from tagger.errors import TaggerError
from tagger.report.escape import printable
from tagger.report.streams import can_redraw
from tagger.writing.interrupts import STOPS

LINE_SECONDS = 15.0  # between two lines of progress without a terminal
# What SQLite and torch say in errors of their own when a disk is full.
FULL = ("database or disk is full", "PytorchStreamWriter failed", "unexpected pos")


def say(message: str, *, unbroken: bool = False) -> None:
    """Print a line on stderr, without tearing a bar; with several processes, only the first one.

    A terminal gets it broken at spaces, unless it is `unbroken` or indented by four, since commands
    and tables would be spoiled.
    """
    if is_first():
        line = printable(message)
        if not (unbroken or line.startswith("    ")):
            line = wrapped(line, terminal_width(sys.stderr))
        with tqdm.external_write_mode(file=sys.stderr):
            click.echo(line, err=True)


def terminal_width(stream: IO[str]) -> int | None:
    """Characters in a line of the terminal that shows a stream; None if none does."""
    return width(stream) if stream.isatty() else None


@contextmanager
def ending(interrupted: Callable[[], str]) -> Iterator[None]:
    """Turn an error that a user can fix into one line, and Ctrl-C or SIGTERM too, with status 130.

    `interrupted` says how to go on.
    """
    received: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> NoReturn:
        received.append(number)
        raise KeyboardInterrupt

    with ExitStack() as stack:
        for number in STOPS:
            stack.enter_context(handled(number, interrupt))
        try:
            yield
        except BaseException as error:
            # An interrupted import may raise another error.
            if received or isinstance(error, KeyboardInterrupt):
                for number in STOPS:
                    stack.enter_context(handled(number, signal.SIG_IGN))
                say(f"interrupted: {interrupted()}", unbroken=True)
                sys.exit(EXIT_INTERRUPTED)
            if isinstance(error, TaggerError):
                raise click.ClickException(str(error)) from error
            if reason := reason_of_the_disk(error):
                message = f"{reason}; {interrupted()}"
                raise click.ClickException(printable(message)) from error
            raise


def reason_of_the_disk(error: BaseException) -> str:
    """Why a file could not be read or written, in words; empty for any other error."""
    if isinstance(error, OSError) and error.strerror and error.errno != errno.EPIPE:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if number := re.search(r"\(os error (\d+)\)", str(error)):  # of safetensors
        return os.strerror(int(number[1]))
    return "the disk is probably full" if any(sign in str(error) for sign in FULL) else ""


def is_first() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


class Progress:
    """How far a piece of work is; only the first of several processes shows it."""

    def __init__(self, total: int, what: str, unit: str, done: int = 0) -> None:
        """`what` is done to `total` of `unit`, of which an earlier run has `done` some."""
        self.what, self.unit = what, unit
        self.as_lines = is_first() and not can_redraw(sys.stderr)
        self.bar = tqdm(
            total=total,
            initial=done,
            desc=what,
            unit=unit,
            disable=not is_first() or self.as_lines,
        )
        self.total, self.done = total, done
        self.printed = time.monotonic()
        if self.as_lines and done < total:
            say(f"{what}: {total - done:,} {unit}")

    def advance(self, count: int = 1) -> None:
        """Count finished units."""
        self.done += count
        self.bar.update(count)
        if self.as_lines and time.monotonic() - self.printed >= LINE_SECONDS:
            self.printed = time.monotonic()
            say(f"{self.what}: {self.done:,} of {self.total:,} {self.unit}")

    def note(self, text: str) -> None:
        """Show a few words at the end of the bar."""
        self.bar.set_postfix_str(text)

    def end(self, *, complete: bool) -> None:
        """Close the bar; if the work is complete although it took fewer units, at 100 %."""
        if complete and not self.bar.disable:
            self.bar.total = self.bar.n
        self.bar.close()


@contextmanager
def progress(total: int, what: str, unit: str) -> Iterator[Progress]:
    """Show the progress of the block."""
    shown = Progress(total, what, unit)
    complete = False
    try:
        yield shown
        complete = True
    finally:
        shown.end(complete=complete)
