"""The journal of tag changes: what each run wrote, what was there before, and what was taken back.

An entry is on disk before the file it speaks of is replaced. Entries are never deleted once the
change was made: an undo is a change too, which `reverts` another and can be undone itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tagger.database import Database
from tagger.types import GenreFields, Track

COLUMNS = "id, path, before, after, old_size, old_mtime_ns, new_size, new_mtime_ns"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the journal: a file before and after its tag was written."""

    id: int
    old: Track
    new: Track
    before: GenreFields
    after: tuple[str, ...] | None  # the genres that it has since; None if that is not known


@dataclass(frozen=True, slots=True)
class Run:
    """One run that changed tags."""

    id: int
    kind: str  # "tag", "apply" or "undo"
    started: str  # ISO 8601, UTC
    model: str
    files: int  # that it changed
    standing: int  # of those, not undone since


class Journal(Database):
    """The runs and their changes, in the state file."""

    def begin_run(self, kind: str, model: str = "") -> int:
        """Number of a new run; `kind` is "tag", "apply" or "undo"."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        insert = "INSERT INTO runs (kind, started, model) VALUES (?, ?, ?)"
        return self.do(insert, (kind, now, model)).lastrowid or 0

    def record(
        self, run: int, before: GenreFields, after: Sequence[str], change: tuple[Track, Track],
        reverts: int | None = None,
    ) -> int:  # fmt: skip
        """Journal a change of a file, old to new, that is about to be made; its number.

        From here on the predictions for the old file hold for the new one: only its tag differs.
        """
        old, new = change
        fields = json.dumps({"values": dict(before.values), "has_tags": before.has_tags})
        path, old_state, new_state = os.fsencode(old.path), _identity(old), _identity(new)
        with self.transaction():
            entry = self.do(
                "INSERT INTO journal (run, path, before, after, old_size, old_mtime_ns, new_size, "
                "new_mtime_ns, reverts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (run, path, fields, json.dumps(list(after)), *old_state, *new_state, reverts),
            ).lastrowid
            self._move("predictions", path, old_state, new_state)
        return entry or 0

    def forget(self, entry: int, old: Track, new: Track) -> None:
        """Take back an entry whose change was not made after all."""
        with self.transaction():
            self.do("DELETE FROM journal WHERE id = ?", (entry,))
            self._move("predictions", os.fsencode(old.path), _identity(new), _identity(old))

    def _move(self, table: str, path: bytes, old: tuple[int, int], new: tuple[int, int]) -> None:
        prefix = "new_" if table == "journal" else ""
        self.do(
            f"UPDATE {table} SET {prefix}size = ?, {prefix}mtime_ns = ? "
            f"WHERE path = ? AND {prefix}size = ? AND {prefix}mtime_ns = ?",
            (*new, path, *old),
        )

    # --- what can be undone -----------------------------------------------------------------------

    def runs(self) -> list[Run]:
        """Every run that changed something, first to last."""
        rows = self.do(
            "SELECT runs.id, kind, started, model, count(*), sum(undone_by IS NULL) "
            "FROM runs JOIN journal ON run = runs.id GROUP BY runs.id ORDER BY runs.id"
        )
        return [Run(*row) for row in rows]

    def has_run(self, run: int) -> bool:
        """Whether there was such a run."""
        return self.do("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone() is not None

    def last_run(self) -> int | None:
        """The latest run, other than an undo, of which something is left to undo."""
        run: int | None = self.do(
            "SELECT max(run) FROM journal JOIN runs ON runs.id = run "
            "WHERE kind != 'undo' AND undone_by IS NULL"
        ).fetchone()[0]
        return run

    def changes(self, *runs: int) -> list[Change]:
        """What these runs changed and nobody has undone, last first."""
        marks = ", ".join("?" * len(runs))
        rows = self.do(
            f"SELECT {COLUMNS} FROM journal WHERE run IN ({marks}) AND undone_by IS NULL "
            "ORDER BY id DESC",
            runs,
        )
        return [_change(*row) for row in rows]

    def last_changes(self) -> list[Change]:
        """The last change of each file, other than undos, that nobody has undone, last first."""
        rows = self.do(
            f"SELECT {COLUMNS} FROM journal WHERE id IN (SELECT max(journal.id) FROM journal "
            "JOIN runs ON runs.id = run WHERE kind != 'undo' AND undone_by IS NULL "
            "GROUP BY path) ORDER BY id DESC"
        )
        return [_change(*row) for row in rows]

    def refreshed(self, change: Change) -> Change:
        """The same entry as it is now: undoing a later change moves what this one left."""
        row = self.do(f"SELECT {COLUMNS} FROM journal WHERE id = ?", (change.id,)).fetchone()
        return _change(*row)

    def later_run(self, change: Change) -> int | None:
        """The last run that wrote to the same file after this, and was not undone."""
        run: int | None = self.do(
            "SELECT max(run) FROM journal JOIN runs ON runs.id = run "
            "WHERE path = ? AND journal.id > ? AND kind != 'undo' AND undone_by IS NULL",
            (os.fsencode(change.old.path), change.id),
        ).fetchone()[0]
        return run

    def is_restored(self, change: Change, now: Track) -> bool:
        """Whether an undo that was killed before it could say so left the file as `now`."""
        row = self.do(
            "SELECT 1 FROM journal WHERE reverts = ? AND new_size = ? AND new_mtime_ns = ? "
            "AND (new_size, new_mtime_ns) != (old_size, old_mtime_ns)",
            (change.id, *_identity(now)),
        ).fetchone()
        return row is not None

    def mark_undone(self, change: Change, by: int, now: Track) -> None:
        """Note that a change was taken back by run `by`, which left the file as `now`."""
        with self.transaction():
            self._set_standing(change.id, by)
            # The file is again what an earlier run left: that run can be undone in turn.
            path, old, new = os.fsencode(now.path), _identity(change.old), _identity(now)
            self._move("journal", path, old, new)

    def _set_standing(self, entry: int, undone_by: int | None) -> None:
        """An entry stands or was undone; if it is an undo, what it reverts is turned as well."""
        run, reverts = self.do("SELECT run, reverts FROM journal WHERE id = ?", (entry,)).fetchone()
        self.do("UPDATE journal SET undone_by = ? WHERE id = ?", (undone_by, entry))
        if reverts is None:
            return
        was_by = self.do("SELECT undone_by FROM journal WHERE id = ?", (reverts,)).fetchone()[0]
        # An undo that was killed before it replaced the file never turned what it meant to.
        if undone_by is None or was_by == run:
            self._set_standing(reverts, run if undone_by is None else None)

    def relocate(self, moves: Mapping[Path, Track]) -> None:
        """Files were moved: all that is known of an old path holds for the new one.

        Where the size is what we left, the time is taken as it is now: a copy may have lost it.
        """
        with self.transaction():
            for old, now in moves.items():
                names = (os.fsencode(now.path), os.fsencode(old))
                for table in ("predictions", "failures", "tags"):
                    self.do(f"UPDATE OR REPLACE {table} SET path = ? WHERE path = ?", names)
                self.do("UPDATE journal SET path = ? WHERE path = ?", names)
                left = self.do(
                    "SELECT new_size, new_mtime_ns FROM journal WHERE path = ? ORDER BY id DESC",
                    names[:1],
                ).fetchone()
                if left is not None and left[0] == now.size:
                    for table in ("predictions", "journal"):
                        self._move(table, names[0], left, _identity(now))

    def paths(self) -> Iterable[Path]:
        """Every path that the journal speaks of."""
        rows = self.do("SELECT DISTINCT path FROM journal").fetchall()
        return (Path(os.fsdecode(name)) for (name,) in rows)


def _identity(track: Track) -> tuple[int, int]:
    return track.size, track.mtime_ns


def _change(
    entry: int, name: bytes, before: str, after: str, *states: int
) -> Change:  # fmt: skip
    path = Path(os.fsdecode(name))
    stored: Any = json.loads(before)
    fields = {field: tuple(values) for field, values in stored["values"].items()}
    genres = json.loads(after)
    return Change(
        entry,
        Track(path, *states[:2]),
        Track(path, *states[2:]),
        GenreFields(fields, stored["has_tags"]),
        None if genres is None else tuple(genres),
    )
