"""`--config`: a TOML file supplies defaults for the options that are not on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import click

from tagger.app.config import COMMAND_LINE_ONLY, check_keys, default_config, read_config
from tagger.cli.command import MainCommand
from tagger.cli.values import RuleFile
from tagger.errors import ConfigError

_FOUND = "tagger.cli.config"  # in the context's meta: the config file in the user's folder


def found_config() -> Path | None:
    """The config file that was read from the user's folder without being named, if any."""
    found: Path | None = click.get_current_context().meta.get(_FOUND)
    return found


def _read_config(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    """Give click the options of the config file as its defaults."""
    path = value or default_config()
    if value is None:
        if not path.exists():
            return
        # The run prints its path: rules that nobody typed must not come as a surprise.
        ctx.meta[_FOUND] = path
    try:
        config = read_config(path)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    # The other commands need only some of its keys.
    is_complete = isinstance(ctx.command, MainCommand)
    ctx.default_map = defaults_for(ctx.command, config, path, is_complete=is_complete)


def defaults_for(
    command: click.Command, config: Mapping[str, Any], path: Path, *, is_complete: bool
) -> dict[str, Any]:
    """Those of the options in a config file that a command takes, as its `default_map`.

    `config` is what `read_config` returns. Raises `UsageError` for a value of the wrong type, and
    if `is_complete` for an option that neither the command nor one of its others takes.
    """
    options = _options(command)
    if is_complete:
        others = command.others.values() if isinstance(command, MainCommand) else ()
        known = dict.fromkeys([*options, *(name for other in others for name in _options(other))])
        try:
            check_keys(config, known, path)
        except ConfigError as error:
            raise click.UsageError(str(error)) from error
    return {
        name: _as_typed(options[name], value, path)
        for name, value in config.items()
        if name in options
    }


def _options(command: click.Command) -> dict[str, click.Option]:
    return {param.name or "": param for param in command.params if _may_be_configured(param)}


def _may_be_configured(param: click.Parameter) -> TypeGuard[click.Option]:
    """Whether it is an option that makes sense as a default and is named after its long form."""
    name = (param.name or "").replace("_", "-")
    is_allowed = not param.is_eager and name not in COMMAND_LINE_ONLY
    return isinstance(param, click.Option) and is_allowed and f"--{name}" in param.opts


def _as_typed(option: click.Option, value: Any, path: Path) -> Any:
    """A value of a config file as it would be typed on the command line, for click to check."""
    if isinstance(option.type, RuleFile):
        return value
    items = value if option.multiple and isinstance(value, list) else [value]
    kinds: tuple[type, ...] = (bool,) if option.is_flag else (str, int, float, Path)
    # In Python, true and false are integers as well.
    if any(not isinstance(it, kinds) or isinstance(it, bool) != option.is_flag for it in items):
        name = (option.name or "").replace("_", "-")
        wanted = "true or false" if option.is_flag else "a string or a number"
        raise click.UsageError(f"{path}: {name} must be {wanted}, not {value!r}")
    if option.is_flag:
        return value
    # click takes 1.5 for an integer, but not "1.5".
    typed = [str(item) for item in items]
    return typed if option.multiple else typed[0]


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_read_config,
    is_eager=True,
    expose_value=False,
    help="File with defaults for these options, in TOML.  [default: tag-genres/config.toml in your "
    "config folder]",
)
