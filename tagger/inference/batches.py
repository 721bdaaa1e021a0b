"""Tracks to batches of windows, decoded in child processes, and the scores back to their tracks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from tagger.audio.reader import Waveforms, read_windows
from tagger.audio.windows import AUTO, WindowPlan, lots
from tagger.errors import AudioError, Crashed, TooLong
from tagger.files.process import Child
from tagger.inference.stopping import is_settled
from tagger.types import Failure, Track

AHEAD = 2  # lots of windows for each child that may wait to be batched
AT_ONCE = 2  # lots of one track that are wanted at a time, so that a long one takes little memory
# Tracks that may be unfinished at a time, in batches of windows: one that needs more windows than
# others does not hold those up, and a row of failures does not pile up behind it.
UNFINISHED = 4

log = logging.getLogger(__name__)


class Readers(AbstractContextManager["Readers"]):
    """Child processes that decode, each for at most `seconds` a lot of windows.

    A context manager that ends them; a thread for each waits for what it answers.
    """

    def __init__(self, count: int, seconds: float) -> None:
        self.count = count
        self._seconds = seconds
        self._children = [Child(("tagger.audio.reader", "av", "soxr")) for _ in range(count)]
        self._idle: SimpleQueue[Child] = SimpleQueue()
        for child in self._children:
            child.start()
            self._idle.put(child)
        self._threads = ThreadPoolExecutor(count, "decode")
        self._closed = False

    def __exit__(self, *error: object) -> None:
        """End the processes, whatever they are at."""
        self._closed = True
        for child in self._children:
            child.close()
        self._threads.shutdown(cancel_futures=True)

    def read(self, track: Track, plan: WindowPlan, part: int) -> Future[Waveforms | Failure]:
        """Begin to decode one lot of the windows of a track."""
        return self._threads.submit(self._read, track, plan, part)

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


@dataclass(slots=True, eq=False)
class Hearing:
    """One track on its way: what has been read of it, and what the model made of that."""

    track: Track
    total: int = 0  # windows that there are to hear
    seconds: float = 0  # decoded length of the track
    is_silent: bool = False  # the whole track
    failure: Failure | None = None
    scores: list[NDArray[np.float32]] = field(default_factory=list)  # (labels,) of each window
    is_finished: bool = False
    asked: int = 0  # lots of windows, asked for so far
    read: int = 0  # of these
    unread: int = 1  # lots, wanted or asked for
    unscored: int = 0  # windows


Batch = tuple[list[Hearing], Tensor]  # (n, samples) float32 of the n windows' tracks


class TrackDataset(IterableDataset[Batch]):
    """Iterable-style: each track split into its windows, and these put together to batches.

    Whoever takes a batch hands its scores to `hear`, which may be later: of a plan that is `AUTO`
    they decide whether more of a track is read. A batch is empty where nothing goes on before
    scores are handed over, or finished tracks taken. No more than `PART_WINDOWS` of a long track
    are read at once.
    """

    def __init__(
        self,
        tracks: Iterable[Track],
        plan: WindowPlan,
        readers: Readers,
        batch_size: int,
        *,
        pinned: bool = False,
    ) -> None:
        self.plan = plan
        self.readers = readers
        self.batch_size = batch_size
        self.pinned = pinned  # in memory from where a GPU copies by itself
        self._tracks = iter(tracks)
        self._unfinished: deque[Hearing] = deque()  # in the order of the tracks
        self._wanted: deque[Hearing] = deque()  # each time for its next lot
        self._reading: deque[tuple[Hearing, Future[Waveforms | Failure]]] = deque()
        self._windows: deque[tuple[Hearing, NDArray[np.float32]]] = deque()  # (samples,) each

    def __iter__(self) -> Iterator[Batch]:
        """Full batches of windows in the order in which they were asked for, until all is heard."""
        while True:
            self._read_ahead()
            if len(self._windows) >= self.batch_size or (self._windows and not self._reading):
                yield self._next_batch()
            elif self._reading:
                hearing, future = self._reading.popleft()
                self._take(hearing, future.result())
                if self._unfinished and self._unfinished[0].is_finished:
                    yield self._next_batch(0)
            elif self._unfinished:
                yield self._next_batch(0)
            else:
                return

    def hear(self, hearings: Sequence[Hearing], scores: NDArray[np.float32]) -> None:
        """Take the scores `(n, labels)` of the n windows of a batch."""
        for hearing, score in zip(hearings, scores, strict=True):
            hearing.scores.append(score)
            hearing.unscored -= 1
            self._go_on(hearing)

    def finished(self) -> Iterator[Hearing]:
        """The tracks of which all is heard, each once, in order."""
        while self._unfinished and self._unfinished[0].is_finished:
            yield self._unfinished.popleft()

    def _read_ahead(self) -> None:
        """Ask the readers for as much as they may have waiting."""
        while len(self._reading) < (1 + AHEAD) * self.readers.count:
            if self._wanted:
                hearing = self._wanted.popleft()
                if hearing.failure:
                    continue
            elif len(self._unfinished) < UNFINISHED * max(self.batch_size, self.readers.count):
                track = next(self._tracks, None)
                if track is None:
                    return
                hearing = Hearing(track)
                self._unfinished.append(hearing)
            else:
                return
            future = self.readers.read(hearing.track, self.plan, hearing.asked)
            hearing.asked += 1
            self._reading.append((hearing, future))

    def _take(self, hearing: Hearing, read: Waveforms | Failure) -> None:
        """Note what was read."""
        hearing.unread -= 1
        if isinstance(read, Failure):
            hearing.failure = hearing.failure or read
        elif not hearing.failure:
            if not hearing.total:
                hearing.total, hearing.is_silent = read.total, read.is_silent
            hearing.read += 1
            hearing.seconds = read.seconds
            if self.plan.count != AUTO:
                left = len(lots(hearing.total, self.plan)) - hearing.read - hearing.unread
                self._want(hearing, min(left, AT_ONCE - hearing.unread))
            hearing.unscored += len(read.windows)
            self._windows.extend((hearing, window) for window in read.windows)
        self._go_on(hearing)

    def _want(self, hearing: Hearing, count: int) -> None:
        """See that so many more lots of a track are read, before any other track."""
        hearing.unread += count
        self._wanted.extend([hearing] * count)

    def _go_on(self, hearing: Hearing) -> None:
        """Finish a track, or ask for more of it, once all that was asked for is heard."""
        if hearing.failure:
            hearing.is_finished = True
        elif not (hearing.unread or hearing.unscored):
            more = hearing.asked < len(lots(hearing.total, self.plan)) and not hearing.is_silent
            if more and not self._is_settled(hearing):
                self._want(hearing, 1)
            else:
                hearing.is_finished = True

    def _is_settled(self, hearing: Hearing) -> bool:
        scores, columns = np.stack(hearing.scores), self.plan.columns
        return is_settled(scores[:, columns] if columns else scores, hearing.total)

    def _next_batch(self, count: int | None = None) -> Batch:
        count = min(len(self._windows), self.batch_size) if count is None else count
        taken = [self._windows.popleft() for _ in range(count)]
        batch = torch.empty((count, self.plan.samples), pin_memory=self.pinned and count > 0)
        if taken:
            # In one call: after each, the threads that wait for the readers may take Python's lock.
            torch.stack([torch.from_numpy(window) for _, window in taken], out=batch)
        return [hearing for hearing, _ in taken], batch


def load_batches(dataset: TrackDataset) -> Iterable[Batch]:
    """The batches of a dataset, made in this process.

    The loader has no workers: it would end as a whole with any of them, and they would be copies of
    this process, with all of torch. The children of the readers do the work.
    """
    return DataLoader(dataset, batch_size=None)
