"""What a terminal can show: whether lines may be redrawn, colours, and tables by rich."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Literal

import click

from tagger.cli.fitting import width as columns_of
from tagger.cli.values import Choice
from tagger.errors import ConfigError
from tagger.report.streams import DUMB, accept_any_text, can_redraw

if TYPE_CHECKING:
    from rich.console import Console

WHEN = ("auto", "always", "never")
__all__ = [
    "can_redraw", "color_option", "default_color", "fitted", "has_colors", "prepare",
    "rich_console", "width", "wrapped",
]  # fmt: skip


def prepare() -> None:
    """Make the standard streams take any text, and a Windows console understand colours."""
    for stream in (sys.stdout, sys.stderr):
        accept_any_text(stream)
    if sys.platform == "win32":
        from colorama import just_fix_windows_console  # tqdm requires it there

        just_fix_windows_console()


def default_color() -> bool | None:
    """The choice of colours in the environment, as `color` of a context of click.

    NO_COLOR and FORCE_COLOR count unless they are empty, whatever they contain (no-color.org,
    force-color.org); the first goes before the second, as in Python and pytest. Then TERM decides.
    None: each stream has colours if it is a terminal.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return False if os.environ.get("TERM") in DUMB else None


def color_option() -> click.Option:
    """`--color`, which goes before the environment; every command has it."""
    return click.Option(
        ["--color"],
        type=Choice(WHEN),
        expose_value=False,
        callback=_set_color,
        help="Whether to use colours. auto uses them on a terminal unless NO_COLOR is set.  "
        "[default: auto]",
    )


def _set_color(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is None and ctx.parent is None and ctx.default_map is None:
        value = _configured()  # by the file that the command itself does not read
    if value is not None:  # else it may be known from the command above
        ctx.color = default_color() if value == "auto" else value == "always"


def _configured() -> str | None:
    from tagger.app.config import default_config, read_config

    with suppress(ConfigError):  # `config check` and `doctor` report it
        value = read_config(default_config()).table.get("color")
        return value if value in WHEN else None
    return None


def has_colors(stream: IO[str] | None) -> bool:
    """Whether colours are wanted on the stream; `click.echo` decides in the same way."""
    context = click.get_current_context(silent=True)
    wanted = default_color() if context is None else context.color
    return bool(stream and stream.isatty()) if wanted is None else wanted


def width(stream: IO[str]) -> int:
    """Columns of the terminal that shows the stream; where none does, COLUMNS or 80."""
    try:
        found = 0 if os.environ.get("COLUMNS") else os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no terminal, or no file at all
        found = 0
    return found or shutil.get_terminal_size().columns


def wrapped(line: str, width: int | None) -> str:
    """A line broken at spaces, the rest indented, so that it fits into a width; None is any."""
    if width is None or columns_of(line) <= width:
        return line
    text = line.lstrip(" ")
    indent = " " * (len(line) - len(text))
    shown, *words = text.split(" ")
    lines, shown = [], indent + shown
    for word in words:
        if columns_of(f"{shown} {word}".rstrip(" ")) <= max(width, 20):
            shown += f" {word}"
        else:
            lines.append(shown.rstrip(" "))
            shown = f"{indent}  {word}"
    return "\n".join([*lines, shown.rstrip(" ")])


def fitted(line: str, stream: IO[str] | None) -> str:
    """A line as the terminal that shows the stream can show it, and `wrapped`, if one does."""
    if not (stream and stream.isatty()):
        return line
    encoding: str = getattr(stream, "encoding", None) or "utf-8"
    errors: str = getattr(stream, "errors", None) or "replace"
    shown = line.encode(encoding, errors).decode(encoding, "replace")
    return wrapped(shown, width(stream))


def rich_console(stream: IO[str]) -> Console:
    """A console of rich for the stream; it is as wide as the terminal, or 80 columns.

    Nothing in a text is interpreted: names of files may hold what looks like markup or an emoji.
    """
    from rich.console import Console

    colors = has_colors(stream)
    # What rich would read from the environment is decided here: it takes no colour for a dumb
    # terminal, for one, even if --color asks for them.
    system: Literal["auto", "standard"] = "auto" if can_redraw(stream) else "standard"
    return Console(
        file=stream, color_system=system if colors else None, force_terminal=colors,
        no_color=not colors, width=width(stream), markup=False, highlight=False, emoji=False,
    )  # fmt: skip
