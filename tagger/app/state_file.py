"""Looks into a state file without changing it, and finds whether a run can use it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from tagger.app.diagnosis import StateFile
from tagger.app.probes import describe
from tagger.state.database import (
    APPLICATION,
    APPLICATION_AT,
    IDENTITY,
    MAGIC,
    VERSION,
    is_foreign,
)


def nearest_folder(path: Path) -> Path:
    """The nearest folder above a path that exists."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())


def look_at_state(path: Path, *, is_default: bool) -> StateFile:
    """A state file, opened without changing it.

    `is_default`: it was not named by the user, so a run sets it aside if it is damaged, even if
    its content is not recognisable as ours.
    """
    path = Path(os.path.realpath(path))
    try:
        is_odd = path.exists() and not path.is_file()
    except OSError as error:  # a name that is too long
        return StateFile(str(path), exists=False, check=describe(error), fatal=True)
    if is_odd:
        return StateFile(str(path), exists=True, check="it is not a regular file", fatal=True)
    folder = nearest_folder(path)
    exists = path.exists()
    writable = all(os.access(place, os.W_OK) for place in [folder, *([path] if exists else [])])
    # No folder can be created below a file.
    blocked = not exists and any(p.exists() and not p.is_dir() for p in path.parents)
    found = StateFile(str(path), exists, writable=writable and not blocked)
    if not exists:
        return found
    try:
        found = replace(found, bytes=path.stat().st_size)
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        return replace(found, check=describe(error), fatal=True)
    if not header:
        return found
    owner = header[APPLICATION_AT : APPLICATION_AT + 4]
    is_ours = is_default or owner == APPLICATION.to_bytes(4, "big")
    is_database = header.startswith(MAGIC)
    found = _check(found) if is_database else replace(found, check="it is not a database")
    return replace(found, fatal=found.fatal or (found.check != "ok" and not is_ours))


def _check(found: StateFile) -> StateFile:
    """Add `check`, `fatal` and the counts; a write-ahead log is read too."""
    # If there is no log, SQLite would create one, and its index, even to read.
    mode = "mode=ro" if Path(f"{found.path}-wal").exists() else "mode=ro&immutable=1"
    address = f"file:{quote(os.fsencode(found.path))}?{mode}"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            return _check_open(found, database)
    except sqlite3.Error as error:
        fatal = isinstance(error, sqlite3.OperationalError)
        return replace(found, check=str(error), fatal=fatal)


def _check_open(found: StateFile, database: sqlite3.Connection) -> StateFile:
    check = database.execute("PRAGMA quick_check(1)").fetchone()[0].splitlines()[-1]
    if check != "ok":
        return replace(found, check=check)
    owner, version, tables = database.execute(IDENTITY).fetchone()
    if is_foreign(owner, tables):
        return replace(found, check="it is the database of another program", fatal=True)
    if version > VERSION:
        return replace(found, check="a newer version of tag-genres made it", fatal=True)
    if not version:
        return replace(found, check="ok")
    predictions, runs = (
        database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("predictions", "runs")
    )
    return replace(found, check="ok", predictions=predictions, runs=runs)
