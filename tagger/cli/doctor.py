"""`tag-genres doctor`: check that a run would work on this machine."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import click

from tagger.cli.command import Command, MainCommand
from tagger.cli.config import check, file_option
from tagger.cli.console import EXIT_NOTHING_DONE, Console, exit_on_errors
from tagger.cli.named import asked_of
from tagger.cli.options import state_option
from tagger.cli.rows import print_row
from tagger.report.escape import json_text
from tagger.version import __version__

COLORS = {"warning": "yellow", "broken": "red"}


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@state_option
@file_option("TOML file with the defaults of a run.")
@click.pass_obj
def doctor(main: MainCommand, as_json: bool, state: Path | None, path: Path | None) -> None:
    """Check that a run would work on this machine.

    It reports config file, device, decoders, models, state file and disk space. Each decoder is
    tried on a short tone in each container that a run may read with it, the device on a small
    matrix product. Nothing is changed, and nothing goes over the network. Exit codes: 0 a run would
    work, 1 it would not; the last line says why.
    """

    def show(row: tuple[str, str], color: str | None = None) -> None:
        if not as_json:
            print_row(*row, color=color)

    with exit_on_errors():
        # Before the imports below, which take a while.
        show(("", f"tag-genres {__version__}, Python {platform.python_version()}, "
                  f"{platform.platform()}"))  # fmt: skip
        with Console().busy("trying packages, device and decoders"):
            asked = asked_of(check(main, path), state)
            from tagger.app.diagnosis_lines import conclusions
            from tagger.app.doctor import examine

            found = examine(asked, show)
        for sentence in conclusions(found):
            show(("", sentence), COLORS.get(sentence.partition(":")[0], "green"))
        if as_json:
            click.echo(json_text(found.as_json(), indent=2))
        if not found.works:
            sys.exit(EXIT_NOTHING_DONE)
