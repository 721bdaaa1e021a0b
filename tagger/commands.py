"""The commands beside the main one: parse, call `amend`, print, exit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tagger.console import (
    Command,
    Console,
    end,
    ended_well,
    print_lines,
    run_lines,
    summary_lines,
    undo_lines,
)
from tagger.options import absolute, config_option, made, writing_options
from tagger.types import WriteOptions


@click.command(cls=Command)
@click.argument("file", metavar="FILE.csv", type=click.Path(path_type=Path))
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Write the rows that nobody edited as well, where the file has no genre.",
)
@writing_options
@config_option
def apply(**given: Any) -> None:
    """Write the genres that you edited in a report.

    Change the cells `genre` of genres.csv in a spreadsheet or an editor (several genres with "; "
    between them), save it as CSV, and apply it: the rows that you changed are written where the
    file has something else. A file whose genre changed since the report is left alone and named.
    Exit codes are those of tag-genres.
    """
    console = Console(given["quiet"], given["verbose"], diff=given["dry_run"])
    from tagger.logfile import logged

    with ended_well(), logged(given["state"]):
        from tagger.amend import ApplyRequest, apply_csv

        writing = made(WriteOptions, given)
        summary = apply_csv(made(ApplyRequest, {**given, "writing": writing}), console)
    end(console, summary, summary_lines(summary, None))


@click.command(cls=Command)
@click.option("--list", "listing", is_flag=True, help="List the runs that changed tags.")
@click.option(
    "--run",
    "runs",
    type=int,
    multiple=True,
    help="Number of a run, also of an undo; may be repeated.  [default: the last to undo]",
)
@click.option(
    "--path",
    "paths",
    type=click.Path(path_type=Path),
    multiple=True,
    callback=absolute,
    help="Only files here; without --run, the last change of each.",
)
@click.option(
    "--from",
    "old_place",
    type=click.Path(path_type=Path),
    metavar="OLD",
    callback=absolute,
    help="Where a library was that has moved since.",
)
@click.option(
    "--to",
    "new_place",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="NEW",
    callback=absolute,
    help="Where it is now.",
)
@writing_options
@config_option
def undo(**given: Any) -> None:
    """Put back the genres that a run replaced.

    A file that changed since is left alone and named. An undo is a run of its own and can be undone
    in turn. Exit codes are those of tag-genres.
    """
    console = Console(given["quiet"], given["verbose"], diff=given["dry_run"])
    places = given["old_place"], given["new_place"]
    if (places[0] is None) != (places[1] is None):
        raise click.UsageError("--from and --to go together")
    from tagger.logfile import logged

    with ended_well(), logged(given["state"]):
        from tagger import amend

        if given["listing"]:
            print_lines(run_lines(amend.list_runs(given["state"])))
            return
        writing, moved = made(WriteOptions, given), places if places[0] else None
        what, summary = amend.undo(
            made(amend.UndoRequest, {**given, "moved": moved, "writing": writing}), console
        )
    end(console, summary, undo_lines(what, summary))


OTHER_COMMANDS: dict[str, click.Command] = {"apply": apply, "undo": undo}
