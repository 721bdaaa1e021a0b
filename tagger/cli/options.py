"""What the commands share: how options are read from words, from a config file, and into values."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import click

from tagger.app.config import COMMAND_LINE_ONLY, check_keys, default_config, read_config
from tagger.audio.windows import AUTO, Count
from tagger.cli.console import Command
from tagger.errors import ConfigError

T = TypeVar("T")
CONFIG_FOUND = "tagger.app.config"  # in the context: the config file, if it was not named


class MainCommand(Command):
    """The main command; a first word that names another one runs that instead."""

    def __init__(self, *args: Any, others: Mapping[str, click.Command], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.others = others

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Hand over to the other command, if one is named."""
        other = self.others.get(args[0]) if args else None
        if other is not None:
            return other.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run whichever command the context is for."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


class Rules(click.ParamType[Any]):
    """A file of rules, or in a config file the rules themselves."""

    name = "file"

    def __init__(self, load: Callable[[Any], object]) -> None:
        self.load = load

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What the loader makes of it."""
        try:
            return self.load(Path(value).expanduser() if isinstance(value, str) else value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


class ModelName(click.ParamType[str]):
    """The name of a model; of an environment variable, which may hold a path, one."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is; "~" is the user's folder, for in a config file no shell says so."""
        return os.path.expanduser(str(value))

    def split_envvar_value(self, rv: str) -> list[str]:
        """All of it: a path may have blanks."""
        return [rv] if rv else []


def skipped(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The genres and suffixes of `--skip`; a suffix without its dot would be a genre."""
    from tagger.files.scan import SUFFIXES

    for text in value:
        bare = text.casefold().lstrip("*.")
        if f".{bare}" in SUFFIXES and not text.startswith("."):
            raise click.BadParameter(f"{text!r} is no genre; for a suffix write .{bare}")
    return value


def made(kind: Callable[..., T], given: Mapping[str, Any]) -> T:
    """A dataclass from options: each sets the field of its name."""
    return kind(**{f.name: given[f.name] for f in fields(kind) if f.name in given})  # type: ignore[arg-type]


def window_count(ctx: click.Context, param: click.Parameter, value: str) -> Count:
    """What `--windows` stands for: a positive number, "auto", or None for "all"."""
    if value == "all":
        return None
    if value == AUTO:
        return AUTO
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise click.BadParameter(f"{value!r} is neither a positive number, nor 'auto' or 'all'")


def a_number(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """The value, if there is one; NaN passes click's ranges."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("not a number")
    return value


def absolute(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """The given path or paths as the state file has them: absolute, links resolved."""
    if isinstance(value, tuple):
        return tuple(absolute(ctx, param, path) for path in value)
    return None if value is None else value.resolve()


def _read_config(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    """Make a config file the source of what the command line does not say."""
    path = value or default_config()
    if value is None:
        if not path.exists():
            return
        # Rules that nobody typed must not come as a surprise.
        ctx.meta[CONFIG_FOUND] = path
    options = {p.name or "": p for p in ctx.command.params if _may_be_configured(p)}
    try:
        config = read_config(path)
        if isinstance(ctx.command, MainCommand):  # the others need only some of what it knows
            check_keys(config, options, path)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    ctx.default_map = {
        name: _as_typed(options[name], given, path)
        for name, given in config.items()
        if name in options
    }


def _may_be_configured(param: click.Parameter) -> TypeGuard[click.Option]:
    """Whether it is an option that can be a habit, and is found by its long name."""
    name = (param.name or "").replace("_", "-")
    habit = not param.is_eager and name not in COMMAND_LINE_ONLY
    return isinstance(param, click.Option) and habit and f"--{name}" in param.opts


def _as_typed(option: click.Option, given: Any, path: Path) -> Any:
    """A value of a config file as a person would have typed it, for click to check."""
    if isinstance(option.type, Rules):
        return given
    items = given if option.multiple and isinstance(given, list) else [given]
    kinds: tuple[type, ...] = (bool,) if option.is_flag else (str, int, float, Path)
    # To Python, true and false are whole numbers as well.
    if any(not isinstance(it, kinds) or isinstance(it, bool) != option.is_flag for it in items):
        name = (option.name or "").replace("_", "-")
        wanted = "true or false" if option.is_flag else "a text or a number"
        raise click.UsageError(f"{path}: {name} must be {wanted}, not {given!r}")
    if option.is_flag:
        return given
    # click takes 1.5 for a whole number, but not "1.5".
    typed = [str(item) for item in items]
    return typed if option.multiple else typed[0]


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_read_config,
    is_eager=True,
    expose_value=False,
    help="TOML file with defaults for these options.  [default: tag-genres/config.toml in your "
    "config folder]",
)
state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that remembers predictions and writes.  [default: in your state folder]",
)
dry_run_option = click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would be changed, also in the report; change no music.",
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress and no summary.")
verbose_option = click.option("--verbose", is_flag=True, help="A line for every track.")
keep_mtime_option = click.option(
    "--keep-mtime", is_flag=True, help="Keep the files' time of modification."
)
hardlinks_option = click.option(
    "--break-hardlinks",
    is_flag=True,
    help="Write hard-linked files too; their other names keep the old content.",
)


def writing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command that changes files takes."""
    for option in (
        verbose_option, quiet_option, state_option, hardlinks_option, keep_mtime_option,
        dry_run_option,
    ):  # fmt: skip
        command = option(command)
    return command
