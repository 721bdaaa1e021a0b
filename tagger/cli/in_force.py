"""What a run would do without options: the values in force, and where each is set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from click.core import ParameterSource

from tagger.cli.config import Checked, key_of, options_of

if TYPE_CHECKING:
    from tagger.app.doctor import Asked
    from tagger.app.usable import Named

MODEL = "TAG_GENRES_MODEL"


def lines_of(checked: Checked) -> dict[str, int | None]:
    """The options that are in force as the config file sets them, by key, with their lines."""
    config, source = checked.config, checked.context.get_parameter_source
    if config is None:
        return {}
    names = options_of(checked.context.command)
    keys = [key_of(name) for name in names if source(name) is ParameterSource.DEFAULT_MAP]
    return {key: config.line(key) for key in keys}


def named_by(checked: Checked, state: Path | None = None) -> Named:
    """What the options of a run name; `state` is that of the command line."""
    from tagger.app.usable import Named

    given, config = checked.context.params, lines_of(checked)
    is_of_model = "labels" in config and "model" in config
    return Named(
        model=given["model"],
        labels=given["labels"] if is_of_model else None,
        csv=given["csv"] if "csv" in config else None,
        xlsx=given["xlsx"],
        playlists=given["playlists"],
        state=state or given["state"],
        device=given["device"],
        precision=given["precision"],
    )


def asked_of(checked: Checked, state: Path | None) -> Asked:
    """The question for `doctor`."""
    from tagger.app.diagnosis import ConfigFile
    from tagger.app.doctor import Asked

    sources = {
        ParameterSource.ENVIRONMENT: MODEL,
        ParameterSource.DEFAULT_MAP: "config file",
    }
    source = checked.context.get_parameter_source("model")
    return Asked(
        config=ConfigFile(str(checked.path), checked.exists, "\n".join(map(str, checked.faults))),
        named=named_by(checked, state),
        lines=lines_of(checked),
        model_source=sources.get(source, "built in") if source else "built in",
    )
