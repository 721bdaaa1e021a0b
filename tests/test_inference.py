from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import hostile
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagger import audio, inference
from tagger.dataset import Readers, Row, TrackDataset, load_batches
from tagger.inference import average_windows, choose_workers, predict_tracks, score_windows
from tagger.types import Failure, Prediction, PredictOptions, Track
from tagger.windows import WindowPlan, place_windows

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
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.batches: list[int] = []

    def probabilities(self, waveforms: np.ndarray) -> np.ndarray:
        self.batches.append(len(waveforms))
        return scores(waveforms)


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


def predict(tracks, plan=PLAN, model=None, **options) -> list[Prediction | Failure]:
    options = PredictOptions(**{"workers": 1, **options})
    return list(predict_tracks(tracks, model or StubModel(), plan, options))


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
    model = StubModel()
    tracks = [sound(tmp_path, number)[0] for number in range(5)]  # 4 windows each
    predict(tracks, model=model, batch_size=3)
    assert model.batches == [3] * 6 + [2]


def test_a_failure_takes_the_place_of_a_window_in_its_batch(tmp_path):
    model = StubModel()
    tracks = [sound(tmp_path, number)[0] for number in range(2)]
    predict([tracks[0], track(tmp_path / "gone.mp3"), tracks[1]], model=model, batch_size=3)
    assert model.batches == [3, 2, 3]


@given(st.lists(st.lists(st.booleans(), max_size=5), max_size=5))
def test_windows_come_back_with_their_own_scores(batches):
    """Each boolean is a row of a batch: a window, or a failure without one."""
    rng = np.random.default_rng(len(batches))
    given_batches, expected = [], []
    for batch in batches:
        rows = [
            Row(i, failure=None if ok else Failure(Path("/x"), "no")) for i, ok in enumerate(batch)
        ]
        windows = rng.normal(size=(sum(batch), 30)).astype(np.float32)
        given_batches.append((rows, windows))
        found = iter(scores(windows) if len(windows) else ())
        expected += [(row, None if row.failure else next(found)) for row in rows]
    scored = list(score_windows(given_batches, StubModel()))
    assert [row for row, _ in scored] == [row for row, _ in expected]
    for (_, score), (_, wanted) in zip(scored, expected, strict=True):
        np.testing.assert_allclose(score, np.zeros(0) if wanted is None else wanted, atol=1e-6)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_long_track_in_parts_equals_the_whole(tmp_path, monkeypatch, workers):
    plan = WindowPlan(samples=100, rate=16_000, count=None)
    sounds = [sound(tmp_path, 1, 350), sound(tmp_path, 2, 7_777), sound(tmp_path, 3, 220)]
    tracks = [one for one, _ in sounds]
    in_parts = predict(tracks, plan, workers=workers, batch_size=7)
    for prediction, (one, waveform) in zip(in_parts, sounds, strict=True):
        assert_is(prediction, one, waveform, plan)
    assert in_parts[1].windows == 78 > 2 * audio.PART_WINDOWS


def test_no_more_than_a_part_of_a_long_track_is_handed_over_at_once(tmp_path):
    plan = WindowPlan(samples=100, rate=16_000, count=None)
    wanted = [(sound(tmp_path, 1, 7_777)[0], part) for part in range(3)]
    with Readers(1, 60) as readers:
        parts = list(readers.read_all(plan, wanted))
    assert [len(part.windows) for part in parts] == [32, 32, 14]
    assert {part.total for part in parts} == {78}


def test_a_long_track_that_cannot_be_read_to_its_end_is_one_failure(tmp_path, monkeypatch):
    plan = WindowPlan(samples=100, rate=16_000, count=None)
    tracks = [sound(tmp_path, 1, 17_777)[0], sound(tmp_path, 2, 300)[0]]
    monkeypatch.setattr("tagger.dataset.read_windows", hostile.damaged_in_the_middle)
    first, second = predict(tracks, plan)
    assert first == Failure(tracks[0].path, "damaged in the middle")
    assert isinstance(second, Prediction)


def test_a_model_that_gives_no_number_is_a_failure(tmp_path):
    class Broken(StubModel):
        def probabilities(self, waveforms):
            return scores(waveforms) * np.nan

    one, _ = sound(tmp_path, 1)
    assert predict([one], model=Broken()) == [
        Failure(one.path, "the model gave no finite probability for it")
    ]


def test_probabilities_are_float32_so_that_the_state_keeps_them_bit_for_bit():
    score = np.float32([0.1, 0.2, 0.7])
    rows = [(Row(0, 2.0), score)] * 3
    prediction = average_windows(Track(Path("/x"), 1, 1), rows, LABELS)
    assert prediction.probabilities == pytest.approx((0.1, 0.2, 0.7))
    assert [float(np.float32(share)) for share in prediction.probabilities] == [
        *prediction.probabilities
    ]


def test_predictions_come_while_later_tracks_wait(tmp_path):
    """A stream: the first prediction is there before the last track was opened."""
    tracks = [sound(tmp_path, number)[0] for number in range(5)]
    results = predict_tracks(tracks, StubModel(), PLAN, PredictOptions(workers=1, batch_size=4))
    assert next(results).track == tracks[0]
    tracks[4].path.unlink()
    assert [type(item) for item in results] == [*[Prediction] * 3, Failure]


def test_the_dataset_splits_tracks_into_their_windows(tmp_path):
    (first, waveform), (second, _) = sound(tmp_path, 1), sound(tmp_path, 2)
    with Readers(1, 60) as readers:
        rows, windows = zip(*TrackDataset([first, second], PLAN, readers), strict=True)
    assert rows == (*[Row(0, 0.1)] * 4, *[Row(1, 0.1)] * 4)
    np.testing.assert_allclose(windows[0], waveform[150:250], atol=1e-6)


def test_the_loader_gives_no_batch_for_no_track():
    with Readers(1, 60) as readers:
        assert list(load_batches([], PLAN, readers, 4)) == []


@given(st.none() | st.integers(0, 8), st.integers(0, 10))
def test_there_is_a_worker_and_never_more_than_tracks(asked, tracks):
    workers = choose_workers(asked, tracks)
    assert 1 <= workers <= max(1, tracks)
    if asked:
        assert workers == max(1, min(asked, tracks))


def test_by_default_half_of_the_cores_decode(monkeypatch):
    monkeypatch.setattr(
        inference.os, "sched_getaffinity", lambda pid: set(range(64)), raising=False
    )
    assert choose_workers(None, 1000) == 32
