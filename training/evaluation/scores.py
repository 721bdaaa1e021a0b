"""How good predictions are, as numbers and as the text that a model card quotes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tagger.report.escape import printable
from training.evaluation.calibration import clip_log_probabilities, expected_calibration_error

LONGEST_LABEL = 60  # signs of a label in a table
CONFIDENCE = 1.959963984540054  # standard normal quantile of a two-sided 95 % interval


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the probabilities of clips are worth, at one temperature."""

    temperature: float
    log_loss: float  # mean -log of the true label's probability, in nats
    ece: float  # expected calibration error of the best label


@dataclass(frozen=True, slots=True)
class Scores:
    """What `n` predictions are worth; each tuple is in the order of `labels`.

    `confusion[i][j]` counts clips of label i that were taken for label j. What needs more than the
    best label of each clip is None where only that is known.
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
    window_accuracy: float | None = None  # windows judged alone; mean over clips of the right share
    log_loss: float | None = None  # as the tagger reports: at the checkpoint's own temperature
    ece: float | None = None
    temperature: float | None = None  # None also where labels are judged each alone (sigmoid)
    uncalibrated: Calibration | None = None  # the same at temperature 1, if that is another


def wilson_interval(right: int, n: int, quantile: float = CONFIDENCE) -> tuple[float, float]:
    """Interval for the share `right / n` (Wilson 1927); it takes the clips for independent.

    Clips of one artist are not, so that the truth is somewhat wider. Raises `ValueError` for n = 0.
    """
    if not 0 <= right <= n or n == 0:
        raise ValueError(f"no share: {right} of {n}")
    share, square = right / n, quantile**2 / n
    centre = share + square / 2
    half = quantile * math.sqrt((share * (1 - share) + square / 4) / n)
    return max(0.0, (centre - half) / (1 + square)), min(1.0, (centre + half) / (1 + square))


def score(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Scores:
    """Compare true and predicted labels, one of each per clip; `ValueError` without clips."""
    names = sorted({*labels, *truth, *predicted})
    table = confusion_matrix(truth, predicted, labels=names)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=names, zero_division=0.0
    )
    right = sum(one == other for one, other in zip(truth, predicted, strict=True))
    occurs = support > 0
    return Scores(
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


def score_clips(
    truth: Sequence[str],
    heard: Sequence[NDArray[np.floating]],
    labels: Sequence[str],
    temperature: float | None = 1.0,
) -> Scores:
    """Scores of clips from what was heard in their windows.

    Each item of `heard` holds log-probabilities `(windows, labels)` at temperature 1, which are
    brought to `temperature` and averaged as the tagger does. With `temperature=None` they are the
    logarithms of independent probabilities, one per label, and averaged as they are: such a
    checkpoint (multi-label) ranks its labels but does not share out one certainty among them, so
    that it has no log loss and no calibration. Raises `ValueError` without clips, or for a true
    label that is not in `labels`.
    """
    names, places = np.array(labels, object), [list(labels).index(label) for label in truth]
    if temperature is None:
        clips = np.stack([np.exp(windows).mean(axis=0) for windows in heard])  # (clips, labels)
    else:
        clips = clip_log_probabilities(heard, temperature)
    right = [
        (windows.argmax(axis=1) == place).mean()
        for windows, place in zip(heard, places, strict=True)
    ]
    scores = replace(
        score(truth, names[clips.argmax(axis=1)].tolist(), labels),
        windows=sum(map(len, heard)),
        window_accuracy=float(np.mean(right)),
    )
    if temperature is None:
        return scores
    own = measure_calibration(heard, places, temperature)
    plain = None if temperature == 1 else measure_calibration(heard, places, 1.0)
    return replace(
        scores,
        log_loss=own.log_loss,
        ece=own.ece,
        temperature=temperature,
        uncalibrated=plain,
    )


def measure_calibration(
    heard: Sequence[NDArray[np.floating]], truth: Sequence[int], temperature: float
) -> Calibration:
    """Log loss and calibration error of clips at a temperature; `truth` indexes the labels."""
    clips = clip_log_probabilities(heard, temperature)  # (clips, labels)
    true = clips[np.arange(len(clips)), np.asarray(truth)]  # (clips,)
    right = clips.argmax(axis=1) == np.asarray(truth)
    confidence = np.exp(clips.max(axis=1))
    return Calibration(
        temperature, float(-true.mean()), expected_calibration_error(confidence, right)
    )


def describe(scores: Scores) -> str:
    """The scores as text: totals, a row per label, and the confusion matrix."""
    low, high = scores.interval
    labels = [printable(label, LONGEST_LABEL) for label in scores.labels]
    width = max(map(len, labels))
    lines = [
        f"clips              {scores.n}",
        f"accuracy           {scores.accuracy:.3f}  (95 % interval {low:.3f} to {high:.3f})",
        f"balanced accuracy  {scores.balanced_accuracy:.3f}",
        f"macro F1           {scores.macro_f1:.3f}",
        *_probability_lines(scores),
        "",
        f"{'':{width}}  clips  precision  recall     F1",
    ]
    columns = zip(labels, scores.support, scores.precision, scores.recall, scores.f1, strict=True)
    for label, support, precision, recall, f1 in columns:
        # Without clips there is nothing to recall.
        shown = (f"{value:.3f}" if support else "-" for value in (recall, f1))
        lines.append(
            f"{label:{width}}  {support:5d}  {precision:9.3f}  "
            + "  ".join(f"{value:>{size}}" for value, size in zip(shown, (6, 5), strict=True))
        )
    return "\n".join([*lines, "", *_confusion_lines(labels, scores, width)])


def _probability_lines(scores: Scores) -> list[str]:
    """What is known beyond the best label of each clip, if anything."""
    if scores.windows is None or scores.window_accuracy is None:
        return []
    lines = [
        f"single windows     {scores.window_accuracy:.3f}  "
        f"({scores.windows} windows, each clip counts once)"
    ]
    if scores.log_loss is None or scores.ece is None:
        return [*lines, "calibration        none: each label of this model has a probability alone"]
    plain = scores.uncalibrated
    if plain is None:
        before = ("", "  (at temperature 1: the checkpoint stores no other)")
    else:
        before = (
            f"  ({plain.log_loss:.3f} at temperature 1)",
            f"  ({plain.ece:.3f} at temperature 1; the checkpoint stores {scores.temperature:.3f})",
        )
    return [
        *lines,
        f"log loss           {scores.log_loss:.3f}{before[0]}",
        f"calibration error  {scores.ece:.3f}{before[1]}",
    ]


def _confusion_lines(labels: Sequence[str], scores: Scores, width: int) -> list[str]:
    """Rows are the true labels, columns the predicted ones, cut to four letters."""
    heads = " ".join(f"{label[:4]:>4}" for label in labels)
    rows = zip(labels, scores.confusion, strict=True)
    return [
        f"{'true / predicted':{width}}",
        f"{'':{width}}  {heads}",
        *(
            f"{label:{width}}  " + " ".join(f"{count:4d}" if count else "   ." for count in row)
            for label, row in rows
        ),
    ]
