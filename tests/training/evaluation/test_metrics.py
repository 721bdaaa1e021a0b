"""Metrics, against scikit-learn and published figures."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from helpers.clips import GENRES
from scipy import special
from sklearn import metrics

from training.evaluation.metrics import (
    Metrics,
    as_json,
    clip_metrics,
    label_metrics,
    wilson_interval,
)
from training.evaluation.text import confusion_lines, describe, headline

log_softmax = partial(special.log_softmax, axis=-1)


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


def test_a_clip_is_scored_by_the_mean_of_its_windows_at_the_temperature() -> None:
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


def test_independent_labels_have_no_calibration() -> None:
    predicted = [np.log([[0.9, 0.8], [0.1, 0.8]]), np.log([[0.01, 0.02]])]
    scores = clip_metrics(["b", "b"], predicted, ["a", "b"], temperature=None)
    assert (scores.accuracy, scores.window_accuracy) == (1.0, 0.75)
    assert (scores.log_loss, scores.ece, scores.temperature) == (None, None, None)
    assert "calibration        none: " in describe(scores)


def test_a_true_label_that_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(ValueError):
        clip_metrics(["c"], [np.log([[0.5, 0.5]])], ["a", "b"])


# As text, in a terminal of any width


def some_metrics(labels: list[str], *, known: bool = False) -> Metrics:
    draw = np.random.default_rng(5)
    truth = draw.choice(labels, 400).tolist()
    guesses = draw.choice(labels, 400).tolist()
    predicted = [one if draw.random() < 0.6 else two for one, two in zip(truth, guesses)]  # noqa: B905
    return replace(label_metrics(truth, predicted, labels), known=known)


LABEL_SETS = {
    "gtzan": list(GENRES),
    "alike": ["country", "country rock", "country blues"],
    "long": ["Folk, World, & Country music of the Northern Hemisphere", "Jazz"],
    "many": [f"genre number {index}" for index in range(40)],
}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("width", [50, 80])
@pytest.mark.parametrize("name", LABEL_SETS)
def test_metrics_fit_into_a_terminal(name: str, width: int, known: bool) -> None:
    lines = describe(some_metrics(LABEL_SETS[name], known=known), width).splitlines()
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [50, 80, None])
def test_the_matrix_shows_every_count_where_it_fits(width: int | None) -> None:
    scores = some_metrics(LABEL_SETS["gtzan"])
    rows = confusion_lines(scores, width)[2:]
    shown = [[int(cell.replace(".", "0")) for cell in row.split()[1:]] for row in rows]
    assert shown == [list(row) for row in scores.confusion]


def test_labels_that_start_alike_have_columns_that_differ() -> None:
    lines = confusion_lines(some_metrics(LABEL_SETS["alike"]), 50)
    assert lines[1].split() == ["1", "2", "3"]
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3"]


def test_where_the_matrix_is_too_wide_the_main_confusions_are_listed() -> None:
    scores = some_metrics(LABEL_SETS["many"])
    head, *lines = confusion_lines(scores, 80)
    assert head == "most often mistaken:"
    counts = [int(line.split()[0]) for line in lines]
    off = np.array(scores.confusion)
    np.fill_diagonal(off, 0)
    assert counts[0] == off.max() and sum(counts) == off.sum()
    assert all(len(line) <= 80 for line in lines)


def test_what_is_remembered_is_not_called_accuracy() -> None:
    scores = some_metrics(LABEL_SETS["gtzan"], known=True)
    names = [line.split("  ")[0] for line in describe(scores).splitlines()]
    assert "remembered" in names and not [name for name in names if "accuracy" in name]
    assert not [name for name in as_json(scores) if "accuracy" in name]
    assert "no accuracy" in headline(scores)
