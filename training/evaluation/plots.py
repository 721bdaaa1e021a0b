"""Pictures of the metrics: confusions, and learning curves. PNG, without a display."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from tagger.report.escape import printable
from training.evaluation.metrics import Metrics
from training.evaluation.text import headline

DPI = 130
# The value is in the lightness alone: legible without colour vision, and printed in grey.
COLOURS = "Blues"
NOTHING = "0.93"  # grey of a row without clips
WHITE_FROM = 0.68  # share from which a cell is dark enough for white text
PAD = 0.12  # inches around each part of a picture
LONGEST = 28  # characters of a label
# Wong (2011), Nature Methods 8: distinguishable with any colour vision.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.4"
CURVES = (
    ("train_loss", "training", BLUE, "o"),
    ("valid_loss", "validation", ORANGE, "s"),
    ("train_accuracy", "training (crops, as they are learned)", BLUE, "o"),
    ("valid_accuracy", "validation", ORANGE, "s"),
    ("valid_balanced_accuracy", "validation, balanced", GREEN, "^"),
    ("valid_remembered", "validation: remembered, no accuracy", ORANGE, "s"),
    ("valid_balanced_remembered", "the same, balanced", GREEN, "^"),
    ("valid_explained", "validation", ORANGE, "s"),
)
PANELS = (  # what is on the axis of each, and the end of its curves' names
    ("loss (nats)", ("loss",)),
    ("share that is right", ("accuracy", "remembered")),
    ("explained variance of the teachers", ("explained",)),
)
SHARES = (
    "valid_accuracy",
    "valid_remembered",
    "valid_explained",
    "train_accuracy",
)  # the first is in the heading


def confusion_png(metrics: Metrics, path: Path, heading: str = "") -> None:
    """Draw the confusion matrix: counts in the cells, their share of the true label as colour.

    `heading`, such as the model and the part, is printed above the figures. Labels without clips
    have a grey row. Raises `OSError` if `path` cannot be written.
    """
    counts = np.array(metrics.confusion)  # (true, predicted)
    support = counts.sum(axis=1, keepdims=True)  # (true, 1)
    shares = np.ma.masked_array(
        counts / np.maximum(support, 1), mask=np.broadcast_to(support == 0, counts.shape)
    )
    count = len(metrics.labels)
    cell = 0.62 if count <= 12 else max(0.3, 7.4 / count)  # inches
    names = [printable(label, LONGEST) for label in metrics.labels]
    longest = max(map(len, names))
    margin = 1.6 + 0.085 * longest
    side = max(3.2, cell * count)
    figure = _figure(side + margin + 0.9, side + margin)
    axes = figure.add_subplot()
    axes.set_facecolor(NOTHING)
    image = axes.imshow(shares, cmap=COLOURS, vmin=0, vmax=1, interpolation="none")
    _name_axes(axes, names, metrics, cell)
    drawn = side / count * 72  # points; a digit is about 0.6 of its height wide
    size = min(10.0, 0.45 * drawn, drawn / len(str(counts.max())))
    for row, column in zip(*counts.nonzero(), strict=True):
        colour = "white" if shares[row, column] > WHITE_FROM else "black"
        text = str(counts[row, column])
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, aspect=28, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.set_label("share of the true label's clips")
    bar.outline.set_visible(False)
    lines = [printable(heading, 3 * LONGEST)] if heading else []
    figure.suptitle("\n".join([*lines, headline(metrics)]), fontsize=11, parse_math=False)
    _save(figure, path)


def _name_axes(axes: Axes, names: Sequence[str], metrics: Metrics, cell: float) -> None:
    """Labels on both sides, the true ones with their number of clips, and lines between cells."""
    count = len(metrics.labels)
    true = [f"{name} ({clips})" for name, clips in zip(names, metrics.support, strict=True)]
    size = 10 if cell > 0.5 else 9 if cell > 0.35 else 8
    slant = 45 if count <= 20 else 90
    axes.set_xticks(
        range(count), names, rotation=slant, ha="right" if slant == 45 else "center",
        rotation_mode="anchor" if slant == 45 else "default", fontsize=size, parse_math=False,
    )  # fmt: skip
    axes.set_yticks(range(count), true, fontsize=size, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true (clips)")
    edges = np.arange(count + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)


def curves_png(history: Sequence[Mapping[str, float]], path: Path, kept: float) -> None:
    """Draw losses and accuracies per epoch, and mark the epoch whose weights were kept.

    Each row has "epoch", "step" and the values measured then, named as in `CURVES`; any may be
    absent. `kept` is the step of the kept weights. Raises `ValueError` for an empty history,
    `OSError` if `path` cannot be written.
    """
    if not history:
        raise ValueError("a history without epochs cannot be drawn")
    panels = [
        (axis, [curve for curve in CURVES if curve[0].endswith(ends)]) for axis, ends in PANELS
    ]
    panels = [
        (axis, curves) for axis, curves in panels if any(_points(history, c[0]) for c in curves)
    ]
    figure = _figure(7.5, 1.2 + 2.7 * max(1, len(panels)))
    marked = next((row for row in history if row["step"] == kept), None)
    above: Axes | None = None
    for place, (axis, curves) in enumerate(panels, 1):
        axes = figure.add_subplot(len(panels), 1, place, sharex=above)
        above = above or axes
        _draw_curves(axes, history, curves)
        axes.set_ylabel(axis)
        if marked is not None:
            axes.axvline(marked["epoch"], color=GREY, linestyle="--", linewidth=1, zorder=0)
        if place == len(panels):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            if len({row["epoch"] for row in history}) == 1:
                axes.set_xlim(history[0]["epoch"] - 1, history[0]["epoch"] + 1)
        else:
            axes.tick_params(labelbottom=False)
    if marked is not None:
        figure.suptitle(_kept_words(marked), fontsize=11)
    _save(figure, path)


def _kept_words(row: Mapping[str, float]) -> str:
    words = f"kept: epoch {row['epoch']:.3g}"
    name = next((name for name in SHARES if name in row), None)
    if name is None:
        return words
    if name == "valid_remembered":
        return (
            f"{words}, which remembers {row[name]:.3f} of the validation clips\n"
            "(the initial model had learned from them: this is no accuracy)"
        )
    part, what = name.split("_")
    if what == "explained":
        return f"{words}, which explains {row[name]:.3f} of the variance of the teachers' outputs"
    return f"{words}, {'validation' if part == 'valid' else 'training'} {what} {row[name]:.3f}"


def _draw_curves(
    axes: Axes,
    history: Sequence[Mapping[str, float]],
    curves: Sequence[tuple[str, str, str, str]],
) -> None:
    for name, shown, colour, marker in curves:
        points = _points(history, name)
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, ms=4, label=shown)
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="best")


def _points(history: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    """`(epoch, value)` where the value is finite; a diverged loss cannot be drawn."""
    return [
        (row["epoch"], row[name])
        for row in history
        if row.get(name) is not None and math.isfinite(row[name])
    ]


def _figure(width: float, height: float) -> Figure:
    """A figure with its own canvas, in inches; pyplot would keep each one, and need a display."""
    layout = ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    with warnings.catch_warnings():
        # A label in a script that the font lacks becomes boxes; the warning must not stop a run.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(path, format="png")
