"""Which chunk of which track is decoded next, and when a track is finished. No torch, no files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tagger.audio.reader import Placement, Waveforms
from tagger.audio.windows import AUTO, WindowPlan, window_chunks
from tagger.inference.stopping import is_settled
from tagger.types import Failure, Track

AT_ONCE = 2  # chunks of one track decoded at a time, so that a long track takes little memory


@dataclass(slots=True, eq=False)
class PendingTrack:
    """A track that is being predicted: its progress, and the scores of its windows."""

    index: int  # of the track, in the order in which the tracks were given
    track: Track
    placement: Placement | None = None  # known from its first chunk
    total: int = 0  # windows that the plan places in it
    seconds: float = 0  # decoded length of the track
    silent: int = 0  # windows without sound, which get no scores
    notes: dict[str, None] = field(default_factory=dict)  # of its chunks, each once, in order
    failure: Failure | None = None
    scores: list[NDArray[np.float32]] = field(default_factory=list)  # (labels,) of each window
    is_finished: bool = False
    decoded: int = 0  # chunks
    undecoded: int = 1  # chunks that are wanted or requested, but not decoded yet
    unscored: int = 0  # windows that are decoded and have no scores yet


class Schedule:
    """Tracks on their way from the first chunk to the last score.

    `next_chunk` says what to decode, `add_decoded` and `add_scores` take the results in any order,
    and `take_finished` returns each track once, as soon as its last window has scores or it has
    failed. With an `AUTO` plan, the scores decide whether a track needs another chunk. Further
    chunks of a started track come before new tracks. At most `limit` tracks are held: no new one is
    started while that many are unfinished, or finished but not taken.
    """

    def __init__(self, tracks: Iterable[Track], plan: WindowPlan, limit: int) -> None:
        self.plan = plan
        self._tracks = enumerate(tracks)
        self._limit = limit
        self._held = 0
        self._has_more_tracks = True
        self._wanted: deque[tuple[PendingTrack, int]] = deque()  # chunks of started tracks
        self._finished: deque[PendingTrack] = deque()

    @property
    def is_done(self) -> bool:
        """Whether every track has been taken."""
        return not (self._has_more_tracks or self._held)

    def next_chunk(self) -> tuple[PendingTrack, int] | None:
        """A track and the number of its chunk to decode.

        None while all tracks that may be held are waiting for chunks, for scores, or to be taken.
        """
        while self._wanted:
            pending, number = self._wanted.popleft()
            if not pending.is_finished:
                return pending, number
        if self._held < self._limit and self._has_more_tracks:
            if following := next(self._tracks, None):
                self._held += 1
                return PendingTrack(*following), 0
            self._has_more_tracks = False
        return None

    def add_decoded(self, pending: PendingTrack, result: Waveforms | Failure) -> None:
        """Record the result of a chunk; its windows then wait for scores."""
        pending.undecoded -= 1
        if pending.is_finished:  # another chunk of it has failed
            return
        if isinstance(result, Failure):
            pending.failure = result
            self._finish(pending)
            return
        if not pending.decoded:
            pending.placement, pending.total = result.placement, result.total
        pending.decoded += 1
        pending.silent += result.silent
        pending.notes |= dict.fromkeys(result.notes)
        pending.seconds = result.seconds
        pending.unscored += len(result.windows)
        if self.plan.count != AUTO:
            left = self._chunks(pending) - pending.decoded - pending.undecoded
            self._want(pending, min(left, AT_ONCE - pending.undecoded))
        self._advance(pending)

    def add_scores(self, tracks: Sequence[PendingTrack], scores: NDArray[np.float32]) -> None:
        """Record the scores `(n, labels)` of n windows; `tracks` has the track of each."""
        for pending, score in zip(tracks, scores, strict=True):
            if pending.is_finished:  # it failed after this window was decoded
                continue
            pending.scores.append(score)
            pending.unscored -= 1
            self._advance(pending)

    def take_finished(self) -> Iterator[PendingTrack]:
        """The tracks that have finished since the last call, in the order of finishing."""
        while self._finished:
            self._held -= 1
            yield self._finished.popleft()

    def _want(self, pending: PendingTrack, count: int) -> None:
        first = pending.decoded + pending.undecoded
        self._wanted.extend((pending, first + number) for number in range(count))
        pending.undecoded += count

    def _advance(self, pending: PendingTrack) -> None:
        """Once every decoded window of a track has scores, finish it or want another chunk."""
        if pending.undecoded or pending.unscored:
            return
        if pending.decoded < self._chunks(pending) and not self._is_settled(pending):
            self._want(pending, 1)
        else:
            self._finish(pending)

    def _finish(self, pending: PendingTrack) -> None:
        pending.is_finished = True
        self._finished.append(pending)

    def _chunks(self, pending: PendingTrack) -> int:
        return len(window_chunks(pending.total, self.plan))

    def _is_settled(self, pending: PendingTrack) -> bool:
        if not pending.scores:
            return False
        scores, columns = np.stack(pending.scores), self.plan.columns
        sounding = pending.total - pending.silent  # as far as is known
        return is_settled(scores[:, columns] if columns else scores, sounding)
