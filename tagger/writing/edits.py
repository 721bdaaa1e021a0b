"""What a person changed in a report: the CSV as Excel, LibreOffice or an editor saved it."""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tagger.errors import ReportError
from tagger.genres.labels import unique_names
from tagger.report.escape import plain_text
from tagger.types import Action

SEPARATORS = (",", ";", "\t")
NEEDED = ("path", "genre")
COLUMNS = (*NEEDED, "heard", "action", "existing_genre", "new_genre")
CELL_LIMIT = 1 << 24  # characters; columns of a person's own may hold lyrics or pictures
WORKBOOKS = (b"PK\x03\x04", bytes.fromhex("d0cf11e0"))  # how .xlsx and .ods begin, and .xls
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
UNMARKED = ("utf-8", "cp1252")  # the last is what Excel on Windows writes as "CSV"
# A first line for Excel, which shows no row for it.
SEPARATOR_LINE = re.compile(r'\A"?sep=[,;\t]"?(?:\r\n|\r|\n)', re.IGNORECASE)
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


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
    for edit in _parse(path, _decode(path)):
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


def _decode(path: Path) -> str:
    """The text of the whole file, its line ends as they are."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ReportError(f"{path}: {reason}; name a CSV that tag-genres wrote", path) from error
    if data.startswith(WORKBOOKS):
        raise ReportError(f"{path} is a workbook; open it and save it as CSV", path)
    marked = [encoding for mark, encoding in MARKS.items() if data.startswith(mark)]
    for encoding in marked or UNMARKED:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return SEPARATOR_LINE.sub("", text)
    raise ReportError(f"{path} is no CSV, or in no encoding we know; save it as CSV in UTF-8", path)


def _parse(path: Path, text: str) -> Iterator[Edit]:
    separator, names = _find_header(path, text)
    columns = {name: names.index(name) for name in COLUMNS if name in names}
    rows = _rows(path, text, separator, strict=True)
    next(cells for _, cells in rows if _is_filled(cells))  # the header
    for row, cells in rows:
        values = {name: cells[at] for name, at in columns.items() if at < len(cells)}
        if values.get("path", "").strip():
            yield _edit(path, row, values)


def _find_header(path: Path, text: str) -> tuple[str, list[str]]:
    """The separator by which all needed columns are there, and the names of all columns."""
    lacking: list[list[str]] = []
    for separator in SEPARATORS:
        # Not strict: by a wrong separator, quotes stand in the middle of cells.
        rows = (cells for _, cells in _rows(path, text, separator, strict=False))
        names = ["_".join(cell.casefold().split()) for cell in next(filter(_is_filled, rows), [])]
        lacking.append([name for name in NEEDED if name not in names])
        if not lacking[-1]:
            return separator, names
    fewest = min(lacking, key=len)
    raise ReportError(
        f"{path} has no column {' and '.join(fewest)}; its first row must name the columns, as in "
        "the CSV that tag-genres wrote",
        path,
    )


def _rows(
    path: Path, text: str, separator: str, *, strict: bool
) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each row. If `strict`, a misplaced quote raises `ReportError`."""
    csv.field_size_limit(max(CELL_LIMIT, csv.field_size_limit()))
    lines = (match[0] for match in LINE.finditer(text))
    row = 0
    try:
        for row, cells in enumerate(csv.reader(lines, delimiter=separator, strict=strict), 1):
            yield row, cells
    except csv.Error as error:
        raise ReportError(
            f"{path}: row {row + 1} is damaged ({error}); mend its quotes, or save it as CSV anew",
            path,
        ) from error


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


def _is_filled(cells: list[str]) -> bool:
    return any(map(str.strip, cells))
