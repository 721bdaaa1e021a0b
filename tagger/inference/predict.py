"""Batches of windows across tracks, and back to one prediction per track."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tagger.audio.windows import WindowPlan
from tagger.genres.labels import genre_columns
from tagger.inference.batches import Batch, Hearing, Readers, TrackDataset, load_batches
from tagger.models.device import PendingProbabilities, count_cores
from tagger.models.model import GenreModel
from tagger.types import Failure, Prediction, Track


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
    readers: Readers,
    pace: Pace | None = None,
) -> Iterator[Prediction | Failure]:
    """One prediction or failure per track, in the order of the tracks, of which few are held.

    `pace` is kept up to date.
    """
    labels, multi_label = model.info.labels, model.info.multi_label
    for hearing in score_tracks(tracks, model, plan, readers, pace):
        yield average_windows(hearing, labels, multi_label=multi_label)


def score_tracks(
    tracks: Iterable[Track],
    model: GenreModel,
    plan: WindowPlan,
    readers: Readers,
    pace: Pace | None = None,
) -> Iterator[Hearing]:
    """Each track, in order, with the scores of its windows."""
    on_gpu, pinned = model.device.type != "cpu", model.device.type == "cuda"
    dataset = TrackDataset(tracks, plan, readers, model.batch_size, pinned=pinned)
    computing: deque[tuple[list[Hearing], PendingProbabilities]] = deque()
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
    columns = genre_columns(labels) or range(len(labels))
    best = scores[:, columns].argmax(axis=1)  # (windows,)
    agreement = float((best == mean[np.array(columns)].argmax()).mean())
    return Prediction(
        track, labels, tuple(mean.tolist()), agreement, len(scores), hearing.seconds, multi_label
    )


def choose_workers(asked: int | None, tracks: int) -> int:
    """How many processes decode: as many as there are cores, but no more than tracks.

    The model computes on all cores too, or on a GPU; what waits for the other leaves them free.
    """
    return max(1, min(asked or count_cores(), tracks))
