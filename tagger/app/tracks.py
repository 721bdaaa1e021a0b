"""The tracks of a run, in order, with what the state knows about them.

They are stored in a temporary table of the state's connection, which SQLite keeps in a file, and
read a page at a time: memory does not grow with the number of tracks, and nothing is locked
between pages.
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
from typing import Any, NamedTuple

from tagger.audio.decoders import decoder_versions
from tagger.audio.windows import WindowPlan
from tagger.models.checkpoint import ModelInfo
from tagger.state.recognition import KnownBy
from tagger.state.store import State, tag_info
from tagger.types import Failure, Prediction, PredictOptions, TagInfo, Track

PAGE_ROWS = 500
CHANGED = "another program changed it meanwhile; run again"
TABLE = """
CREATE TEMP TABLE run_tracks (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    suffix TEXT, audio BLOB, failure TEXT, is_left_out INTEGER NOT NULL DEFAULT 0,
    is_new INTEGER NOT NULL DEFAULT 0
)
"""
INSERT = (
    "INSERT INTO run_tracks (path, size, mtime_ns, ctime_ns, suffix, failure) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
COLUMNS = (
    "id, run.path, run.size, run.mtime_ns, run.ctime_ns, "
    "coalesce(run.audio, predicted.audio, failed.audio), "
    "coalesce(failure, CASE WHEN predicted.path IS NULL THEN reason END), is_left_out, "
    "probabilities, agreement, windows, seconds, predicted.note, predicted.precision, is_new, info"
)
# What is known about each track in its present state; `RunTracks._keys` fills the placeholders.
KNOWN = """
FROM run_tracks AS run
LEFT JOIN predictions AS predicted ON predicted.path = run.path AND predicted.fingerprint = ?
    AND predicted.plan = ? AND ? IN ('auto', predicted.precision)
    AND predicted.size = run.size AND predicted.mtime_ns = run.mtime_ns
LEFT JOIN failures AS failed ON failed.path = run.path AND failed.fingerprint = ?
    AND failed.decoders = ? AND failed.size = run.size AND failed.mtime_ns = run.mtime_ns
LEFT JOIN tags ON tags.path = run.path AND tags.size = run.size
    AND tags.mtime_ns = run.mtime_ns AND tags.ctime_ns = run.ctime_ns
LEFT JOIN again ON ? AND again.path = run.path AND again.fingerprint = ? AND again.plan = ?
"""
HAS_RESULT = "coalesce(predicted.path, failed.path) IS NOT NULL"
IS_UNKNOWN = f"failure IS NULL AND NOT is_left_out AND (again.path IS NOT NULL OR NOT {HAS_RESULT})"
IS_KNOWN = f"failure IS NULL AND NOT is_left_out AND again.path IS NULL AND {HAS_RESULT}"
# Known only by path, size and time.
LACKS_AUDIO = f"{IS_KNOWN} AND coalesce(predicted.audio, failed.audio) IS NULL"

TrackResult = Prediction | Failure | Track  # a `Track` was left out


class TrackCounts(NamedTuple):
    """Numbers of tracks."""

    tracks: int
    unknown: int
    left_out: int


class RunTracks:
    """The tracks and failures of a scan, with what is known about them for one model and plan.

    Raises `StateError` for any error of SQLite.
    """

    def __init__(
        self,
        items: Iterable[Track | Failure],
        state: State,
        info: ModelInfo,
        options: PredictOptions,
    ) -> None:
        self.state, self.info, self.options = state, info, options
        self.left_out_by: set[str] = set()  # options, such as --skip
        self.again = False  # whether known tracks are predicted too, see `predict_again`
        try:
            tempfile.gettempdir()
        except OSError:  # no folder for temporary files, as in a read-only container
            state.do("PRAGMA temp_store = MEMORY")
        state.do("DROP TABLE IF EXISTS temp.run_tracks")
        state.do(TABLE)
        state.do_many(INSERT, map(_row, items))

    def with_model(self, info: ModelInfo) -> RunTracks:
        """The same tracks, with what is known about them for another model.

        A track that is left out, or fails, is left out or fails with every model.
        """
        other = copy(self)
        other.info = info
        return other

    @property
    def plan(self) -> WindowPlan:
        """Which windows are scored."""
        return self.info.plan(self.options.windows)

    @cached_property
    def decoders(self) -> str:
        """The decoders and time limit; if they change, tracks that failed are tried again."""
        return f"{decoder_versions()}, {self.options.decode_timeout:g} s"

    @property
    def _known_by(self) -> KnownBy:
        model, plan = self.info.fingerprint, self.plan.key
        return KnownBy(model, plan, self.options.precision, self.decoders)

    @property
    def _keys(self) -> tuple[str | bool, ...]:
        model, plan, precision, decoders = self._known_by
        return model, plan, precision, model, decoders, self.again, model, plan

    def count(self) -> int:
        """The number of tracks and failures."""
        return int(self.state.rows("SELECT count(*) FROM run_tracks")[0][0])

    def count_tracks(self) -> TrackCounts:
        """How many tracks there are in all, unknown, and left out."""
        query = f"SELECT count(run.size), total({IS_UNKNOWN}), total(is_left_out) {KNOWN}"
        return TrackCounts(*map(int, self.state.rows(query, self._keys)[0]))

    def count_known(self) -> int:
        """How many tracks are known from earlier runs, before any of them is predicted."""
        return int(self.state.rows(f"SELECT total({IS_KNOWN}) {KNOWN}", self._keys)[0][0])

    def unknown_sizes(self) -> Iterator[tuple[str, int, int]]:
        """For each suffix the number of unknown tracks, and the bytes of all their files."""
        query = f"SELECT suffix, count(*), total(run.size) {KNOWN} WHERE {IS_UNKNOWN}"
        for suffix, count, size in self.state.rows(f"{query} GROUP BY 1", self._keys):
            yield suffix, count, int(size)

    def failed_only_by(self, reason: str) -> bool:
        """Whether there are only failures for this reason, or nothing at all."""
        other = "SELECT EXISTS (SELECT 1 FROM run_tracks WHERE failure IS NOT ?)"
        return not self.state.rows(other, (reason,))[0][0]

    def folders(self) -> Iterator[Path]:
        """The folder of each item, once for consecutive items of one folder."""
        paths = (os.fsdecode(row[1]) for row in self._rows("true"))
        for folder, _ in groupby(map(os.path.dirname, paths)):
            yield Path(folder)

    def tracks(self) -> Iterator[tuple[int, Track, TagInfo | None]]:
        """Each track with its row number, and its tag as it was last read."""
        for row in self._rows("run.size IS NOT NULL"):
            yield row[0], _track(row), self._tag(row)

    def unknown(self) -> Iterator[tuple[int, Track, TagInfo | None]]:
        """Each unknown track with its row number, and its tag as it was last read.

        A track that becomes known meanwhile is not yielded again.
        """
        for row in self._rows(IS_UNKNOWN):
            yield row[0], _track(row), self._tag(row)

    def items(self) -> Iterator[tuple[TrackResult, TagInfo | None]]:
        """The result for each track, once all are predicted, and its tag as it was last read."""
        info = self.info
        for row in self._rows("true"):
            failure, is_left_out, shares, agreement, windows, seconds, note = row[6:13]
            precision, is_new = row[13:15]
            item: TrackResult
            if is_left_out:
                item = _track(row)
            elif failure is not None:
                item = Failure(Path(os.fsdecode(row[1])), failure)
            elif shares is not None:
                values, labels = tuple(array("f", shares)), info.labels
                item = Prediction(
                    _track(row), labels, values, agreement, windows, seconds, info.multi_label,
                    note=note, precision=precision, stored=not is_new,
                )  # fmt: skip
            else:
                item = Failure(Path(os.fsdecode(row[1])), CHANGED)
            yield item, self._tag(row)

    def unrecognised(self) -> Iterator[tuple[int, Track]]:
        """Each track whose audio may say what is known about it, with its row number.

        These are the unknown ones, and those that are known without a fingerprint.
        """
        for row in self._rows(self._is_unrecognised):
            yield row[0], _track(row)

    def count_unrecognised(self) -> int:
        """The number of tracks in `unrecognised`."""
        query = f"SELECT count(*) {KNOWN} WHERE {self._is_unrecognised}"
        return int(self.state.rows(query, self._keys)[0][0])

    @property
    def _is_unrecognised(self) -> str:
        return f"({LACKS_AUDIO} OR {IS_UNKNOWN})" if self.state.knows_audio() else LACKS_AUDIO

    def recognise(self, row: int, track: Track) -> bool:
        """Whether a track with a fingerprint is known by it; the fingerprint is stored."""
        self.state.do("UPDATE run_tracks SET audio = ? WHERE id = ?", (track.audio, row))
        self.state.save_audio(track)
        return self.state.recognise(track, self._known_by)

    def refresh(self, track: Track) -> None:
        """Note that we have written the file of a track, which is now as given."""
        self.state.do("CREATE INDEX IF NOT EXISTS temp.run_by_path ON run_tracks (path)")
        self.state.do(
            "UPDATE run_tracks SET size = ?, mtime_ns = ?, ctime_ns = ? WHERE path = ?",
            (track.size, track.mtime_ns, track.ctime_ns, os.fsencode(track.path)),
        )

    def leave_out(self, row: int, option: str) -> None:
        """Do not predict the track of a row, and ignore any stored prediction of it."""
        self.left_out_by.add(option)
        self.state.do("UPDATE run_tracks SET is_left_out = 1 WHERE id = ?", (row,))
        its_path = "path = (SELECT path FROM run_tracks WHERE id = ?)"
        self.state.do(f"DELETE FROM again WHERE {its_path}", (row,))

    def count_again(self) -> int:
        """How many tracks an earlier run was to predict again, and did not."""
        query = (
            "SELECT count(*) FROM run_tracks AS run JOIN again ON again.path = run.path "
            "WHERE again.fingerprint = ? AND again.plan = ? AND failure IS NULL AND NOT is_left_out"
        )
        return int(self.state.rows(query, self._known_by[:2])[0][0])

    def mark_again(self) -> None:
        """Note that each known track is to be predicted again; what is known stays until then."""
        self.state.do(
            f"INSERT OR IGNORE INTO again SELECT run.path, ?, ? {KNOWN} WHERE {IS_KNOWN}",
            (*self._known_by[:2], *self._keys),
        )

    def precisions(self) -> dict[str, int]:
        """How many tracks have a prediction in each precision, whether it counts or not.

        Those of earlier versions have the precision "".
        """
        model, plan, _, *others = self._keys
        query = (
            f"SELECT predicted.precision, count(*) {KNOWN} "
            f"WHERE {IS_KNOWN} AND predicted.path IS NOT NULL GROUP BY 1"
        )
        return dict(self.state.rows(query, (model, plan, "auto", *others)))

    def save(self, row: int, track: Track, result: Prediction | Failure) -> None:
        """Store the result for an unknown track; a failure only if the next run would fail too."""
        model, plan, *_ = self._known_by
        if isinstance(result, Prediction):
            self.state.save_prediction(result, model, plan)
            self.state.do("UPDATE run_tracks SET is_new = 1 WHERE id = ?", (row,))
        else:
            self._save_failure(row, track, result)
        if self.again:  # no other model is given a track that failed
            self.state.do(
                "DELETE FROM again WHERE path = ? AND (? OR fingerprint = ? AND plan = ?)",
                (os.fsencode(track.path), isinstance(result, Failure), model, plan),
            )

    def _save_failure(self, row: int, track: Track, result: Failure) -> None:
        self.state.do("UPDATE run_tracks SET failure = ? WHERE id = ?", (result.reason, row))
        if result.lasting:
            self.state.save_failure(track, result.reason, self.info.fingerprint, self.decoders)

    def _tag(self, row: Any) -> TagInfo | None:
        return None if row[-1] is None else tag_info(row[-1])

    def _rows(self, where: str) -> Iterator[Any]:
        query = f"SELECT {COLUMNS} {KNOWN} WHERE id > ? AND {where} ORDER BY id LIMIT {PAGE_ROWS}"
        last = 0
        while rows := self.state.rows(query, (*self._keys, last)):
            yield from rows
            last = rows[-1][0]


def _row(item: Track | Failure) -> tuple[bytes | int | str | None, ...]:
    path = os.fsencode(item.path)
    if isinstance(item, Failure):
        return path, None, None, None, None, item.reason
    suffix = item.path.suffix.lower()
    text = suffix if suffix.isascii() else ""  # SQLite takes no half of a character
    return path, item.size, item.mtime_ns, item.ctime_ns, text, None


def _track(row: Any) -> Track:
    return Track(Path(os.fsdecode(row[1])), *row[2:6])
