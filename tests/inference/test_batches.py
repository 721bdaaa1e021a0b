"""The loader: full batches across tracks, and passes that end when nothing is left to decode."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from tagger.audio.reader import Placement, Waveforms
from tagger.audio.windows import AUTO, CHUNK_WINDOWS, WindowPlan
from tagger.inference.batches import Batch, load_batches
from tagger.inference.schedule import Schedule
from tagger.types import Failure, Track

PLACED = Placement("stub", 1, ((0, 1),))
FOUR = WindowPlan(samples=2, rate=16_000, count=4)
SOME = WindowPlan(samples=2, rate=16_000, count=AUTO)


def tracks(count: int) -> list[Track]:
    return [Track(Path(f"/{number}"), 1, 1) for number in range(count)]


class StubPool:
    """Decodes at once; every sample of a window is the number of its track. Names what is slow."""

    patience: float | None = 0.05

    def __init__(self, count: int = 1, windows: int = 4, slow: tuple[str, ...] = ()) -> None:
        self.count, self.windows, self.slow = count, windows, slow
        self.late: dict[str, Future[Waveforms | Failure]] = {}

    def decode(
        self, path: Path, plan: WindowPlan, chunk: int, placement: Placement | None
    ) -> Future[Waveforms | Failure]:
        future: Future[Waveforms | Failure] = Future()
        if path.name in self.slow:
            self.late[path.name] = future
        else:
            future.set_result(self.result(path))
        return future

    def result(self, path: Path) -> Waveforms | Failure:
        rows = np.full((self.windows, 2), int(path.name), np.float32)
        return Waveforms(rows, (), self.windows, 1.0, PLACED)


def owners(batch: Batch) -> list[int]:
    assert batch.waveforms.shape == (len(batch.tracks), 2)
    assert batch.waveforms[:, 0].tolist() == [pending.index for pending in batch.tracks]
    return [pending.index for pending in batch.tracks]


def test_batches_are_full_across_tracks_but_for_the_last():
    schedule = Schedule(tracks(3), FOUR, limit=10)
    loaded = [owners(batch) for batch in load_batches(schedule, StubPool(), 5)]
    assert loaded == [[0, 0, 0, 0, 1], [1, 1, 1, 2, 2], [2, 2]]


def test_scores_may_come_at_any_time():
    """Whoever takes the batches may score them one by one, or all of them after the pass."""
    schedule = Schedule(tracks(3), FOUR, limit=10)
    taken = list(load_batches(schedule, StubPool(), 5))
    for batch in reversed(taken):
        schedule.add_scores(batch.tracks, np.ones((len(batch.tracks), 2), np.float32))
    assert sorted(pending.index for pending in schedule.take_finished()) == [0, 1, 2]
    assert schedule.is_done


def test_a_pass_ends_where_scores_must_decide_and_the_next_goes_on():
    schedule = Schedule(tracks(1), SOME, limit=10)

    class Pool(StubPool):
        def result(self, path: Path) -> Waveforms:
            return Waveforms(np.zeros((2, 2), np.float32), (), 9, 1.0, PLACED)

    loader, passes = load_batches(schedule, Pool(), 100), []
    doubtful = np.float32([[0.9, 0.1], [0.1, 0.9]])
    while not schedule.is_done:
        (batch,) = loader
        passes.append(len(batch.tracks))
        schedule.add_scores(batch.tracks, doubtful)
        assert len(list(schedule.take_finished())) == (len(passes) == 4)
    assert passes == [2, 2, 2, 2]  # all four chunks that nine windows make


def test_without_tracks_there_is_no_batch():
    schedule = Schedule([], FOUR, limit=10)
    assert list(load_batches(schedule, StubPool(), 5)) == []
    assert schedule.is_done


def passes(schedule: Schedule, pool: StubPool, batch_size: int) -> list[list[list[int]]]:
    """The tracks of each window, by batch and pass; passes without a batch are left out."""
    loader, found = load_batches(schedule, pool, batch_size), []
    while not schedule.is_done:
        loaded = []
        for batch in loader:
            loaded.append(owners(batch))
            schedule.add_scores(batch.tracks, np.ones((len(batch.tracks), 2), np.float32))
        found += [loaded] if loaded else []
        list(schedule.take_finished())
    return found


@pytest.mark.parametrize("patience", [None, 30])
def test_chunks_come_in_the_order_of_their_requests_if_none_is_slow(patience: float | None):
    """So that equal runs make equal batches, whichever process is quicker."""
    pool, schedule = StubPool(count=3, slow=("0",)), Schedule(tracks(5), FOUR, limit=10)
    pool.patience = patience
    threading.Timer(0.2, lambda: pool.late["0"].set_result(pool.result(Path("/0")))).start()
    loaded = [owners(batch) for batch in load_batches(schedule, pool, 4)]
    assert loaded == [[index] * 4 for index in range(5)]


def test_a_slow_chunk_is_overtaken_and_ends_no_batch_of_others():
    pool = StubPool(count=2, slow=("0",))
    schedule = Schedule(tracks(4), FOUR, limit=10)
    threading.Timer(0.5, lambda: pool.late["0"].set_result(pool.result(Path("/0")))).start()
    assert passes(schedule, pool, 8) == [[[1] * 4 + [2] * 4, [3] * 4], [[0] * 4]]


def test_if_all_is_slow_what_is_decoded_waits_for_it_no_longer_than_twice_the_patience():
    pool = StubPool(count=4, slow=tuple("123456789"))
    pool.patience = 0.2
    schedule = Schedule(tracks(10), FOUR, limit=10)
    started = time.monotonic()
    assert [owners(batch) for batch in load_batches(schedule, pool, 8)] == [[0] * 4]
    assert time.monotonic() - started < 2  # one after the other, they would take 9 * 0.2 s


def test_finished_tracks_are_not_kept_waiting_by_a_slow_one():
    class Pool(StubPool):
        def result(self, path: Path) -> Failure:
            return Failure(path, "broken")

    pool = Pool(count=2, slow=("1",))
    schedule = Schedule(tracks(3), FOUR, limit=10)
    assert list(load_batches(schedule, pool, 8)) == []
    assert [pending.index for pending in schedule.take_finished()] == [0, 2]
    assert not schedule.is_done


def test_many_failures_do_not_wait_for_a_batch_to_fill():
    class Pool(StubPool):
        def decode(
            self, path: Path, plan: WindowPlan, chunk: int, placement: Placement | None
        ) -> Future[Waveforms | Failure]:
            time.sleep(0.02)
            return super().decode(path, plan, chunk, placement)

        def result(self, path: Path) -> Waveforms | Failure:
            return super().result(path) if path.name == "0" else Failure(path, "broken")

    schedule = Schedule(tracks(20), FOUR, limit=100)
    assert [owners(batch) for batch in load_batches(schedule, Pool(), 8)] == [[0] * 4]
    assert 1 <= len(list(schedule.take_finished())) < 10


def test_chunks_of_one_track_may_come_in_any_order():
    """The second of three chunks is late; all windows get scores, and the track ends once."""
    plan, total = WindowPlan(samples=2, rate=16_000, count=None), 2 * CHUNK_WINDOWS + 5

    class Pool(StubPool):
        def decode(
            self, path: Path, plan: WindowPlan, chunk: int, placement: Placement | None
        ) -> Future[Waveforms | Failure]:
            future: Future[Waveforms | Failure] = Future()
            rows = np.zeros((5 if chunk == 2 else CHUNK_WINDOWS, 2), np.float32)
            result = Waveforms(rows, (), total, 1.0, PLACED)
            if chunk == 1:
                threading.Timer(0.3, lambda: future.set_result(result)).start()
            else:
                future.set_result(result)
            return future

    schedule = Schedule(tracks(1), plan, limit=10)
    sizes = [[len(batch) for batch in loaded] for loaded in passes(schedule, Pool(), 100)]
    assert sizes == [[CHUNK_WINDOWS + 5], [CHUNK_WINDOWS]]
