"""Which options a config file may set, and their values there as click takes them."""

from __future__ import annotations

from errno import ENAMETOOLONG
from pathlib import Path
from typing import Any, TypeGuard

import click

from tagger.app.config import COMMAND_LINE_ONLY, MAY_BE_FILES, beside
from tagger.cli.command import MainCommand
from tagger.cli.values import RuleFile
from tagger.errors import ConfigError

NOT_SET = ""  # what an option without a default may be in a config file; the same as no line


def options_of(command: click.Command) -> dict[str, click.Option]:
    """The options of a command that a config file may set, by their parameter's name."""
    return {param.name or "": param for param in command.params if _may_be_configured(param)}


def all_options(command: MainCommand) -> dict[str, click.Option]:
    """The options that a config file may set, of all commands, by their keys in it."""
    found: dict[str, click.Option] = {}
    for one in (command, *command.others.values()):
        for name, option in options_of(one).items():
            found.setdefault(key_of(name), option)
    return found


def key_of(name: str) -> str:
    """The key of an option in a config file, from its parameter's name."""
    return name.replace("_", "-")


def _may_be_configured(param: click.Parameter) -> TypeGuard[click.Option]:
    """Whether it is an option that makes sense as a default and is named after its long form."""
    name = key_of(param.name or "")
    is_allowed = not param.is_eager and name not in COMMAND_LINE_ONLY
    return isinstance(param, click.Option) and is_allowed and f"--{name}" in param.opts


def default_of(option: click.Option) -> Any:
    """The default of an option; None if it has none."""
    return False if option.is_flag else option.to_info_dict()["default"]


def is_unset(option: click.Option, value: Any) -> bool:
    """Whether a value of a config file says that an option is not set."""
    return bool(value == NOT_SET and not option.multiple and default_of(option) is None)


def as_typed(option: click.Option, value: Any, path: Path) -> Any:
    """A value of a config file as it would be typed on the command line, for click to check.

    Raises `ConfigError` for one of the wrong type.
    """
    name = key_of(option.name or "")
    if name in MAY_BE_FILES and isinstance(value, str):
        value = beside(path, value)
    if isinstance(option.type, RuleFile):
        return value
    items = value if option.multiple and isinstance(value, list) else [value]
    kinds: tuple[type, ...] = (bool,) if option.is_flag else (str, int, float, Path)
    # In Python, true and false are integers as well.
    if any(not isinstance(it, kinds) or isinstance(it, bool) != option.is_flag for it in items):
        wanted = "true or false" if option.is_flag else "a string or a number"
        raise ConfigError(f"{name} must be {wanted}, not {value!r}", path)
    if option.is_flag:
        return value
    _refuse_unusable(option, name, items)
    # click takes 1.5 for an integer, but not "1.5".
    typed = [str(item) for item in items]
    return typed if option.multiple else typed[0]


def _refuse_unusable(option: click.Option, name: str, items: list[Any]) -> None:
    """Raise `ConfigError` for what could not be typed at all, or is a path that cannot exist."""
    for item in items:
        if "\0" in str(item):
            raise ConfigError(f"{name} contains a NUL character, which is not allowed")
        if not isinstance(option.type, click.Path):
            continue
        if isinstance(item, int | float):
            raise ConfigError(f"{name} must be a string, the path of a file, not {item!r}")
        try:
            Path(item).lstat()
        except OSError as error:
            if error.errno == ENAMETOOLONG:
                raise ConfigError(f"{name} is not a path: {error.strerror}") from error
