"""The journal of tag changes: what each run wrote, the previous value, and what was undone.

An entry is on disk before its file is replaced. It is never deleted once the change is made: an
undo is a change too, which `reverts` another one and can itself be undone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tagger.state.database import Database
from tagger.state.stored_fields import fields_from_text, fields_to_text
from tagger.types import GenreFields, Track

COLUMNS = (
    "id, path, before, after, undone_by, audio, old_size, old_mtime_ns, new_size, new_mtime_ns"
)
# Tables, and prefixes of their columns, that identify a file by its size and mtime.
PREDICTED = ("predictions", "")
JOURNALLED = (("journal", "old_"), ("journal", "new_"))

REHEARSAL = 0  # the run that undoes changes in a rehearsal; no real run has this number

Identity = tuple[int, int]  # size and mtime of a file


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the journal: a file before and after its tag was written."""

    id: int
    old: Track
    new: Track
    before: GenreFields
    after: tuple[str, ...] | None  # the genres after it; None if they are not known
    undone_by: int | None = None  # a run


@dataclass(frozen=True, slots=True)
class Run:
    """One run that changed tags."""

    id: int
    kind: str  # "tag", "apply" or "undo"
    started: str  # ISO 8601, UTC
    source: str  # the model, the edited report, or for an undo the runs that it reverted
    files: int  # how many it changed
    remaining: int  # how many of these changes are not undone


class Journal(Database):
    """The runs and their changes, in the state file."""

    def begin_run(self, kind: str, model: str = "", folders: Sequence[Path] = ()) -> int:
        """Record a new run and return its number; `kind` is "tag", "apply" or "undo".

        `folders` are the places where its files are looked for if they have moved.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        insert = "INSERT INTO runs (kind, started, model, folders) VALUES (?, ?, ?, ?)"
        places = json.dumps([os.fspath(folder) for folder in folders])
        return self.do(insert, (kind, now, model, places)).lastrowid or 0

    def folders(self) -> list[Path]:
        """The folders of all runs, each once, those of the latest run first."""
        rows = self.rows("SELECT folders FROM runs WHERE folders != '[]' ORDER BY id DESC")
        return list(dict.fromkeys(Path(name) for (names,) in rows for name in json.loads(names)))

    def record(
        self, run: int, before: GenreFields, after: Sequence[str], change: tuple[Track, Track],
        reverts: int | None = None,
    ) -> int:  # fmt: skip
        """Journal a change of a file, old to new, that is about to be made; return its number.

        From here on, predictions for the old file apply to the new one: only its tag differs.
        """
        old, new = change
        path, old_state, new_state = os.fsencode(old.path), identity_of(old), identity_of(new)
        fields = fields_to_text(before)
        with self.transaction():
            entry = self.do(
                "INSERT INTO journal (run, path, before, after, old_size, old_mtime_ns, new_size, "
                "new_mtime_ns, reverts, audio) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run,
                    path,
                    fields,
                    json.dumps(list(after)),
                    *old_state,
                    *new_state,
                    reverts,
                    old.audio,
                ),
            ).lastrowid
            self._move(PREDICTED, path, old_state, new_state)
        return entry or 0

    def forget(self, entry: int, old: Track, new: Track) -> None:
        """Delete an entry whose change was not made after all, and the decision behind it."""
        with self.transaction():
            self.do("DELETE FROM journal WHERE id = ?", (entry,))
            self.do("DELETE FROM decisions WHERE entry = ?", (entry,))
            self._move(PREDICTED, os.fsencode(old.path), identity_of(new), identity_of(old))

    def _move(self, columns: tuple[str, str], path: bytes, old: Identity, new: Identity) -> None:
        table, prefix = columns
        self.do(
            f"UPDATE {table} SET {prefix}size = ?, {prefix}mtime_ns = ? "
            f"WHERE path = ? AND {prefix}size = ? AND {prefix}mtime_ns = ?",
            (*new, path, *old),
        )

    # --- what can be undone -----------------------------------------------------------------------

    def runs(self) -> list[Run]:
        """Every run that changed a file, oldest first."""
        rows = self.do(
            "SELECT runs.id, kind, started, iif(kind = 'undo', 'of run ' || group_concat(DISTINCT "
            "reverted.run), model), count(DISTINCT journal.path), "
            "count(DISTINCT iif(journal.undone_by IS NULL, journal.path, NULL)) "
            "FROM runs JOIN journal ON journal.run = runs.id "
            "LEFT JOIN journal AS reverted ON reverted.id = journal.reverts "
            "GROUP BY runs.id ORDER BY runs.id"
        )
        return [Run(*row) for row in rows]

    def has_run(self, run: int) -> bool:
        """Whether a run has this number."""
        return self.do("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone() is not None

    def last_run(self) -> int | None:
        """The latest run, other than an undo, with changes left to undo."""
        run: int | None = self.do(
            "SELECT max(run) FROM journal JOIN runs ON runs.id = run "
            "WHERE kind != 'undo' AND undone_by IS NULL"
        ).fetchone()[0]
        return run

    def changes(self, *runs: int) -> list[Change]:
        """The changes of these runs that are not undone, latest first."""
        marks = ", ".join("?" * len(runs))
        rows = self.do(
            f"SELECT {COLUMNS} FROM journal WHERE run IN ({marks}) AND undone_by IS NULL "
            "ORDER BY id DESC",
            runs,
        )
        return [_change(row) for row in rows]

    def last_changes(self) -> list[Change]:
        """The last change of each file, other than undos, that is not undone; latest first."""
        rows = self.do(
            f"SELECT {COLUMNS} FROM journal WHERE id IN (SELECT max(journal.id) FROM journal "
            "JOIN runs ON runs.id = run WHERE kind != 'undo' AND undone_by IS NULL "
            "GROUP BY path, audio) ORDER BY id DESC"
        )
        return [_change(row) for row in rows]

    def in_effect(self, path: Path) -> list[Change]:
        """The changes and undos of files at this path that are not undone, latest first."""
        rows = self.rows(
            f"SELECT {COLUMNS} FROM journal WHERE path = ? AND undone_by IS NULL ORDER BY id DESC",
            (os.fsencode(path),),
        )
        return [_change(row) for row in rows]

    def last_change(self) -> Change | None:
        """The change that was journalled last, if it is not undone."""
        row = self.do(f"SELECT {COLUMNS} FROM journal ORDER BY id DESC").fetchone()
        change = None if row is None else _change(row)
        return change if change is not None and change.undone_by is None else None

    def refreshed(self, change: Change) -> Change:
        """The same entry as it is now: undoing a later change updates the new size and time."""
        row = self.do(f"SELECT {COLUMNS} FROM journal WHERE id = ?", (change.id,)).fetchone()
        return _change(row)

    def later_run(self, change: Change) -> int | None:
        """The run that must be undone first: it wrote to the same file later, and is not undone.

        For an undo, this may also be another undo of the same change.
        """
        run: int | None = self.do(
            "SELECT max(run) FROM ("
            "SELECT run FROM journal JOIN runs ON runs.id = run "
            "WHERE path = ? AND journal.id > ? AND kind != 'undo' AND undone_by IS NULL "
            "AND coalesce(audio = ?, true) "
            "UNION ALL SELECT reverted.undone_by FROM journal "
            "JOIN journal AS reverted ON reverted.id = journal.reverts "
            "WHERE journal.id = ? AND reverted.undone_by != journal.run)",
            (os.fsencode(change.old.path), change.id, change.old.audio, change.id),
        ).fetchone()[0]
        return run

    def reverted(self, change: Change) -> Change | None:
        """The change that this one reverted, if it is an undo."""
        row = self.do(
            f"SELECT {COLUMNS} FROM journal WHERE id = (SELECT reverts FROM journal WHERE id = ?)",
            (change.id,),
        ).fetchone()
        return None if row is None else _change(row)

    def restored_by(self, change: Change, now: Track) -> int | None:
        """The undo, if any, that left the file as `now` but was killed before it was recorded.

        An undo that was killed before it replaced the file may look the same; only the content of
        the file shows the difference.
        """
        row = self.do(
            "SELECT run FROM journal WHERE path = ? AND reverts = ? AND undone_by IS NULL "
            "AND new_size = ? AND new_mtime_ns = ? ORDER BY id DESC",
            (os.fsencode(now.path), change.id, *identity_of(now)),
        ).fetchone()
        return None if row is None else int(row[0])

    def mark_undone(self, change: Change, by: int | None, now: Track) -> None:
        """Note that run `by` undid a change and left the file as `now`; None: in a rehearsal."""
        with self.transaction():
            self._set_undone(change.id, REHEARSAL if by is None else by, now)

    def _set_undone(self, entry: int, undone_by: int | None, now: Track) -> None:
        """Mark an entry as undone (None: not undone); the change that it reverts, the opposite."""
        run, reverts, *states = self.do(
            "SELECT run, reverts, old_size, old_mtime_ns, new_size, new_mtime_ns "
            "FROM journal WHERE id = ?",
            (entry,),
        ).fetchone()
        self.do("UPDATE journal SET undone_by = ? WHERE id = ?", (undone_by, entry))
        # The file is again as an earlier run left it, so that run can be undone in turn.
        size, mtime_ns = states[2:] if undone_by is None else states[:2]
        for columns in JOURNALLED:
            self._move(columns, os.fsencode(now.path), (size, mtime_ns), identity_of(now))
        if reverts is None:
            return
        was_by = self.do("SELECT undone_by FROM journal WHERE id = ?", (reverts,)).fetchone()[0]
        # An undo that was killed before it replaced the file never marked what it meant to revert.
        if undone_by is None or was_by == run:
            self._set_undone(reverts, run if undone_by is None else None, now)

    def rehearse(self) -> None:
        """From now on, work on a copy of the journal that is dropped when the state is closed.

        Until then, predictions, failures and tags are hidden.
        """
        for table in ("journal", "predictions", "failures", "tags"):
            rows = "" if table == "journal" else " WHERE false"
            # A temporary table hides the real one of the same name.
            self.do(f"CREATE TEMP TABLE IF NOT EXISTS {table} AS SELECT * FROM main.{table}{rows}")
        for column in ("id", "path"):
            self.do(f"CREATE INDEX IF NOT EXISTS temp.by_{column} ON journal ({column})")

    def last_of_each(self) -> list[Change]:
        """The last change of each file that is not undone, whether an undo or not.

        Two files with other audio may have had the same path.
        """
        rows = self.do(
            f"SELECT {COLUMNS} FROM journal WHERE id IN "
            "(SELECT max(id) FROM journal WHERE undone_by IS NULL GROUP BY path, audio)"
        )
        return [_change(row) for row in rows]


def identity_of(track: Track) -> Identity:
    """By what a file is recognised without being read."""
    return track.size, track.mtime_ns


def _change(row: Sequence[Any]) -> Change:
    """The entry in a row of `COLUMNS`."""
    entry, name, before, after, undone_by, audio, *states = row
    path = Path(os.fsdecode(name))
    genres = json.loads(after)
    return Change(
        entry,
        Track(path, states[0], states[1], 0, audio),
        Track(path, states[2], states[3], 0, audio),
        fields_from_text(before),
        None if genres is None else tuple(genres),
        undone_by,
    )
