"""Batches of windows across tracks, and back to one prediction per track."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tagger.dataset import Batch, Readers, Row, load_batches
from tagger.model import GenreModel
from tagger.types import Failure, Prediction, PredictOptions, Track
from tagger.windows import WindowPlan

Scored = tuple[Row, NDArray[np.float32]]  # (labels,); of a failure (0,)


def predict_tracks(
    tracks: Sequence[Track], model: GenreModel, plan: WindowPlan, options: PredictOptions
) -> Generator[Prediction | Failure, None, None]:
    """One prediction or failure per track, in the order of the tracks.

    A generator: closing it ends the processes that decode.
    """
    for index, rows in score_tracks(tracks, model, plan, options):
        result = average_windows(tracks[index], rows, model.info.labels)
        if isinstance(result, Prediction):
            result = replace(result, multi_label=model.info.multi_label)
        yield result


def score_tracks(
    tracks: Sequence[Track], model: GenreModel, plan: WindowPlan, options: PredictOptions
) -> Iterator[tuple[int, list[Scored]]]:
    """The index of each track, in order, with the rows of its windows."""
    workers = choose_workers(options.workers, len(tracks))
    with Readers(workers, options.decode_timeout) as readers:
        batches = load_batches(tracks, plan, readers, options.batch_size)
        rows = score_windows(batches, model)
        for index, of_track in groupby(rows, key=lambda scored: scored[0].index):
            yield index, list(of_track)


def score_windows(batches: Iterable[Batch], model: GenreModel) -> Iterator[Scored]:
    """Each row with the probabilities of its window, in order."""
    nothing = np.zeros(0, np.float32)
    for rows, windows in batches:
        scores = iter(model.probabilities(windows) if len(windows) else ())
        for row in rows:
            yield row, nothing if row.failure else next(scores)


def average_windows(
    track: Track, rows: Sequence[Scored], labels: tuple[str, ...]
) -> Prediction | Failure:
    """The mean probability of each label over the windows of one track, in float32.

    A silent track has none of them: whatever a model makes of silence is no genre.
    """
    for row, _ in rows:
        if row.failure:
            return row.failure
    scores = np.stack([score for _, score in rows])  # (windows, labels)
    mean = scores.mean(axis=0, dtype=np.float32)  # (labels,)
    if rows[0][0].is_silent:
        mean = np.zeros_like(mean)
    if not np.isfinite(mean).all():
        return Failure(track.path, "the model gave no finite probability for it")
    agreement = float((scores.argmax(axis=1) == mean.argmax()).mean())
    seconds = rows[0][0].seconds
    return Prediction(track, labels, tuple(mean.tolist()), agreement, len(rows), seconds)


def choose_workers(asked: int | None, tracks: int) -> int:
    """Decoding processes: half of the cores that this process may use, and one at least."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    return max(1, min(asked or cores // 2, tracks))
