"""`--confirm` in a terminal: shows the questions and reads the lines that answer them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tagger.cli.question import Style, help_lines, question_lines
from tagger.cli.terminal import fitted, width
from tagger.report.escape import printable

if TYPE_CHECKING:
    from tagger.app.answers import Names
    from tagger.app.confirm import Place, Question

PROMPT = "genre> "
BETWEEN_GENRES = ";"
TYPING_ENDS = 0.2  # s without a key


@dataclass(slots=True)
class TerminalPerson:
    """The person at the terminal; see `app.confirm.Person`."""

    knows_names: bool = False
    remember: Callable[[str], None] | None = None  # a line, for the arrow keys

    def show(self, question: Question, place: Place, names: Names) -> None:
        """Show a question. What was typed before is no answer: nobody had seen it then."""
        if not self.knows_names:
            self.remember = _complete_with(names.completions)
            self.knows_names = True
        if _drop_typed():
            click.echo("keys typed before this question are ignored", err=True)
        # One column stays empty: a terminal may wrap a line that fills it.
        for line in question_lines(question, place, width(sys.stderr) - 1):
            click.echo("".join(_styled(text, style) for text, style in line), err=True)

    def ask(self) -> str | None:
        """Read a line; None at the end of the input. The arrow keys bring genres back."""
        line = _read(PROMPT)
        if line and len(line) > 1 and self.remember is not None:
            self.remember(line)
        return line

    def help(self) -> None:
        """List what can be typed."""
        _drop_typed()
        for line in help_lines(width(sys.stderr) - 1):
            click.echo(line, err=True)

    def reply(self, line: str) -> None:
        """Show what became of an answer."""
        _drop_typed()
        click.echo(fitted(printable(line), sys.stderr), err=True)


def person_at_terminal(
    *, wanted: bool, writes: bool, contrary: Mapping[str, bool]
) -> TerminalPerson | None:
    """The person who answers the questions, if `wanted`; else None.

    Raises a usage error if the run does not write, for another option that is contrary to the
    questions, and where there is no terminal.
    """
    if not wanted:
        return None
    for option, is_given in contrary.items():
        if is_given:
            raise click.UsageError(f"--confirm cannot be used with {option}")
    if not writes:
        raise click.UsageError("--confirm asks what to write, so it needs --write-tags")
    for stream, name in ((sys.stdin, "standard input"), (sys.stderr, "standard error")):
        if not (stream and stream.isatty()):
            raise click.UsageError(f"--confirm asks in a terminal, but {name} is not one")
    return TerminalPerson()


def _styled(text: str, style: Style) -> str:
    if style == "cyan":
        return click.style(text, fg="cyan")
    return click.style(text, bold=style == "bold", dim=style == "dim") if style else text


def _read(prompt: str) -> str | None:
    """A line that is typed; None at the end of the input."""
    while True:
        try:
            with _stdout_at_terminal():
                return input(prompt)
        except EOFError:
            click.echo(err=True)
            return None
        except UnicodeDecodeError:
            click.echo("that is not text in the encoding of this terminal; type it again", err=True)


def _drop_typed() -> bool:
    """Drop the keys that were pressed so far, until no more come; returns whether there were any.

    The end of a word must not be taken for a genre, nor the second line of a paste for an answer.
    """
    typed = False
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            while msvcrt.kbhit():
                msvcrt.getwch()
            typed = True
            time.sleep(TYPING_ENDS)
        return typed
    import select
    import termios

    keyboard = sys.stdin.fileno()
    with suppress(OSError, termios.error):  # the terminal is gone; `input` says so
        before = termios.tcgetattr(keyboard)
        by_key = [*before]
        by_key[3] &= ~(termios.ICANON | termios.ECHO)  # else only whole lines could be read
        termios.tcsetattr(keyboard, termios.TCSANOW, by_key)
        try:
            while select.select([keyboard], [], [], TYPING_ENDS * typed)[0]:
                if not os.read(keyboard, 4096):
                    break
                typed = True
        finally:
            termios.tcsetattr(keyboard, termios.TCSANOW, before)
    return typed


@contextmanager
def _stdout_at_terminal() -> Iterator[None]:
    """Let `input` use the terminal even if standard output, where it shows its prompt, is a file.

    Only there it lets the line be edited and completed.
    """
    if sys.stdout is None or sys.stdout.isatty():
        yield
        return
    sys.stdout.flush()
    kept = os.dup(sys.stdout.fileno())
    try:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        yield
        sys.stdout.flush()
    finally:
        os.dup2(kept, sys.stdout.fileno())
        os.close(kept)


def _complete_with(completions: Callable[[str], list[str]]) -> Callable[[str], None] | None:
    """Complete genres with the Tab key, and return what lets the arrow keys bring back a line.

    None where Python has no readline, as on Windows.
    """
    try:
        import readline
    except ImportError:
        return None
    found: list[str] = []

    def complete(typed: str, number: int) -> str | None:
        if number == 0:
            start = typed.lstrip()
            blanks = typed[: len(typed) - len(start)]
            found[:] = [f"{blanks}{genre}" for genre in completions(start)]
        return found[number] if number < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(BETWEEN_GENRES)  # a genre may have spaces, hyphens ...
    readline.set_auto_history(False)
    if "libedit" in (readline.__doc__ or ""):  # on macOS
        readline.parse_and_bind("bind ^I rl_complete")
    else:
        readline.parse_and_bind("tab: complete")
        readline.parse_and_bind("set completion-ignore-case on")
        readline.parse_and_bind("set show-all-if-ambiguous on")
    return readline.add_history
