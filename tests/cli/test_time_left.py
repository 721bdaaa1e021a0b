"""The time left that a bar shows is true, also where one track takes as long as many others.

A model of the machine, with a clock of its own, drives the real schedule, workload and bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from tagger.audio.reader import Placement, Waveforms
from tagger.audio.windows import AUTO, Count, WindowPlan, window_chunks
from tagger.cli import screen
from tagger.inference.batches import AHEAD
from tagger.inference.pending import PendingTrack
from tagger.inference.predict import UNFINISHED
from tagger.inference.schedule import Schedule
from tagger.inference.workload import Workload
from tagger.types import Track

WINDOW = 10.0  # s
PLACED = Placement("stub", 40_000, ((0, 40_000),))
SHARES = np.float32([[0.9, 0.1]])
SURE, DOUBTFUL = SHARES, np.float32([[0.55, 0.45]])


@dataclass
class Machine:
    """How long what takes, in seconds."""

    workers: int = 2
    batch: int = 8
    window: float = 0.1  # to score one
    decode: float = 0.05  # to decode a window
    opening: float = 0.02
    patience: float = 1.0


@dataclass
class Song:
    track: Track
    seconds: float
    decode: float = 1.0  # how many times as long its decoding takes


@dataclass
class Moment:
    now: float
    left: float | None
    tracks: int


def library(
    position: int, count: int = 64, seconds: float = 40.0, times: float = 30, known: bool = True
) -> list[Song]:
    """Songs, of which one is `times` as long; if not `known`, its size does not show that."""
    songs = []
    for number in range(count):
        length = seconds * (times if number == position else 1)
        size = 24_000 * (length if known else seconds)
        songs.append(Song(Track(Path(f"/{number:02}.mp3"), int(size), 1), length))
    return songs


class Simulation:
    def __init__(
        self, songs: list[Song], count: Count, machine: Machine, patch: pytest.MonkeyPatch
    ) -> None:
        self.now = 1000.0
        self.machine, self.songs = machine, songs
        patch.setattr(screen.time, "monotonic", lambda: self.now)
        plan = WindowPlan(int(WINDOW * 100), 100, count)
        tracks = [song.track for song in songs]
        self.work = Workload(plan)
        self.work.expect_all((track.path.suffix, 1, track.size) for track in tracks)
        limit = UNFINISHED * max(machine.batch, machine.workers)
        self.schedule = Schedule(tracks, plan, limit, machine.workers, self.work)
        patch.setattr("sys.stderr", StringIO())
        self.bar = screen.Step("predicting", len(songs), self.work)
        self.moments: list[Moment] = []
        self._free = [self.now] * machine.workers  # when each process is idle again
        self._requests: list[tuple[float, PendingTrack, int]] = []  # decoded when, what

    def run(self) -> list[Moment]:
        """The moments at which the bar was drawn, until all tracks are taken."""
        windows: list[PendingTrack] = []
        while not self.schedule.is_done:
            waited_since = self.now
            while len(windows) < self.machine.batch and self._request():
                if self._wait() - waited_since > self.machine.patience and windows:
                    break
                _, pending, number = self._requests.pop(self._ready())
                windows += self._decoded(pending, number)
            batch, windows = windows[: self.machine.batch], windows[self.machine.batch :]
            if batch:
                self._pass(self.machine.window * len(batch))
                self.schedule.add_scores(batch, np.concatenate([self._score(p) for p in batch]))
            for _ in self.schedule.take_finished():
                self.bar.n += 1
            self._draw()
        return self.moments

    def _request(self) -> bool:
        while len(self._requests) < (1 + AHEAD) * self.machine.workers:
            if (chunk := self.schedule.next_chunk()) is None:
                break
            pending, number = chunk
            song, worker = self.songs[pending.index], int(np.argmin(self._free))
            windows = len(self._chunk(pending, number))
            takes = self.machine.opening + windows * self.machine.decode * song.decode
            self._free[worker] = max(self._free[worker], self.now) + takes
            self._requests.append((self._free[worker], pending, number))
        return bool(self._requests)

    def _wait(self) -> float:
        """Wait for the first request, or, out of patience, for any; returns the time."""
        first = self._requests[0][0]
        if first > self.now + self.machine.patience:
            first = max(self.now + self.machine.patience, min(r[0] for r in self._requests))
        self._pass(max(0.0, first - self.now))
        return self.now

    def _ready(self) -> int:
        return next(n for n, request in enumerate(self._requests) if request[0] <= self.now)

    def _decoded(self, pending: PendingTrack, number: int) -> list[PendingTrack]:
        windows, song = len(self._chunk(pending, number)), self.songs[pending.index]
        samples = np.zeros((windows, 1), np.float32)
        total = self._total(pending)
        read = Waveforms(samples, (), total, song.seconds, PLACED)
        self.schedule.add_decoded(pending, read)
        return [pending] * windows

    def _chunk(self, pending: PendingTrack, number: int) -> range:
        return window_chunks(self._total(pending), self.schedule.plan)[number]

    def _total(self, pending: PendingTrack) -> int:
        whole = max(1, int(self.songs[pending.index].seconds / WINDOW))
        count = self.schedule.plan.count
        return min(whole, 32) if count == AUTO else count if isinstance(count, int) else whole

    def _score(self, pending: PendingTrack) -> np.ndarray:
        return SURE if pending.index % 3 else DOUBTFUL

    def _pass(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 0.2)
            self._draw()

    def _draw(self) -> None:
        self.moments.append(Moment(self.now, self.bar.status().left, self.bar.n))


def wrongest(moments: list[Moment], start: float = 1000.0) -> float:
    """The greatest factor between the time left that was shown, and what it was.

    After the first tenth; a second more or less, or a thirtieth of the run, is no fault.
    """
    end, worst = moments[-1].now, 1.0
    slack = max(1.0, (end - start) / 30)
    for moment in moments:
        left = end - moment.now
        if moment.now < start + 0.1 * (end - start) or moment.left is None:
            continue
        if abs(moment.left - left) > slack:
            worst = max(worst, moment.left / left, left / max(moment.left, 0.01))
    return worst


def kept_at_half(moments: list[Moment], start: float = 1000.0) -> int:
    """Tracks that are predicted when half of the time is over."""
    half = (start + moments[-1].now) / 2
    return max(moment.tracks for moment in moments if moment.now <= half)


POSITIONS = (0, 1, 6, 20, 32, 50, 62, 63)
MACHINES = [
    Machine(workers=1, batch=1, decode=0.01),
    Machine(workers=1, batch=8),
    Machine(workers=2, batch=8),
    Machine(workers=2, batch=32, window=0.3),
    Machine(workers=4, batch=8),
    Machine(workers=8, batch=16),
]


@pytest.mark.parametrize("machine", MACHINES, ids=str)
@pytest.mark.parametrize("count", [None, AUTO, 6])
def test_the_time_left_is_true_and_half_is_kept_at_half(
    machine: Machine, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    for position in POSITIONS:
        moments = Simulation(library(position), count, machine, monkeypatch).run()
        assert wrongest(moments) < 2, position
        assert kept_at_half(moments) >= 0.45 * 64 - machine.batch, position
        assert any(moment.left is not None for moment in moments[: len(moments) // 3])


@pytest.mark.parametrize("machine", MACHINES[:3], ids=str)
def test_a_length_that_no_size_shows_counts_as_soon_as_the_track_has_begun(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for position in (0, 1, 6, 20):
        songs = library(position, known=False)
        moments = Simulation(songs, None, machine, monkeypatch).run()
        assert wrongest(moments) < 2, position


def test_files_of_other_kinds_are_compared_by_their_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long MP3 among WAV files: their sizes alone would say that it is three times as long."""
    songs = library(50)
    for number, song in enumerate(songs):
        if number != 50:
            path, size = Path(f"/{number:02}.wav"), int(176_000 * song.seconds)
            song.track = Track(path, size, 1)
    assert wrongest(Simulation(songs, None, MACHINES[2], monkeypatch).run()) < 2


def test_a_library_of_long_tracks_finishes_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of ten audiobooks, few are read at once."""
    songs = library(0, count=10, seconds=3000, times=1)
    moments = Simulation(songs, None, MACHINES[2], monkeypatch).run()
    assert kept_at_half(moments) >= 3
    assert wrongest(moments) < 2


def test_no_time_is_made_up_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = Simulation(library(0), None, MACHINES[2], monkeypatch).run()
    assert moments[0].left is None
