"""Tracks to batches of windows, decoded in child processes, in the order of the tracks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import ceil
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, IterableDataset

from tagger.audio import PART_WINDOWS, Waveforms, read_windows
from tagger.child import Child
from tagger.errors import AudioError, Crashed, TooLong
from tagger.types import Failure, Track
from tagger.windows import WindowPlan

AHEAD = 2  # lots of windows for each child that may wait to be asked for

log = logging.getLogger(__name__)


class Readers(AbstractContextManager["Readers"]):
    """Child processes that decode, each for at most `seconds` a lot of windows.

    A context manager that ends them; a thread for each waits for what it answers.
    """

    def __init__(self, count: int, seconds: float) -> None:
        self._seconds = seconds
        self._children = [Child() for _ in range(count)]
        self._idle: SimpleQueue[Child] = SimpleQueue()
        for child in self._children:
            self._idle.put(child)
        self._threads = ThreadPoolExecutor(count, "decode")
        self._closed = False

    def __exit__(self, *error: object) -> None:
        """End the processes, whatever they are at."""
        self._closed = True
        for child in self._children:
            child.close()
        self._threads.shutdown(cancel_futures=True)

    def read_all(
        self, plan: WindowPlan, wanted: Iterable[tuple[Track, int]]
    ) -> Iterator[Waveforms | Failure]:
        """What each `(track, part)` holds, in order; only so many are read ahead of the reader."""
        ahead: deque[Future[Waveforms | Failure]] = deque()
        try:
            for track, part in wanted:
                ahead.append(self._threads.submit(self._read, track, plan, part))
                if len(ahead) > AHEAD * len(self._children):
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for unread in ahead:
                unread.cancel()

    def _read(self, track: Track, plan: WindowPlan, part: int) -> Waveforms | Failure:
        child = self._idle.get()
        path = track.path
        try:
            return child.call(self._seconds, read_windows, path, plan, part)
        except TooLong as error:
            failure = Failure(path, f"{error} to decode (--decode-timeout allows more)")
        except Crashed as error:
            failure = Failure(path, str(error), error.lasting)
        except AudioError as error:
            failure = Failure(path, str(error))
        except OSError as error:
            failure = Failure(path, error.strerror or "cannot be read", lasting=False)
        finally:
            if child.noise:
                log.info("%s: %s", path, child.noise)
            self._idle.put(child)
        if not self._closed:
            log.info("%s: %s", path, failure.reason)
        return failure


@dataclass(frozen=True, slots=True)
class Row:
    """A window of the `index`-th track; with a failure, what stands in place of its windows."""

    index: int
    seconds: float = 0  # decoded length of the track
    is_silent: bool = False  # the whole track, told with the first windows
    failure: Failure | None = None


Window = NDArray[np.float32]  # (samples,)
Batch = tuple[list[Row], NDArray[np.float32]]  # (n, samples) of the n rows that are no failures


class TrackDataset(IterableDataset[tuple[Row, Window | None]]):
    """Iterable-style: each track split into its windows, one track after the other.

    No more than `PART_WINDOWS` of a long track are held at once.
    """

    def __init__(self, tracks: Sequence[Track], plan: WindowPlan, readers: Readers) -> None:
        self.tracks = tracks
        self.plan = plan
        self.readers = readers

    def __iter__(self) -> Iterator[tuple[Row, Window | None]]:
        """`(row, window)`, in order; a track that cannot be read ends with a failure."""
        first = self.readers.read_all(self.plan, ((track, 0) for track in self.tracks))
        for index, read in enumerate(first):
            yield from _rows(index, read)
            if isinstance(read, Waveforms) and read.total > PART_WINDOWS:
                yield from self._rest(index, ceil(read.total / PART_WINDOWS))

    def _rest(self, index: int, parts: int) -> Iterator[tuple[Row, Window | None]]:
        wanted = ((self.tracks[index], part) for part in range(1, parts))
        for read in self.readers.read_all(self.plan, wanted):
            yield from _rows(index, read)
            if isinstance(read, Failure):
                return


def load_batches(
    tracks: Sequence[Track], plan: WindowPlan, readers: Readers, batch_size: int
) -> Iterable[Batch]:
    """Batches of windows across tracks, in order; a failure takes the place of a window.

    The loader itself has no workers: it would end as a whole with any of them, and they would be
    copies of this process, with all of torch. The children of `readers` do the work.
    """
    dataset: Dataset[Any] = TrackDataset(tracks, plan, readers)
    return DataLoader(dataset, batch_size, collate_fn=_collate)


def _rows(index: int, read: Waveforms | Failure) -> Iterator[tuple[Row, Window | None]]:
    if isinstance(read, Failure):
        yield Row(index, failure=read), None
        return
    row = Row(index, read.seconds, read.is_silent)
    for window in read.windows:
        yield row, window


def _collate(items: Sequence[tuple[Row, Window | None]]) -> Batch:
    windows = [window for _, window in items if window is not None]
    stacked = np.stack(windows) if windows else np.zeros((0, 0), np.float32)
    return [row for row, _ in items], stacked
