"""Calibration, against its definitions and on clips drawn at a known temperature."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special

from training.evaluation.calibration import (
    clip_log_probabilities,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    without_temperature,
)

LOGITS = arrays(np.float64, (3, 4), elements=st.floats(-20, 20))
log_softmax = partial(special.log_softmax, axis=-1)


def drawn_clips(count: int, temperature: float) -> tuple[list[np.ndarray], list[int]]:
    """Single-window clips whose truth is drawn from softmax(logits / temperature)."""
    draw = np.random.default_rng(5)
    logits = draw.normal(0, 3, (count, 1, 4))
    gumbel = draw.gumbel(size=(count, 4))
    truth = (logits[:, 0] / temperature + gumbel).argmax(axis=1)
    return list(log_softmax(logits)), truth.tolist()


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


def test_accurate_confidence_has_no_calibration_error() -> None:
    assert expected_calibration_error([0.75] * 4, [True, True, True, False]) == pytest.approx(0)
    assert expected_calibration_error([1.0, 1.0], [False, False]) == 1
    assert expected_calibration_error([0.0], [True]) == 1
    with pytest.raises(ValueError):
        expected_calibration_error([], [])


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_the_truth_was_drawn_at_is_found(temperature: float) -> None:
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
def test_a_temperature_can_be_undone(logits: np.ndarray, temperature: float) -> None:
    probabilities = np.exp(log_softmax(logits / temperature))
    back = without_temperature(probabilities, temperature)
    np.testing.assert_allclose(back, log_softmax(logits), atol=1e-6)


def test_a_probability_of_zero_stays_finite() -> None:
    probabilities = np.array([[1.0, 0.0]], np.float32)
    assert np.isfinite(without_temperature(probabilities, 20.0)).all()
    assert np.isfinite(
        negative_log_likelihood([without_temperature(probabilities, 1.0)], [1], 1 / 20)
    )


def test_a_few_correct_clips_do_not_make_every_tag_certain() -> None:
    windows = log_softmax(np.array([[1.0, 0.0]]))  # p = 0.73
    assert 0.5 < fit_temperature([windows] * 20, [0] * 20) < 1
    assert 1 < fit_temperature([windows] * 5, [1] * 5) < 2


def test_without_clips_or_windows_there_is_nothing_to_fit() -> None:
    for nothing in ([], [np.zeros((0, 2))]):
        with pytest.raises(ValueError):
            fit_temperature(nothing, [0] * len(nothing))
