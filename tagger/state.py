"""One SQLite file that outlives a run: predictions, failures, and the journal of tag changes.

A prediction belongs to (path, checkpoint fingerprint, plan) and counts while the file keeps its
size and mtime. A journal entry is on disk before the file it speaks of is replaced.
"""

from __future__ import annotations

import json
import os
import sqlite3
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from tagger.errors import StateError
from tagger.types import Failure, GenreFields, Prediction, Track

VERSION = 1
APPLICATION = 0x74616767  # "tagg": tells our databases from those of other programs
MAGIC = b"SQLite format 3\0"
# Paths are kept as bytes: file names need not be text.
SCHEMA = """
CREATE TABLE models (fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL);
CREATE TABLE predictions (
    path BLOB NOT NULL, fingerprint TEXT NOT NULL, plan TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    probabilities BLOB NOT NULL, agreement REAL NOT NULL,
    windows INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (path, fingerprint, plan)
) WITHOUT ROWID;
CREATE TABLE failures (
    path BLOB NOT NULL, fingerprint TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    decoders TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (path, fingerprint)
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, started TEXT NOT NULL, model TEXT NOT NULL
);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs, path BLOB NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL,
    old_size INTEGER NOT NULL, old_mtime_ns INTEGER NOT NULL,
    new_size INTEGER NOT NULL, new_mtime_ns INTEGER NOT NULL,
    undone_by INTEGER REFERENCES runs
);
CREATE INDEX journal_by_path ON journal (path);
CREATE INDEX journal_by_run ON journal (run);
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the journal: a file before and after its tag was written."""

    id: int
    old: Track
    new: Track
    before: GenreFields
    after: tuple[str, ...]  # the genres that were written; () by an undo


class State:
    """The open state file; a context manager. Raises `StateError` for whatever SQLite reports."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._check_kind()
            # Two runs at once wait for each other.
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StateError(self._advice(error)) from error
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _check_kind(self) -> None:
        """Refuse what is no database: SQLite would write over a file of a few bytes."""
        if self.path.is_file():
            with self.path.open("rb") as file:
                if file.read(len(MAGIC)) not in (b"", MAGIC):
                    raise StateError(self._advice("it is no state file"))

    def _prepare(self) -> None:
        # Everything is refused before the first write: the path may be another program's file.
        owner, version, tables = self._do(
            "SELECT * FROM pragma_application_id, pragma_user_version, "
            "(SELECT count(*) FROM sqlite_master)"
        ).fetchone()
        if tables and owner != APPLICATION:
            raise StateError(self._advice("it is the database of another program"))
        if version > VERSION:
            raise StateError(
                f"a newer version of tag-genres made {self.path}; "
                "upgrade, or name another file by --state"
            )
        self._do("PRAGMA journal_mode = WAL")
        self._do("PRAGMA synchronous = FULL")
        if version < VERSION:
            self._do("BEGIN IMMEDIATE")
            # Another run may have made the tables while this one waited.
            if self._do("PRAGMA user_version").fetchone()[0] < VERSION:
                for statement in filter(str.strip, SCHEMA.split(";")):
                    self._do(statement)
                self._do(f"PRAGMA application_id = {APPLICATION}")
                self._do(f"PRAGMA user_version = {VERSION}")
            self._do("COMMIT")

    def __enter__(self) -> State:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._db.close()

    def _advice(self, error: Exception | str) -> str:
        return f"the state file {self.path} cannot be used ({error}); name another by --state"

    def _do(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, tuple(values))
        except sqlite3.Error as error:
            raise StateError(self._advice(error)) from error

    def begin_run(self, kind: str, model: str = "") -> int:
        """Number of a new run; `kind` is "tag" or "undo"."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        insert = "INSERT INTO runs (kind, started, model) VALUES (?, ?, ?)"
        return self._do(insert, (kind, now, model)).lastrowid or 0

    def add_model(self, fingerprint: str, name: str, labels: tuple[str, ...]) -> None:
        """Keep what the probabilities of a checkpoint stand for."""
        row = (fingerprint, name, json.dumps(labels))
        self._do("INSERT OR REPLACE INTO models VALUES (?, ?, ?)", row)

    def save_prediction(self, prediction: Prediction, fingerprint: str, plan: str) -> None:
        """Keep a prediction, in place of an older one of the same path, checkpoint and plan."""
        track = prediction.track
        row = (
            os.fsencode(track.path), fingerprint, plan, track.size, track.mtime_ns,
            array("f", prediction.probabilities).tobytes(), prediction.agreement,
            prediction.windows, prediction.seconds,
        )  # fmt: skip
        self._do("INSERT OR REPLACE INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def save_failure(self, track: Track, reason: str, fingerprint: str, decoders: str) -> None:
        """Keep why a track could not be predicted by these decoders."""
        row = (os.fsencode(track.path), fingerprint, track.size, track.mtime_ns, decoders, reason)
        self._do("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?)", row)

    def find_prediction(self, track: Track, fingerprint: str, plan: str) -> Prediction | None:
        """The prediction of an earlier run, if the file is the same since."""
        row = self._do(
            "SELECT probabilities, agreement, windows, seconds, labels FROM predictions "
            "JOIN models USING (fingerprint) "
            "WHERE path = ? AND fingerprint = ? AND plan = ? AND size = ? AND mtime_ns = ?",
            (os.fsencode(track.path), fingerprint, plan, track.size, track.mtime_ns),
        ).fetchone()
        if row is None:
            return None
        probabilities, agreement, windows, seconds, labels = row
        values = tuple(array("f", probabilities))
        return Prediction(track, tuple(json.loads(labels)), values, agreement, windows, seconds)

    def find_failure(self, track: Track, fingerprint: str, decoders: str) -> Failure | None:
        """The failure of an earlier run, if file and decoders are the same since."""
        row = self._do(
            "SELECT reason FROM failures "
            "WHERE path = ? AND fingerprint = ? AND size = ? AND mtime_ns = ? AND decoders = ?",
            (os.fsencode(track.path), fingerprint, track.size, track.mtime_ns, decoders),
        ).fetchone()
        return None if row is None else Failure(track.path, row[0])

    def record(
        self, run: int, before: GenreFields, after: Iterable[str], old: Track, new: Track
    ) -> int:
        """Journal a change that is about to be made to a file; the number of the entry.

        From here on the predictions for the old file hold for the new one: only its tag differs.
        """
        fields = json.dumps({"values": dict(before.values), "has_tags": before.has_tags})
        path, old_state, new_state = os.fsencode(old.path), _identity(old), _identity(new)
        self._do("BEGIN IMMEDIATE")
        try:
            entry = self._do(
                "INSERT INTO journal (run, path, before, after, old_size, old_mtime_ns, new_size, "
                "new_mtime_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (run, path, fields, json.dumps(list(after)), *old_state, *new_state),
            ).lastrowid
            self._move("predictions", path, old_state, new_state)
            self._do("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        return entry or 0

    def forget(self, entry: int, old: Track, new: Track) -> None:
        """Take back an entry whose change was not made after all."""
        self._do("BEGIN IMMEDIATE")
        self._do("DELETE FROM journal WHERE id = ?", (entry,))
        self._move("predictions", os.fsencode(old.path), _identity(new), _identity(old))
        self._do("COMMIT")

    def _move(self, table: str, path: bytes, old: tuple[int, int], new: tuple[int, int]) -> None:
        prefix = "new_" if table == "journal" else ""
        self._do(
            f"UPDATE {table} SET {prefix}size = ?, {prefix}mtime_ns = ? "
            f"WHERE path = ? AND {prefix}size = ? AND {prefix}mtime_ns = ?",
            (*new, path, *old),
        )

    def last_run(self) -> int | None:
        """The latest tagging run of which something is left to undo."""
        run: int | None = self._do(
            "SELECT max(run) FROM journal JOIN runs ON runs.id = run "
            "WHERE kind = 'tag' AND undone_by IS NULL"
        ).fetchone()[0]
        return run

    def has_run(self, run: int) -> bool:
        """Whether there was such a tagging run."""
        query = "SELECT 1 FROM runs WHERE id = ? AND kind = 'tag'"
        return self._do(query, (run,)).fetchone() is not None

    def changes(self, run: int) -> list[Change]:
        """What a run wrote and nobody has undone, last first."""
        rows = self._do(
            "SELECT id, path, before, after, old_size, old_mtime_ns, new_size, new_mtime_ns "
            "FROM journal WHERE run = ? AND undone_by IS NULL ORDER BY id DESC",
            (run,),
        )
        found = []
        for entry, name, before, after, old_size, old_mtime, new_size, new_mtime in rows:
            path = Path(os.fsdecode(name))
            fields = _fields(json.loads(before))
            old, new = Track(path, old_size, old_mtime), Track(path, new_size, new_mtime)
            found.append(Change(entry, old, new, fields, tuple(json.loads(after))))
        return found

    def is_restored(self, change: Change, now: Track) -> bool:
        """Whether an undo that was killed before it could say so left the file as `now`."""
        row = self._do(
            "SELECT 1 FROM journal JOIN runs ON runs.id = run WHERE kind = 'undo' AND path = ? "
            "AND old_size = ? AND old_mtime_ns = ? AND new_size = ? AND new_mtime_ns = ?",
            (os.fsencode(now.path), *_identity(change.new), *_identity(now)),
        ).fetchone()
        return row is not None

    def mark_undone(self, change: Change, by: int, now: Track) -> None:
        """Note that a change was taken back by run `by`, which left the file as `now`."""
        self._do("BEGIN IMMEDIATE")
        self._do("UPDATE journal SET undone_by = ? WHERE id = ?", (by, change.id))
        # The file is again what an earlier run left: that run can be undone in turn.
        path, old, new = os.fsencode(now.path), _identity(change.old), _identity(now)
        self._move("journal", path, old, new)
        self._do("COMMIT")


def _identity(track: Track) -> tuple[int, int]:
    return track.size, track.mtime_ns


def _fields(stored: Mapping[str, Any]) -> GenreFields:
    values = {name: tuple(field) for name, field in stored["values"].items()}
    return GenreFields(values, stored["has_tags"])
