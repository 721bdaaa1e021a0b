"""`tag-genres doctor`: check that a run would work on this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from tagger.cli.command import Command
from tagger.cli.console import EXIT_NOTHING_DONE, exit_on_errors, print_lines
from tagger.cli.options import state_option
from tagger.report.escape import printable


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@state_option
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file with the defaults of a run.  [default: tag-genres/config.toml in your config "
    "folder]",
)
def doctor(as_json: bool, state: Path | None, config: Path | None) -> None:
    """Check that a run would work on this machine.

    It reports device, decoders, models, state file and disk space. Each decoder is tried on a short
    tone in each container, the device on a small matrix product. Nothing is changed, and nothing
    goes over the network. Exit codes: 0 a run would work, 1 it
    would not; the last line says why.
    """
    with exit_on_errors():
        from tagger.app.doctor import examine, text_lines

        found = examine(state, config)
        as_text = map(printable, text_lines(found))
        print_lines([json.dumps(found.as_json(), indent=2)] if as_json else as_text)
        if not found.works:
            sys.exit(EXIT_NOTHING_DONE)
