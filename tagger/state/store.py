"""What is stored between runs, in one SQLite file: predictions, failures, tags, the journal.

A prediction belongs to (path, checkpoint fingerprint, plan) and is valid while the file keeps its
size and mtime; one in another precision takes its place. A stored tag is valid while the file also
keeps its ctime, which no editor restores.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tagger.errors import DamagedState
from tagger.state.database import locked, set_aside
from tagger.state.recognition import Recognition
from tagger.types import Prediction, TagInfo, Track


class State(Recognition):
    """The open state file; a context manager. Raises `StateError` for any error of SQLite."""

    charset: str | None = None  # of the tags that are read, see `use_charset`

    def use_charset(self, charset: str | None) -> None:
        """Read old texts in tags with this charset; tags stored without it do not count."""
        self.charset = charset
        if charset is not None:
            # A temporary table hides the real one of the same name.
            self.do("CREATE TEMP TABLE tags AS SELECT * FROM main.tags WHERE false")
            self.do("CREATE UNIQUE INDEX temp.tags_by_path ON tags (path)")

    def save_prediction(self, prediction: Prediction, fingerprint: str, plan: str) -> None:
        """Store a prediction; it replaces an older one with the same path, checkpoint and plan."""
        track = prediction.track
        row = (
            os.fsencode(track.path), fingerprint, plan, track.size, track.mtime_ns,
            array("f", prediction.probabilities).tobytes(), prediction.agreement,
            prediction.windows, prediction.seconds, track.audio,
            prediction.note, prediction.precision,
        )  # fmt: skip
        marks = ", ".join("?" * len(row))
        self.do(f"INSERT OR REPLACE INTO predictions VALUES ({marks})", row)

    def save_failure(self, track: Track, reason: str, fingerprint: str, decoders: str) -> None:
        """Store why a track could not be predicted with these decoders."""
        row = (
            os.fsencode(track.path), fingerprint, track.size, track.mtime_ns, decoders, reason,
            track.audio,
        )  # fmt: skip
        self.do("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def has_changed(self, track: Track) -> bool:
        """Whether there are predictions for its path, but none for the file as it is now.

        An edit of the tags is no change, if the fingerprint of the audio is known.
        """
        found = self.rows(
            "SELECT size, mtime_ns, audio FROM predictions WHERE path = ?",
            (os.fsencode(track.path),),
        )
        return bool(found) and not any(
            (size, mtime_ns) == (track.size, track.mtime_ns) or (audio and audio == track.audio)
            for size, mtime_ns, audio in found
        )

    def save_tag(self, track: Track, tag: TagInfo) -> None:
        """Store the content of a file's tag."""
        row = (os.fsencode(track.path), track.size, track.mtime_ns, track.ctime_ns)
        info = json.dumps(asdict(tag))
        self.do("INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?, ?)", (*row, info))

    def find_tag(self, track: Track) -> TagInfo | None:
        """The content of a file's tag when it was last read, if the file is still the same."""
        row = self.do(
            "SELECT info FROM tags WHERE path = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ?",
            (os.fsencode(track.path), track.size, track.mtime_ns, track.ctime_ns),
        ).fetchone()
        return None if row is None else tag_info(row[0])

    def tagged_genres(self) -> list[str]:
        """The values in the genre fields of all tags that are stored, the most frequent first."""
        rows = self.rows(
            "SELECT value FROM tags, json_each(tags.info, '$.genres') "
            "GROUP BY value ORDER BY count(*) DESC"
        )
        return [value for (value,) in rows]


def tag_info(stored: str) -> TagInfo:
    """What `save_tag` stored."""
    values = json.loads(stored)
    values = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    return TagInfo(**values)


def default_state() -> Path:
    """The state file in the user's state folder."""
    import platformdirs

    return platformdirs.user_state_path("tag-genres") / "state.sqlite3"


def open_state(path: Path | None, notify: Callable[[str], None]) -> State:
    """The state at `path`, or in the user's folder; a damaged file is set aside and reported."""
    chosen, ours = path or default_state(), path is None
    try:
        return State(chosen, ours=ours)
    except DamagedState:
        with locked(chosen, notify):
            return _start_over(chosen, notify, ours=ours)


def _start_over(path: Path, notify: Callable[[str], None], *, ours: bool) -> State:
    try:
        return State(path, ours=ours)  # another run did this while this one waited
    except DamagedState:
        aside = set_aside(path)
    notify(
        f"the state file {path} is damaged; it is kept as {aside}, and a new one is started: "
        "every track is predicted again, and the changes of earlier runs cannot be undone with it"
    )
    return State(path, ours=ours)
