"""Metrics as text, for the card and for a terminal of any width."""

from __future__ import annotations

from tagger.report.escape import printable
from training.evaluation.metrics import Metrics

LONGEST_LABEL = 60  # characters of a label in a table
SHORTEST_LABEL = 8
CONFUSIONS = 12  # that are listed where the matrix is too wide
NAME = 19  # characters before a value
TABLE = 33  # characters of the table beside its labels
KNOWN = "the model had learned from these clips: it remembers them, this is no accuracy"


def headline(metrics: Metrics) -> str:
    """The most important figure in one line."""
    low, high = metrics.interval
    if metrics.known:
        clips = f"{metrics.n} clips that it had learned from"
        return f"remembers {metrics.accuracy:.3f} of {clips}: no accuracy"
    return (
        f"accuracy {metrics.accuracy:.3f} (95 % interval {low:.3f} to {high:.3f}), n = {metrics.n}"
    )


def describe(metrics: Metrics, width: int | None = None) -> str:
    """The metrics as text: totals, a row per label, and the confusion matrix.

    With a `width`, in characters, labels are shortened and lines broken to fit into it.
    """
    longest = LONGEST_LABEL if width is None else max(SHORTEST_LABEL, width - TABLE)
    labels = [shortened(label, longest) for label in metrics.labels]
    size = max(map(len, labels))
    lines = [line for pair in _totals(metrics) for line in _pair(*pair, width)]
    lines += ["", f"{'':{size}}  clips  precision  recall     F1"]
    columns = zip(
        labels, metrics.support, metrics.precision, metrics.recall, metrics.f1, strict=True
    )
    for label, support, precision, recall, f1 in columns:
        # Without clips there is no recall.
        shown = (f"{value:.3f}" if support else "-" for value in (recall, f1))
        lines.append(
            f"{label:{size}}  {support:5d}  {precision:9.3f}  "
            + "  ".join(f"{value:>{size}}" for value, size in zip(shown, (6, 5), strict=True))
        )
    return "\n".join([*lines, "", *confusion_lines(metrics, width)])


def confusion_lines(metrics: Metrics, width: int | None = None) -> list[str]:
    """The confusion matrix: rows are the true labels, columns the predicted ones.

    Where it does not fit into the width, only the most frequent confusions.
    """
    longest = LONGEST_LABEL
    digits = max(len(str(count)) for row in metrics.confusion for count in row)
    cell = max(4, digits)
    if width is not None:
        room = width - SHORTEST_LABEL - 2
        cell = min(cell, room // len(metrics.labels) - 1)
        if cell < max(digits, 2):
            return _main_confusions(metrics, width)
        longest = max(SHORTEST_LABEL, width - 2 - (cell + 1) * len(metrics.labels))
    labels = [shortened(label, longest) for label in metrics.labels]
    size = max(map(len, labels))
    heads = [label[:cell] for label in labels]
    if len(set(heads)) < len(heads):  # two labels start alike: number them
        heads = [str(number) for number in range(1, len(heads) + 1)]
        mark = len(heads[-1]) + 1
        labels = [
            f"{head:<{mark}}{shortened(label, longest - mark)}"
            for head, label in zip(heads, metrics.labels, strict=True)
        ]
        size = max(map(len, labels))
    rows = zip(labels, metrics.confusion, strict=True)
    return [
        f"{'true / predicted':{size}}",
        f"{'':{size}}  {' '.join(f'{head:>{cell}}' for head in heads)}",
        *(
            f"{label:{size}}  "
            + " ".join(f"{count:{cell}d}" if count else f"{'.':>{cell}}" for count in row)
            for label, row in rows
        ),
    ]


def _main_confusions(metrics: Metrics, width: int) -> list[str]:
    confusions = sorted(
        (
            (-count, metrics.labels[true], metrics.labels[predicted], metrics.support[true])
            for true, row in enumerate(metrics.confusion)
            for predicted, count in enumerate(row)
            if count and true != predicted
        ),
    )
    if not confusions:
        return ["no clip was mistaken"]
    longest = max(SHORTEST_LABEL, (width - len("  999 of 999   for ")) // 2)
    lines = [
        f"{-count:5d} of {support} {shortened(true, longest)} for {shortened(predicted, longest)}"
        for count, true, predicted, support in confusions[:CONFUSIONS]
    ]
    rest = -sum(count for count, *_ in confusions[CONFUSIONS:])
    more = [f"{rest:5d} more, of other pairs"] if rest else []
    return ["most often mistaken:", *lines, *more]


def shortened(label: str, longest: int) -> str:
    """A label of at most so many characters, safe to print."""
    shown = printable(label, LONGEST_LABEL)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _pair(name: str, value: str, note: str, width: int | None) -> list[str]:
    """A line with a name, a value and a note, which gets its own line if there is no room."""
    line = f"{name:{NAME}}{value}"
    if not note:
        return [line]
    whole = f"{line}  ({note})"
    if width is None or len(whole) <= width:
        return [whole]
    import textwrap

    wrapped = textwrap.wrap(note, max(20, width - 2))
    return [line, *(f"  {part}" for part in wrapped)]


def _totals(metrics: Metrics) -> list[tuple[str, str, str]]:
    """Name, value and note of each metric of all clips."""
    clips = ("clips", str(metrics.n), "")
    if metrics.known:
        return [
            clips,
            ("remembered", f"{metrics.accuracy:.3f}", KNOWN),
            ("balanced, likewise", f"{metrics.balanced_accuracy:.3f}", ""),
        ]
    low, high = metrics.interval
    return [
        clips,
        ("accuracy", f"{metrics.accuracy:.3f}", f"95 % interval {low:.3f} to {high:.3f}"),
        ("balanced accuracy", f"{metrics.balanced_accuracy:.3f}", ""),
        ("macro F1", f"{metrics.macro_f1:.3f}", ""),
        *_of_probabilities(metrics),
    ]


def _of_probabilities(metrics: Metrics) -> list[tuple[str, str, str]]:
    """The metrics that need more than the best label of each clip, if they are known."""
    if metrics.windows is None or metrics.window_accuracy is None:
        return []
    single = (
        "single windows",
        f"{metrics.window_accuracy:.3f}",
        f"{metrics.windows} windows, each clip counts once",
    )
    if metrics.log_loss is None or metrics.ece is None:
        none = "none: each label of this model has an independent probability"
        return [single, ("calibration", none, "")]
    plain = metrics.uncalibrated
    if plain is None:
        before = ("", "at temperature 1: the checkpoint stores no other")
    else:
        before = (
            f"{plain.log_loss:.3f} at temperature 1",
            f"{plain.ece:.3f} at temperature 1; the checkpoint stores {metrics.temperature:.3f}",
        )
    return [
        single,
        ("log loss", f"{metrics.log_loss:.3f}", before[0]),
        ("calibration error", f"{metrics.ece:.3f}", before[1]),
    ]
