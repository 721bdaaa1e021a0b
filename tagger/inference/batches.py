"""Batches of windows across tracks, through torch's `DataLoader`.

A `Schedule` decides which chunk is decoded, a `DecoderPool` decodes it, a `WindowDataset` streams
the decoded windows, and the loader combines them into batches. The consumer of the batches gives
their scores to the schedule, at any time. A pass over the loader ends when nothing more can be
decoded without further scores, or when nothing was decoded for a while: its last batch may then be
small. The next pass continues, until the schedule is done. A pass must be consumed to its end.
"""

from __future__ import annotations

import time
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
from tagger.inference.pending import PendingTrack
from tagger.inference.schedule import Schedule
from tagger.types import Failure

AHEAD = 2  # chunks for each decoding process that may wait until their windows are needed

Window = tuple[PendingTrack, NDArray[np.float32]]  # its track, and (samples,)
Request = tuple[PendingTrack, Future[Waveforms | Failure]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows to score together."""

    tracks: Sequence[PendingTrack]  # the track of each window
    waveforms: Tensor  # (windows, samples), float32


class WindowDataset(IterableDataset[Window]):
    """Iterable-style: the windows of the tracks of a schedule, one by one, as they are decoded.

    Chunks are taken in the order of their requests, so that equal runs make equal batches. If one
    takes longer than the pool's patience, others overtake it.
    """

    def __init__(self, schedule: Schedule, pool: DecoderPool) -> None:
        self._schedule = schedule
        self._pool = pool
        self._requests: list[Request] = []
        self._late: Request | None = None  # the first request, once its time is over

    def __iter__(self) -> Iterator[Window]:
        """The windows, until no more are decoded for now."""
        patience, last = self._pool.patience, time.monotonic()
        while request := self._next_decoded():
            pending, future = request
            result = future.result()
            self._schedule.add_decoded(pending, result)
            if isinstance(result, Waveforms):
                for window in result.windows:
                    yield pending, window
                    last = time.monotonic()
            if patience is not None and time.monotonic() - last > patience:
                return  # only failures and silence, which must not wait until a batch is full

    def _next_decoded(self) -> Request | None:
        """The next decoded request; None if there are no requests, or if all of them take long."""
        self._request_chunks()
        if not self._requests:
            return None
        futures, patience = [future for _, future in self._requests], self._pool.patience
        if self._late is not self._requests[0] and wait(futures[:1], patience).not_done:
            self._late = self._requests[0]
        wait(futures, patience, FIRST_COMPLETED)
        for request in self._requests:
            if request[1].done():
                self._requests.remove(request)
                return request
        return None

    def _request_chunks(self) -> None:
        """Keep every process busy, and a few chunks ahead."""
        while len(self._requests) < (1 + AHEAD) * self._pool.count:
            chunk = self._schedule.next_chunk()
            if chunk is None:
                return
            pending, number = chunk
            path, plan = pending.track.path, self._schedule.plan
            future = self._pool.decode(path, plan, number, pending.placement)
            self._requests.append((pending, future))


def load_batches(
    schedule: Schedule, pool: DecoderPool, batch_size: int, *, pinned: bool = False
) -> Iterable[Batch]:
    """A loader of batches of `batch_size` windows; the last of a pass may have fewer.

    A GPU copies `pinned` batches in the background. The loader has no workers: a loader ends if one
    of its workers crashes, so files are decoded in the processes of `pool`, which survives that.
    The loader only makes one copy.
    """

    def collate(windows: Sequence[Window]) -> Batch:
        samples = len(windows[0][1])
        waveforms = torch.empty((len(windows), samples), pin_memory=pinned)
        # In one call: after each call, threads that wait for the pool may take Python's lock.
        torch.stack([torch.from_numpy(window) for _, window in windows], out=waveforms)
        return Batch([pending for pending, _ in windows], waveforms)

    # A separate generator: each pass draws a seed, which would change torch's global random state.
    own = torch.Generator()
    return DataLoader(WindowDataset(schedule, pool), batch_size, collate_fn=collate, generator=own)
