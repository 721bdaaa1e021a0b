"""What a person decided about the genres of a file, which later runs leave as it is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from tagger.state.journal import Journal
from tagger.types import Track

COLUMNS = "decisions.id, decisions.path, decisions.audio, genres, kind, decided, decisions.run"
MOST_COPIES = 10  # of files with the same audio, such as silence, that are looked at
# A decision is in effect as long as the change that it made. One that left the file as it was has
# no entry in the journal; the undo of its run marks it.
IN_EFFECT = (
    "FROM decisions LEFT JOIN journal ON journal.id = decisions.entry "
    "WHERE coalesce(journal.undone_by, decisions.undone_by) IS NULL"
)


@dataclass(frozen=True, slots=True)
class Decided:
    """The genres that a person chose for one file."""

    id: int
    path: Path
    audio: bytes | None  # the fingerprint of its audio, as in `Track`
    genres: tuple[str, ...]  # of the whole tag; another program may have changed them since
    kind: str  # how they were chosen: "confirm"
    when: str  # ISO 8601, UTC
    run: int

    def is_of(self, track: Track) -> bool:
        """Whether it was made about the audio of a track, as far as both are known."""
        return not (self.audio and track.audio) or self.audio == track.audio


class Decisions(Journal):
    """A decision holds as long as the change that it made; undoing an undo brings it back too.

    `Journal.record` and `decide` come before the file is replaced, and `Journal.forget` deletes
    what both have stored: a kill leaves no decision without its genres, nor the opposite.
    """

    @cached_property
    def _known(self) -> set[bytes]:
        """Paths and fingerprints of all decisions: for any other file, none is looked for."""
        rows = self.rows("SELECT path, audio FROM decisions")
        return {value for row in rows for value in row if value}

    def decide(
        self, run: int, track: Track, genres: Sequence[str], kind: str, entry: int | None = None
    ) -> None:
        """Store what a person chose for a file, as `entry` of the journal is about to write it.

        Without an entry, the file has these genres already.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        row = (os.fsencode(track.path), track.audio, json.dumps(list(genres)), kind, now, run)
        with self.transaction():
            self.do(
                "INSERT INTO decisions (path, audio, genres, kind, decided, run, entry) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*row, entry),
            )
        self._known.update(filter(None, (os.fsencode(track.path), track.audio)))

    def decided(self, track: Track) -> list[Decided]:
        """The decisions in effect about the file at its path, or else with its audio; latest first.

        A file with other audio at the path is another one.
        """
        path = os.fsencode(track.path)
        if self._known.isdisjoint((path, track.audio or b"")):
            return []
        at_path = f"SELECT {COLUMNS} {IN_EFFECT} AND decisions.path = ? ORDER BY decisions.id DESC"
        found = [_decided(row) for row in self.rows(at_path, (path,))]
        same = [each for each in found if each.is_of(track)]
        if same or not track.audio:
            return same
        by_audio = (
            f"SELECT {COLUMNS} {IN_EFFECT} AND decisions.audio = ? "
            "ORDER BY decisions.id DESC LIMIT ?"
        )
        return [_decided(row) for row in self.rows(by_audio, (track.audio, MOST_COPIES))]

    def follow(self, decided: Decided, path: Path) -> None:
        """Note that the file of a decision is at another path now."""
        self._known.add(os.fsencode(path))
        self.do("UPDATE decisions SET path = ? WHERE id = ?", (os.fsencode(path), decided.id))

    def unwritten_decisions(self, *runs: int) -> list[Decided]:
        """The decisions in effect that left their files as they were; by these runs, or by any."""
        marks = ", ".join("?" * len(runs))
        of_runs = f" AND decisions.run IN ({marks})" if runs else ""
        rows = self.rows(f"SELECT {COLUMNS} {IN_EFFECT} AND entry IS NULL{of_runs}", runs)
        return list(map(_decided, rows))

    def take_back(self, decided: Sequence[Decided], by: int) -> None:
        """Note that the run `by` undid decisions that left their files as they were."""
        self.do_many(
            "UPDATE decisions SET undone_by = ? WHERE id = ?", ((by, each.id) for each in decided)
        )

    def bring_back(self, *undos: int) -> None:
        """Put the decisions into effect again that these undos took back."""
        marks = ", ".join("?" * len(undos))
        self.do(f"UPDATE decisions SET undone_by = NULL WHERE undone_by IN ({marks})", undos)


def _decided(row: Sequence[Any]) -> Decided:
    number, path, audio, genres, kind, when, run = row
    return Decided(
        number, Path(os.fsdecode(path)), audio, tuple(json.loads(genres)), kind, when, run
    )
