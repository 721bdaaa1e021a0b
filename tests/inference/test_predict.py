from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from helpers import hostile

from tagger.audio.pool import DecoderPool
from tagger.audio.windows import (
    AUTO,
    CHUNK_WINDOWS,
    FIRST,
    WindowPlan,
    place_windows,
    window_chunks,
)
from tagger.inference import predict as inference
from tagger.inference.pending import PendingTrack
from tagger.inference.predict import (
    Pace,
    average_windows,
    choose_workers,
    predict_tracks,
)
from tagger.inference.stopping import is_settled
from tagger.models import device
from tagger.types import Failure, Prediction, Track

LABELS = ("low", "middle", "high")
PLAN = WindowPlan(samples=100, rate=16_000, count=4)


def scores(windows: np.ndarray) -> np.ndarray:
    """A made-up model: a softmax of three sums of each window. `(n, samples)` to `(n, 3)`."""
    logits = np.stack([windows[:, part::3].sum(axis=1) for part in range(3)], axis=1)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


class StubModel:
    """Has of a `GenreModel` what inference uses, and remembers the sizes of its batches."""

    info = SimpleNamespace(labels=LABELS, multi_label=False)
    precision = "float32"

    def __init__(self, batch_size: int = 16, device: str = "cpu") -> None:
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.batches: list[int] = []

    def start(self, waveforms: torch.Tensor) -> SimpleNamespace:
        self.batches.append(len(waveforms))
        return SimpleNamespace(result=lambda: self.scores(waveforms.numpy()))

    def scores(self, windows: np.ndarray) -> np.ndarray:
        return scores(windows)


def track(path: Path) -> Track:
    return Track(path, path.stat().st_size if path.exists() else 0, 1)


def sound(folder: Path, number: int, samples: int = 1600) -> tuple[Track, np.ndarray]:
    path = folder / f"{number}.wav"
    waveform = np.random.default_rng(number).uniform(-0.5, 0.5, samples).astype(np.float32)
    soundfile.write(path, waveform, PLAN.rate, subtype="FLOAT")
    return track(path), waveform


def by_numpy(waveform: np.ndarray, plan: WindowPlan = PLAN) -> tuple[np.ndarray, float, int]:
    """Mean, agreement and number of windows of one track, worked out apart from the pipeline."""
    starts = place_windows(len(waveform), plan)
    each = scores(np.stack([waveform[start : start + plan.samples] for start in starts]))
    mean = each.mean(axis=0)
    return mean, float(np.mean(each.argmax(axis=1) == mean.argmax())), len(starts)


def predict(tracks, plan=PLAN, model=None, workers=1, batch_size=16) -> list[Prediction | Failure]:
    """The results in the order of the tracks."""
    model = model or StubModel(batch_size)
    with DecoderPool(workers, 60) as pool:
        results = dict(predict_tracks(tracks, model, plan, pool))
    return [results[index] for index in range(len(results))]


def assert_is(prediction: Prediction, wanted: Track, waveform: np.ndarray, plan: WindowPlan = PLAN):
    mean, agreement, windows = by_numpy(waveform, plan)
    assert (prediction.track, prediction.labels, prediction.windows) == (wanted, LABELS, windows)
    np.testing.assert_allclose(prediction.probabilities, mean, atol=1e-6)
    assert prediction.agreement == pytest.approx(agreement)
    assert prediction.seconds == pytest.approx(len(waveform) / plan.rate)


def test_a_prediction_is_the_mean_over_the_windows_and_the_share_that_agrees(tmp_path):
    one, waveform = sound(tmp_path, 1)
    (prediction,) = predict([one])
    assert_is(prediction, one, waveform)
    assert sum(prediction.probabilities) == pytest.approx(1)


@pytest.mark.parametrize("batch_size", [1, 3, 16, 1000])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_predictions_do_not_depend_on_batches_and_workers(tmp_path, batch_size, workers):
    given_tracks = [sound(tmp_path, number, 150 * (number + 1)) for number in range(5)]
    results = predict([one for one, _ in given_tracks], workers=workers, batch_size=batch_size)
    for prediction, (one, waveform) in zip(results, given_tracks, strict=True):
        assert_is(prediction, one, waveform)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_results_keep_the_order_of_the_tracks_with_failures_in_between(
    tmp_path, workers, batch_size
):
    (tmp_path / "text.mp3").write_text("no music")
    missing, text = track(tmp_path / "gone.mp3"), track(tmp_path / "text.mp3")
    first, second = sound(tmp_path, 1)[0], sound(tmp_path, 2)[0]
    tracks = [missing, first, text, text, second, missing]
    results = predict(tracks, workers=workers, batch_size=batch_size)
    paths = [item.path if isinstance(item, Failure) else item.track.path for item in results]
    assert paths == [one.path for one in tracks]
    kinds = [isinstance(item, Failure) for item in results]
    assert kinds == [True, False, True, True, False, True]
    assert [item.lasting for item in results if isinstance(item, Failure)] == [
        False,
        True,
        True,
        False,
    ]


def test_the_same_track_twice_in_a_row_is_predicted_twice(tmp_path):
    one, waveform = sound(tmp_path, 1)
    results = predict([one, one])
    assert len(results) == 2
    assert_is(results[1], one, waveform)


def test_no_tracks_give_no_results():
    assert predict([]) == []


def test_only_failures_never_ask_the_model(tmp_path):
    model = StubModel()
    results = predict([track(tmp_path / "gone.mp3")] * 3, model=model)
    assert [type(item) for item in results] == [Failure] * 3
    assert model.batches == []


def test_batches_are_full_across_tracks_but_for_the_last(tmp_path):
    model = StubModel(batch_size=3)
    tracks = [sound(tmp_path, number)[0] for number in range(5)]  # 4 windows each
    predict(tracks, model=model)
    assert model.batches == [3] * 6 + [2]


def test_failures_take_no_place_in_a_batch(tmp_path):
    model = StubModel(batch_size=3)
    first, second = sound(tmp_path, 1)[0], sound(tmp_path, 2)[0]
    gone = track(tmp_path / "gone.mp3")
    results = predict([first, gone, second], model=model)
    assert [type(result) for result in results] == [Prediction, Failure, Prediction]
    assert model.batches == [3, 3, 2]


def test_many_failures_do_not_pile_up_behind_a_batch_that_is_not_full(tmp_path):
    taken = []

    def tracks():
        for number in range(1000):
            taken.append(number)
            yield sound(tmp_path, 1)[0] if number == 0 else track(tmp_path / "gone.mp3")

    most = 0
    with DecoderPool(1, 60) as pool:
        results = predict_tracks(tracks(), StubModel(batch_size=8), PLAN, pool)
        for number, (index, result) in enumerate(results):
            most = max(most, len(taken) - number)
            assert isinstance(result, Prediction if index == 0 else Failure)
    assert number == 999
    assert most < 100


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_a_gpu_that_computes_while_the_next_batch_is_made_gives_the_same(tmp_path, batch_size):
    sounds = [sound(tmp_path, number, 150 * (number + 1)) for number in range(5)]
    gone = track(tmp_path / "gone.mp3")
    model = StubModel(batch_size, device="meta")
    *results, last = predict([*(one for one, _ in sounds), gone], model=model)
    assert last == Failure(gone.path, "No such file or directory", lasting=False)
    for prediction, (one, waveform) in zip(results, sounds, strict=True):
        assert_is(prediction, one, waveform)


class Taught(StubModel):
    """Looks at the first sample of a window: the probability of the first of two labels."""

    info = SimpleNamespace(labels=("one", "two"), multi_label=False)

    def scores(self, windows):
        return np.stack([windows[:, 0], 1 - windows[:, 0]], axis=1)


def steady(folder: Path, number: int, shares: list[float]) -> Track:
    """A track whose windows of 100 samples have these shares, in the order in which they lie."""
    path = folder / f"steady {number}.wav"
    waveform = np.repeat(np.float32(shares), 100)
    waveform[1::2] *= -1  # or it would be silence
    soundfile.write(path, waveform, PLAN.rate, subtype="FLOAT")
    return track(path)


EVERY = WindowPlan(samples=100, rate=16_000, count=None)
SOME = WindowPlan(samples=100, rate=16_000, count=AUTO)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_a_track_is_scored_until_its_label_is_settled(tmp_path, batch_size, device):
    rng = np.random.default_rng(7)
    shares = [[0.95] * 30, [0.5, 0.52] * 12, [0.9], rng.uniform(0.2, 0.9, 20).tolist()]
    tracks = [steady(tmp_path, number, each) for number, each in enumerate(shares)]
    results = predict(tracks, SOME, Taught(batch_size, device), workers=2)
    assert [result.track for result in results] == tracks
    windows = [result.windows for result in results]
    assert windows[0] == FIRST and windows[1] > 15 and windows[2] == 1
    for result, each in zip(results, shares, strict=True):
        order = [start // 100 for start in place_windows(100 * len(each), SOME)]
        values = np.float32([each[index] for index in order])
        scored = np.stack([values, 1 - values], axis=1)
        steps = [chunk.stop for chunk in window_chunks(len(each), SOME)]
        enough = next(step for step in steps if is_settled(scored[:step], len(each)))
        assert result.windows == enough
        assert result.probabilities == pytest.approx(scored[:enough].mean(axis=0), abs=1e-6)


def test_labels_that_are_no_genres_do_not_settle_a_track(tmp_path):
    """Beside a label that always leads, two others are in doubt."""
    rng = np.random.default_rng(7)
    doubtful = steady(tmp_path, 0, rng.uniform(0.2, 0.6, 20).tolist())

    class Loud(Taught):
        info = SimpleNamespace(labels=LABELS, multi_label=True)

        def scores(self, windows: np.ndarray) -> np.ndarray:
            return np.insert(super().scores(windows), 0, 0.999, axis=1)

    (every,) = predict([doubtful], SOME, Loud())
    (genres,) = predict([doubtful], replace(SOME, columns=(1, 2)), Loud())
    (alone,) = predict([doubtful], SOME, Taught())
    assert every.windows < genres.windows == alone.windows
    assert genres.probabilities[1:] == alone.probabilities


def test_a_prediction_does_not_depend_on_the_other_tracks(tmp_path):
    rng = np.random.default_rng(3)
    tracks = [
        steady(tmp_path, number, rng.uniform(0.1, 0.9, int(rng.integers(1, 33))).tolist())
        for number in range(20)
    ]
    together = predict(tracks, SOME, Taught(7), workers=3)
    assert together == [predict([one], SOME, Taught(1))[0] for one in tracks]
    assert len({result.windows for result in together}) > 3


@pytest.mark.parametrize("workers", [1, 3])
def test_a_long_track_in_parts_equals_the_whole(tmp_path, monkeypatch, workers):
    plan = WindowPlan(samples=100, rate=16_000, count=None)
    sounds = [sound(tmp_path, 1, 350), sound(tmp_path, 2, 7_777), sound(tmp_path, 3, 220)]
    tracks = [one for one, _ in sounds]
    in_parts = predict(tracks, plan, workers=workers, batch_size=7)
    for prediction, (one, waveform) in zip(in_parts, sounds, strict=True):
        assert_is(prediction, one, waveform, plan)
    assert in_parts[1].windows == 78 > 2 * CHUNK_WINDOWS


def test_no_more_than_a_part_of_a_long_track_is_handed_over_at_once(tmp_path):
    long = sound(tmp_path, 1, 7_777)[0]
    with DecoderPool(1, 60) as pool:
        chunks = [pool.decode(long.path, EVERY, chunk).result() for chunk in range(3)]
    assert [len(chunk.windows) for chunk in chunks] == [32, 32, 14]
    assert {chunk.total for chunk in chunks} == {78}


def test_a_long_track_that_cannot_be_read_to_its_end_is_one_failure(tmp_path, monkeypatch):
    plan = WindowPlan(samples=100, rate=16_000, count=None)
    tracks = [sound(tmp_path, 1, 17_777)[0], sound(tmp_path, 2, 300)[0]]
    monkeypatch.setattr("tagger.audio.pool.read_windows", hostile.damaged_in_the_middle)
    failure = Failure(tracks[0].path, "damaged in the middle")
    first, second = predict(tracks, plan)
    assert first == failure
    assert isinstance(second, Prediction)
    assert (
        predict(tracks[::-1], plan, workers=3)[1] == failure
        # Other chunks of it are still being decoded when it fails.
    )


def test_a_model_that_gives_no_number_is_a_failure(tmp_path):
    class Broken(StubModel):
        def scores(self, windows):
            return scores(windows) * np.nan

    one, _ = sound(tmp_path, 1)
    assert predict([one], model=Broken()) == [
        # In another precision it may give one.
        Failure(one.path, "the model gave no finite probability for it", lasting=False)
    ]


def test_probabilities_are_float32_so_that_the_state_keeps_them_bit_for_bit():
    score = np.float32([0.1, 0.2, 0.7])
    scored = PendingTrack(0, Track(Path("/x"), 1, 1), seconds=2.0, scores=[score] * 3)
    prediction = average_windows(scored, LABELS)
    assert prediction.probabilities == pytest.approx((0.1, 0.2, 0.7))
    assert [float(np.float32(share)) for share in prediction.probabilities] == [
        *prediction.probabilities
    ]


def test_predictions_come_while_later_tracks_wait(tmp_path):
    """A stream: the first prediction is there before the last track was opened."""
    tracks = [sound(tmp_path, number)[0] for number in range(9)]
    with DecoderPool(1, 60) as pool:
        results = predict_tracks(tracks, StubModel(4), PLAN, pool)
        assert next(results)[1].track == tracks[0]
        tracks[-1].path.unlink()
        assert [type(item) for _, item in results] == [*[Prediction] * 7, Failure]


def test_a_slow_track_holds_back_no_other(tmp_path, monkeypatch):
    """A prediction is there as soon as the last window of its track is scored."""
    monkeypatch.setattr("tagger.audio.pool.read_windows", hostile.slow_once)
    slow = tmp_path / "slow.wav"
    soundfile.write(slow, np.random.default_rng(0).uniform(-0.5, 0.5, 1600), PLAN.rate)
    tracks = [track(slow), *(sound(tmp_path, number)[0] for number in range(9))]
    order = []
    with DecoderPool(2, 60) as pool:
        for index, result in predict_tracks(tracks, StubModel(8), PLAN, pool):
            assert isinstance(result, Prediction)
            if len(order) == 8:
                # All others are finished, the last ones in a batch that was not full.
                hostile.let_go(slow)
            order.append(index)
    assert sorted(order[:9]) == list(range(1, 10))
    assert order[9] == 0


def test_the_time_that_the_model_waited_is_measured(tmp_path):
    pace = Pace()
    tracks = [sound(tmp_path, number)[0] for number in range(3)]
    with DecoderPool(1, 60) as pool:
        assert len(list(predict_tracks(tracks, StubModel(), PLAN, pool, pace))) == 3
    assert 0 < pace.waited <= pace.total


@pytest.mark.parametrize(
    ("asked", "tracks", "workers"), [(None, 1000, 64), (None, 5, 5), (3, 1000, 3), (3, 0, 1)]
)
def test_all_cores_decode_but_none_without_a_track(monkeypatch, asked, tracks, workers):
    monkeypatch.setattr(inference, "count_cores", lambda: 64)
    assert choose_workers(asked, tracks) == workers


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1), ("6400000 100000", 8)],
)
def test_a_container_may_use_fewer_cores_than_there_are(tmp_path, monkeypatch, quota, cores):
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(device, "QUOTA_V2", tmp_path / "cpu.max")
    monkeypatch.setattr(device, "QUOTA_V1", (tmp_path / "quota", tmp_path / "period"))
    assert device.count_cores() == 8
    for name, text in zip(("quota", "period"), quota.replace("max", "-1").split(), strict=True):
        (tmp_path / name).write_text(f"{text}\n")
    assert device.count_cores() == cores
    (tmp_path / "quota").write_text("-1\n")
    assert device.count_cores() == 8
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert device.count_cores() == cores
