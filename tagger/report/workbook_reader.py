"""Read the rows of a workbook that Excel, LibreOffice, Numbers or Google Sheets saved as .xlsx."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from tagger.errors import ReportError
from tagger.report.csv_reader import WORKBOOKS, Header, Names, Row, no_columns

MOST_ROWS = 1_048_576  # of a worksheet, the header included
SEARCHED_ROWS = 1000  # for the header
# A report becomes about ten times smaller in a workbook; what shrinks far more is a bomb.
LARGE, MOST_TIMES, LARGEST = 1 << 26, 100, 1 << 31  # bytes; times the file's size; bytes
MISSING = "needs a package: pip install 'tag-genres[xlsx]'"
SAVE = "save it as .xlsx, or as CSV in UTF-8"
NOT_TEXT = (date, datetime, time, timedelta)
ERRORS = ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#SPILL!", "#CALC!")


def is_workbook(path: Path) -> bool:
    """Whether a file is one of a spreadsheet program, by how it starts."""
    try:
        with path.open("rb") as file:
            return file.read(4) in WORKBOOKS
    except OSError:
        return False


def read_workbook(path: Path, needed: Sequence[Names]) -> Iterator[Row]:
    """The rows below the header of the first sheet that has the needed columns, without empty ones.

    Names of columns are as in `csv_reader.read_rows`. A number becomes the text that a spreadsheet
    shows; the names of columns that have a date or an error are in `Row.not_text`. Raises
    `ReportError`.
    """
    with _opened(path) as book:
        headers = []
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # what a file says of them may be wrong
            first, header = _find_header(sheet, needed)
            headers.append(header)
            if not header.lacking:
                break
        else:
            raise no_columns(path, headers)
        width = max(header.columns.values()) + 1
        rows = sheet.iter_rows(min_row=first + 1, max_col=width, values_only=True)
        for number, values in enumerate(islice(rows, MOST_ROWS), first + 1):
            if any(value is not None for value in values):
                yield _row(number, header, values)


def _find_header(sheet: Any, needed: Sequence[Names]) -> tuple[int, Header]:
    """The first row that is not empty, and its number."""
    rows = sheet.iter_rows(values_only=True)
    for number, values in enumerate(islice(rows, SEARCHED_ROWS), 1):
        if any(value is not None for value in values):
            return number, Header.of([_text(value) for value in values], needed)
    return 1, Header.of([], needed)


def _row(number: int, header: Header, values: Sequence[Any]) -> Row:
    cells = {name: values[at] for name, at in header.columns.items() if at < len(values)}
    texts = {name: _text(value) for name, value in cells.items() if value is not None}
    odd = {name for name, value in cells.items() if isinstance(value, NOT_TEXT) or value in ERRORS}
    return Row(number, texts, frozenset(odd))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "" if value is None else str(value)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The workbook; every error about its content becomes a `ReportError`."""
    if find_spec("openpyxl") is None:
        raise ReportError(f"{path} {MISSING}", path)
    import openpyxl

    try:
        _check_size(path)
        with path.open("rb") as file:
            with warnings.catch_warnings():  # of features that do not matter here
                warnings.simplefilter("ignore")
                book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            yield book
    except (ReportError, MemoryError):
        raise
    except Exception as error:  # openpyxl lets through what any of its parts raises
        raise ReportError(f"{path} cannot be read as a workbook; {SAVE}", path) from error


def _check_size(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise ReportError(f"{path} is an old or encrypted workbook; {SAVE}", path)
    with zipfile.ZipFile(path) as archive:
        parts = {part.filename: part.file_size for part in archive.infolist()}
    if "xl/workbook.xml" not in parts:
        raise ReportError(f"{path} is not an Excel workbook; {SAVE}", path)
    size = sum(parts.values())
    if size > LARGEST or size > max(LARGE, MOST_TIMES * path.stat().st_size):
        raise ReportError(f"{path} would become {size:,} bytes in memory; save it as CSV", path)
