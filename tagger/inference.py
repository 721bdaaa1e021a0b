"""A stream of windows to full batches across tracks, and back to one prediction per track."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from tagger.dataset import Decoded, load_windows
from tagger.model import GenreModel
from tagger.types import Failure, Prediction, PredictOptions, Track
from tagger.windows import WindowPlan

Item = Decoded | tuple[int, Failure]
Row = tuple[int, Decoded | Failure, NDArray[np.float32]]  # track, what it came from, (labels,)


def predict_tracks(
    tracks: Sequence[Track], model: GenreModel, plan: WindowPlan, options: PredictOptions
) -> Iterator[Prediction | Failure]:
    """One prediction or failure per track, in the order of the tracks."""
    workers = choose_workers(options.workers, len(tracks))
    decoded = load_windows(tracks, plan, workers=workers, spawn=model.device.type != "cpu")
    rows = score_windows(decoded, model, options.batch_size)
    for index, of_track in groupby(rows, key=itemgetter(0)):
        result = average_windows(tracks[index], list(of_track), model.info.labels)
        if isinstance(result, Prediction):
            result = replace(result, multi_label=model.info.multi_label)
        yield result


def score_windows(items: Iterable[Item], model: GenreModel, batch_size: int) -> Iterator[Row]:
    """A row per window with its probabilities, and one per failure; order kept.

    Windows wait until a batch is full, whichever tracks they belong to.
    """
    waiting: list[tuple[int, Decoded | Failure, NDArray[np.float32] | None]] = []
    held = 0
    for item in items:
        if not isinstance(item, Decoded):
            waiting.append((*item, None))
            continue
        for window in item.windows:
            waiting.append((item.index, item, window))
            held += 1
            if held == batch_size:
                yield from _score(waiting, model)
                waiting, held = [], 0
    yield from _score(waiting, model)


def _score(
    waiting: list[tuple[int, Decoded | Failure, NDArray[np.float32] | None]], model: GenreModel
) -> Iterator[Row]:
    windows = [window for _, _, window in waiting if window is not None]
    scores = iter(model.probabilities(np.stack(windows)) if windows else ())
    nothing = np.zeros(0, np.float32)
    for index, source, window in waiting:
        yield index, source, nothing if window is None else next(scores)


def average_windows(
    track: Track, rows: Sequence[Row], labels: tuple[str, ...]
) -> Prediction | Failure:
    """The mean probability of each label over the windows of one track, in float32."""
    sources = [source for _, source, _ in rows]
    for source in sources:
        if isinstance(source, Failure):
            return source
    scores = np.stack([score for _, _, score in rows])  # (windows, labels)
    mean = scores.mean(axis=0, dtype=np.float32)  # (labels,)
    if not np.isfinite(mean).all():
        return Failure(track.path, "the model gave no finite probability for it")
    agreement = float((scores.argmax(axis=1) == mean.argmax()).mean())
    seconds = sources[0].seconds if isinstance(sources[0], Decoded) else 0.0
    return Prediction(track, labels, tuple(mean.tolist()), agreement, len(rows), seconds)


def choose_workers(asked: int | None, tracks: int) -> int:
    """Decoding processes: half of the cores that this process may use, none for a single track."""
    if asked is not None:
        return min(asked, tracks)
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    return min(max(1, cores // 2), tracks if tracks > 1 else 0)
