"""The report as an Excel workbook, with or without the CSV; only its genres can be edited."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tagger.errors import ReportError
from tagger.report.table import header, report_row
from tagger.report.target import (
    COLUMNS,
    Cell,
    check_target,
    replacing_report,
    written_or_refused,
)
from tagger.report.workbook_reader import MISSING, MOST_ROWS, read_workbook
from tagger.types import Outcome

WIDTHS = {"path": 60, "genre": 24, "existing_genre": 24, "new_genre": 24, "reason": 40, "model": 20}
WIDTH = 12  # of any other column, in characters
EDITABLE = "FFF2CC"  # the background of cells that may be edited
TEXT = "@"  # the format of a cell in which 1983 or TRUE is a text
GENRE = COLUMNS.index("genre")
# Excel reads _x0041_ as the letter A.
ESCAPE_OF_EXCEL = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


def check_workbook(target: Path) -> None:
    """Raise `ReportError` now, rather than after hours, if a workbook cannot be written there."""
    check_target(target, "--xlsx")
    if target.suffix.lower() != ".xlsx":
        raise ReportError(f"{target} is not the name of a workbook; name a file.xlsx with --xlsx")
    if target.exists() and not target.is_file():
        raise ReportError(f"{target} is not a regular file; name another with --xlsx")
    if find_spec("openpyxl") is None:
        raise ReportError(f"--xlsx {MISSING}")


def check_rows(target: Path, tracks: int) -> None:
    """Raise `ReportError` if there are more tracks than a worksheet has rows."""
    if tracks >= MOST_ROWS:
        raise ReportError(
            f"{target}: a worksheet holds {MOST_ROWS - 1:,} tracks, not {tracks:,}; use --csv"
        )


def in_workbook(
    outcomes: Iterable[Outcome],
    target: Path,
    notify: Callable[[str], None] = lambda message: None,
    *,
    model: str,
    labels: Sequence[str] = (),
) -> Iterator[Outcome]:
    """Write one row per outcome, as `write_csv` does, and pass the outcomes on.

    The workbook replaces the target after the last outcome. Memory does not grow with the rows.
    Raises `ReportError`.
    """
    import openpyxl

    names, tracks = header(labels), array("q")
    book = openpyxl.Workbook(write_only=True)
    with (
        written_or_refused(target, "--xlsx"),
        replacing_report(target.resolve(), tracks, _read_report, notify) as scratch,
    ):
        sheet = _new_sheet(book, names)
        try:
            for outcome in outcomes:
                row = report_row(outcome, model, labels)
                tracks.append(hash(row[0]))
                sheet.append(_cells(sheet, row))
                yield outcome
            last = openpyxl.utils.get_column_letter(len(names))
            sheet.auto_filter.ref = f"A1:{last}{len(tracks) + 1}"
        finally:
            sheet.close()
        book.save(scratch)


def _read_report(path: Path) -> Iterator[list[str]]:
    """The rows of a report that `in_workbook` wrote; raises `ValueError` for any other."""
    try:
        yield list(COLUMNS)
        for row in read_workbook(path, [(name,) for name in COLUMNS]):
            shares = (text for name, text in row.cells.items() if name not in COLUMNS)
            yield [*(row.cells.get(name, "") for name in COLUMNS), *shares]
    except ReportError as error:
        raise ValueError(str(error)) from error


def _new_sheet(book: Any, names: Sequence[str]) -> Any:
    """A protected sheet without a password, with its first row, which stays in view."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.protection import SheetProtection

    sheet = book.create_sheet("genres")
    sheet.freeze_panes = "A2"
    # These name what a protected sheet refuses.
    locks = {name: False for name in ("autoFilter", "sort", "formatColumns", "formatRows")}
    sheet.protection = SheetProtection(sheet=True, **locks)
    for number, name in enumerate(names, 1):
        sheet.column_dimensions[get_column_letter(number)].width = WIDTHS.get(name, WIDTH)
    cells = [WriteOnlyCell(sheet, _text(name)) for name in names]
    for cell in cells:
        cell.data_type, cell.font = "s", Font(bold=True)
    sheet.append(cells)
    return sheet


def _cells(sheet: Any, row: Sequence[Cell]) -> list[Any]:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ERROR_CODES
    from openpyxl.styles import PatternFill, Protection

    cells: list[Any] = [_text(cell) if isinstance(cell, str) else cell for cell in row]
    for at, cell in enumerate(cells):
        if at == GENRE or cell in ERROR_CODES:
            cells[at] = WriteOnlyCell(sheet, cell or "")
            cells[at].data_type = "s"
    genre = cells[GENRE]
    genre.number_format, genre.protection = TEXT, Protection(locked=False)
    genre.fill = PatternFill("solid", EDITABLE)
    return cells


def _text(text: str) -> str:
    """A text that `escape.csv_text` made, without what XML or Excel reads as another."""
    return ESCAPE_OF_EXCEL.sub(r"\\x5f", text)
