"""Rows of a CSV as people save them: comma, semicolon or tab, CRLF, a byte order mark."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from training.errors import TrainingError

DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: its cells without outer blanks, by column name in lower case."""

    line: int  # as an editor counts them
    cells: dict[str, str]


def read_table(path: Path, *needed: tuple[str, ...]) -> list[Row]:
    """The rows of a CSV with a header; empty ones are left out, and missing cells are `""`.

    Each of `needed` is a column under its names, the preferred one first; its cells can be found
    under the first name, whichever the file uses. Raises `TrainingError` where a column is missing,
    the file is no UTF-8 text, or there is no row.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            # The header alone tells: names of columns hold no commas, titles of songs do.
            reader = csv.reader(file, delimiter=max(DELIMITERS, key=first.count))
            header = [name.strip().lower() for name in next(reader, [])]
            columns = {names[0]: _find_column(path, header, names) for names in needed}
            rows = [Row(reader.line_num, _cells(header, line, columns)) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise TrainingError(
            f"{path} cannot be read as a table: {reason}; save it as CSV in UTF-8", path
        ) from error
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}", path) from error
    rows = [row for row in rows if any(row.cells.values())]
    if not rows:
        raise TrainingError(f"{path} has no rows", path)
    return rows


def _find_column(path: Path, header: list[str], names: tuple[str, ...]) -> str:
    found = next((name for name in names if name in header), None)
    if found is None:
        wanted = " or ".join(repr(name) for name in names)
        raise TrainingError(
            f"{path} has no column {wanted}, but {', '.join(header) or 'none'}", path
        )
    return found


def _cells(header: list[str], line: list[str], columns: dict[str, str]) -> dict[str, str]:
    cells = dict.fromkeys(header, "") | {
        name: cell.strip() for name, cell in zip(header, line, strict=False)
    }
    return cells | {name: cells[column] for name, column in columns.items()}
