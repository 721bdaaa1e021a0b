"""Click types and callbacks that check the text of an option and convert it to a value."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from tagger.audio.windows import AUTO, Count
from tagger.errors import ConfigError, nearest
from tagger.genres.separators import check_separators


class Choice(click.Choice[str]):
    """Click's choice; its error says which one was probably meant."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        """The message for a value that is not among the choices."""
        message = super().get_invalid_choice_message(value, ctx)
        meant = nearest(str(value), self.choices)
        return f"{message} Did you mean {meant!r}?" if meant else message


class RuleFile(click.ParamType[Any]):
    """A file of rules; in a config file, the rules themselves may take its place."""

    name = "file"

    def __init__(self, load: Callable[[Any], object]) -> None:
        self.load = load

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Load and check the rules."""
        try:
            return self.load(Path(value).expanduser() if isinstance(value, str) else value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Let the shell complete the path of a file."""
        return [CompletionItem(incomplete, type="file")]


class ModelName(click.ParamType[str]):
    """The name of a model, which may be a path; an environment variable holds exactly one."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Expand "~", since no shell does so in a config file."""
        return os.path.expanduser(str(value))

    def split_envvar_value(self, rv: str) -> list[str]:
        """Do not split: a path may contain spaces."""
        return [rv] if rv else []


def at_least_one(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse an empty list, which only a config file can hold."""
    if not value:
        raise click.BadParameter("the list is empty; name at least one, or leave the line out")
    return value


def check_skip(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse a suffix without its dot in `--skip`, which would count as a genre."""
    from tagger.files.scan import SUFFIXES

    for text in value:
        bare = text.casefold().lstrip("*.")
        if f".{bare}" in SUFFIXES and not text.startswith("."):
            raise click.BadParameter(f"{text!r} is not a genre; for a suffix write .{bare}")
    return value


def check_exclude(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Each `--exclude` as a line of a gitignore file; refuse one that is not a pattern."""
    from tagger.files.ignore import PatternError, check_pattern

    try:
        return tuple(map(check_pattern, value))
    except PatternError as error:
        raise click.BadParameter(str(error)) from error


def check_suffix(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Each `--suffix` in lower case with its dot: "mkv" and "*.MKV" are ".mkv"."""
    found = tuple(f".{text.strip().lower().lstrip('*').removeprefix('.')}" for text in value)
    for text, suffix in zip(value, found, strict=True):
        if not re.fullmatch(r"\.[^\s./\\,;*?]+", suffix):
            raise click.BadParameter(f"{text!r} is not a suffix such as .mkv")
    return found


def separators(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The separators without spaces; refuse letters and digits."""
    try:
        return check_separators(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def without_empty(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """The values that are not empty: a single empty one replaces the default by nothing."""
    return tuple(filter(None, map(str.strip, value)))


def window_count(ctx: click.Context, param: click.Parameter, value: str) -> Count:
    """The value of `--windows`: a positive number, "auto", or None for "all"."""
    if value == "all":
        return None
    if value == AUTO:
        return AUTO
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise click.BadParameter(f"{value!r} is not a positive number, 'auto' or 'all'")


def separator(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The text between genres; "nul" means a NUL character."""
    if value.casefold() == "nul":
        return "\0"
    if not re.fullmatch(r" *[;/,|\\]+ *", value):
        raise click.BadParameter("must be nul, or one of ; / , | \\ with or without spaces")
    return value


def not_nan(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse NaN and infinity, which pass click's range checks."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("not a finite number" if math.isinf(value) else "not a number")
    return value


def text_encoding(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse a name that Python has no encoding of text for."""
    try:
        if value is not None:
            "".encode(value)
    except LookupError as error:
        raise click.BadParameter(f"{value!r} is not an encoding such as cp1251") from error
    return value


def in_folder(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a file in a folder that does not exist, which would silently stay empty."""
    if value is not None and not value.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {value.absolute().parent}; create it first")
    return value


def absolute(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """The path as the state file stores it: absolute, links resolved."""
    return None if value is None else value.resolve()


def all_absolute(
    ctx: click.Context, param: click.Parameter, value: tuple[Path, ...]
) -> tuple[Path, ...]:
    """The paths as the state file stores them: absolute, links resolved."""
    return tuple(path.resolve() for path in value)


def code_page(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The name of a code page that Python knows, and in which ASCII is ASCII."""
    ascii_text = bytes(range(32, 127))
    try:
        if value is not None and ascii_text.decode(value) != ascii_text.decode("ascii"):
            raise LookupError(value)
    except (LookupError, UnicodeError) as error:
        raise click.BadParameter(f"{value!r} is not a code page such as cp1251") from error
    return value
