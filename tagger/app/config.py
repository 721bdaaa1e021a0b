"""Command-line options from a TOML file, by their long names without the leading dashes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tagger.errors import ConfigError
from tagger.genres.vocabulary import read_toml

# The command must show what a run does to files, and where its options come from.
COMMAND_LINE_ONLY = (
    "write-tags", "dry-run", "explain", "predict-again", "config", "from-file", "null", "force",
)  # fmt: skip
# These options name a file; the first three may contain the rules instead.
MAY_BE_FILES = ("aliases", "whitelist", "tree", "labels", "state", "log")


def default_config() -> Path:
    """The config file that is read, if it exists, when no other is named."""
    import platformdirs

    return platformdirs.user_config_path("tag-genres") / "config.toml"


def read_config(path: Path) -> dict[str, Any]:
    """The options of a TOML file, see `as_options`.

    Raises `ConfigError`, also for a file that cannot be read or is not TOML.
    """
    return as_options(read_toml(path), path)


def as_options(table: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Options as click's `default_map` takes them: "min-confidence" becomes "min_confidence".

    A file named by one of `MAY_BE_FILES` becomes a `Path`, relative to the folder of the config
    file, `path`. Raises `ConfigError` for options that belong on the command line.
    """
    config = {}
    for name, value in table.items():
        if name in COMMAND_LINE_ONLY:
            raise ConfigError(
                f"{path}: {name} cannot be set in a config file; give it on the command line", path
            )
        if "_" in name:
            raise ConfigError(f"{path}: write {name.replace('_', '-')}, not {name}", path)
        if name in MAY_BE_FILES and isinstance(value, str):
            value = _beside(path, value)
        config[name.replace("-", "_")] = value
    return config


def check_keys(config: Mapping[str, Any], known: Iterable[str], path: Path) -> None:
    """Raise `ConfigError` for the first key of `read_config` that is not among the known ones."""
    names = [key.replace("_", "-") for key in known]
    for key in config:
        name = key.replace("_", "-")
        if name not in names:
            nearest = difflib.get_close_matches(name, names, n=1)
            advice = f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(names)}"
            raise ConfigError(f"{path}: there is no option {name}; {advice}", path)


def _beside(config: Path, name: str) -> Path:
    try:
        return config.absolute().parent / Path(name).expanduser()
    except RuntimeError as error:  # no user has the name behind "~"
        raise ConfigError(f"{config}: {name!r} names an unknown home folder", config) from error
