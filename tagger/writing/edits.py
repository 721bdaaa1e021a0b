"""A person's edits of a report, as Excel, LibreOffice or a text editor saved it: CSV or .xlsx."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tagger.errors import ReportError
from tagger.report.code_pages import is_code_page
from tagger.report.csv_reader import CsvFormat, Row, read_rows
from tagger.report.escape import plain_text
from tagger.report.workbook_reader import is_workbook, read_workbook
from tagger.writing.encodings import Decoder, split_genres, used_cells

NEEDED = (("path",), ("genre",))


@dataclass(frozen=True, slots=True)
class Edit:
    """The genres that one row requests, and what it says about the file."""

    row: int  # as a spreadsheet counts: the header is row 1
    path: Path  # absolute, of the real file behind any links
    genres: tuple[str, ...]  # () where the cell is empty
    edited: bool  # the genres are not those that were predicted
    before: tuple[str, ...] | None = None  # in the tag after the reported run; None: unknown
    problem: str = ""  # why the row must not be applied


def read_edits(path: Path, encoding: str | None = None) -> list[Edit]:
    """The rows of a report, in order, except those without a path.

    It must have the columns `path` and `genre`, at any position; ";" separates genres. Without an
    `encoding` the rows show it; one that leaves it open, and is not ASCII, has a `problem`. Of
    several rows that request the same genres for one file, one is kept; rows that request different
    genres each get a `problem`. Raises `ReportError` for a file that is not such a table, or is
    damaged.
    """
    page = codecs.lookup(encoding).name if encoding else None
    filled = (row for row in _read_table(path, page) if row.cells.get("path", "").strip())
    table = [replace(row, cells=used_cells(row.cells)) for row in filled]
    decoder = Decoder((row.cells for row in table), page)
    rows: dict[Path, list[Edit]] = {}
    for row in table:
        edit = _edit(path, row, decoder)
        rows.setdefault(edit.path, []).append(edit)
    settled = (edit for same_file in rows.values() for edit in _settle(same_file))
    return sorted(settled, key=lambda edit: edit.row)


def _read_table(path: Path, encoding: str | None) -> Iterator[Row]:
    if is_workbook(path):
        return read_workbook(path, NEEDED)
    if encoding and (encoding == "utf-8" or not is_code_page(encoding)):
        return read_rows(path, NEEDED, CsvFormat(encoding=encoding))
    return read_rows(path, NEEDED, CsvFormat(any_encoding=True))


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
        replace(edit, problem=edit.problem or f"row {other.row} gives it another genre")
        for edit, other in zip(left, others, strict=True)
    ]


def _edit(path: Path, row: Row, decoder: Decoder) -> Edit:
    try:
        decoded = decoder.decode(row.cells)
    except ValueError as error:  # a zero byte, or half of a surrogate pair
        reason = "has a path with characters that no file name can have"
        raise ReportError(f"{path}: row {row.number} {reason}; fix it", path) from error
    # Spreadsheets may drop empty cells at the end of a row; a missing cell means no prediction.
    genre, predicted = (plain_text(row.cells.get(name, "")) for name in ("genre", "heard"))
    edited = split_genres(genre) != split_genres(predicted)
    problem = decoded.problem
    if "genre" in row.not_text:
        problem = "its genre is a date or an error of the spreadsheet; format the cell as text"
    return Edit(row.number, decoded.path, decoded.genres, edited, decoded.before, problem)
