"""The commands beside the main one: parse, call `amend`, print, exit."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from tagger.cli.console import EXIT_NOTHING_DONE, Command, Console, end, ended_well, print_lines
from tagger.cli.messages import run_lines, summary_lines, undo_lines
from tagger.cli.options import absolute, config_option, made, state_option, writing_options
from tagger.report.escape import printable
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
    from tagger.cli.logfile import logged

    with ended_well(), logged(given["state"]):
        from tagger.app.apply import ApplyRequest, apply_csv

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
    from tagger.cli.logfile import logged

    with ended_well(), logged(given["state"]):
        from tagger.app import undo

        if given["listing"]:
            print_lines(run_lines(undo.list_runs(given["state"])))
            return
        writing, moved = made(WriteOptions, given), places if places[0] else None
        what, summary = undo.undo(
            made(undo.UndoRequest, {**given, "moved": moved, "writing": writing}), console
        )
    end(console, summary, undo_lines(what, summary))


class _Group(Command, click.Group):
    """A command with others below it."""


@click.group(cls=_Group, invoke_without_command=True, subcommand_metavar="[get NAME]")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON, with all that is known.")
@click.option("--verbose", is_flag=True, help="Also what its labels are, sources, and folders.")
@click.pass_context
def models(ctx: click.Context, as_json: bool, verbose: bool) -> None:
    """List the models that have a short name, and which of them are on disk.

    `tag-genres models get NAME` downloads one; NAME may also be a Hugging Face hub id, with
    @revision behind it if you like. Nothing is asked of the hub to list them.
    """
    if ctx.invoked_subcommand is None:
        with ended_well():
            from tagger.app.models import model_lines, models_json

            print_lines([models_json()] if as_json else map(printable, model_lines(verbose)))


@models.command(cls=Command)
@click.argument("name")
@click.option("--accept-licence", is_flag=True, help="Agree to a licence for non-commercial use.")
@click.option("--quiet", is_flag=True, help="No progress, and say nothing of what was got.")
def get(name: str, accept_licence: bool, quiet: bool) -> None:
    """Download the model NAME into the cache, and check it.

    What is there already is checked and kept; a download that was cut off goes on.
    """
    console = Console(quiet)
    with ended_well():
        from tagger.app.models import get_model

        lines = get_model(name, console.say, accepted=accept_licence, quiet=quiet)
        print_lines(() if quiet else map(printable, lines))


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as one JSON object.")
@state_option
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file that a run would take its defaults from.  [default: tag-genres/config.toml in "
    "your config folder]",
)
def doctor(as_json: bool, state: Path | None, config: Path | None) -> None:
    """Tell what a run would find on this machine: device, decoders, models, state file, space.

    Each decoder is tried on a short tone in each container, the device on a small product. Nothing
    is changed, and nothing goes over the network. Exit codes: 0 a run would work, 1 it would not,
    for the reason in the last line.
    """
    with ended_well():
        from tagger.app.doctor import examine, text_lines

        found = examine(state, config)
        as_text = map(printable, text_lines(found))
        print_lines([json.dumps(found.as_json(), indent=2)] if as_json else as_text)
        if not found.works:
            sys.exit(EXIT_NOTHING_DONE)


OTHER_COMMANDS: dict[str, click.Command] = {
    "apply": apply,
    "doctor": doctor,
    "models": models,
    "undo": undo,
}
