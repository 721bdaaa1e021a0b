"""Files that changed their path, size or time are recognised: by their audio, or as a move says."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tagger.files.mounts import mount_of
from tagger.state.decisions import Decisions
from tagger.state.journal import Change, identity_of
from tagger.types import Track

MOST_PATHS = 10  # of copies with the same audio, such as silence, that are looked at
# Each table with what tells the results of one file apart, beside its path.
KEYS = {"predictions": ("fingerprint", "plan"), "failures": ("fingerprint",)}
TABLES = tuple(KEYS)
# Here the ctime is the mtime, which anybody may set, or of another clock than the mtime.
ODD_CTIME = frozenset(["vfat", "msdos", "exfat", "fuse.sshfs", "cifs", "smb3"])


# "auto" takes a prediction in any precision.
RIGHT_PRECISION = "? IN ('auto', precision)"


class KnownBy(NamedTuple):
    """Which results of a track are looked for."""

    fingerprint: str  # of the model
    plan: str  # of the windows
    precision: str  # one of types.PRECISIONS
    decoders: str


class Recognition(Decisions):
    """What is known about a file follows its audio to other paths."""

    def knows_audio(self) -> bool:
        """Whether any track can be recognised by its audio."""
        found = "SELECT EXISTS (SELECT 1 FROM {0} WHERE audio > x'')"
        return any(self.rows(found.format(table))[0][0] for table in (*TABLES, "decisions"))

    def save_audio(self, track: Track) -> None:
        """Store the fingerprint of a track where the same version of its file is known without."""
        path, identity = os.fsencode(track.path), (track.size, track.mtime_ns)
        for table in TABLES:
            self.do(
                f"UPDATE {table} SET audio = ? "
                "WHERE path = ? AND size = ? AND mtime_ns = ? AND audio IS NULL",
                (track.audio, path, *identity),
            )
        # A write leaves the audio, so earlier entries of the journal concern the same audio.
        self.do(
            "UPDATE journal SET audio = ? WHERE path = ? AND audio IS NULL AND EXISTS "
            "(SELECT 1 FROM journal AS entry WHERE entry.path = journal.path AND (?, ?) IN "
            "((entry.old_size, entry.old_mtime_ns), (entry.new_size, entry.new_mtime_ns)))",
            (track.audio, path, *identity),
        )

    def recognise(self, track: Track, known_by: KnownBy) -> bool:
        """Whether there is a result for the same audio, at any path.

        Then `settle_recognised` will store it for this track. Until then nothing is overwritten:
        two tracks may have swapped their names.
        """
        conditions: dict[str, tuple[str, tuple[str, ...]]] = {
            "predictions": (
                f"plan = ? AND {RIGHT_PRECISION}", (known_by.plan, known_by.precision)
            ),
            "failures": ("decoders = ?", (known_by.decoders,)),
        }  # fmt: skip
        for table, (condition, values) in conditions.items() if track.audio else ():
            self.do(
                f"CREATE TEMP TABLE IF NOT EXISTS recognised_{table} AS "
                f"SELECT *, path AS known_path FROM {table} WHERE false"
            )
            columns = [row[1] for row in self.rows(f"PRAGMA table_info({table})")]
            new = dict.fromkeys(("path", "size", "mtime_ns"), "?")
            found = self.do(
                f"INSERT INTO recognised_{table} "
                f"SELECT {', '.join(new.get(name, name) for name in columns)}, path FROM {table} "
                f"WHERE audio = ? AND fingerprint = ? AND {condition} LIMIT 1",
                (
                    os.fsencode(track.path), track.size, track.mtime_ns, track.audio,
                    known_by.fingerprint, *values,
                ),
            )  # fmt: skip
            if found.rowcount:
                return True
        return False

    def settle_recognised(self) -> None:
        """Store the results for the tracks that `recognise` found.

        A result moves if the file is gone from the other path, and else both tracks have it. Those
        of other models stay where they are, until these look for them.
        """
        temporary = self.rows("SELECT name FROM temp.sqlite_master WHERE name LIKE 'recognised_%'")
        for (name,) in temporary:
            table = name.removeprefix("recognised_")
            columns = ", ".join(row[1] for row in self.rows(f"PRAGMA table_info({table})"))
            keys = ", ".join(("known_path", "audio", *KEYS[table]))
            query = f"SELECT {keys}, min(path) FROM {name} GROUP BY {keys}"
            with self.transaction():
                gone = [row for row in self.rows(query) if not os.path.lexists(row[0])]
                own = " AND ".join(f"{key} = ?" for key in ("path", "audio", *KEYS[table]))
                self.do_many(f"DELETE FROM {table} WHERE {own}", (row[:-1] for row in gone))
                self.do(f"INSERT OR REPLACE INTO {table} SELECT {columns} FROM {name}")
                moves = (row[:2] + row[-1:] for row in gone)
                followed = [move for move in moves if not self.is_twin(*move)]
                # The journal follows, unless it knows the new path as that of another copy.
                self.do_many(
                    "UPDATE journal SET path = ?3 WHERE path = ?1 AND audio = ?2 AND NOT EXISTS "
                    "(SELECT 1 FROM journal AS other WHERE other.path = ?3 AND other.audio = ?2)",
                    followed,
                )
            self.do(f"DROP TABLE {name}")

    def former_paths(self, track: Track) -> list[Path]:
        """The latest few paths where the journal knows the audio of a track.

        None if it knows that audio at the path of the track too.
        """
        rows = self.rows(
            "SELECT DISTINCT path FROM journal WHERE audio = ?1 AND audio != x'' AND NOT EXISTS "
            "(SELECT 1 FROM journal WHERE path = ?2 AND audio = ?1) ORDER BY id DESC LIMIT ?3",
            (track.audio, os.fsencode(track.path), MOST_PATHS),
        )
        return [Path(os.fsdecode(path)) for (path,) in rows]

    def is_twin(self, known: bytes, audio: bytes | None, path: bytes) -> bool:
        """Whether the file at `path` is surely not the one at a known path with the same audio."""
        changes = self.in_effect(Path(os.fsdecode(known)))
        changes = [change for change in changes if change.new.audio == audio]
        return bool(changes) and is_from_before(changes[0], Path(os.fsdecode(path)))

    def relocate(self, moves: Sequence[tuple[Track, Track]]) -> None:
        """Let the journal follow each file from its old to its present place.

        So do results that are known without a fingerprint; others are found by it. Later checks of
        the content show whether it is the right file.
        """
        with self.transaction():
            # In two steps, since files may have swapped their names.
            for number, (old, _) in enumerate(moves):
                names = _placeholder(number), os.fsencode(old.path)
                journalled = (
                    "UPDATE journal SET path = ? WHERE path = ? AND coalesce(audio = ?, true)"
                )
                self.do(journalled, (*names, old.audio))
                for table in TABLES:
                    self.do(f"UPDATE {table} SET path = ? WHERE path = ? AND audio IS NULL", names)
            for number, (_, now) in enumerate(moves):
                path, placeholder = os.fsencode(now.path), _placeholder(number)
                self.do("UPDATE journal SET path = ? WHERE path = ?", (path, placeholder))
                for table in TABLES:
                    names = path, placeholder
                    self.do(f"UPDATE OR IGNORE {table} SET path = ? WHERE path = ?", names)
                    self.do(f"DELETE FROM {table} WHERE path = ?", (placeholder,))
                    # A copy may have lost its time; of earlier versions only the size is known.
                    self.do(
                        f"UPDATE {table} SET mtime_ns = ? "
                        "WHERE path = ? AND size = ? AND audio IS NULL",
                        (now.mtime_ns, path, now.size),
                    )


def is_from_before(change: Change, path: Path) -> bool:
    """Whether nothing changed the file at a path since before a change: it is not the changed file.

    No program can set back the ctime. False where it says nothing, or there is no file.
    """
    new = change.new
    if sys.platform == "win32" or new.mtime_ns == change.old.mtime_ns:  # it has no time
        return False
    try:
        status = path.stat()
    except OSError:
        return False
    is_left = identity_of(Track.of(path, status)) == identity_of(new)
    if is_left or status.st_ctime_ns >= new.mtime_ns:
        return False
    return mount_of(status.st_dev).kind not in ODD_CTIME


def _placeholder(number: int) -> bytes:
    return b"\0%d" % number  # no path has a zero byte
