"""How well probabilities match accuracy, and the temperature that improves it."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

BINS = 15  # as in Guo et al.
TEMPERATURES = (1 / 4, 4.0)
PRIOR = 0.3  # standard deviation of log T around log 1, before any clip is seen
SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
GRID = 25  # temperatures tried first, so that the search starts in the deepest valley


def expected_calibration_error(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> float:
    """Mean distance between confidence and accuracy, over `bins` bins of equal width.

    `confidence` `(n,)` in [0, 1] is that of the best label, `right` `(n,)` whether it is the true
    one. A bin excludes its lower edge, includes its upper edge, and is weighted by its number of
    items (Naeini et al. 2015; Guo et al. 2017, equation 3). Raises `ValueError` for n = 0.
    """
    stated = np.asarray(confidence, np.float64)
    actual = np.asarray(right, np.float64)
    if not len(stated) or stated.shape != actual.shape:
        raise ValueError(f"no calibration: {stated.shape} confidences, {actual.shape} answers")
    places = np.clip(np.ceil(stated * bins).astype(int) - 1, 0, bins - 1)  # (n,)
    gaps = np.bincount(places, weights=actual - stated, minlength=bins)  # (bins,)
    return float(np.abs(gaps).sum() / len(stated))


def clip_log_probabilities(
    log_probabilities: Sequence[NDArray[np.floating]], temperature: float = 1.0
) -> NDArray[np.float64]:
    """The logarithm of each clip's probabilities at a temperature, `(clips, labels)`.

    As the tagger reports them: the mean over the clip's windows of softmax(log p / T). Each item of
    `log_probabilities` is `(windows, labels)` at temperature 1: the logits up to a constant for
    each window, which does not change a softmax. Raises `ValueError` without clips, or for a clip
    without windows.
    """
    if not all(len(windows) for windows in log_probabilities) or not len(log_probabilities):
        raise ValueError("at least one clip is needed, and each needs a window")
    counts = np.array([len(windows) for windows in log_probabilities])  # (clips,)
    scaled = np.concatenate(log_probabilities).astype(np.float64) / temperature
    scaled -= np.logaddexp.reduce(scaled, axis=1, keepdims=True)  # (all windows, labels)
    sums = np.logaddexp.reduceat(scaled, np.cumsum(counts) - counts, axis=0)
    means: NDArray[np.float64] = sums - np.log(counts)[:, None]  # (clips, labels)
    return means


def without_temperature(
    probabilities: NDArray[np.floating], temperature: float
) -> NDArray[np.float64]:
    """Log-probabilities at temperature 1, from a softmax `(windows, labels)` at another one.

    log p is the logits divided by T, up to a constant, so T log p, normalised to sum to one, undoes
    it. A 0 counts as the smallest positive number of float32.
    """
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST)) * temperature
    scaled: NDArray[np.float64] = logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)
    return scaled


def negative_log_likelihood(
    log_probabilities: Sequence[NDArray[np.floating]],
    truth: Sequence[int],
    temperature: float = 1.0,
) -> float:
    """Mean over clips of -log of the true label's probability, in nats; `truth` indexes labels."""
    clips = clip_log_probabilities(log_probabilities, temperature)  # (clips, labels)
    return float(-clips[np.arange(len(clips)), np.asarray(truth)].mean())


def fit_temperature(
    log_probabilities: Sequence[NDArray[np.floating]], truth: Sequence[int]
) -> float:
    """The temperature under which the clips' true labels are most likely, within `TEMPERATURES`.

    This is temperature scaling (Guo et al. 2017), but of the clip's probability, a mean over
    windows, as the tagger reports it. Arguments are those of `negative_log_likelihood`. The result
    is 1 if no other temperature is better. A few clips that all happen to be right would make it
    tiny, and every tag certain: `PRIOR` prevents that. Raises `ValueError` without clips.
    """

    def loss(logarithm: float) -> float:
        unlikely = (logarithm / PRIOR) ** 2 / 2 / max(1, len(truth))
        return negative_log_likelihood(log_probabilities, truth, exp(logarithm)) + unlikely

    # With a mean over windows, the loss may have several valleys; the search finds only one.
    grid = np.linspace(log(TEMPERATURES[0]), log(TEMPERATURES[1]), GRID)
    deepest = int(np.argmin([loss(logarithm) for logarithm in grid]))
    bounds = (grid[max(0, deepest - 1)], grid[min(GRID - 1, deepest + 1)])
    found = float(minimize_scalar(loss, bounds=bounds, method="bounded").x)
    return exp(found) if loss(found) < loss(0.0) else 1.0
