"""How much work is done and left, in windows, for a progress bar. No torch, no files, no clock.

Tracks cost differently: with `--windows all` one of an hour costs as much as fifteen songs. What a
track costs is estimated from the size of its file, and known once its first chunk is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import exp, log

from tagger.audio.windows import AUTO, MORE, WindowPlan
from tagger.inference.pending import PendingTrack
from tagger.types import Track

# Bytes of a second of music in files with these suffixes, until some of them are decoded: halfway,
# as factors, between the least and the most that are usual.
PLAIN, LOSSLESS, LOSSY, OPUS = 176_000.0, 90_000.0, 26_000.0, 15_000.0
USUAL = (
    dict.fromkeys((".wav", ".wave", ".bwf", ".w64", ".aif", ".aiff", ".aifc", ".au", ".caf"), PLAIN)
    | dict.fromkeys((".flac", ".wv", ".ape", ".tta", ".tak"), LOSSLESS)
    | dict.fromkeys((".opus", ".weba", ".webm"), OPUS)
)
PER_TRACK = 0.2  # windows; what it costs to open a file, whatever its length
USUAL_AUTO = 6.0  # windows of a track with `AUTO`, until some tracks are finished
FEW = 2.0  # tracks that weigh as much as such a value


@dataclass(slots=True)
class _Kind:
    """The files with one suffix: those that are not started yet, and what decoded ones are like."""

    tracks: int = 0
    size: int = 0  # bytes of all these
    decoded: int = 0
    logarithms: float = 0  # of the bytes of a second, of all that are decoded


@dataclass(slots=True)
class Workload:
    """The work of a run; `Schedule` keeps it up to date."""

    plan: WindowPlan
    _kinds: dict[str, _Kind] = field(default_factory=dict)
    _running: dict[PendingTrack, None] = field(default_factory=dict)
    _finished: int = 0
    _finished_windows: float = 0

    def expect_all(self, kinds: Iterable[tuple[str, int, int]]) -> None:
        """Expect, for each suffix, so many tracks, whose files have so many bytes in all."""
        for suffix, tracks, size in kinds:
            kind = self._kind(suffix)
            kind.tracks += tracks
            kind.size += size

    @property
    def done(self) -> float:
        """Windows that are scored, and something for each finished track."""
        return (
            self._finished_windows + PER_TRACK * self._finished + sum(map(_done, [*self._running]))
        )

    @property
    def left(self) -> float:
        """Windows that are not scored yet, as far as is known, and something for each track."""
        running = [*self._running]
        started = sum(max(0.0, self.windows(each) - _done(each)) + PER_TRACK for each in running)
        return started + sum(
            self._windows_of(suffix, kind.size, kind.tracks) + PER_TRACK * kind.tracks
            for suffix, kind in [*self._kinds.items()]
            if kind.tracks > 0
        )

    @property
    def name(self) -> str:
        """The file that is worked on, of several the one that was started first."""
        active = (each for each in [*self._running] if each.requested or each.unscored)
        return next((each.track.path.name for each in active), "")

    def expected(self, track: Track) -> float:
        """The windows of a track that is not started."""
        return self._windows_of(_suffix(track), track.size, 1)

    def windows(self, pending: PendingTrack) -> float:
        """The windows of a track that is started, in all."""
        if not pending.decoded:
            return self.expected(pending.track)
        if self.plan.count != AUTO:
            return pending.total
        ready = _done(pending) + pending.unscored
        return min(pending.total, max(self._mean, ready + MORE * (pending.undecoded > 0)))

    def start(self, pending: PendingTrack) -> None:
        """Count a track as started."""
        kind, track = self._kind(_suffix(pending.track)), pending.track
        kind.tracks, kind.size = max(0, kind.tracks - 1), max(0, kind.size - track.size)
        self._running[pending] = None

    def learn(self, pending: PendingTrack) -> None:
        """Take into account how long a track has turned out to be."""
        kind = self._kind(_suffix(pending.track))
        if pending.track.size > 0 and pending.seconds > 0:
            kind.decoded += 1
            kind.logarithms += log(pending.track.size / pending.seconds)

    def finish(self, pending: PendingTrack) -> None:
        """Count a track as finished, or failed."""
        self._finished += 1
        self._finished_windows += _done(pending)
        self._running.pop(pending, None)

    def expect_no_more(self) -> None:
        """All tracks are started: those that were expected and did not come never will."""
        self._kinds.clear()

    def _kind(self, suffix: str) -> _Kind:
        return self._kinds.setdefault(suffix, _Kind())

    def _windows_of(self, suffix: str, size: float, tracks: int) -> float:
        """The windows of so many tracks that are not started, with files of this size in all."""
        if self.plan.count is not None:
            return self._mean * tracks
        kind, usual = self._kind(suffix), log(USUAL.get(suffix, LOSSY))
        # The geometric mean: one that is quite different makes little difference.
        pace = exp((FEW * usual + kind.logarithms) / (FEW + kind.decoded))
        return max(float(tracks), size / pace * self.plan.rate / self.plan.samples)

    @property
    def _mean(self) -> float:
        """The windows of a track, with a plan for which its length makes no difference."""
        usual = float(self.plan.count) if isinstance(self.plan.count, int) else USUAL_AUTO
        return (FEW * usual + self._finished_windows) / (FEW + self._finished)


def _suffix(track: Track) -> str:
    return track.path.suffix.lower()


def _done(pending: PendingTrack) -> float:
    return len(pending.scores) + pending.silent
