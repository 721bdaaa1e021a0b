"""`tag-genres models`: list the models that have a short name, show one, or download one."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagger.cli import candidates
from tagger.cli.command import Command, CommandGroup
from tagger.cli.console import Console, exit_on_errors, print_lines
from tagger.cli.rules import labels_option
from tagger.cli.terminal import can_redraw, rich_console, width
from tagger.report.escape import printable

if TYPE_CHECKING:
    from tagger.app.models import Entry

INDENT = 17  # columns of the names


@click.group(
    cls=CommandGroup, invoke_without_command=True, subcommand_metavar="[show NAME | get NAME]"
)
@click.option("--json", "as_json", is_flag=True, help="Print everything known about them as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Also show labels, sources and folders.")
@click.pass_context
def models(ctx: click.Context, as_json: bool, verbose: bool) -> None:
    """List the models, for whom each is, and whether it is on disk.

    `tag-genres models show NAME` lists the genres of one, and `tag-genres models get NAME`
    downloads it. NAME may also be a Hugging Face hub id, with an optional @revision. Only `get`
    needs a network.
    """
    if ctx.invoked_subcommand is None:
        with exit_on_errors():
            from tagger.app.models import HOW_TO_USE, list_models, models_json

            if as_json:
                print_lines([models_json()])
                return
            if can_redraw(sys.stdout) and not verbose:
                _print_table(list_models())
            else:
                print_lines(_listed(list_models(), verbose=verbose))
            print_lines(_wrapped("", line) for line in HOW_TO_USE)


@models.command(cls=Command)
@click.argument("name", shell_complete=candidates.models_and_folders)
def show(name: str) -> None:
    """Show the genres, the licence and the quality of a model.

    NAME may be a folder, or a hub id that is on disk. Nothing is downloaded.
    """
    with exit_on_errors():
        from tagger.app.models import show_model

        print_lines(_wrapped(heading, text) for heading, text in show_model(name))


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
    with exit_on_errors(), console.busy("working"):
        from tagger.app.models import get_model

        lines = get_model(name, console.say, labels=labels, accepted=accept_licence, quiet=quiet)
        print_lines(() if quiet else map(printable, lines))


def _listed(entries: Iterable[Entry], *, verbose: bool) -> Iterator[str]:
    for entry in entries:
        yield f"{entry.name:{INDENT}}{entry.suits}"
        yield f"{'':{INDENT}}{entry.about}"
        if verbose:
            for heading, text in entry.details:
                yield printable(f"    {heading + ':':{INDENT - 4}}{text}")


def _print_table(entries: Iterable[Entry]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for entry in entries:
        about = Text(entry.suits)
        about.append(f"\n{entry.about}", "dim")
        table.add_row(Text(entry.name, "bold"), about)
    rich_console(sys.stdout).print(table)


def _wrapped(heading: str, text: str) -> str:
    """A line below a heading, or without one; wrapped at the width of the terminal."""
    from tagger.app.models import NO_BREAK

    text = printable(text)
    start = f"{heading + ':':{INDENT}}" if heading else ""
    indent = " " * min(len(start), INDENT)
    above = ""
    if len(start) > INDENT:
        above, start = f"{start}\n", indent
    wrapped = textwrap.wrap(
        text, max(width(sys.stdout), 20), initial_indent=start, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return above + "\n".join(wrapped).replace(NO_BREAK, " ")
