"""What `config show` shows: each option that is in force, with where it is set."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import asdict, dataclass
from typing import Any

import click
from click.core import ParameterSource

from tagger.app.config import default_config, is_there
from tagger.cli.command import MainCommand
from tagger.cli.config import Checked
from tagger.cli.config_template import toml
from tagger.cli.configurable import all_options, default_of
from tagger.cli.named import MODEL
from tagger.cli.rows import print_row, terminal_width
from tagger.cli.terminal import rich_console
from tagger.report.escape import json_text, printable

MOST = 5  # items of a default list that are shown as text
DEFAULT, FILE, ENVIRONMENT = "default", "config file", "environment"
# Variables that change what a run does, or how it is shown.
VARIABLES = (
    "NO_COLOR", "FORCE_COLOR", "HF_HUB_OFFLINE", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT",
    "CUDA_VISIBLE_DEVICES",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class InForce:
    """The value of an option, or of a variable, and where it is set."""

    value: Any
    source: str  # DEFAULT, FILE, ENVIRONMENT, or a variable
    line: int | None = None  # in the config file
    differs: bool = True  # from the default

    @property
    def place(self) -> str:
        """Where it is set, in short."""
        return f"line {self.line}" if self.source == FILE and self.line else self.source


def shown(
    main: MainCommand, checked: Checked, *, is_named: bool, every: bool, as_json: bool
) -> None:
    """Print it to stdout: JSON, a table on a terminal, or plain columns."""
    options = {key: it for key, it in in_force(main, checked).items() if every or it.differs}
    variables = {
        name: InForce(os.environ[name], ENVIRONMENT) for name in VARIABLES if os.environ.get(name)
    }
    if os.environ.get("TERM") == "dumb":
        variables["TERM"] = InForce("dumb", ENVIRONMENT)
    usual = default_config()
    not_read = usual if is_named and usual != checked.path and is_there(usual) else None
    if as_json:
        config = {
            "path": str(checked.path),
            "exists": checked.exists,
            "named": is_named,
            "not_read": not_read and str(not_read),
            "faults": [str(fault) for fault in checked.faults],
        }
        found = {
            "config": config,
            "options": {key: asdict(it) for key, it in options.items()},
            "environment": {name: it.value for name, it in variables.items()},
        }
        click.echo(json_text(found, indent=2))
        return
    place = " (--config)" if is_named else " (in your config folder)"
    if not (checked.exists or is_named):
        place = ": there is none"
    print_row("config file", f"{checked.path}{place}")
    if not_read:
        print_row("not read", f"{not_read}, because --config names another")
    rows = {**options, **variables}
    if not rows:
        print_row("", "every option has its default; --all shows them")
    else:
        _print(rows, _defaults_in_words(main))


def in_force(main: MainCommand, checked: Checked) -> dict[str, InForce]:
    """Each option that may be configured, by its key."""
    found = {}
    model_source = checked.context.get_parameter_source("model")
    for key, option in all_options(main).items():
        default = _plain(default_of(option))
        found[key] = InForce(default, DEFAULT, differs=False)
        if key == "model" and model_source is ParameterSource.ENVIRONMENT:
            found[key] = InForce([os.environ[MODEL]], MODEL)
        elif checked.config and key in checked.right:
            value = _plain(checked.config.table[key])
            same = value == default or [value] == default or (default is None and not value)
            found[key] = InForce(value, FILE, checked.config.line(key), not same)
    return found


def _plain(value: Any) -> Any:
    """A default as a config file would hold it."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _defaults_in_words(main: MainCommand) -> dict[str, str]:
    """What the help says of defaults, such as of one that depends on the model."""
    found = {}
    for key, option in all_options(main).items():
        said = re.search(r"\[default: (.+)\]$", " ".join((option.help or "").split()))
        found[key] = said[1] if said else ""
    return found


def _print(rows: dict[str, InForce], defaults: dict[str, str]) -> None:
    """A table on a terminal; else name, place and value, one a line: for `grep` and `cut`."""
    texts = {name: printable(_text(it, defaults.get(name, ""))) for name, it in rows.items()}
    if terminal_width() is None:
        for name, it in rows.items():
            click.echo(f"{name:<20} {it.place:<16} {texts[name]}")
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("option", no_wrap=True, style="bold")
    table.add_column("value", overflow="fold")
    table.add_column("set in", overflow="fold", style="dim")
    for name, it in rows.items():
        table.add_row(name, Text(texts[name]), it.place)
    rich_console(sys.stdout).print(table)


def _text(it: InForce, default: str) -> str:
    if it.value is None or (it.value == "" and it.source == DEFAULT):
        return default if default and it.source == DEFAULT else "-"
    if it.source == DEFAULT and isinstance(it.value, list) and len(it.value) > MOST:
        return f"{toml(it.value[:MOST])[:-1]}, ...] ({len(it.value)} in all)"
    return toml(it.value)
