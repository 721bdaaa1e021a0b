"""`--config`: a TOML file supplies defaults for the options that are not on the command line.

A run, `config check`, `config show` and `doctor` find its faults by the functions here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tagger.app.config import (
    COMMAND_LINE_ONLY,
    Config,
    Fault,
    by_line,
    default_config,
    is_there,
    key_fault,
    read_config,
)
from tagger.cli.command import LOCATE, Contradiction, Decorator, MainCommand, plain_message
from tagger.cli.configurable import as_typed, is_unset, key_of, options_of
from tagger.cli.rules import contradictions
from tagger.cli.values import RuleFile
from tagger.errors import ConfigError

_FOUND = "tagger.cli.config"  # in the context's meta: the config file in the user's folder


def found_config() -> Path | None:
    """The config file that was read from the user's folder without being named, if any."""
    found: Path | None = click.get_current_context().meta.get(_FOUND)
    return found


def config_of(ctx: click.Context) -> Config | None:
    """The config file from which a command took its defaults, if it read one."""
    locate = ctx.meta.get(LOCATE)
    return locate.config if isinstance(locate, _Located) else None


def _read_config(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    """Give click the options of the config file as its defaults."""
    if ctx.default_map is not None:  # `check` has read the file
        return
    path = value or default_config()
    if value is None:
        if not is_there(path):
            return
        # The run prints its path: rules that nobody typed must not come as a surprise.
        ctx.meta[_FOUND] = path
    try:
        config = read_config(path)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    command = ctx.command
    # The other commands need only some of the keys.
    is_complete = isinstance(command, MainCommand)
    defaults, faults = defaults_for(command, config, is_complete=is_complete)
    if isinstance(command, MainCommand):
        faults += _check_others(command, config)[1]
    for fault in by_line((*config.faults, *faults)):
        raise click.UsageError(str(fault))
    ctx.default_map = defaults
    ctx.meta[LOCATE] = _Located(config)


@dataclass(frozen=True, slots=True)
class _Located:
    """Gives the message of a usage error; if its cause is in the config file, with the place."""

    config: Config

    def __call__(self, error: click.UsageError) -> str:
        context, message = error.ctx, plain_message(error)
        names = list(error.names) if isinstance(error, Contradiction) else []
        if isinstance(error, click.BadParameter) and error.param:
            names = [error.param.name or ""]
        for name in names:
            if context and context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP:
                option = options_of(context.command)[name]
                fault = None
                if not isinstance(error, Contradiction):
                    fault = value_fault(context.command, option, self.config)
                return str(fault or self.config.fault(key_of(name), message))
        return message


@dataclass(frozen=True, slots=True)
class Checked:
    """A config file and its faults, as a run would find them.

    `right` are the keys of the options whose values can be used, of all commands; `context` is that
    of a run with them.
    """

    path: Path
    exists: bool
    config: Config | None  # None: there is no file, or it cannot be read
    faults: tuple[Fault, ...]
    right: frozenset[str]
    context: click.Context


def check(command: MainCommand, path: Path | None) -> Checked:
    """Check the config file that a run of the main command would read, whatever is wrong with it.

    What its options name outside of it, such as a model, is up to the caller.
    """
    chosen, config = path or default_config(), None
    exists, faults = is_there(chosen), list[Fault]()
    defaults, right = dict[str, Any](), set[str]()
    if path is not None or exists:
        try:
            config = read_config(chosen)
        except ConfigError as error:
            faults.append(Fault(chosen, str(error)))
    if config is not None:
        defaults, key_faults = defaults_for(command, config, is_complete=True)
        wrong = dict(_value_faults(command, config, defaults))
        defaults = {name: value for name, value in defaults.items() if name not in wrong}
        of_others, more = _check_others(command, config)
        right = {*map(key_of, defaults), *of_others}
        faults += [*config.faults, *key_faults, *wrong.values(), *more]
    context = command.make_context("tag-genres", [], default_map=defaults)
    if config is not None and not config.faults:  # else nothing is known of what was not read
        with context:
            faults += [
                config.fault(key_of(contradiction.names[0]), contradiction.message)
                for contradiction in contradictions(context)
                # Nor of what depends on a value that cannot be used.
                if all(key in right for it in contradiction.names
                       if (key := key_of(it)) in config.table)
            ]  # fmt: skip
    return Checked(chosen, exists, config, tuple(by_line(faults)), frozenset(right), context)


def defaults_for(
    command: click.Command, config: Config, *, is_complete: bool
) -> tuple[dict[str, Any], list[Fault]]:
    """The options in a config file that a command takes, as its `default_map`.

    With the faults: values of the wrong type, and keys that are no option. For the main command,
    the options of its others are known too; unless `is_complete`, an unknown key is passed over.
    """
    options = {key_of(name): option for name, option in options_of(command).items()}
    known, typed_only = _known(command)
    defaults, faults = {}, []
    for key, value in config.table.items():
        passes = not is_complete and "_" not in key and key not in COMMAND_LINE_ONLY
        fault = "" if passes else key_fault(key, known, typed_only)
        if not fault and (option := options.get(key)) and not is_unset(option, value):
            try:
                defaults[option.name or ""] = as_typed(option, value, config.path)
            except ConfigError as error:
                fault = str(error)
        if fault:
            faults.append(config.fault(key, fault))
    return defaults, faults


def value_fault(command: click.Command, option: click.Option, config: Config) -> Fault | None:
    """What is wrong with the value of an option in a config file, with its line; None if nothing.

    The value has the right type, see `defaults_for`.
    """
    key = key_of(option.name or "")
    values = [(config.line(key), config.table[key])]
    if isinstance(option.type, RuleFile) and isinstance(config.table[key], Mapping):
        values = [*config.growing(key)] or values
    for line, value in values:
        context = click.Context(command, info_name="tag-genres")
        try:
            with context:
                option.process_value(context, as_typed(option, value, config.path))
        except click.UsageError as error:
            if isinstance(error, click.BadParameter):
                error.param = error.param or option
            return Fault(config.path, plain_message(error), line)
    return None


def _value_faults(
    command: click.Command, config: Config, defaults: Mapping[str, Any]
) -> Iterator[tuple[str, Fault]]:
    for name, option in options_of(command).items():
        if name in defaults and (fault := value_fault(command, option, config)):
            yield name, fault


def _check_others(command: MainCommand, config: Config) -> tuple[set[str], list[Fault]]:
    """The options that only other commands take, such as `encoding`: those that can be used, and
    the faults of the rest.
    """
    seen = {*map(key_of, options_of(command))}
    right, faults = set[str](), list[Fault]()
    for other in command.others.values():
        keys = {*map(key_of, options_of(other))} - seen
        table = {key: value for key, value in config.table.items() if key in keys}
        only = Config(config.path, table, config.statements)
        defaults, wrong_types = defaults_for(other, only, is_complete=False)
        wrong = dict(_value_faults(other, only, defaults))
        right |= {key_of(name) for name in defaults if name not in wrong}
        faults += [*wrong_types, *wrong.values()]
        seen |= keys
    return right, faults


def _known(command: click.Command) -> tuple[list[str], set[str]]:
    """All keys that a config file may have, and long options that only the command line takes."""
    others = command.others.values() if isinstance(command, MainCommand) else ()
    commands = (command, *others)
    known = dict.fromkeys(key_of(name) for one in commands for name in options_of(one))
    params = (param for one in commands for param in one.params if not param.is_eager)
    names = (name for it in params if isinstance(it, click.Option) for name in it.opts)
    long = {name.removeprefix("--") for name in names if name.startswith("--")}
    return [*known], long - {*known}


USUAL = "[default: tag-genres/config.toml in your config folder]"
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_read_config,
    is_eager=True,
    expose_value=False,
    help=f"File with defaults for these options, in TOML.  {USUAL}",
)


def file_option(text: str) -> Decorator:
    """`--config` of a command that examines a config file, whatever is wrong with it."""
    return click.option(
        "--config",
        "path",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=f"{text}  {USUAL}",
    )
