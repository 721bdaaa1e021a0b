"""`tag-genres undo`: put back what a run replaced, or list the runs."""

from __future__ import annotations

from pathlib import Path

import click

from tagger.cli import candidates
from tagger.cli.command import Command
from tagger.cli.config import config_option
from tagger.cli.console import Console, end, exit_on_errors, print_lines
from tagger.cli.json_lines import json_lines, write_line
from tagger.cli.messages import run_lines
from tagger.cli.options import ChangeOptions, change_options
from tagger.cli.results import print_undone
from tagger.cli.values import absolute, all_absolute


class UndoCommand(Command):
    """Undoes runs; a path alone is refused with the option that takes it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "unexpected extra argument" not in error.message:
                raise
            advice = "to undo changes below a folder: tag-genres undo --path FOLDER"
            raise click.UsageError(f"{error.message}; {advice}", ctx) from error


@click.command(cls=UndoCommand)
@click.option("--list", "listing", is_flag=True, help="List the runs that changed tags.")
@click.option(
    "--run",
    "runs",
    type=int,
    metavar="N",
    shell_complete=candidates.runs,
    multiple=True,
    help="Number of the run to undo. An undo is a run too. May be repeated.  [default: the last "
    "run with changes left to undo]",
)
@click.option(
    "--path",
    "paths",
    type=click.Path(path_type=Path),
    multiple=True,
    callback=all_absolute,
    help="Undo changes to files under this path only. Without --run, it undoes the last change to "
    "each file.",
)
@click.option(
    "--from",
    "old_place",
    type=click.Path(path_type=Path),
    metavar="OLD",
    callback=absolute,
    help="Where the library was before it moved.",
)
@click.option(
    "--to",
    "new_place",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="NEW",
    callback=absolute,
    help="Where the library is now.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Also replace genres that were set since. Files whose audio has changed since are written "
    "too.",
)
@change_options
@config_option
def undo(
    change: ChangeOptions,
    *,
    listing: bool,
    runs: tuple[int, ...],
    paths: tuple[Path, ...],
    old_place: Path | None,
    new_place: Path | None,
    force: bool,
) -> None:
    """Put back the genres that a run replaced.

    It finds files that were renamed or moved, and leaves other tags as they are now. A file whose
    genre was changed since is left alone and listed. An undo is a run too and can itself be undone.
    Exit codes are those of tag-genres.
    """
    console = change.console()
    if (old_place is None) != (new_place is None):
        raise click.UsageError("--from and --to go together")
    moved = (old_place, new_place) if old_place and new_place else None
    if listing:
        _list_runs(change, console)
        return
    with exit_on_errors(), console.busy("working"), json_lines(change, "undo") as lines:
        from tagger.app.undo import UndoRequest, undo_tags
        from tagger.cli.logfile import logged

        request = UndoRequest(
            runs=runs,
            paths=paths,
            moved=moved,
            state=change.state,
            dry_run=change.dry_run,
            lines=lines,
            force=force,
            writing=change.writing,
        )
        with logged(change.state, change.log):
            what, summary = undo_tags(request, console)
    print_undone(console, what, summary)
    end(console, summary)


def _list_runs(change: ChangeOptions, console: Console) -> None:
    with exit_on_errors(), console.busy("working"):
        from tagger.app.json_lines import JsonLines
        from tagger.app.undo import list_runs

        found = list_runs(change.state)
        if not change.json:
            print_lines(run_lines(found))
            return
        lines = JsonLines(write_line, "undo")
        for run in found:
            lines.run(run)
