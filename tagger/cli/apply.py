"""`tag-genres apply`: write the genres that a person edited in a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from tagger.cli.command import Command
from tagger.cli.config import config_option
from tagger.cli.console import end, exit_on_errors
from tagger.cli.json_lines import json_lines
from tagger.cli.options import ChangeOptions, change_options
from tagger.cli.results import print_results
from tagger.cli.rules import placeholder_option
from tagger.cli.tag_options import tag_options
from tagger.cli.values import text_encoding
from tagger.types import TagOptions


@click.command(cls=Command)
@click.argument("file", metavar="FILE.csv|.xlsx", type=click.Path(path_type=Path))
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Also write rows that you did not edit. This fills in genres where a file has none.",
)
@click.option(
    "--encoding",
    callback=text_encoding,
    metavar="NAME",
    help="Code page in which a spreadsheet saved the CSV. An example is cp1251. It is only needed "
    "if the rows do not show it.",
)
@placeholder_option
@tag_options
@change_options
@config_option
def apply(
    change: ChangeOptions,
    tags: TagOptions,
    *,
    file: Path,
    every: bool,
    encoding: str | None,
    placeholder: tuple[str, ...],
) -> None:
    """Write the genres that you edited in a report.

    Change the `genre` cells of genres.csv in a spreadsheet or an editor (separate several genres
    with "; "), save it as CSV or .xlsx, and apply it: each row that you changed is written, unless
    the file already has that genre. A file whose genre has changed since the report is left alone
    and listed. Exit codes are those of tag-genres.
    """
    console = change.console()
    with exit_on_errors(), console.busy("working"), json_lines(change, "apply") as lines:
        from tagger.app.apply import ApplyRequest, apply_csv
        from tagger.cli.logfile import logged
        from tagger.genres.policy import Policy

        request = ApplyRequest(
            file=file,
            encoding=encoding,
            every=every,
            policy=Policy(placeholders=placeholder),
            state=change.state,
            dry_run=change.dry_run,
            lines=lines,
            writing=replace(change.writing, tags=tags),
        )
        with logged(change.state, change.log):
            summary = apply_csv(request, console)
    print_results(console, summary)
    end(console, summary)
