"""What a person changed in a report: the CSV as Excel, LibreOffice or an editor saved it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tagger.errors import ReportError
from tagger.genres.labels import unique_names
from tagger.report.csv_reader import CsvFormat, read_rows
from tagger.report.escape import plain_text
from tagger.types import Action

NEEDED = (("path",), ("genre",))
# The last is what Excel on Windows writes as "CSV".
SAVED = CsvFormat(unmarked=("utf-8", "cp1252"))


@dataclass(frozen=True, slots=True)
class Edit:
    """The genres that one row asks for, and what it knows of the file."""

    row: int  # as a spreadsheet counts: the header is row 1
    path: Path  # absolute, of the real file behind any links
    genres: tuple[str, ...]  # () where the cell is empty
    edited: bool  # the genres are not those that the model heard
    before: tuple[str, ...] | None = None  # in the tag after the run of the report; None: unknown
    problem: str = ""  # why the row must not be followed


def read_edits(path: Path) -> list[Edit]:
    """The rows of a report, in order; those without a path are passed over.

    The columns `path` and `genre` are needed, in any place; ";" stands between genres. Of rows that
    ask for the same genres in the same file one is left; rows that ask for others each have a
    `problem`. Raises `ReportError` for a file that is no such table, or is damaged.
    """
    rows: dict[Path, list[Edit]] = {}
    for row in read_rows(path, NEEDED, SAVED):
        if row.cells.get("path", "").strip():
            edit = _edit(path, row.number, row.cells)
            rows.setdefault(edit.path, []).append(edit)
    settled = (edit for same_file in rows.values() for edit in _settle(same_file))
    return sorted(settled, key=lambda edit: edit.row)


def _settle(rows: list[Edit]) -> list[Edit]:
    """One row for each wish about one file, with a problem where that leaves several."""
    wishes: dict[tuple[str, ...], Edit] = {}
    # Two reports may have been joined: what was changed in one may be what the other's model heard.
    for edit in sorted(rows, key=lambda edit: not edit.edited):
        wishes.setdefault(edit.genres, edit)
    left = list(wishes.values())
    if len(left) == 1:
        return left
    others = [left[1], *left[:1] * (len(left) - 1)]
    return [
        replace(edit, problem=f"row {other.row} names it with another genre")
        for edit, other in zip(left, others, strict=True)
    ]


def _edit(path: Path, row: int, values: Mapping[str, str]) -> Edit:
    try:
        track = Path(os.path.realpath(plain_text(values["path"])))
    except ValueError as error:  # a zero byte, or half of a surrogate pair
        reason = "names a file by characters that no name can have"
        raise ReportError(f"{path}: row {row} {reason}; mend its path", path) from error
    genres = split_genres(plain_text(values.get("genre", "")))
    held = "new_genre" if values.get("action") == Action.WRITTEN.value else "existing_genre"
    known = "action" in values and held in values
    before = split_genres(plain_text(values[held])) if known else None
    # Spreadsheets may leave out empty cells at the end of a row: then nothing was heard.
    edited = genres != split_genres(plain_text(values.get("heard", "")))
    return Edit(row, track, genres, edited, before)


def split_genres(text: str) -> tuple[str, ...]:
    """The genres of a text in which they are separated by ";"."""
    return unique_names(text.split(";"))
