"""The tagger's predictions for labelled clips, and their metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagger.audio.pool import DecoderPool
from tagger.inference.predict import average_windows, choose_workers, score_tracks
from tagger.models.model import GenreModel
from tagger.types import Failure, PredictOptions, Track
from training.clips.clip import Clip
from training.clips.labels import LabelMatch, match_labels
from training.console import progress
from training.errors import TrainingError
from training.evaluation.calibration import SMALLEST, without_temperature
from training.evaluation.metrics import Metrics, clip_metrics


@dataclass(frozen=True, slots=True)
class PredictedClip:
    """A clip, and the log-probabilities `(windows, labels)` of its windows."""

    clip: Clip
    log_probabilities: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The metrics, and which clips and labels they leave out."""

    metrics: Metrics
    failures: list[Failure]  # clips that could not be decoded
    match: LabelMatch
    left_out: int  # clips whose label the model does not have


def measure(
    clips: Sequence[Clip], model: GenreModel, options: PredictOptions, labels: Sequence[str]
) -> Evaluation:
    """Metrics of a loaded model on the clips whose label it has.

    `labels` are those of all the data, while `clips` may be a part of it: `match_labels` says which
    labels the model chooses from. Raises `TrainingError` if nothing could be predicted.
    """
    info = model.info
    match = match_labels(labels, info.labels, multi_label=info.multi_label)
    known = [clip for clip in clips if clip.label in match.names]
    if not known:
        raise TrainingError("the model has none of the labels of these clips")
    predicted, failures = predict_clips(known, model, options)
    if not predicted:
        raise TrainingError("none of the clips to evaluate on could be decoded")
    metrics = clip_metrics(
        [of.clip.label for of in predicted],
        [of.log_probabilities[:, list(match.columns)] for of in predicted],
        match.names,
        None if info.multi_label else info.temperature,
    )
    return Evaluation(metrics, failures, match, len(clips) - len(known))


def predict_clips(
    clips: Sequence[Clip], model: GenreModel, options: PredictOptions
) -> tuple[list[PredictedClip], list[Failure]]:
    """The model's predictions for each window of each clip, and the clips that failed.

    They are log-probabilities at temperature 1, whatever the checkpoint stores, for exactly the
    windows that the tagger averages; for a multi-label checkpoint, the logarithms of its
    probabilities.
    """
    info = model.info
    # A file that has gone meanwhile, or a broken link, is a failure like others.
    sizes = [clip.path.stat().st_size if clip.path.exists() else 0 for clip in clips]
    tracks = [Track(clip.path.absolute(), size, 0) for clip, size in zip(clips, sizes, strict=True)]
    predictions: list[PredictedClip] = []
    failures: list[Failure] = []
    workers = choose_workers(options.workers, len(tracks))
    # Whatever the time that decoding takes, equal runs make equal batches, and so equal figures.
    with DecoderPool(workers, options.decode_timeout, patience=None) as pool:
        scored = score_tracks(tracks, model, info.plan(options.windows), pool)
        finished = []
        with progress(len(tracks), "measuring", "clips") as shown:
            for track in scored:
                finished.append(track)
                shown.advance()
    finished.sort(key=lambda track: track.index)
    for clip, track in zip(clips, finished, strict=True):
        predicted = average_windows(track, info.labels)
        if isinstance(predicted, Failure):
            failures.append(predicted)
            continue
        if not track.scores:
            failures.append(Failure(clip.path, "silent"))
            continue
        windows = np.stack(track.scores)  # (windows, labels)
        if info.multi_label:
            logs = np.log(np.maximum(windows.astype(np.float64), SMALLEST))
        else:
            logs = without_temperature(windows, info.temperature)
        predictions.append(PredictedClip(clip, logs))
    return predictions, failures
