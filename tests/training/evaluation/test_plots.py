"""Pictures are drawn, in a size that can be shown."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from training.evaluation.metrics import (
    Metrics,
    label_metrics,
)
from training.evaluation.plots import confusion_png, curves_png


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def some_scores(labels: list[str]) -> Metrics:
    draw = np.random.default_rng(8)
    truth = draw.choice(labels[:-1], 300).tolist()  # the last label has no clip
    return label_metrics(truth, draw.choice(labels, 300).tolist(), labels)


@pytest.mark.parametrize("count", [2, 10, 50])
def test_confusions_are_drawn_in_a_size_that_can_be_shown(tmp_path: Path, count: int) -> None:
    path = tmp_path / "confusion.png"
    confusion_png(some_scores([f"genre {index}" for index in range(count)]), path, "a heading")
    width, height = png_size(path)
    assert 500 < height < 3000 and 0.7 < width / height < 1.5


def test_labels_are_drawn_as_they_are_spelled(tmp_path: Path) -> None:
    labels = ["$a_b$", "Folk, World, & Country", "演歌", "x" * 200]
    confusion_png(some_scores(labels), tmp_path / "confusion.png")
    assert max(png_size(tmp_path / "confusion.png")) < 1500


def test_curves_are_drawn_of_whatever_was_measured(tmp_path: Path) -> None:
    first = {
        "epoch": 0.0,
        "step": 0,
        "valid_loss": 2.3,
        "valid_accuracy": 0.1,
        "valid_balanced_accuracy": 0.1,
    }
    second = {**first, "epoch": 1.0, "step": 1, "train_loss": 2.0, "valid_accuracy": 0.4}
    third = {"epoch": 2.0, "step": 2, "train_loss": float("nan")}
    histories = (
        [first, second, third],
        [second],
        [{"epoch": 0.5, "step": 1, "train_loss": 1.0}],
        [third],
    )
    for index, history in enumerate(histories):
        curves_png(history, tmp_path / f"{index}.png", kept=1)
        assert png_size(tmp_path / f"{index}.png")[0] > 500
    with pytest.raises(ValueError, match="without epochs"):
        curves_png([], tmp_path / "none.png", kept=1)
