from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import EmptyAudio
from tagger.types import FrontEnd
from tagger.windows import WindowPlan, place_windows

LENGTHS = st.integers(1, 10**7)
SIZES = st.integers(1, 200_000)
COUNTS = st.integers(1, 64)


def plan_of(samples: int, count: int | None) -> WindowPlan:
    return WindowPlan(samples=samples, rate=16_000, count=count)


@given(LENGTHS, SIZES, st.none() | COUNTS)
def test_windows_lie_inside_the_track_in_ascending_order(length, samples, count):
    # `all` over a long track of tiny windows would be a list of millions.
    length = length if count else min(length, 1000 * samples)
    starts = place_windows(length, plan_of(samples, count))
    assert starts[0] >= 0
    assert starts[-1] + samples <= max(length, samples)
    assert all(left < right for left, right in pairwise(starts))


@given(st.integers(1, 10**6), st.integers(1000, 200_000))
def test_all_covers_every_sample_without_a_gap(length, samples):
    starts = place_windows(length, plan_of(samples, None))
    assert starts[0] == 0
    assert all(right - left <= samples for left, right in pairwise(starts))
    assert starts[-1] + samples >= length
    assert len(starts) == -(-length // samples)


@given(LENGTHS, SIZES, COUNTS)
def test_no_more_windows_than_asked_for_and_no_fewer_where_they_fit(length, samples, count):
    starts = place_windows(length, plan_of(samples, count))
    assert len(starts) <= count
    if length >= samples * count:
        assert len(starts) == count


@given(SIZES, COUNTS, st.integers(0, 10**6))
def test_windows_are_the_centres_of_equal_parts(samples, count, extra):
    length = count * samples + extra
    starts = place_windows(length, plan_of(samples, count))
    for part, start in enumerate(starts):
        centre = (part + 0.5) * length / count
        assert abs(start + samples / 2 - centre) <= 1
        assert start >= int(part * length / count) - 1  # and so they do not overlap


@given(SIZES, st.none() | COUNTS, st.data())
def test_a_track_of_at_most_one_window_gives_one_window(samples, count, data):
    length = data.draw(st.integers(1, samples))
    assert place_windows(length, plan_of(samples, count)) == [0]


@pytest.mark.parametrize("length", [0, -1])
def test_a_track_without_samples_is_an_error(length):
    with pytest.raises(EmptyAudio, match="no audio samples"):
        place_windows(length, plan_of(1000, 8))


@pytest.mark.parametrize(
    ("samples", "rate", "count"), [(0, 16_000, 8), (1, 0, 8), (1, 16_000, 0), (1, 16_000, -1)]
)
def test_a_plan_cannot_hold_nonsense(samples, rate, count):
    with pytest.raises(ValueError, match=r"got|no window"):
        WindowPlan(samples, rate, count)


@given(*[st.tuples(SIZES, SIZES, st.none() | COUNTS)] * 2)
def test_plans_have_the_same_key_only_if_they_are_equal(one, other):
    assert (WindowPlan(*one).key == WindowPlan(*other).key) == (one == other)


def test_the_window_of_ast_fills_1024_frames_exactly():
    front_end = FrontEnd()
    assert front_end.window_samples == 164_080
    assert (front_end.window_samples - 400) % 160 == 0
    assert (front_end.window_samples - 400) // 160 + 1 == 1024


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"frames": 0}, {"mel_bins": 0}, {"std": 0.0}])
def test_a_front_end_cannot_hold_nonsense(wrong):
    with pytest.raises(ValueError, match="front end"):
        FrontEnd(**wrong)
