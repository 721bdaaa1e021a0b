"""Metrics, calibration and pictures, against scikit-learn and sums written out."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from training.evaluation.calibration import (
    clip_log_probabilities,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    without_temperature,
)
from training.evaluation.metrics import (
    Metrics,
    clip_metrics,
    describe,
    label_metrics,
    wilson_interval,
)
from training.evaluation.plots import confusion_png, curves_png

LOGITS = arrays(np.float64, (3, 4), elements=st.floats(-20, 20))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def drawn_clips(count: int, temperature: float) -> tuple[list[np.ndarray], list[int]]:
    """Single-window clips whose truth is drawn from softmax(logits / temperature)."""
    draw = np.random.default_rng(5)
    logits = draw.normal(0, 3, (count, 1, 4))
    gumbel = draw.gumbel(size=(count, 4))
    truth = (logits[:, 0] / temperature + gumbel).argmax(axis=1)
    return list(log_softmax(logits)), truth.tolist()


# Metrics


def test_wilson_interval_is_the_published_one() -> None:
    # Brown, Cai, DasGupta (2001) and statsmodels' proportion_confint(8, 10, method="wilson").
    assert wilson_interval(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-5)
    low, high = wilson_interval(0, 20)
    assert low == 0 and high == pytest.approx(0.16113, abs=1e-5)
    with pytest.raises(ValueError):
        wilson_interval(0, 0)


def test_scores_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(4)
    truth = draw.choice(["a", "b", "c"], 50).tolist()
    predicted = [t if draw.random() < 0.6 else draw.choice(["a", "b", "c"]) for t in truth]
    scores = label_metrics(truth, predicted, ["a", "b", "c", "never"])
    assert scores.accuracy == metrics.accuracy_score(truth, predicted)
    assert scores.balanced_accuracy == pytest.approx(
        metrics.balanced_accuracy_score(truth, predicted)
    )
    assert scores.macro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    assert sum(map(sum, scores.confusion)) == scores.n == 50
    assert re.search(r"never +0 +0\.000 +- +-", describe(scores))
    assert "single windows" not in describe(scores)


def test_scores_of_a_model_that_is_never_right_can_be_shown() -> None:
    shown = describe(label_metrics(["tone", "tone"], ["noise", "noise"], ["noise", "tone"]))
    assert "accuracy           0.000" in shown


def test_a_clip_is_judged_by_the_mean_of_its_windows_at_the_temperature() -> None:
    draw = np.random.default_rng(6)
    predicted = [log_softmax(draw.normal(0, 3, (windows, 3))) for windows in (4, 1, 7, 2) * 10]
    truth = draw.choice(["a", "b", "c"], len(predicted)).tolist()
    scores = clip_metrics(truth, predicted, ["a", "b", "c"], 2.5)
    means = np.stack([np.exp(log_softmax(windows / 2.5)).mean(axis=0) for windows in predicted])
    best = np.array(["a", "b", "c"])[means.argmax(axis=1)]
    assert scores.accuracy == metrics.accuracy_score(truth, best)
    assert scores.log_loss == pytest.approx(metrics.log_loss(truth, means))
    assert scores.temperature == 2.5
    plain = np.stack([np.exp(windows).mean(axis=0) for windows in predicted])
    assert scores.uncalibrated is not None
    assert scores.uncalibrated.log_loss == pytest.approx(metrics.log_loss(truth, plain))


def test_each_clip_counts_once_among_single_windows() -> None:
    right, wrong = [0.9, 0.1], [0.2, 0.8]
    predicted = [np.log([right]), np.log([right, wrong, wrong, wrong])]
    scores = clip_metrics(["a", "a"], predicted, ["a", "b"])
    assert scores.window_accuracy == (1 + 0.25) / 2
    assert scores.windows == 5
    assert "single windows     0.625  (5 windows" in describe(scores)
    assert scores.uncalibrated is None and "stores no other" in describe(scores)


def test_labels_that_are_judged_alone_have_no_calibration() -> None:
    predicted = [np.log([[0.9, 0.8], [0.1, 0.8]]), np.log([[0.01, 0.02]])]
    scores = clip_metrics(["b", "b"], predicted, ["a", "b"], temperature=None)
    assert (scores.accuracy, scores.window_accuracy) == (1.0, 0.75)
    assert (scores.log_loss, scores.ece, scores.temperature) == (None, None, None)
    assert "calibration        none: " in describe(scores)


def test_a_true_label_that_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(ValueError):
        clip_metrics(["c"], [np.log([[0.5, 0.5]])], ["a", "b"])


# Calibration


def test_calibration_error_is_that_of_its_definition() -> None:
    draw = np.random.default_rng(7)
    confidence = np.concatenate([draw.uniform(0.1, 1, 300), [0.2, 0.4, 1.0, 1.0]])
    right = draw.random(len(confidence)) < confidence**2
    expected = 0.0
    for place in range(10):
        inside = (confidence > place / 10) & (confidence <= (place + 1) / 10)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += inside.sum() / len(confidence) * gap
    assert expected_calibration_error(confidence, right, 10) == pytest.approx(expected)


def test_confidence_that_holds_has_no_calibration_error() -> None:
    assert expected_calibration_error([0.75] * 4, [True, True, True, False]) == pytest.approx(0)
    assert expected_calibration_error([1.0, 1.0], [False, False]) == 1
    assert expected_calibration_error([0.0], [True]) == 1
    with pytest.raises(ValueError):
        expected_calibration_error([], [])


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_the_truth_was_drawn_by_is_found(temperature: float) -> None:
    assert fit_temperature(*drawn_clips(4000, temperature)) == pytest.approx(temperature, rel=0.1)


@given(
    clips=st.lists(LOGITS, min_size=1, max_size=6), truth=st.lists(st.integers(0, 3), min_size=6)
)
def test_a_fitted_temperature_never_makes_the_truth_less_likely(
    clips: list[np.ndarray], truth: list[int]
) -> None:
    predicted, known = [log_softmax(clip) for clip in clips], truth[: len(clips)]
    fitted = fit_temperature(predicted, known)
    assert 1 / 4 <= fitted <= 4
    after = negative_log_likelihood(predicted, known, fitted)
    assert after <= negative_log_likelihood(predicted, known)


@given(
    window=arrays(np.float64, (1, 4), elements=st.integers(-10, 10), unique=True),
    temperature=st.floats(1 / 20, 20),
)
def test_a_temperature_does_not_change_the_best_label_of_a_single_window(
    window: np.ndarray, temperature: float
) -> None:
    clips = clip_log_probabilities([log_softmax(window)], temperature)
    assert clips.argmax() == window.argmax()


@given(logits=LOGITS, temperature=st.floats(0.5, 10))
def test_a_temperature_can_be_taken_back(logits: np.ndarray, temperature: float) -> None:
    probabilities = np.exp(log_softmax(logits / temperature))
    back = without_temperature(probabilities, temperature)
    np.testing.assert_allclose(back, log_softmax(logits), atol=1e-6)


def test_a_probability_of_nothing_stays_a_number() -> None:
    probabilities = np.array([[1.0, 0.0]], np.float32)
    assert np.isfinite(without_temperature(probabilities, 20.0)).all()
    assert np.isfinite(
        negative_log_likelihood([without_temperature(probabilities, 1.0)], [1], 1 / 20)
    )


def test_a_few_clips_that_are_all_right_do_not_make_every_tag_certain() -> None:
    windows = log_softmax(np.array([[1.0, 0.0]]))  # p = 0.73
    assert 0.5 < fit_temperature([windows] * 20, [0] * 20) < 1
    assert 1 < fit_temperature([windows] * 5, [1] * 5) < 2


def test_without_clips_or_windows_there_is_nothing_to_fit() -> None:
    for nothing in ([], [np.zeros((0, 2))]):
        with pytest.raises(ValueError):
            fit_temperature(nothing, [0] * len(nothing))


# Pictures


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
    first = {"epoch": 0.0, "valid_loss": 2.3, "valid_accuracy": 0.1, "valid_balanced_accuracy": 0.1}
    second = {**first, "epoch": 1.0, "train_loss": 2.0, "valid_accuracy": 0.4}
    third = {"epoch": 2.0, "train_loss": float("nan")}
    histories = ([first, second, third], [second], [{"epoch": 0.5, "train_loss": 1.0}], [third])
    for index, history in enumerate(histories):
        curves_png(history, tmp_path / f"{index}.png")
        assert png_size(tmp_path / f"{index}.png")[0] > 500
    with pytest.raises(ValueError, match="without epochs"):
        curves_png([], tmp_path / "none.png")
