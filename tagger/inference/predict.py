"""From tracks to predictions: scores of batches across tracks, then one mean for each track."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from tagger.audio.pool import DecoderPool
from tagger.audio.windows import WindowPlan
from tagger.genres.labels import genre_columns
from tagger.inference.batches import Batch, load_batches
from tagger.inference.pending import PendingTrack
from tagger.inference.schedule import Schedule
from tagger.inference.workload import Workload
from tagger.models.device import PendingProbabilities, count_cores
from tagger.models.model import GenreModel
from tagger.types import Failure, Prediction, Track

# Tracks that may be unfinished at a time, in multiples of the batch size: a track that needs many
# windows must not delay the others, and failures in a row must not pile up.
UNFINISHED = 4


@dataclass(slots=True)
class Pace:
    """Where the time of a run goes, in seconds, and how much of its work is done."""

    waited: float = 0  # for windows that were not decoded yet
    started: float = field(default_factory=time.perf_counter)
    workload: Workload | None = None  # to be kept up to date

    @property
    def total(self) -> float:
        """The time since the start."""
        return time.perf_counter() - self.started

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass the batches on, and add up the time spent waiting for them."""
        asked = time.perf_counter()
        for batch in batches:
            self.waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()
        self.waited += time.perf_counter() - asked


def predict_tracks(
    tracks: Iterable[Track],
    model: GenreModel,
    plan: WindowPlan,
    pool: DecoderPool,
    pace: Pace | None = None,
) -> Iterator[tuple[int, Prediction | Failure]]:
    """One prediction or failure for each track, with the track's index, as soon as it is known.

    Tracks finish in any order; only a few are held at a time. `pace` is kept up to date.
    """
    labels, multi_label = model.info.labels, model.info.multi_label
    for scored in score_tracks(tracks, model, plan, pool, pace):
        result = average_windows(scored, labels, multi_label=multi_label)
        if isinstance(result, Prediction):
            result = replace(result, precision=model.precision)
        yield scored.index, result


def score_tracks(
    tracks: Iterable[Track],
    model: GenreModel,
    plan: WindowPlan,
    pool: DecoderPool,
    pace: Pace | None = None,
) -> Iterator[PendingTrack]:
    """Each track with the scores of its windows, as soon as the last of them is scored.

    A failure comes with the next batch, and from a GPU scores come one batch later, since it
    computes while the next batch is decoded.
    """
    pace = pace or Pace()
    in_flight = 0 if model.device.type == "cpu" else 1  # a GPU computes while the next is decoded
    pinned = model.device.type == "cuda"
    limit = UNFINISHED * max(model.batch_size, pool.count)
    schedule = Schedule(tracks, plan, limit, pool.count, pace.workload)
    batches = load_batches(schedule, pool, model.batch_size, pinned=pinned)
    computing: deque[tuple[Batch, PendingProbabilities]] = deque()
    while not schedule.is_done:
        for batch in pace.watch(batches):
            computing.append((batch, model.start(batch.waveforms)))
            if len(computing) > in_flight:
                _add_scores(schedule, *computing.popleft())
            yield from schedule.take_finished()
        while computing:
            _add_scores(schedule, *computing.popleft())
        yield from schedule.take_finished()


def _add_scores(schedule: Schedule, batch: Batch, probabilities: PendingProbabilities) -> None:
    schedule.add_scores(batch.tracks, probabilities.result())


def average_windows(
    scored: PendingTrack, labels: tuple[str, ...], *, multi_label: bool = False
) -> Prediction | Failure:
    """The mean probability of each label over the windows of one track, rounded to float32.

    A track without any window that sounds has probability 0 for every label.
    """
    track = scored.track
    if scored.failure:
        return scored.failure
    note = "; ".join(scored.notes)
    if not scored.scores:
        silence = (0.0,) * len(labels)
        return Prediction(track, labels, silence, 0, 0, scored.seconds, multi_label, note=note)
    scores = np.stack(scored.scores)  # (windows, labels)
    # In float64, so that the order of the windows makes no difference.
    mean = scores.mean(axis=0, dtype=np.float64).astype(np.float32)  # (labels,)
    if not np.isfinite(mean).all():
        # It may give one in another precision, or on another device.
        return Failure(track.path, "the model gave no finite probability for it", lasting=False)
    columns = genre_columns(labels) or range(len(labels))
    best = scores[:, columns].argmax(axis=1)  # (windows,)
    agreement = float((best == mean[np.array(columns)].argmax()).mean())
    probabilities, count = tuple(mean.tolist()), len(scores)
    return Prediction(
        track, labels, probabilities, agreement, count, scored.seconds, multi_label, note=note
    )


def choose_workers(asked: int | None, tracks: int) -> int:
    """The number of decoding processes: one per core, but no more than tracks.

    The model also computes on all cores, or on a GPU; while decoders or model wait for the other,
    their cores are free.
    """
    return max(1, min(asked or count_cores(), tracks))
