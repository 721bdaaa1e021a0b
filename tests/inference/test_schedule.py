"""The schedule: any order of results leads to the same, few tracks are held, and none is lost."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.audio.reader import Placement, Waveforms
from tagger.audio.windows import AUTO, CHUNK_WINDOWS, FIRST, Count, WindowPlan, window_chunks
from tagger.inference.pending import PendingTrack
from tagger.inference.schedule import AT_ONCE, Schedule
from tagger.inference.stopping import is_settled
from tagger.types import Failure, Track

PLACED = Placement("stub", 40_000, ((0, 40_000),))


def plan_of(count: Count) -> WindowPlan:
    return WindowPlan(samples=1, rate=16_000, count=count)


def tracks(count: int) -> list[Track]:
    return [Track(Path(f"/{number}"), 1, 1) for number in range(count)]


def waveforms(count: int, total: int, silent: int = 0) -> Waveforms:
    return Waveforms(np.zeros((count, 1), np.float32), (), total, 2.5, PLACED, silent)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([1, 2, 3, 4, 9, 33, 70]), max_size=6),
    st.sampled_from([AUTO, None]),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_whatever_the_order_every_window_is_scored_once_and_every_track_taken_once(
    totals: list[int], count: Count, limit: int, draw: random.Random
):
    plan, schedule = plan_of(count), Schedule(tracks(len(totals)), plan_of(count), limit)
    shares = [np.random.default_rng(n).random((total, 2)) for n, total in enumerate(totals)]
    decoding: list[tuple[PendingTrack, int]] = []
    scoring: list[tuple[PendingTrack, int]] = []
    finished: list[PendingTrack] = []
    while not schedule.is_done:
        while len(decoding) < 4 and (chunk := schedule.next_chunk()):
            decoding.append(chunk)
        started = {pending.index for pending, _ in [*decoding, *scoring]}
        assert len(started) <= limit
        if decoding and (draw.random() < 0.5 or not scoring):
            pending, number = decoding.pop(draw.randrange(len(decoding)))
            windows = window_chunks(totals[pending.index], plan)[number]
            schedule.add_decoded(pending, waveforms(len(windows), totals[pending.index]))
            scoring += [(pending, window) for window in windows]
        elif scoring:
            pending, window = scoring.pop(draw.randrange(len(scoring)))
            schedule.add_scores([pending], np.float32(shares[pending.index][window])[None])
        if draw.random() < 0.5 or not (decoding or scoring):
            finished += schedule.take_finished()
    assert sorted(pending.index for pending in finished) == list(range(len(totals)))
    for pending in finished:
        stops = [chunk.stop for chunk in window_chunks(totals[pending.index], plan)]
        assert len(pending.scores) in stops
        if count is None:
            assert len(pending.scores) == totals[pending.index]
        given_windows = shares[pending.index][: len(pending.scores)]
        assert np.allclose(np.sort(pending.scores, axis=0), np.sort(given_windows, axis=0))


def run_one(schedule: Schedule, total: int, scores: np.ndarray) -> list[PendingTrack]:
    """Decode and score the chunks of one track, one after the other."""
    while chunk := schedule.next_chunk():
        pending, number = chunk
        windows = window_chunks(total, schedule.plan)[number]
        schedule.add_decoded(pending, waveforms(len(windows), total))
        schedule.add_scores([pending] * len(windows), scores[windows.start : windows.stop])
    return list(schedule.take_finished())


def test_with_auto_a_track_gets_chunks_until_its_label_is_settled():
    sure = np.float32([[0.9, 0.1]] * 30)
    (pending,) = run_one(Schedule(tracks(1), plan_of(AUTO), 1), 30, sure)
    assert len(pending.scores) == FIRST and is_settled(sure[:FIRST], 30)
    doubtful = np.float32([[0.9, 0.1], [0.1, 0.9]] * 15)
    (pending,) = run_one(Schedule(tracks(1), plan_of(AUTO), 1), 30, doubtful)
    assert len(pending.scores) == 30


def test_a_silent_track_needs_no_more_chunks():
    schedule = Schedule(tracks(1), plan_of(AUTO), 1)
    pending, _ = schedule.next_chunk() or (None, None)
    assert pending is not None
    nowhere = Placement("stub", 40_000, ())
    schedule.add_decoded(pending, Waveforms(np.zeros((0, 1), np.float32), (), 0, 2.5, nowhere))
    assert list(schedule.take_finished()) == [pending] and not pending.scores


def test_few_chunks_of_a_long_track_are_wanted_at_a_time():
    schedule = Schedule(tracks(1), plan_of(None), 1)
    first = schedule.next_chunk()
    assert first is not None and schedule.next_chunk() is None
    schedule.add_decoded(first[0], waveforms(CHUNK_WINDOWS, 10 * CHUNK_WINDOWS))
    wanted = [schedule.next_chunk() for _ in range(AT_ONCE + 1)]
    assert [chunk and chunk[1] for chunk in wanted] == [*range(1, AT_ONCE + 1), None]


def test_chunks_of_a_started_track_come_before_new_tracks():
    schedule = Schedule(tracks(2), plan_of(AUTO), 2)
    first = schedule.next_chunk()
    assert first is not None
    schedule.add_decoded(first[0], waveforms(FIRST, 30))
    schedule.add_scores([first[0]] * FIRST, np.float32([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]]))
    following = [schedule.next_chunk(), schedule.next_chunk()]
    assert [chunk and (chunk[0].index, chunk[1]) for chunk in following] == [(0, 1), (1, 0)]


def test_a_failed_chunk_finishes_its_track_and_the_rest_of_it_is_ignored():
    schedule = Schedule(tracks(1), plan_of(None), 1)
    first = schedule.next_chunk()
    assert first is not None
    pending, total = first[0], 10 * CHUNK_WINDOWS
    schedule.add_decoded(pending, waveforms(CHUNK_WINDOWS, total))
    assert schedule.next_chunk() and schedule.next_chunk()
    failure = Failure(pending.track.path, "damaged")
    schedule.add_decoded(pending, failure)
    assert list(schedule.take_finished()) == [pending] and pending.failure == failure
    schedule.add_decoded(pending, Failure(pending.track.path, "another reason"))
    schedule.add_scores([pending] * CHUNK_WINDOWS, np.ones((CHUNK_WINDOWS, 2), np.float32))
    assert not list(schedule.take_finished())
    assert pending.failure == failure and schedule.next_chunk() is None and schedule.is_done


def test_finished_tracks_count_until_they_are_taken():
    schedule = Schedule(tracks(3), plan_of(1), 2)
    for _ in range(2):
        chunk = schedule.next_chunk()
        assert chunk is not None
        schedule.add_decoded(chunk[0], Failure(chunk[0].track.path, "broken"))
    assert schedule.next_chunk() is None
    assert len(list(schedule.take_finished())) == 2
    assert schedule.next_chunk() is not None
