"""Metrics of predictions, as numbers and as the text in a model card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tagger.report.escape import printable
from training.evaluation.calibration import clip_log_probabilities, expected_calibration_error

LONGEST_LABEL = 60  # characters of a label in a table
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


def describe(metrics: Metrics) -> str:
    """The metrics as text: totals, a row per label, and the confusion matrix."""
    low, high = metrics.interval
    labels = [printable(label, LONGEST_LABEL) for label in metrics.labels]
    width = max(map(len, labels))
    lines = [
        f"clips              {metrics.n}",
        f"accuracy           {metrics.accuracy:.3f}  (95 % interval {low:.3f} to {high:.3f})",
        f"balanced accuracy  {metrics.balanced_accuracy:.3f}",
        f"macro F1           {metrics.macro_f1:.3f}",
        *_probability_lines(metrics),
        "",
        f"{'':{width}}  clips  precision  recall     F1",
    ]
    columns = zip(
        labels, metrics.support, metrics.precision, metrics.recall, metrics.f1, strict=True
    )
    for label, support, precision, recall, f1 in columns:
        # Without clips there is no recall.
        shown = (f"{value:.3f}" if support else "-" for value in (recall, f1))
        lines.append(
            f"{label:{width}}  {support:5d}  {precision:9.3f}  "
            + "  ".join(f"{value:>{size}}" for value, size in zip(shown, (6, 5), strict=True))
        )
    return "\n".join([*lines, "", *_confusion_lines(labels, metrics, width)])


def _probability_lines(metrics: Metrics) -> list[str]:
    """The metrics that need more than the best label of each clip, if they are known."""
    if metrics.windows is None or metrics.window_accuracy is None:
        return []
    lines = [
        f"single windows     {metrics.window_accuracy:.3f}  "
        f"({metrics.windows} windows, each clip counts once)"
    ]
    if metrics.log_loss is None or metrics.ece is None:
        return [
            *lines,
            "calibration        none: each label of this model has an independent probability",
        ]
    plain = metrics.uncalibrated
    if plain is None:
        before = ("", "  (at temperature 1: the checkpoint stores no other)")
    else:
        before = (
            f"  ({plain.log_loss:.3f} at temperature 1)",
            f"  ({plain.ece:.3f} at temperature 1; the checkpoint stores "
            f"{metrics.temperature:.3f})",
        )
    return [
        *lines,
        f"log loss           {metrics.log_loss:.3f}{before[0]}",
        f"calibration error  {metrics.ece:.3f}{before[1]}",
    ]


def _confusion_lines(labels: Sequence[str], metrics: Metrics, width: int) -> list[str]:
    """Rows are the true labels, columns the predicted ones, cut to four letters."""
    heads = " ".join(f"{label[:4]:>4}" for label in labels)
    rows = zip(labels, metrics.confusion, strict=True)
    return [
        f"{'true / predicted':{width}}",
        f"{'':{width}}  {heads}",
        *(
            f"{label:{width}}  " + " ".join(f"{count:4d}" if count else "   ." for count in row)
            for label, row in rows
        ),
    ]
