"""`tag-genres models`: list the models that have a short name, or download one."""

from __future__ import annotations

from pathlib import Path

import click

from tagger.cli import candidates
from tagger.cli.command import Command, CommandGroup
from tagger.cli.console import Console, exit_on_errors, print_lines
from tagger.cli.rules import labels_option
from tagger.report.escape import printable


@click.group(cls=CommandGroup, invoke_without_command=True, subcommand_metavar="[get NAME]")
@click.option("--json", "as_json", is_flag=True, help="Print everything known about them as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Also show labels, sources and folders.")
@click.pass_context
def models(ctx: click.Context, as_json: bool, verbose: bool) -> None:
    """List the models to choose from. The list shows which of them are on disk.

    `tag-genres models get NAME` downloads one; NAME may also be a Hugging Face hub id, with an
    optional @revision. Listing them needs no network.
    """
    if ctx.invoked_subcommand is None:
        with exit_on_errors():
            from tagger.app.models import model_lines, models_json

            print_lines([models_json()] if as_json else map(printable, model_lines(verbose)))


@models.command(cls=Command)
@click.argument("name", shell_complete=candidates.models)
@labels_option
@click.option("--accept-licence", is_flag=True, help="Agree to a licence for non-commercial use.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress and no result.")
def get(name: str, labels: Path | None, accept_licence: bool, quiet: bool) -> None:
    """Download the model NAME into the cache, and check it.

    Files already in the cache are checked and kept; an interrupted download continues.
    """
    console = Console(quiet)
    with exit_on_errors():
        from tagger.app.models import get_model

        lines = get_model(name, console.say, labels=labels, accepted=accept_licence, quiet=quiet)
        print_lines(() if quiet else map(printable, lines))
