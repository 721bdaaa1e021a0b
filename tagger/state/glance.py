"""Reads the state file for completion in a shell, without opening it for a run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def undoable_runs(path: Path) -> dict[int, str]:
    """The runs with changes left to undo, latest first: kind, start and how many; for completion.

    Empty if there is no such file, or it cannot be read. Nothing is written or waited for.
    """
    query = (
        "SELECT runs.id, kind || ' ' || started || ', files: ' || count(DISTINCT path) FROM runs "
        "JOIN journal ON run = runs.id WHERE undone_by IS NULL GROUP BY runs.id ORDER BY 1 DESC"
    )
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=0)) as database:
            return dict(database.execute(query).fetchall())
    except sqlite3.Error:
        return {}
