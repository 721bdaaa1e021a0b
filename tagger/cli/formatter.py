"""How help is laid out: no word is broken at a hyphen, no line is wider than the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable

import click

NARROW = 70  # columns; in fewer, the text of an option stands below it
UNWRAPPED = "\b\n"  # click's mark of a paragraph whose lines stay as they are


class Formatter(click.HelpFormatter):
    """Click's formatter, which would break "--write-tags" at a hyphen, and asks for 50 columns."""

    def __init__(self, width: int | None = None, max_width: int | None = None) -> None:
        columns = min(width or shutil.get_terminal_size().columns, max_width or 80)
        super().__init__(width=columns - 2)  # as click, which leaves them free

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how a command is called; further lines are indented below its name."""
        start = "Usage: " if prefix is None else prefix
        first, *others = _wrapped(f"{prog} {args}", self.width - len(start))
        self._write_lines([f"{start}{first}"], 0)
        self._write_lines(others, len(start))

    def write_text(self, text: str) -> None:
        """Write paragraphs, which are separated by empty lines."""
        for number, paragraph in enumerate(text.strip("\n").split("\n\n")):
            self.write("\n" if number else "")
            width = self.width - self.current_indent
            whole = paragraph.removeprefix(UNWRAPPED)
            for line in [whole] if whole == paragraph else whole.splitlines():
                indent = len(line) - len(line.lstrip())
                self._write_lines(
                    _wrapped(line.strip(), width - indent), self.current_indent + indent
                )

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write terms with their texts beside them; or below, where a term or the page is narrow.

        Terms have one width up to `col_max`; a `col_max` of 0 means that of the longest one.
        """
        rows = list(rows)
        if self.width < NARROW:
            column = self.current_indent + 2
        else:
            longest = max((len(term) for term, _ in rows), default=0)
            column = self.current_indent + min(longest, col_max or longest) + col_spacing
        for term, text in rows:
            (first, *others) = _wrapped(text, self.width - column) or [""]
            start = f"{'':{self.current_indent}}{term}"
            if self.width >= NARROW and len(start) + col_spacing <= column:
                self.write(f"{start:{column}}{first}".rstrip() + "\n")
            else:
                self._write_lines(
                    _wrapped(term, self.width - self.current_indent), self.current_indent
                )
                self._write_lines([first] if first else [], column)
            self._write_lines(others, column)

    def _write_lines(self, lines: Iterable[str], indent: int) -> None:
        for line in lines:
            self.write(f"{'':{indent}}{line}".rstrip() + "\n")


class Context(click.Context):
    """A context whose help is laid out by `Formatter`."""

    formatter_class = Formatter
    full = False  # whether all options are explained


def _wrapped(text: str, width: int) -> list[str]:
    # A line that is too long for the page is broken anywhere, as the terminal would.
    return textwrap.wrap(text, max(width, 10), break_on_hyphens=False)
