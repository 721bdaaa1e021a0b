"""Which chunk of which track is decoded next, and when a track is finished. No torch, no files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tagger.audio.reader import Waveforms
from tagger.audio.windows import AUTO, MORE, WindowPlan, window_chunks
from tagger.inference.pending import PendingTrack
from tagger.inference.stopping import is_settled
from tagger.inference.workload import Workload
from tagger.types import Failure, Track

AT_ONCE = 2  # chunks of one track decoded at a time, so that a long track takes little memory


class Schedule:
    """Tracks on their way from the first chunk to the last score.

    `next_chunk` says what to decode, `add_decoded` and `add_scores` take the results in any order,
    and `take_finished` returns each track once, as soon as its last window has scores or it has
    failed. With an `AUTO` plan, the scores decide whether a track needs another chunk. What has the
    least left comes first, be it a started track or a new one, so that a long track does not hold
    back many short ones. At most `limit` tracks are held: no new one is started while that many are
    unfinished, or finished but not taken. Once there are no new ones, as many chunks of one track
    are decoded at a time as there are `workers`. `workload` is kept up to date.
    """

    def __init__(
        self,
        tracks: Iterable[Track],
        plan: WindowPlan,
        limit: int,
        workers: int = 1,
        workload: Workload | None = None,
    ) -> None:
        self.plan = plan
        self.workload = workload or Workload(plan)
        self._tracks = enumerate(tracks)
        self._next: PendingTrack | None = None  # the next new track
        self._limit = limit
        self._workers = workers
        self._held = 0
        self._has_more_tracks = True
        self._wanted: list[tuple[PendingTrack, int]] = []  # chunks of started tracks
        self._long: dict[PendingTrack, None] = {}  # tracks of which not every chunk is wanted yet
        self._finished: deque[PendingTrack] = deque()

    @property
    def is_done(self) -> bool:
        """Whether every track has been taken."""
        return not (self._has_more_tracks or self._next or self._held)

    def next_chunk(self) -> tuple[PendingTrack, int] | None:
        """A track and the number of its chunk to decode.

        None while all tracks that may be held are waiting for chunks, for scores, or to be taken.
        """
        self._wanted = [chunk for chunk in self._wanted if not chunk[0].is_finished]
        new = self._peek() if self._held < self._limit else None
        if not (self._wanted or new or self._has_more_tracks):
            self._want_more()
        best = min(self._wanted, key=lambda chunk: self._left(chunk[0]), default=None)
        if new and (best is None or self.workload.expected(new.track) < self._left(best[0])):
            self._next, best = None, (new, 0)
            self._held += 1
            self.workload.start(new)
        elif best is not None:
            self._wanted.remove(best)
        if best is not None:
            best[0].requested += 1
        return best

    def _peek(self) -> PendingTrack | None:
        """The next new track, if there is one."""
        if self._next is None and self._has_more_tracks:
            following = next(self._tracks, None)
            if following is None:
                self._has_more_tracks = False
                self.workload.expect_no_more()
            self._next = PendingTrack(*following) if following else None
        return self._next

    def _left(self, pending: PendingTrack) -> float:
        """The windows of a track that are still to be decoded."""
        if self.plan.count == AUTO:
            return MORE
        scored = len(pending.scores) + pending.silent + pending.unscored
        return pending.total - scored

    def add_decoded(self, pending: PendingTrack, result: Waveforms | Failure) -> None:
        """Record the result of a chunk; its windows then wait for scores."""
        pending.undecoded -= 1
        pending.requested -= 1
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
        if pending.decoded == 1:
            self.workload.learn(pending)
        pending.unscored += len(result.windows)
        if self.plan.count != AUTO:
            self._want_up_to(pending, AT_ONCE)
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

    def _want_up_to(self, pending: PendingTrack, at_once: int) -> None:
        left = self._chunks(pending) - pending.decoded - pending.undecoded
        self._want(pending, max(0, min(left, at_once - pending.undecoded)))
        self._long.pop(pending, None)
        if self._chunks(pending) > pending.decoded + pending.undecoded:
            self._long[pending] = None

    def _want_more(self) -> None:
        """At the end, let the decoders that would be idle read further in the tracks that last."""
        for pending in list(self._long):
            self._want_up_to(pending, max(AT_ONCE, self._workers))

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
        self._long.pop(pending, None)
        self.workload.finish(pending)
        self._finished.append(pending)

    def _chunks(self, pending: PendingTrack) -> int:
        return len(window_chunks(pending.total, self.plan))

    def _is_settled(self, pending: PendingTrack) -> bool:
        if not pending.scores:
            return False
        scores, columns = np.stack(pending.scores), self.plan.columns
        sounding = pending.total - pending.silent  # as far as is known
        return is_settled(scores[:, columns] if columns else scores, sounding)
