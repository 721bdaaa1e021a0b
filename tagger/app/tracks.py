"""The tracks of a run, in order, with what the state knows of them.

They lie in a temporary table of the state's connection, which SQLite keeps in a file, and are read
a page at a time: memory does not grow with the tracks, and between pages nothing is locked.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from copy import copy
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from tagger.audio.decoders import decoder_versions
from tagger.audio.windows import WindowPlan
from tagger.models.checkpoint import ModelInfo
from tagger.state.store import State, tag_info
from tagger.types import Failure, Prediction, PredictOptions, TagInfo, Track

PAGE_ROWS = 500
CHANGED = "another program changed it meanwhile; run again"
TABLE = """
CREATE TEMP TABLE found (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    failure TEXT, is_left_out INTEGER NOT NULL DEFAULT 0
)
"""
INSERT = "INSERT INTO found (path, size, mtime_ns, ctime_ns, failure) VALUES (?, ?, ?, ?, ?)"
COLUMNS = (
    "id, found.path, found.size, found.mtime_ns, found.ctime_ns, "
    "coalesce(failure, CASE WHEN heard.path IS NULL THEN reason END), is_left_out, "
    "probabilities, agreement, windows, seconds, info"
)
# What is known of a track as it is; `RunTracks._keys` are the values.
KNOWN = """
FROM found
LEFT JOIN predictions AS heard ON heard.path = found.path AND heard.fingerprint = ?
    AND heard.plan = ? AND heard.size = found.size AND heard.mtime_ns = found.mtime_ns
LEFT JOIN failures AS failed ON failed.path = found.path AND failed.fingerprint = ?
    AND failed.decoders = ? AND failed.size = found.size AND failed.mtime_ns = found.mtime_ns
LEFT JOIN tags ON tags.path = found.path AND tags.size = found.size
    AND tags.mtime_ns = found.mtime_ns AND tags.ctime_ns = found.ctime_ns
"""
IS_UNKNOWN = "coalesce(failure, heard.path, failed.path) IS NULL AND NOT is_left_out"

TrackResult = Prediction | Failure | Track  # a track was left out


class RunTracks:
    """What was found, and what is known of it with this model and plan.

    Raises `StateError` for whatever SQLite reports.
    """

    def __init__(
        self,
        items: Iterable[Track | Failure],
        state: State,
        info: ModelInfo,
        options: PredictOptions,
    ) -> None:
        self.state, self.info, self.options = state, info, options
        try:
            tempfile.gettempdir()
        except OSError:  # there is no place for a file, as in a read-only container
            state.do("PRAGMA temp_store = MEMORY")
        state.do("DROP TABLE IF EXISTS temp.found")
        state.do(TABLE)
        state.do_many(INSERT, map(_row, items))

    def heard_by(self, info: ModelInfo) -> RunTracks:
        """The same items, and what is known of them with another model.

        What is left out, or fails, is so with every model.
        """
        other = copy(self)
        other.info = info
        return other

    @property
    def plan(self) -> WindowPlan:
        """Which windows are heard."""
        return self.info.plan(self.options.windows)

    @cached_property
    def decoders(self) -> str:
        """What a failure was found with; with anything else, its track is tried again."""
        return f"{decoder_versions()}, {self.options.decode_timeout:g} s"

    @property
    def _keys(self) -> tuple[str, ...]:
        return self.info.fingerprint, self.plan.key, self.info.fingerprint, self.decoders

    def count(self) -> int:
        """Of all items."""
        return int(self.state.rows("SELECT count(*) FROM found")[0][0])

    def count_tracks(self) -> tuple[int, int, int]:
        """How many tracks there are, how many of them are unknown, and how many were left out."""
        query = f"SELECT count(found.size), total({IS_UNKNOWN}), total(is_left_out) {KNOWN}"
        tracks, unknown, left_out = self.state.rows(query, self._keys)[0]
        return tracks, int(unknown), int(left_out)

    def failed_only_by(self, reason: str) -> bool:
        """Whether there is nothing but failures for this reason, or nothing at all."""
        other = "SELECT EXISTS (SELECT 1 FROM found WHERE failure IS NOT ?)"
        return not self.state.rows(other, (reason,))[0][0]

    def folders(self) -> Iterator[Path]:
        """The folder of each item, once for items that follow each other."""
        paths = (os.fsdecode(row[1]) for row in self._rows("true"))
        for folder, _ in groupby(map(os.path.dirname, paths)):
            yield Path(folder)

    def tracks(self) -> Iterator[tuple[int, Track, TagInfo | None]]:
        """Each track with its number, and its tag as it was last read."""
        for row in self._rows("found.size IS NOT NULL"):
            yield row[0], _track(row), _tag(row)

    def unknown(self) -> Iterator[tuple[int, Track, TagInfo | None]]:
        """Each track of which nothing is known, with its number, and its tag as it was last read.

        What becomes known meanwhile, is not met again.
        """
        for row in self._rows(IS_UNKNOWN):
            yield row[0], _track(row), _tag(row)

    def items(self) -> Iterator[tuple[TrackResult, TagInfo | None]]:
        """What is known of each item once all is predicted, and its tag as it was last read."""
        info = self.info
        for row in self._rows("true"):
            failure, is_left_out, shares, agreement, windows, seconds = row[5:11]
            item: TrackResult
            if is_left_out:
                item = _track(row)
            elif failure is not None:
                item = Failure(Path(os.fsdecode(row[1])), failure)
            elif shares is not None:
                values, labels = tuple(array("f", shares)), info.labels
                item = Prediction(
                    _track(row), labels, values, agreement, windows, seconds, info.multi_label
                )
            else:
                item = Failure(Path(os.fsdecode(row[1])), CHANGED)
            yield item, _tag(row)

    def leave_out(self, number: int) -> None:
        """Do not predict a track, nor use what is known of it."""
        self.state.do("UPDATE found SET is_left_out = 1 WHERE id = ?", (number,))

    def save(self, number: int, track: Track, result: Prediction | Failure) -> None:
        """Keep what became of an unknown track; a failure only if the next run finds the same."""
        if isinstance(result, Prediction):
            self.state.save_prediction(result, self.info.fingerprint, self.plan.key)
            return
        self.state.do("UPDATE found SET failure = ? WHERE id = ?", (result.reason, number))
        if result.lasting:
            self.state.save_failure(track, result.reason, self.info.fingerprint, self.decoders)

    def _rows(self, where: str) -> Iterator[Any]:
        query = f"SELECT {COLUMNS} {KNOWN} WHERE id > ? AND {where} ORDER BY id LIMIT {PAGE_ROWS}"
        last = 0
        while rows := self.state.rows(query, (*self._keys, last)):
            yield from rows
            last = rows[-1][0]


def _row(item: Track | Failure) -> tuple[bytes, int | None, int | None, int | None, str | None]:
    path = os.fsencode(item.path)
    if isinstance(item, Failure):
        return path, None, None, None, item.reason
    return path, item.size, item.mtime_ns, item.ctime_ns, None


def _track(row: Any) -> Track:
    return Track(Path(os.fsdecode(row[1])), *row[2:5])


def _tag(row: Any) -> TagInfo | None:
    return None if row[-1] is None else tag_info(row[-1])
