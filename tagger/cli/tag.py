"""The main command, `tag-genres PATH...`; its first argument may name another command instead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from tagger.cli import candidates
from tagger.cli.apply import apply
from tagger.cli.command import MainCommand
from tagger.cli.completion import completion
from tagger.cli.config import config_option, found_config
from tagger.cli.config_command import config
from tagger.cli.confirm import TerminalPerson, person_at_terminal
from tagger.cli.console import Console, end, end_explained, exit_on_errors
from tagger.cli.doctor import doctor
from tagger.cli.help import help_command, version, version_option
from tagger.cli.json_lines import json_lines
from tagger.cli.models import models
from tagger.cli.options import (
    ChangeOptions,
    ReportOptions,
    change_options,
    predict_options,
    report_options,
    scan_options,
)
from tagger.cli.results import print_results
from tagger.cli.rules import (
    ModelChoice,
    Rules,
    model_options,
    refuse_contradictions,
    rules_options,
)
from tagger.cli.tag_options import tag_options
from tagger.cli.undo import undo
from tagger.types import PredictOptions, ScanOptions, TagOptions

OTHER_COMMANDS: dict[str, click.Command] = {
    "undo": undo,
    "apply": apply,
    "models": models,
    "config": config,
    "doctor": doctor,
    "completion": completion,
    "help": help_command,
    "version": version,
}
EXAMPLES = (
    ("tag-genres ~/Music", "list genres in genres.csv, change no music"),
    ("tag-genres ~/Music -w -n", "show which genres would be written"),
    ("tag-genres ~/Music -w", "write genres where there are none"),
    ("tag-genres undo", "put back what the last run replaced"),
)
EXIT_CODES = (
    "Exit codes: 0 done, 1 nothing could be done, 2 wrong usage, 3 some tracks failed, "
    "130 interrupted."
)


@click.command(
    "tag-genres",
    cls=MainCommand,
    others=OTHER_COMMANDS,
    examples=EXAMPLES,
    epilog=EXIT_CODES,
)
@click.argument(
    "paths",
    nargs=-1,
    metavar="PATH...",
    type=click.Path(path_type=Path),
    shell_complete=candidates.first_words,
)
@click.option("-w", "--write-tags", is_flag=True, help="Write the genre into each file's own tag.")
@click.option(
    "--confirm",
    is_flag=True,
    help="Ask about each track that is unsure or would change. With --by album, about each album. "
    "Needs --write-tags.",
)
@click.option(
    "--predict-again",
    is_flag=True,
    help="Also predict tracks that earlier runs predicted.",
)
@click.option("--explain", is_flag=True, help="Show how each track gets its genre; write nothing.")
@rules_options
@report_options
@model_options
@predict_options
@scan_options
@tag_options
@change_options
@config_option
@version_option
def main(
    change: ChangeOptions,
    tags: TagOptions,
    scan: ScanOptions,
    options: PredictOptions,
    model: ModelChoice,
    reports: ReportOptions,
    rules: Rules,
    /,
    *,
    paths: tuple[Path, ...],
    write_tags: bool,
    confirm: bool,
    predict_again: bool,
    explain: bool,
) -> None:
    """Predict the genre of every track under each PATH, and write it if asked.

    A trained Audio Spectrogram Transformer predicts several windows of each track. The mean of its
    predictions goes into a CSV report and, with --write-tags, into the file's own tag. Nothing else
    in a file changes, and every write can be undone. Predictions are stored: a second run continues
    where the first stopped.

    A first word that names a command is always the command: to tag a folder named undo, write
    ./undo.
    """
    _check(paths, scan)
    _check_json(change, reports, explain=explain)
    console = _console(change, reports, paths)
    person = _person(change, wanted=confirm, writes=write_tags, explain=explain)
    lined = json_lines(change, "tag", all_probabilities=reports.all_probabilities)
    with exit_on_errors(), console.busy("working"), lined as lines:
        from tagger.app.request import TagRequest
        from tagger.app.tag import explain_library, tag_library
        from tagger.cli.logfile import logged

        request = TagRequest(
            paths=paths, model=model.models, labels=model.labels, write_tags=write_tags,
            dry_run=change.dry_run, scan=scan, by=rules.by, predict_again=predict_again,
            only_missing=rules.only_missing, skip=rules.skip, csv=reports.csv, xlsx=reports.xlsx,
            playlists=reports.playlists, all_probabilities=reports.all_probabilities,
            lines=lines, state=change.state, policy=rules.policy, options=options,
            writing=replace(change.writing, tags=tags, provenance=rules.provenance),
        )  # fmt: skip
        with logged(change.state, change.log):
            if explain:
                end_explained(explain_library(request, console))
            summary = tag_library(request, console, person)
    print_results(console, summary, paths, request.reports)
    end(console, summary)


def _check(paths: tuple[Path, ...], scan: ScanOptions) -> None:
    if not (paths or scan.from_file):
        raise click.UsageError("name a PATH, or a list of them with --from-file")
    if scan.null and not scan.from_file:
        raise click.UsageError("-0 needs --from-file, which names the list of paths")
    refuse_contradictions()


def _check_json(change: ChangeOptions, reports: ReportOptions, *, explain: bool) -> None:
    if change.json and (explain or str(reports.csv) == "-"):
        raise click.UsageError("--json cannot be used with --explain, or with --csv -")


def _person(
    change: ChangeOptions, *, wanted: bool, writes: bool, explain: bool
) -> TerminalPerson | None:
    contrary = {"--dry-run": change.dry_run, "--explain": explain, "--json": change.json}
    return person_at_terminal(wanted=wanted, writes=writes, contrary=contrary)


def _console(change: ChangeOptions, reports: ReportOptions, paths: tuple[Path, ...]) -> Console:
    console = change.console(paths, strict=reports.strict, has_stdout=str(reports.csv) != "-")
    if config := found_config():
        console.say(f"config: {config}")
    return console
