"""Tracks to windows, decoded by the workers of a DataLoader, in the order of the tracks."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from tagger.audio import PART_WINDOWS, read_windows
from tagger.errors import AudioError
from tagger.types import Failure, Track
from tagger.windows import WindowPlan


@dataclass(frozen=True, slots=True)
class Decoded:
    """Windows `(n, samples)` of the `index`-th track; all of its `total`, or one part of them."""

    index: int
    windows: NDArray[np.float32]
    total: int
    seconds: float


class TrackDataset(Dataset[Decoded | tuple[int, Failure]]):
    """Map-style: item `i` is the decoded part that `parts[i] = (track, part)` names, or why not."""

    def __init__(
        self, tracks: Sequence[Track], plan: WindowPlan, parts: Sequence[tuple[int, int]]
    ) -> None:
        self.tracks = tracks
        self.plan = plan
        self.parts = parts

    def __len__(self) -> int:
        """Number of parts."""
        return len(self.parts)

    def __getitem__(self, item: int) -> Decoded | tuple[int, Failure]:
        """Decode one part."""
        index, part = self.parts[item]
        path = self.tracks[index].path
        try:
            read = read_windows(path, self.plan, part)
        except AudioError as error:
            return index, Failure(path, str(error))
        except OSError as error:
            return index, Failure(path, error.strerror or "cannot be read", lasting=False)
        return Decoded(index, read.windows, read.total, read.seconds)


def load_windows(
    tracks: Sequence[Track], plan: WindowPlan, *, workers: int, spawn: bool
) -> Iterator[Decoded | tuple[int, Failure]]:
    """Every track in order, in parts of at most `PART_WINDOWS` windows that follow each other.

    `workers=0` decodes in this process. `spawn` starts fresh processes instead of forks: a process
    forked after CUDA was used cannot go on.
    """
    first_parts = [(index, 0) for index in range(len(tracks))]
    for item in _loader(TrackDataset(tracks, plan, first_parts), workers, spawn):
        yield item
        if isinstance(item, Decoded) and item.total > PART_WINDOWS:
            # Only now is the length known; the rest of a long track is read before the next one.
            rest = [(item.index, part) for part in range(1, -(-item.total // PART_WINDOWS))]
            yield from _loader(TrackDataset(tracks, plan, rest), min(workers, 1), spawn)


def _loader(
    dataset: TrackDataset, workers: int, spawn: bool
) -> DataLoader[Decoded | tuple[int, Failure]]:
    return DataLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        # Arrays travel through pipes: /dev/shm, which tensors need, is 64 MB in a container.
        collate_fn=_as_is,
        worker_init_fn=_leave_interrupts_to_parent,
        multiprocessing_context=("spawn" if spawn else None) if workers else None,
    )


def _as_is(item: Any) -> Any:
    return item


def _leave_interrupts_to_parent(worker: int) -> None:
    """Ctrl-C reaches the whole process group; the parent alone decides how to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
