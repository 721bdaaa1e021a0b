"""Metrics of predictions, as numbers and as the text in a model card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from training.evaluation.calibration import (
    clip_log_probabilities,
    expected_calibration_error,
    fit_temperature,
)

ACCURACY = "accuracy"
# Of clips that the network, or the one that it was trained from, had learned from: no accuracy.
REMEMBERED = "remembered"
CONFIDENCE = 1.959963984540054  # standard normal quantile of a two-sided 95 % interval


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well the probabilities of clips match the truth, at one temperature."""

    temperature: float
    log_loss: float  # mean -log of the true label's probability, in nats
    ece: float  # expected calibration error of the best label


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of `n` predictions; each tuple is in the order of `labels`.

    `confusion[i][j]` counts clips of label i that were predicted as label j. Metrics that need more
    than the best label of each clip are None if only that is known.
    """

    labels: tuple[str, ...]
    n: int
    accuracy: float
    interval: tuple[float, float]  # Wilson, 95 %
    balanced_accuracy: float  # mean recall over the labels that occur
    macro_f1: float  # mean over the labels that occur
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    support: tuple[int, ...]
    confusion: tuple[tuple[int, ...], ...]
    windows: int | None = None  # of all clips together
    window_accuracy: float | None = None  # of single windows; mean over clips of the right share
    log_loss: float | None = None  # as the tagger reports: at the checkpoint's own temperature
    ece: float | None = None
    temperature: float | None = None  # None also for independent probabilities (sigmoid)
    uncalibrated: Calibration | None = None  # the same at temperature 1, if they differ
    known: bool = False  # whether the model had learned from the clips: then this is no accuracy


def as_json(metrics: Metrics) -> dict[str, Any]:
    """The metrics for a JSON file; of known clips, no value is called accuracy."""
    values = asdict(metrics)
    if metrics.known:
        values = {name.replace(ACCURACY, REMEMBERED): value for name, value in values.items()}
    return values


def wilson_interval(right: int, n: int, quantile: float = CONFIDENCE) -> tuple[float, float]:
    """Interval for the share `right / n` (Wilson 1927), for independent clips.

    Clips of one artist are not independent, so the true interval is somewhat wider. Raises
    `ValueError` for n = 0.
    """
    if not 0 <= right <= n or n == 0:
        raise ValueError(f"no share: {right} of {n}")
    share, square = right / n, quantile**2 / n
    centre = share + square / 2
    half = quantile * math.sqrt((share * (1 - share) + square / 4) / n)
    return max(0.0, (centre - half) / (1 + square)), min(1.0, (centre + half) / (1 + square))


def label_metrics(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Metrics:
    """Compare true and predicted labels, one of each per clip; `ValueError` without clips."""
    names = sorted({*labels, *truth, *predicted})
    table = confusion_matrix(truth, predicted, labels=names)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=names, zero_division=0.0
    )
    right = sum(one == other for one, other in zip(truth, predicted, strict=True))
    occurs = support > 0
    return Metrics(
        labels=tuple(names),
        n=len(truth),
        accuracy=right / len(truth),
        interval=wilson_interval(right, len(truth)),
        balanced_accuracy=float(recall[occurs].mean()),
        macro_f1=float(f1[occurs].mean()),
        precision=tuple(precision.tolist()),
        recall=tuple(recall.tolist()),
        f1=tuple(f1.tolist()),
        support=tuple(int(count) for count in support),
        confusion=tuple(tuple(row) for row in table.tolist()),
    )


def clip_metrics(
    truth: Sequence[str],
    predicted: Sequence[NDArray[np.floating]],
    labels: Sequence[str],
    temperature: float | None = 1.0,
) -> Metrics:
    """Metrics of clips from the predictions for their windows.

    Each item of `predicted` holds log-probabilities `(windows, labels)` at temperature 1, which are
    scaled to `temperature` and averaged as in the tagger. With `temperature=None` they are the
    logarithms of independent probabilities, one per label, and averaged unscaled: such a checkpoint
    (multi-label) ranks its labels, but their probabilities do not sum to one, so there is no log
    loss and no calibration. Raises `ValueError` without clips, or for a true label that is not in
    `labels`.
    """
    names, places = np.array(labels, object), [list(labels).index(label) for label in truth]
    if temperature is None:
        clips = np.stack([np.exp(windows).mean(axis=0) for windows in predicted])  # (clips, labels)
    else:
        clips = clip_log_probabilities(predicted, temperature)
    right = [
        (windows.argmax(axis=1) == place).mean()
        for windows, place in zip(predicted, places, strict=True)
    ]
    metrics = replace(
        label_metrics(truth, names[clips.argmax(axis=1)].tolist(), labels),
        windows=sum(map(len, predicted)),
        window_accuracy=float(np.mean(right)),
    )
    if temperature is None:
        return metrics
    own = measure_calibration(predicted, places, temperature)
    plain = None if temperature == 1 else measure_calibration(predicted, places, 1.0)
    return replace(
        metrics,
        log_loss=own.log_loss,
        ece=own.ece,
        temperature=temperature,
        uncalibrated=plain,
    )


def fitted(
    truth: Sequence[str],
    predicted: Sequence[NDArray[np.floating]],
    labels: Sequence[str],
    *,
    fit: bool = True,
) -> Metrics:
    """`clip_metrics` at the temperature that is fitted to these clips, or at 1 without `fit`.

    This is what every figure of a run on its valid part means: in the epochs' lines, in the
    learning curve, and in the card. Without `fit`: clips that a network has learned from would make
    it far too confident of others.
    """
    temperature = 1.0
    if fit:
        places = [list(labels).index(label) for label in truth]
        temperature = round(fit_temperature(predicted, places), 4)
    return clip_metrics(truth, predicted, labels, temperature)


def measure_calibration(
    predicted: Sequence[NDArray[np.floating]], truth: Sequence[int], temperature: float
) -> Calibration:
    """Log loss and calibration error of clips at a temperature; `truth` indexes the labels."""
    clips = clip_log_probabilities(predicted, temperature)  # (clips, labels)
    true = clips[np.arange(len(clips)), np.asarray(truth)]  # (clips,)
    right = clips.argmax(axis=1) == np.asarray(truth)
    confidence = np.exp(clips.max(axis=1))
    return Calibration(
        temperature, float(-true.mean()), expected_calibration_error(confidence, right)
    )
