"""A small library with a report that a test edits, applies and undoes."""

from __future__ import annotations

import csv
from pathlib import Path

from helpers.containers import sound
from helpers.known import Recorder
from tagger.app import apply
from tagger.app import undo as undo_command
from tagger.app.apply import ApplyRequest
from tagger.app.summary import Summary
from tagger.app.undo import UndoRequest
from tagger.report.table import write_csv
from tagger.tags.genre_tag import (
    read_genres,
    write_genres,
)
from tagger.types import Action, Outcome

Row = dict[str, str]


def song(home: Path, *genres: str, name: str = "a.flac", note: str = "") -> Path:
    path = home / "music" / name
    path.write_bytes(sound("flac"))
    if genres:
        write_genres(path, genres, note)
    return path


def report(home: Path, *paths: Path, predicted: str = "Jazz") -> list[Row]:
    """The rows of a report with the same predicted genre for every file, none written."""
    outcomes = []
    for path in paths:
        existing = read_genres(path) if path.suffix == ".flac" else ()
        ranked = ((predicted, 0.5),)
        outcomes.append(Outcome(path, Action.PREDICTED, existing=existing, ranked=ranked))
    write_csv(outcomes, home / "genres.csv", model="small")
    with (home / "genres.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def save(home: Path, rows: list[Row]) -> Path:
    with (home / "genres.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return home / "genres.csv"


def run(home: Path, rows: list[Row], **asked: object) -> tuple[Summary, Recorder]:
    progress = Recorder()
    asked = {"state": home / "state.db", **asked}
    return apply.apply_csv(ApplyRequest(save(home, rows), **asked), progress), progress


def undo(home: Path) -> list[Action]:
    progress = Recorder()
    undo_command.undo_tags(UndoRequest(state=home / "state.db"), progress)
    return [outcome.action for outcome in progress.outcomes]
