from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tagger.audio import windows
from tagger.audio.windows import FIRST, MOST
from tagger.inference import stopping
from tagger.inference.stopping import PRECISE, is_settled

# (scored, labels), independent probabilities, as of a sigmoid
SCORES = npst.arrays(
    np.float32,
    st.tuples(st.integers(1, MOST), st.integers(2, 12)),
    elements=st.floats(0, 1, width=32),
)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


def track(kind: str, generator: np.random.Generator, labels: int, noise: float) -> np.ndarray:
    """The scores of `MOST` windows of one track, whose labels differ by a few logits."""
    logits = generator.normal(-3, 2, labels) + generator.normal(0, noise, (MOST, labels))
    return softmax(logits) if kind == "softmax" else (1 / (1 + np.exp(-logits))).astype(np.float32)


@given(SCORES, st.integers(1, MOST))
def test_it_is_settled_when_all_is_scored(scores, total):
    assert is_settled(scores, min(total, len(scores)))


@given(SCORES)
def test_it_is_not_settled_by_fewer_windows_than_the_first_lot_has(scores):
    assert not is_settled(scores[: FIRST - 1], MOST)


@given(SCORES, st.sampled_from([np.nan, np.inf, -np.inf]), st.data())
def test_it_is_not_settled_by_what_is_no_number(scores, wrong, data):
    row, label = (data.draw(st.integers(0, size - 1)) for size in scores.shape)
    scores[row, label] = wrong
    assert not is_settled(scores, len(scores) + 1)


@pytest.mark.parametrize("labels", [1, 2, 10, 527])
@pytest.mark.parametrize("total", [FIRST + 1, 10, MOST])
def test_windows_that_agree_and_are_certain_settle_at_once(labels, total):
    scores = np.full((FIRST, labels), 0.001, np.float32)
    scores[:, labels // 2] = 0.99
    assert is_settled(scores, total)


@pytest.mark.parametrize("labels", [2, 10, 527])
def test_one_window_against_the_others_does_not_settle(labels):
    scores = np.full((FIRST, labels), 0.001, np.float32)
    scores[:, 0] = 0.99
    scores[0, :2] = 0.01, 0.99
    assert not is_settled(scores, MOST)


@given(st.integers(FIRST, MOST - 1), st.floats(0.2, 0.49))
def test_two_labels_that_lead_equally_are_never_settled(scored, share):
    scores = np.full((scored, 4), (1 - 2 * share) / 2 / 2, np.float32)
    scores[:, 1:3] = share
    assert not is_settled(scores, MOST)


def test_few_windows_that_agree_by_chance_do_not_pass_for_certain():
    """Equal scores have no variance at all, yet a narrow lead is not settled by three of them."""
    narrow = np.tile(np.float32([0.36, 0.34, 0.3]), (FIRST, 1))
    assert not is_settled(narrow, MOST)


def test_it_is_not_settled_while_the_mean_of_a_label_may_still_move():
    """The first label leads by far in each window, but nobody knows by how much."""
    scores = np.float32([[0.95, 0.0], [0.3, 0.0], [0.95, 0.0], [0.3, 0.0], [0.6, 0.0]])
    assert not is_settled(scores, MOST)
    assert is_settled(np.repeat(scores[[4]], 5, axis=0), MOST)
    assert is_settled(np.tile(scores, (5, 1)), MOST)


def test_silence_is_not_settled():
    assert not is_settled(np.zeros((FIRST, 10), np.float32), MOST)


@given(SCORES, st.integers(1, MOST), st.randoms(use_true_random=False))
def test_the_order_of_labels_and_of_windows_does_not_matter(scores, more, random):
    # Scores on a coarse grid: sums in another order would differ in their last digits.
    scores = (np.round(scores * 64) / 64).astype(np.float32)
    mean = scores.mean(axis=0)
    assume((mean == mean.max()).sum() == 1)
    rows, columns = list(range(scores.shape[0])), list(range(scores.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    total = len(scores) + more
    assert is_settled(scores, total) == is_settled(scores[rows][:, columns], total)


@given(SCORES, st.integers(1, MOST), st.integers(1, 5))
def test_labels_that_no_window_holds_likely_change_nothing(scores, more, absent):
    scores[:, 0] = np.maximum(scores[:, 0], 0.01)
    padded = np.pad(scores, ((0, 0), (0, absent)))
    total = len(scores) + more
    if is_settled(padded, total):
        assert is_settled(scores, total)


@given(SCORES)
def test_what_is_settled_stays_so_with_fewer_windows_left(scores):
    settled = [is_settled(scores, total) for total in range(len(scores) + MOST, len(scores), -1)]
    assert settled == sorted(settled)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("labels", [10, 527])
@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_hearing_until_settled_beats_as_many_windows_of_every_track(kind, labels, noise):
    generator = np.random.default_rng(7)
    tracks = [track(kind, generator, labels, noise) for _ in range(300)]
    counts = [
        next(n for n in range(FIRST, MOST + 1) if is_settled(scores[:n], MOST)) for scores in tracks
    ]
    same = round(np.mean(counts))
    leaders = [scores.mean(axis=0).argmax() for scores in tracks]

    def kept(scored: list[int]) -> int:
        """Of how many tracks the label that leads then leads in the end."""
        early = [scores[:n].mean(axis=0) for scores, n in zip(tracks, scored, strict=True)]
        return sum(mean.argmax() == last for mean, last in zip(early, leaders, strict=True))

    assert same < MOST
    assert kept(counts) > kept([same] * len(tracks))


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_the_mean_of_the_leading_label_is_as_precise_as_it_says(kind, noise):
    generator = np.random.default_rng(8)
    off = []
    for _ in range(300):
        scores = track(kind, generator, 10, noise)
        count = next(n for n in range(FIRST, MOST + 1) if is_settled(scores[:n], MOST))
        early = scores[:count].mean(axis=0)
        off.append(early.max() - scores.mean(axis=0)[early.argmax()])
    assert np.sqrt(np.mean(np.square(off))) <= PRECISE


def test_a_change_of_the_rule_has_another_number():
    """Predictions of before would otherwise pass for those of now."""
    constants = {
        name: getattr(module, name)
        for module in (windows, stopping)
        for name in ("RULE", "FIRST", "MORE", "MOST", "SURE", "PRECISE", "PRIOR")
        if hasattr(module, name)
    }
    assert constants == {
        "RULE": 1, "FIRST": 3, "MORE": 2, "MOST": 32,
        "SURE": 1.5, "PRECISE": 0.1, "PRIOR": 0.3,
    }  # fmt: skip
