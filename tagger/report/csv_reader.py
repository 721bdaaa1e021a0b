"""Read the rows of a CSV in any encoding and separator of Excel, LibreOffice or an editor.

It is used for reports that a person edited, and for tables of training clips.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagger.errors import ReportError

SEPARATORS = (",", ";", "\t")
CELL_LIMIT = 1 << 24  # characters; columns that a person added may hold lyrics or pictures
WORKBOOKS = (b"PK\x03\x04", bytes.fromhex("d0cf11e0"))  # how .xlsx and .ods start, and .xls
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# A first line that tells Excel the separator; Excel does not show it as a row.
SEPARATOR_LINE = re.compile(r'\A"?sep=[,;\t]"?(?:\r\n|\r|\n)', re.IGNORECASE)
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")

Names = Sequence[str]  # of one column, the preferred name first


@dataclass(frozen=True, slots=True)
class Row:
    """One row below the header; cells at its end may be missing."""

    number: int  # as a spreadsheet counts: usually the header is row 1
    cells: dict[str, str]  # by the name of their column
    not_text: frozenset[str] = frozenset()  # the columns in which a workbook has a date or an error


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns of a table."""

    names: list[str]  # in lower case, with spaces as "_"
    columns: dict[str, int]  # the place of each; of several with one name, the first
    lacking: list[Names]  # needed columns that are not there

    @classmethod
    def of(cls, cells: Sequence[str], needed: Sequence[Names]) -> Header:
        """The header in these cells; each needed column gets the first of its names too."""
        names = ["_".join(cell.casefold().split()) for cell in cells]
        columns = {name: names.index(name) for name in names}
        for synonyms in needed:
            found = next(filter(columns.__contains__, synonyms), None)
            if found is not None:
                columns[synonyms[0]] = columns[found]
        lacking = [synonyms for synonyms in needed if synonyms[0] not in columns]
        return cls(names, columns, lacking)


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """What is accepted besides UTF-8, UTF-16 with a byte order mark, and well-formed quotes."""

    # Bytes that are not UTF-8 become surrogates (PEP 383), for `code_pages`; UTF-16 needs no mark.
    any_encoding: bool = False
    encoding: str | None = None  # in place of UTF-8, where there is no byte order mark
    strict: bool = True  # a misplaced quote is an error


def read_rows(path: Path, needed: Sequence[Names], form: CsvFormat) -> Iterator[Row]:
    """The rows below the header, empty ones included.

    Names of columns are compared in lower case, with spaces as "_"; of several columns with one
    name, the first counts. Each of `needed` is a column under any of its names; its cells get the
    first name. Raises `ReportError` for a file that cannot be read as such a table.
    """
    text = _decode(path, form)
    separator, columns = _find_header(path, text, needed)
    rows = _parse(path, text, separator, strict=form.strict)
    next(cells for _, cells in rows if _is_filled(cells))  # the header
    for number, cells in rows:
        yield Row(number, {name: cells[at] for name, at in columns.items() if at < len(cells)})


def _decode(path: Path, form: CsvFormat) -> str:
    """The text of the whole file, with its line ends unchanged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ReportError(f"{path}: {reason}; name a CSV file", path) from error
    if data.startswith(WORKBOOKS):
        raise ReportError(f"{path} is a workbook; open it and save it as CSV", path)
    marked = [encoding for mark, encoding in MARKS.items() if data.startswith(mark)]
    encoding = (marked or [form.encoding or (form.any_encoding and _unmarked(data)) or "utf-8"])[0]
    escapes = form.any_encoding and encoding == "utf-8"
    try:
        text = data.decode(encoding, "surrogateescape" if escapes else "strict")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" not in text:
        return SEPARATOR_LINE.sub("", text)
    raise ReportError(
        f"{path} is not a CSV, or its encoding is unknown; save it as CSV in UTF-8", path
    )


def _unmarked(data: bytes) -> str:
    """UTF-16 without a byte order mark shows by where its zero bytes are; "" for anything else."""
    start = data[:256]
    even, odd = 0 in start[::2], 0 in start[1::2]
    return "" if even == odd else "utf-16-le" if odd else "utf-16-be"


def _find_header(path: Path, text: str, needed: Sequence[Names]) -> tuple[str, dict[str, int]]:
    """The first separator that gives all needed columns, and the place of each column."""
    headers = []
    for separator in SEPARATORS:
        # Not strict: with the wrong separator, quotes are in the middle of cells.
        rows = (cells for _, cells in _parse(path, text, separator, strict=False))
        first = next((cells for cells in rows if _is_filled(cells)), [])
        headers.append(Header.of(first, needed))
        if not headers[-1].lacking:
            return separator, headers[-1].columns
    raise no_columns(path, headers)


def no_columns(path: Path, headers: Sequence[Header]) -> ReportError:
    """The error of a table that lacks needed columns, by any of its possible headers."""
    best = min(headers, key=lambda header: (len(header.lacking), -len(header.names)))
    missing = " and no column ".join(" or ".join(names) for names in best.lacking)
    return ReportError(
        f"{path} has no column {missing}; its first row must name the columns, but names "
        f"{', '.join(best.names) or 'none'}",
        path,
    )


def _parse(
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
            f"{path}: row {row + 1} is damaged ({error}); fix its quotes, or save it as CSV again",
            path,
        ) from error


def _is_filled(cells: list[str]) -> bool:
    return any(map(str.strip, cells))
