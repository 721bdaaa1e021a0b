"""Batches of windows across tracks, and back to one prediction per track."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from tagger.dataset import Batch, Hearing, Readers, TrackDataset, load_batches
from tagger.device import Scores
from tagger.model import GenreModel
from tagger.types import Failure, Prediction, PredictOptions, Track
from tagger.windows import WindowPlan

# What a container may use of a second: "max 100000" or "150000 100000", in microseconds.
QUOTA_V2 = Path("/sys/fs/cgroup/cpu.max")
QUOTA_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


@dataclass(slots=True)
class Pace:
    """Where the time of a run goes, in seconds."""

    total: float = 0
    waited: float = 0  # for windows that were not decoded yet

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass the batches on."""
        started = asked = time.perf_counter()
        for batch in batches:
            self.waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()
            self.total = asked - started


def predict_tracks(
    tracks: Iterable[Track],
    model: GenreModel,
    plan: WindowPlan,
    options: PredictOptions,
    pace: Pace | None = None,
) -> Generator[Prediction | Failure, None, None]:
    """One prediction or failure per track, in the order of the tracks, of which few are held.

    A generator: closing it ends the processes that decode. `pace` is kept up to date.
    """
    labels, multi_label = model.info.labels, model.info.multi_label
    for hearing in score_tracks(tracks, model, plan, options, pace):
        yield average_windows(hearing, labels, multi_label=multi_label)


def score_tracks(
    tracks: Iterable[Track],
    model: GenreModel,
    plan: WindowPlan,
    options: PredictOptions,
    pace: Pace | None = None,
) -> Iterator[Hearing]:
    """Each track, in order, with the scores of its windows."""
    on_gpu = model.device.type != "cpu"
    workers = options.workers or count_workers(on_gpu=on_gpu)
    with Readers(workers, options.decode_timeout) as readers:
        pinned = model.device.type == "cuda"
        dataset = TrackDataset(tracks, plan, readers, model.batch_size, pinned=pinned)
        computing: deque[tuple[list[Hearing], Scores]] = deque()
        for hearings, windows in (pace or Pace()).watch(load_batches(dataset)):
            if hearings:
                computing.append((hearings, model.start(windows)))
            # A GPU computes one batch while the next is made ready.
            while len(computing) > (1 if on_gpu and hearings else 0):
                heard, scores = computing.popleft()
                dataset.hear(heard, scores.result())
            yield from dataset.finished()


def average_windows(
    hearing: Hearing, labels: tuple[str, ...], *, multi_label: bool = False
) -> Prediction | Failure:
    """The mean probability of each label over the windows of one track, rounded to float32.

    A silent track has none of them: whatever a model makes of silence is no genre.
    """
    track = hearing.track
    if hearing.failure:
        return hearing.failure
    scores = np.stack(hearing.scores)  # (windows, labels)
    # In float64, so that the order in which the windows were heard makes no difference.
    mean = scores.mean(axis=0, dtype=np.float64).astype(np.float32)  # (labels,)
    if hearing.is_silent:
        mean = np.zeros_like(mean)
    if not np.isfinite(mean).all():
        return Failure(track.path, "the model gave no finite probability for it")
    agreement = float((scores.argmax(axis=1) == mean.argmax()).mean())
    return Prediction(
        track, labels, tuple(mean.tolist()), agreement, len(scores), hearing.seconds, multi_label
    )


def count_workers(*, on_gpu: bool) -> int:
    """How many processes decode by default, one at least.

    Beside a GPU all cores but the one that feeds it. Else all: they give way to the model, which
    takes all cores too, and have them to themselves while it waits for windows.
    """
    return max(1, count_cores() - on_gpu)


def count_cores() -> int:
    """The cores that this process may use: those it is bound to, or the quota of its container."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    with suppress(OSError, ValueError, ZeroDivisionError):  # no container, or no quota ("max")
        files = [QUOTA_V2] if QUOTA_V2.exists() else QUOTA_V1
        quota, period = " ".join(file.read_text() for file in files).split()
        if int(quota) > 0:
            cores = min(cores, ceil(int(quota) / int(period)))
    return cores
