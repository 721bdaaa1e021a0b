from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.audio.windows import (
    AUTO,
    CHUNK_WINDOWS,
    FIRST,
    MOST,
    Count,
    WindowPlan,
    place_windows,
    window_chunks,
)
from tagger.errors import EmptyAudio
from tagger.types import FrontEnd

LENGTHS = st.integers(1, 10**7)
SIZES = st.integers(1, 200_000)
COUNTS = st.integers(1, 64)


def plan_of(samples: int, count: Count) -> WindowPlan:
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
def test_as_many_windows_as_requested_where_they_fit(length, samples, count):
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


@given(SIZES, st.none() | st.just(AUTO) | COUNTS, st.data())
def test_a_track_of_at_most_one_window_gives_one_window(samples, count, data):
    length = data.draw(st.integers(1, samples))
    assert place_windows(length, plan_of(samples, count)) == [0]


@given(st.integers(1, 10**6), st.data())
def test_auto_has_the_windows_of_all_where_they_are_few(samples, data):
    length = data.draw(st.integers(1, MOST * samples))
    starts = place_windows(length, plan_of(samples, AUTO))
    assert sorted(starts) == place_windows(length, plan_of(samples, None))


@given(SIZES, st.integers(1, 10**9))
def test_auto_has_as_many_windows_as_it_may_of_a_long_track(samples, extra):
    length = MOST * samples + extra
    starts = place_windows(length, plan_of(samples, AUTO))
    assert sorted(starts) == place_windows(length, plan_of(samples, MOST))


@given(st.integers(1000, 200_000), st.integers(FIRST, 2 * MOST), st.floats(0, 1))
def test_auto_has_windows_from_all_over_the_track_whenever_it_stops(samples, windows, part):
    length = int((windows + part) * samples)
    starts = place_windows(length, plan_of(samples, AUTO))
    decoded = sorted(starts[:FIRST])
    gaps = [right - left for left, right in pairwise([-samples, *decoded, length])]
    assert max(gaps) <= length / 4 + 2 * samples
    for count in range(FIRST, len(starts)):
        decoded = sorted(starts[:count])
        gaps = [right - left for left, right in pairwise([-samples, *decoded, length])]
        assert max(gaps) <= 2 * length / (count + 1) + 3 * samples


def test_auto_starts_with_the_middle_the_quarters_and_the_eighths():
    starts = place_windows(MOST * 1000, plan_of(1000, AUTO))
    eighths = [4, 2, 6, 1, 5, 3, 7]
    assert starts[: len(eighths)] == [MOST * 1000 * eighth // 8 for eighth in eighths]


@given(st.integers(1, 5000), st.none() | st.just(AUTO) | COUNTS)
def test_chunks_hold_each_window_once_in_order(total, count):
    parts = window_chunks(total, plan_of(1000, count))
    assert [index for part in parts for index in part] == list(range(total))
    assert all(1 <= len(part) <= CHUNK_WINDOWS for part in parts)


@given(st.integers(1, 5000))
def test_the_first_chunk_of_auto_is_small_and_that_of_others_as_large_as_allowed(total):
    assert window_chunks(total, plan_of(1000, AUTO))[0] == range(min(total, FIRST))
    assert window_chunks(total, plan_of(1000, None))[0] == range(min(total, CHUNK_WINDOWS))


@pytest.mark.parametrize("length", [0, -1])
def test_a_track_without_samples_is_an_error(length):
    with pytest.raises(EmptyAudio, match="no audio samples"):
        place_windows(length, plan_of(1000, 8))


@pytest.mark.parametrize(
    ("samples", "rate", "count"),
    [(0, 16_000, 8), (1, 0, 8), (1, 16_000, 0), (1, 16_000, -1), (1, 16_000, "all")],
)
def test_a_plan_cannot_hold_nonsense(samples, rate, count):
    with pytest.raises(ValueError, match=r"got|no window"):
        WindowPlan(samples, rate, count)


@given(*[st.tuples(SIZES, SIZES, st.none() | st.just(AUTO) | COUNTS)] * 2)
def test_plans_have_the_same_key_only_if_they_are_equal(one, other):
    assert (WindowPlan(*one).key == WindowPlan(*other).key) == (one == other)


def test_a_plan_by_which_only_some_labels_count_has_a_key_of_its_own():
    some, every = (WindowPlan(100, 16_000, AUTO, columns) for columns in ((1, 2), None))
    assert some.key != every.key
    counted, plain = (WindowPlan(100, 16_000, 8, columns) for columns in ((1, 2), None))
    assert counted.key == plain.key


def test_the_window_of_ast_fills_1024_frames_exactly():
    front_end = FrontEnd()
    assert front_end.window_samples == 164_080
    assert (front_end.window_samples - 400) % 160 == 0
    assert (front_end.window_samples - 400) // 160 + 1 == 1024


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"frames": 0}, {"mel_bins": 0}, {"std": 0.0}])
def test_a_front_end_cannot_hold_nonsense(wrong):
    with pytest.raises(ValueError, match="front end"):
        FrontEnd(**wrong)
