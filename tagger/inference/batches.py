"""Batches of windows across tracks, through torch's `DataLoader`.

A `Schedule` decides what is decoded, a `DecoderPool` decodes it, a `WindowDataset` streams the
decoded windows, and the loader puts them together to batches. Whoever takes the batches gives the
scores to the schedule, whenever they are there. A pass over the loader ends when nothing more can
be decoded without further scores, or when what is still being decoded takes long: its last batch
may then be small, and another pass goes on where it ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from tagger.audio.pool import DecoderPool
from tagger.audio.reader import Waveforms
from tagger.inference.schedule import PendingTrack, Schedule
from tagger.types import Failure

AHEAD = 2  # chunks for each decoding process that may wait until their windows are needed
PATIENCE = 1.0  # s for which a chunk may keep those requested after it waiting

Window = tuple[PendingTrack, NDArray[np.float32]]  # (samples,), and the track that it is of
Request = tuple[PendingTrack, Future[Waveforms | Failure]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows to score together."""

    tracks: Sequence[PendingTrack]  # of each window, its track
    waveforms: Tensor  # (windows, samples), float32


class WindowDataset(IterableDataset[Window]):
    """Iterable-style: the windows of the tracks of a schedule, one by one, as they are decoded.

    Chunks are taken in the order of their requests, so that equal runs make equal batches. One
    that takes longer than `PATIENCE` is overtaken by the others. Iterating again goes on.
    """

    def __init__(self, schedule: Schedule, pool: DecoderPool) -> None:
        self._schedule = schedule
        self._pool = pool
        self._requests: deque[Request] = deque()
        self._late: list[Request] = []  # requests that others have overtaken

    def __iter__(self) -> Iterator[Window]:
        """The windows, until no more can be decoded for now."""
        has_windows = False
        while True:
            self._request_chunks()
            # Windows that wait in an incomplete batch, and finished tracks, wait for no late chunk.
            is_waited_for = has_windows or self._schedule.has_finished
            request = self._next_decoded(until_late=is_waited_for)
            if request is None:
                return
            pending, future = request
            result = future.result()
            self._schedule.add_decoded(pending, result)
            if isinstance(result, Waveforms):
                for window in result.windows:
                    has_windows = True
                    yield pending, window

    def _request_chunks(self) -> None:
        """Keep every process busy, and a few chunks ahead."""
        while len(self._requests) + len(self._late) < (1 + AHEAD) * self._pool.count:
            chunk = self._schedule.next_chunk()
            if chunk is None:
                return
            pending, number = chunk
            path, plan = pending.track.path, self._schedule.plan
            self._requests.append((pending, self._pool.decode(path, plan, number)))

    def _next_decoded(self, *, until_late: bool) -> Request | None:
        """The next request that is decoded; None where there is none.

        With `until_late`, also None where there are late ones alone, and none of them is decoded.
        """
        while self._requests or self._late:
            first = self._requests[0][1] if self._requests else None
            futures = [future for _, future in self._late] + ([first] if first else [])
            # Nothing behind the late ones: nothing can overtake them.
            seconds = PATIENCE if first else 0 if until_late else None
            done, _ = wait(futures, seconds, FIRST_COMPLETED)
            for request in self._late:
                if request[1] in done:
                    self._late.remove(request)
                    return request
            if first is None:
                return None
            request = self._requests.popleft()
            if first in done:
                return request
            self._late.append(request)
        return None


def load_batches(
    schedule: Schedule, pool: DecoderPool, batch_size: int, *, pinned: bool = False
) -> Iterable[Batch]:
    """A loader of batches of `batch_size` windows, the last of a pass at most as many.

    `pinned` batches lie in memory from which a GPU copies on its own. The loader has no workers:
    decoding happens in the processes of `pool`, which survive a file that crashes one of them,
    where a loader would end with any of its workers; what is left for the loader is one copy.
    """

    def collate(windows: Sequence[Window]) -> Batch:
        samples = len(windows[0][1])
        waveforms = torch.empty((len(windows), samples), pin_memory=pinned)
        # In one call: after each, the threads that wait for the pool may take Python's lock.
        torch.stack([torch.from_numpy(window) for _, window in windows], out=waveforms)
        return Batch([pending for pending, _ in windows], waveforms)

    # Its own generator: each pass draws a seed, which would change what others draw.
    draw = torch.Generator()
    return DataLoader(WindowDataset(schedule, pool), batch_size, collate_fn=collate, generator=draw)
