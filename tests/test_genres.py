from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.genres import ON_EXISTING, Policy, decide, rank_genres
from tagger.types import Action, Prediction, Track

# As `read_genres` gives them: none blank, no blanks around them, each once.
NAME = st.text(min_size=1, max_size=8).map(str.strip).filter(bool)
NAMES = st.lists(NAME, min_size=1, max_size=6, unique_by=str.casefold)
POLICIES = st.builds(
    Policy, st.sampled_from(ON_EXISTING), st.floats(0, 1), st.integers(1, 5), st.floats(0, 1)
)


def predicted(**shares: float) -> Prediction:
    track = Track(Path("/music/x.mp3"), 1, 1)
    return Prediction(track, tuple(shares), tuple(shares.values()), 1.0, 8, 60.0)


@st.composite
def predictions(draw) -> Prediction:
    labels = draw(NAMES)
    shares = draw(st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels)))
    return Prediction(Track(Path("/x"), 1, 1), tuple(labels), tuple(shares), 1.0, 8, 60.0)


@given(predictions())
def test_genres_are_ranked_best_first_and_each_once(prediction):
    ranked = rank_genres(prediction)
    assert [share for _, share in ranked] == sorted((s for _, s in ranked), reverse=True)
    assert len({name for name, _ in ranked}) == len(ranked)
    assert ranked[0][1] == max(prediction.probabilities)


def test_labels_of_gtzan_are_spelled_as_in_a_library():
    ranked = rank_genres(predicted(hiphop=0.7, jazz=0.2, Ambient=0.1))
    assert ranked == [("Hip-Hop", 0.7), ("Jazz", 0.2), ("Ambient", 0.1)]


def test_of_labels_that_are_spelled_alike_the_best_counts():
    shares = {"hiphop": 0.2, "Hip-Hop": 0.5, "jazz": 0.3}
    assert rank_genres(predicted(**shares)) == [("Hip-Hop", 0.5), ("Jazz", 0.3)]


def test_equal_confidences_keep_the_order_of_the_labels():
    assert [name for name, _ in rank_genres(predicted(b=0.4, a=0.4, c=0.2))] == ["b", "a", "c"]


def test_a_prediction_may_have_fewer_than_three_labels():
    assert rank_genres(predicted(a=0.6, b=0.4)) == [("a", 0.6), ("b", 0.4)]


@given(predictions(), NAMES, POLICIES)
def test_nothing_is_erased(prediction, existing, policy):
    decision = decide(prediction, existing, policy)
    assert bool(decision.genres) == (decision.action is Action.WOULD_WRITE)
    if policy.on_existing == "keep":
        assert decision.action is Action.KEPT
    if policy.on_existing == "append" and decision.genres:
        assert list(decision.genres[: len(existing)]) == list(existing)


@given(predictions(), st.just(()) | NAMES, POLICIES)
def test_what_is_written_is_sure_enough_and_not_too_much(prediction, existing, policy):
    decision = decide(prediction, existing, policy)
    if decision.action is not Action.WOULD_WRITE:
        return
    shares = dict(rank_genres(prediction))
    best = max(shares.values())
    assert best >= policy.min_confidence
    added = [genre for genre in decision.genres if genre not in existing]
    assert len(added) <= policy.top
    assert all(shares[genre] >= policy.ratio * best for genre in added)


@given(predictions(), st.just(()) | NAMES, POLICIES)
def test_a_second_run_changes_nothing_more(prediction, existing, policy):
    first = decide(prediction, existing, policy)
    if first.action is Action.WOULD_WRITE:
        second = decide(prediction, first.genres, policy)
        assert second.action in (Action.UNCHANGED, Action.KEPT)


def test_a_genre_that_is_there_is_kept_unless_asked_otherwise():
    decision = decide(predicted(jazz=0.9, rock=0.1), ["Polka"], Policy())
    assert (decision.action, decision.genres) == (Action.KEPT, ())


def test_below_the_floor_nothing_is_written_and_the_reason_says_by_how_much():
    decision = decide(predicted(jazz=0.4, rock=0.3), [], Policy(min_confidence=0.5))
    assert (decision.action, decision.genres) == (Action.UNSURE, ())
    assert decision.reason == "Jazz at 0.40 is below 0.5"


def test_at_the_floor_it_is_written():
    assert decide(predicted(jazz=0.5, rock=0.3), [], Policy(min_confidence=0.5)).genres == ("Jazz",)


def test_a_further_genre_needs_a_share_of_the_best_confidence():
    prediction = predicted(jazz=0.5, blues=0.25, rock=0.24)
    assert decide(prediction, [], Policy(top=3)).genres == ("Jazz", "Blues")


def test_append_adds_behind_what_is_there_and_never_twice():
    policy = Policy("append", top=2, ratio=0)
    decision = decide(predicted(jazz=0.6, rock=0.4), ["Polka", "JAZZ"], policy)
    assert decision.genres == ("Polka", "JAZZ", "Rock")


@pytest.mark.parametrize("on_existing", ["append", "replace"])
def test_an_equal_value_is_not_written_again(on_existing):
    decision = decide(predicted(jazz=0.9, rock=0.1), ["Jazz"], Policy(on_existing))
    assert (decision.action, decision.genres) == (Action.UNCHANGED, ())


def test_replace_puts_the_prediction_in_place_of_what_was_there():
    assert decide(predicted(jazz=0.9, rock=0.1), ["A", "B"], Policy("replace")).genres == ("Jazz",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_existing": "erase"},
        {"min_confidence": 1.1},
        {"min_confidence": -0.1},
        {"min_confidence": float("nan")},
        {"top": 0},
        {"ratio": 2},
    ],
)
def test_a_policy_cannot_hold_nonsense(wrong):
    with pytest.raises(ValueError, match=r"on_existing|policy"):
        Policy(**wrong)
