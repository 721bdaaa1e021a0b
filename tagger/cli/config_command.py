"""`tag-genres config`: write a config file, show what is in force, check a config file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tagger.app.config import Fault, by_line, default_config
from tagger.cli.command import Command, CommandGroup, MainCommand
from tagger.cli.config import Checked, check, file_option
from tagger.cli.console import EXIT_NOTHING_DONE, Console, exit_on_errors
from tagger.cli.rows import print_row
from tagger.cli.terminal import fitted
from tagger.report.escape import printable


@click.group(cls=CommandGroup, subcommand_metavar="init|show|check")
def config() -> None:
    """Write, show or check the config file.

    A config file holds defaults for the options of a run, by their long names. It is TOML.
    """


@config.command(cls=Command)
@file_option("Where to write it.")
@click.pass_obj
def init(main: MainCommand, path: Path | None) -> None:
    """Write a config file with every option, commented out.

    An existing file is left as it is. Exit codes: 0 written, 1 not, 2 wrong usage.
    """
    with exit_on_errors():
        from tagger.app.config import write_new
        from tagger.cli.config_template import template

        chosen = path or default_config()
        write_new(chosen, template(main))
        named = f" --config {shlex.quote(str(chosen))}" if path else ""
        print_row("", f"{chosen}: written; each option is commented out, with its default")
        print_row("", f"edit it, then check it: tag-genres config check{named}")


@config.command("check", cls=Command)
@file_option("The file to check.")
@click.pass_obj
def check_command(main: MainCommand, path: Path | None) -> None:
    """Check a config file. Every fault is listed with its line, as a run would find it.

    Nothing is downloaded. Exit codes: 0 no fault, or no file; 1 faults; 2 wrong usage.
    """
    with exit_on_errors():
        checked = check(main, path)
        faults = [*checked.faults]
        # What options name is looked at even if others are wrong.
        notes: list[str] = []
        if checked.config is not None:
            with Console().busy("checking"):
                more, notes = _faults_of_named(checked)
            faults = by_line([*faults, *more])
        for line in (*map(str, faults), *notes):
            print_row("", line)
        print_row("", _verdict(checked, len(faults)), color="red" if faults else "green")
        if faults:
            sys.exit(EXIT_NOTHING_DONE)


def _faults_of_named(checked: Checked) -> tuple[list[Fault], list[str]]:
    """The faults of what the options name, such as a model; and notes on downloads of a run."""
    from tagger.app.usable import faults, try_models
    from tagger.cli.named import MODEL, lines_of, named_by

    lines = lines_of(checked.context, checked.config)
    named = named_by(checked.context, lines)
    found = [Fault(checked.path, why, lines.get(key)) for key, why in faults(named, lines)]
    notes = []
    if "model" in lines:
        _, missing = try_models(named.model, named.labels)
        notes = [f"model {name} is not on disk; a run would download it" for name in missing]
    elif checked.config and "model" in checked.right:
        notes = [f"{MODEL} is set: the model in the file is neither used nor checked"]
    return found, notes


def _verdict(checked: Checked, faults: int) -> str:
    if faults:
        return f"{checked.path}: {faults} fault{'s' * (faults > 1)}"
    if checked.exists:
        return f"{checked.path}: no fault"
    return f"{checked.path}: there is no such file; tag-genres config init writes one"


@config.command(cls=Command)
@click.option("--all", "every", is_flag=True, help="Also show options that have their default.")
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
@file_option("The file to read.")
@click.pass_obj
def show(main: MainCommand, every: bool, as_json: bool, path: Path | None) -> None:
    """Show what a run without options would do. It says where each value is set.

    Only what differs from the defaults is shown. Exit codes: 0 shown; 1 shown, but the config file
    has faults, so a run would refuse it; 2 wrong usage.
    """
    with exit_on_errors():
        from tagger.cli.config_show import shown

        checked = check(main, path)
        shown(main, checked, is_named=path is not None, every=every, as_json=as_json)
        for line in _refused(checked):
            click.echo(fitted(printable(line), sys.stderr), err=True)
        if checked.faults:
            sys.exit(EXIT_NOTHING_DONE)


def _refused(checked: Checked) -> Iterator[str]:
    yield from map(str, checked.faults)
    if checked.faults:
        yield "a run would refuse this file; faulty options are shown as if they were not set"
