"""Rows of a name and a text, laid out for the width of a terminal, or plain for a pipe."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator

import click

from tagger.cli.terminal import can_redraw, has_colors, width
from tagger.report.escape import printable

NAME = 24  # columns
NARROW, NARROW_NAME = 70, 16  # below the first, names have the second


def terminal_width() -> int | None:
    """The columns of the terminal that stdout is; None if it is none."""
    return width(sys.stdout) if can_redraw(sys.stdout) else None


def lay_out(name: str, text: str, columns: int | None) -> Iterator[str]:
    """The lines of a row: one for a pipe (`columns` None), else wrapped beside the name.

    Without a name, the text starts at the left.
    """
    name, text = printable(name), printable(text)
    if columns is None:
        yield f"{name:<{NAME}}{text}" if name else text
        return
    indent = (NARROW_NAME if columns < NARROW else NAME) if name else 2
    start = f"{name:<{indent}}" if len(name) < indent else f"{name}  "
    wrapper = _Wrapper(
        width=max(columns - 1, 20),  # some terminals wrap a line that fills the last column
        initial_indent=start if name else "",
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        drop_whitespace=False,
    )
    for number, line in enumerate(wrapper.wrap(text) or [start]):
        # Columns of a table within the text keep their spaces; a wrapped line loses its first one.
        yield (line if number == 0 else " " * indent + line[indent:].lstrip()).rstrip()


def print_row(name: str, text: str, *, color: str | None = None) -> None:
    """Print a row, or a text without a name, to stdout; laid out if that is a terminal."""
    for line in lay_out(name, text, terminal_width()):
        click.echo(click.style(line, fg=color) if color and has_colors(sys.stdout) else line)


class _Wrapper(textwrap.TextWrapper):
    """Breaks lines at spaces and behind the slashes of paths."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=\w[/\\])(?=[^/\\]))")
