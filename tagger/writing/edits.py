"""A person's edits of a report, as Excel, LibreOffice or a text editor saved it."""

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
# Excel on Windows saves "CSV" as cp1252.
SAVED = CsvFormat(unmarked=("utf-8", "cp1252"))


@dataclass(frozen=True, slots=True)
class Edit:
    """The genres that one row requests, and what it says about the file."""

    row: int  # as a spreadsheet counts: the header is row 1
    path: Path  # absolute, of the real file behind any links
    genres: tuple[str, ...]  # () where the cell is empty
    edited: bool  # the genres are not those that were predicted
    before: tuple[str, ...] | None = None  # in the tag after the reported run; None: unknown
    problem: str = ""  # why the row must not be applied


def read_edits(path: Path) -> list[Edit]:
    """The rows of a report, in order, except those without a path.

    It must have the columns `path` and `genre`, at any position; ";" separates genres. Of several
    rows that request the same genres for one file, one is kept; rows that request different genres
    each get a `problem`. Raises `ReportError` for a file that is not such a table, or is damaged.
    """
    rows: dict[Path, list[Edit]] = {}
    for row in read_rows(path, NEEDED, SAVED):
        if row.cells.get("path", "").strip():
            edit = _edit(path, row.number, row.cells)
            rows.setdefault(edit.path, []).append(edit)
    settled = (edit for same_file in rows.values() for edit in _settle(same_file))
    return sorted(settled, key=lambda edit: edit.row)


def _settle(rows: list[Edit]) -> list[Edit]:
    """One row for each set of genres requested for a file, with a problem if there are several."""
    by_genres: dict[tuple[str, ...], Edit] = {}
    # If two reports were joined, an edit in one may equal the prediction in the other.
    for edit in sorted(rows, key=lambda edit: not edit.edited):
        by_genres.setdefault(edit.genres, edit)
    left = list(by_genres.values())
    if len(left) == 1:
        return left
    others = [left[1], *left[:1] * (len(left) - 1)]
    return [
        replace(edit, problem=f"row {other.row} gives it another genre")
        for edit, other in zip(left, others, strict=True)
    ]


def _edit(path: Path, row: int, values: Mapping[str, str]) -> Edit:
    try:
        track = Path(os.path.realpath(plain_text(values["path"])))
    except ValueError as error:  # a zero byte, or half of a surrogate pair
        reason = "has a path with characters that no file name can have"
        raise ReportError(f"{path}: row {row} {reason}; fix it", path) from error
    genres = split_genres(plain_text(values.get("genre", "")))
    column = "new_genre" if values.get("action") == Action.WRITTEN.value else "existing_genre"
    is_known = "action" in values and column in values
    before = split_genres(plain_text(values[column])) if is_known else None
    # Spreadsheets may drop empty cells at the end of a row; a missing cell means no prediction.
    edited = genres != split_genres(plain_text(values.get("heard", "")))
    return Edit(row, track, genres, edited, before)


def split_genres(text: str) -> tuple[str, ...]:
    """The genres in a text that separates them by ";"."""
    return unique_names(text.split(";"))
