"""How good predictions are, as numbers and as the text that a model card quotes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

CONFIDENCE = 1.959963984540054  # standard normal quantile of a two-sided 95 % interval


@dataclass(frozen=True, slots=True)
class Scores:
    """What `n` predictions are worth; each tuple is in the order of `labels`.

    `confusion[i][j]` counts clips of label i that were taken for label j.
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


def describe(scores: Scores) -> str:
    """The scores as text: totals, a row per label, and the confusion matrix."""
    low, high = scores.interval
    width = max(len(label) for label in scores.labels)
    lines = [
        f"clips              {scores.n}",
        f"accuracy           {scores.accuracy:.3f}  (95 % interval {low:.3f} to {high:.3f})",
        f"balanced accuracy  {scores.balanced_accuracy:.3f}",
        f"macro F1           {scores.macro_f1:.3f}",
        "",
        f"{'':{width}}  clips  precision  recall     F1",
    ]
    columns = zip(
        scores.labels, scores.support, scores.precision, scores.recall, scores.f1, strict=True
    )
    for label, support, precision, recall, f1 in columns:
        # Without clips there is nothing to recall.
        shown = (f"{value:.3f}" if support else "-" for value in (recall, f1))
        lines.append(
            f"{label:{width}}  {support:5d}  {precision:9.3f}  "
            + "  ".join(f"{value:>{size}}" for value, size in zip(shown, (6, 5), strict=True))
        )
    return "\n".join([*lines, "", *_confusion_lines(scores, width)])


def _confusion_lines(scores: Scores, width: int) -> list[str]:
    """Rows are the true labels, columns the predicted ones, cut to four letters."""
    heads = " ".join(f"{label[:4]:>4}" for label in scores.labels)
    rows = zip(scores.labels, scores.confusion, strict=True)
    return [
        f"{'true / predicted':{width}}",
        f"{'':{width}}  {heads}",
        *(
            f"{label:{width}}  " + " ".join(f"{count:4d}" if count else "   ." for count in row)
            for label, row in rows
        ),
    ]
