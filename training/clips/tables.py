"""Rows of a CSV that names clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tagger.errors import ReportError
from tagger.report.csv_reader import CsvFormat, Row, read_rows
from training.errors import TrainingError

LENIENT = CsvFormat(strict=False)


def read_table(path: Path, *needed: Sequence[str]) -> list[Row]:
    """The rows of a CSV with a header; cells are stripped, and empty rows left out.

    Each of `needed` has the names of one column, the preferred one first; its cells are stored
    under the first name, and are `""` if missing. Raises `TrainingError` if a column is missing,
    the file cannot be read as a table, or there is no row.
    """
    empty = {names[0]: "" for names in needed}
    try:
        rows = [
            Row(row.number, empty | {name: cell.strip() for name, cell in row.cells.items()})
            for row in read_rows(path, needed, LENIENT)
        ]
    except ReportError as error:
        raise TrainingError(str(error), path) from error
    rows = [row for row in rows if any(row.cells.values())]
    if not rows:
        raise TrainingError(f"{path} has no rows", path)
    return rows
