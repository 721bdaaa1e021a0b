"""What the options in force name, such as a model or a report, and on which line each is set."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from tagger.app.config import Config
from tagger.cli.config import Checked, config_of
from tagger.cli.configurable import key_of, options_of
from tagger.errors import ReportError, StateError, TaggerError, one_line

if TYPE_CHECKING:
    from tagger.app.doctor import Asked
    from tagger.app.usable import Named

MODEL = "TAG_GENRES_MODEL"


def lines_of(context: click.Context, config: Config | None) -> dict[str, int | None]:
    """The options that are in force as the config file sets them, by key, with their lines."""
    if config is None:
        return {}
    source = context.get_parameter_source
    names = [it for it in options_of(context.command) if source(it) is ParameterSource.DEFAULT_MAP]
    return {key_of(name): config.line(key_of(name)) for name in names}


def named_by(context: click.Context, keys: Collection[str], state: Path | None = None) -> Named:
    """The files, models and devices that the options of a command name.

    `keys` are those that the config file sets; `state` replaces the one of the context.
    """
    from tagger.app.usable import Named

    given = context.params
    is_of_model = {"labels", "model"} <= {*keys} and len(given["model"]) == 1
    return Named(
        model=given.get("model", ()),
        labels=given["labels"] if is_of_model else None,
        csv=given.get("csv") if "csv" in keys else None,
        xlsx=given.get("xlsx"),
        playlists=given.get("playlists"),
        state=state or given.get("state"),
        device=given.get("device", "auto"),
        precision=given.get("precision", "auto"),
    )


def located(error: TaggerError) -> str:
    """The message of an error, with the line of the config file that is the cause, if one is."""
    context = click.get_current_context(silent=True)
    config = config_of(context) if context else None
    if context is None or config is None:
        return str(error)
    from tagger.app.usable import LONGEST, faults

    lines, text = lines_of(context, config), one_line(error, LONGEST)
    causes = [key for key, why in faults(named_by(context, lines), lines) if why == text]
    if isinstance(error, StateError):
        causes += {*lines} & {"state"}
    if isinstance(error, ReportError):
        causes += [key for key in lines if f"--{key}" in text]
    return str(config.fault(causes[0], str(error))) if causes else str(error)


def asked_of(checked: Checked, state: Path | None) -> Asked:
    """The question for `doctor`."""
    from tagger.app.doctor import Asked

    sources = {
        ParameterSource.ENVIRONMENT: MODEL,
        ParameterSource.DEFAULT_MAP: "config file",
    }
    lines = lines_of(checked.context, checked.config)
    source = checked.context.get_parameter_source("model")
    return Asked(
        path=checked.path,
        exists=checked.exists,
        faults=checked.faults,
        named=named_by(checked.context, lines, state),
        lines=lines,
        model_source=sources.get(source, "default") if source else "default",
    )
