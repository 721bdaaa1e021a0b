"""What a terminal can show: whether lines may be redrawn, colours, and tables by rich."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console


def can_redraw(stream: IO[str] | None) -> bool:
    """Whether the stream is a terminal on which a line can be drawn over, as a progress bar is."""
    return bool(stream and stream.isatty() and os.environ.get("TERM") != "dumb")


def has_colors(stream: IO[str] | None) -> bool:
    """Whether colours are wanted on the stream.

    `--color` decides; without it the variables NO_COLOR and FORCE_COLOR, if they are not empty (see
    no-color.org and force-color.org); else whether the stream is a terminal that has colours.
    """
    context = click.get_current_context(silent=True)
    if context is not None and context.color is not None:
        return context.color
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or can_redraw(stream)


def rich_console(stream: IO[str]) -> Console:
    """A console of rich for the stream; it is as wide as the terminal, or 80 columns.

    Nothing in a text is interpreted: names of files may hold what looks like markup or an emoji.
    """
    from rich.console import Console

    colors = has_colors(stream)
    return Console(
        file=stream, color_system="auto" if colors else None, force_terminal=colors or None,
        markup=False, highlight=False, emoji=False,
    )  # fmt: skip
