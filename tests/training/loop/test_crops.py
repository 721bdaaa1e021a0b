"""Which crops a run draws, and that nothing but its seed decides them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.audio.windows import WindowPlan
from training.clips.clip import Clip
from training.clips.decode import DecodedClip
from training.loop.crops import CropDataset, CropSource, Draws, Teachers, draw_weights
from training.loop.features import all_windows
from training.loop.teachers import Teacher
from training.loop.waveforms import PIECE, play

RATE = 100  # Hz
PLAN = WindowPlan(samples=50, rate=RATE)
LABELS = ("a", "b")


def ramp(label: str, *spans: tuple[float, float], seconds: float | None = None) -> DecodedClip:
    """A clip whose samples are their own times, in seconds; `spans` are its segments."""
    segments = tuple(
        np.arange(round(begin * RATE), round(end * RATE), dtype=np.float32) / RATE
        for begin, end in spans
    )
    starts = tuple(begin for begin, _ in spans)
    clip = Clip(Path(label), label, label)
    return DecodedClip(clip, segments, starts, seconds or spans[-1][1], RATE)


# Draws


@given(
    weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=12),
    per_epoch=st.integers(1, 60),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_each_epoch_draws_an_item_as_often_as_its_weight_says_up_to_one(
    weights: list[float], per_epoch: int, seed: int
) -> None:
    shares = np.array(weights) / sum(weights)
    draws = Draws(np.array(weights), per_epoch, seed)
    for epoch in range(2):
        drawn = [draws[epoch * per_epoch + place] for place in range(per_epoch)]
        counts = np.bincount(drawn, minlength=len(weights))
        # The cumulated weights are rounded: a count may pass a whole number by that much.
        assert (counts >= np.floor(shares * per_epoch - 1e-9)).all()
        assert (counts <= np.ceil(shares * per_epoch + 1e-9)).all()


def test_each_epoch_has_its_own_order_which_the_seed_decides() -> None:
    def epochs(seed: int) -> list[list[int]]:
        draws = Draws(np.ones(20), 20, seed)
        return [[draws[20 * epoch + place] for place in range(20)] for epoch in range(2)]

    first, second = epochs(0)
    assert first != second and sorted(first) == sorted(second) == list(range(20))
    assert epochs(0) == epochs(0) and epochs(0) != epochs(1)


def test_a_draw_does_not_depend_on_the_draws_before() -> None:
    forwards, backwards = (Draws(np.arange(1.0, 6.0), 7, 3) for _ in range(2))
    there = [forwards[number] for number in range(30)]
    assert there == [backwards[number] for number in reversed(range(30))][::-1]


@pytest.mark.parametrize("balance", [0.0, 0.7, 1.0])
def test_balance_is_between_equal_seconds_and_equal_labels(balance: float) -> None:
    clips = [ramp("a", (0, 4)), ramp("a", (0, 2)), ramp("b", (0, 1.5))]
    weights = draw_weights(clips, balance)
    assert weights[0] / weights[1] == pytest.approx(2)  # within a label, by seconds
    assert (weights[0] + weights[1]) / weights[2] == pytest.approx(4 ** (1 - balance))


# Crops


def crops_of(
    sound: DecodedClip, speed: float = 0.0, teachers: Teachers | None = None
) -> list[dict[str, torch.Tensor]]:
    source = CropSource([sound], LABELS, PLAN, teachers or Teachers(), speed=speed)
    crops = [source.crop(0, np.random.default_rng(seed)) for seed in range(60)]
    return [crop | {"inputs": played(crop)} for crop in crops]


def played(piece: dict[str, torch.Tensor]) -> torch.Tensor:
    """The waveform `(samples,)` of a crop."""
    (waveform,) = play(*(piece[name][None] for name in PIECE), PLAN.samples)
    return waveform


def test_a_crop_is_a_window_of_one_segment_and_every_segment_has_crops() -> None:
    spans = [(0.0, 1.0), (5.0, 6.5)]
    begins = []
    for crop in crops_of(ramp("a", *spans)):
        samples = crop["inputs"].numpy()
        np.testing.assert_allclose(np.diff(samples), 1 / RATE, rtol=1e-3)
        begins.append(float(samples[0]))
        assert crop["labels"].tolist() == [1, 0]
    for begin, end in spans:
        inside = [at for at in begins if begin <= at <= end - PLAN.samples / RATE + 1e-6]
        assert min(inside) < begin + 0.15 and max(inside) > end - 0.65
    assert sum(at >= 5 for at in begins) > sum(at < 5 for at in begins)  # it is the longer one


def test_a_clip_of_just_one_window_is_its_only_crop() -> None:
    sound = ramp("b", (0, 0.5), seconds=0.3)  # a short one that was repeated
    for crop in crops_of(sound, speed=0.0):
        np.testing.assert_array_equal(crop["inputs"], sound.segments[0])


def test_a_change_of_speed_is_within_its_share_and_fills_the_window() -> None:
    tempi = []
    for crop in crops_of(ramp("a", (0, 3)), speed=0.2):
        samples = crop["inputs"].numpy()
        assert samples.shape == (PLAN.samples,)
        tempi.append((samples[-1] - samples[0]) * RATE / (PLAN.samples - 1))
    # What is taken of the segment is rounded to a sample.
    assert 0.78 < min(tempi) < 0.9 and 1.1 < max(tempi) < 1.22


@pytest.mark.parametrize("speed", [0.0, 0.2])
def test_a_teacher_is_asked_for_the_time_of_the_crop(
    speed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def between(self: Teacher, name: str, begin: float, end: float) -> np.ndarray:
        asked.append((begin, end))
        return np.zeros(1, np.float32)

    monkeypatch.setattr(Teacher, "between", between)
    teachers = Teachers(Teacher({"a": np.zeros((1, 1), np.float32)}))
    crops = crops_of(ramp("a", (0.0, 1.0), (5.0, 6.5)), speed, teachers)
    for crop, (begin, end) in zip(crops, asked, strict=True):
        samples = crop["inputs"].numpy()
        assert (samples[0], samples[-1]) == pytest.approx((begin, end), abs=1.5 / RATE)


def test_a_teacher_is_asked_for_all_of_a_clip_that_is_shorter_than_a_window() -> None:
    targets = np.array([[1.0], [3.0]], np.float32)  # centred on 0.48 and 0.96 s
    plan = WindowPlan(samples=200, rate=RATE)
    sound = ramp("a", (0, 2), seconds=1.0)
    source = CropSource([sound], LABELS, plan, Teachers(Teacher({"a": targets})))
    assert source.crop(0, np.random.default_rng(0))["soft_labels"].tolist() == [2.0]


def test_equal_numbers_and_seeds_give_equal_crops_in_any_order() -> None:
    source = CropSource([ramp("a", (0, 3)), ramp("b", (0, 2))], LABELS, PLAN, speed=0.1)

    def crops(seed: int, numbers: range) -> dict[int, bytes]:
        dataset = CropDataset(source, 0.7, seed, len(numbers))
        return {number: dataset[number]["inputs"].numpy().tobytes() for number in numbers}

    restored: CropDataset = pickle.loads(pickle.dumps(CropDataset(source, 0.7, 1, 25)))
    # As a DataLoader sends it to its workers where they do not fork.
    assert restored[3]["inputs"].numpy().tobytes() == crops(1, range(25))[3]
    assert crops(1, range(25)) == crops(1, range(24, -1, -1))
    assert not set(crops(1, range(25)).values()) & set(crops(2, range(25)).values())


def test_features_are_of_windows_that_cover_every_segment() -> None:
    clips = [ramp("a", (0, 1.2), (5, 6.0)), ramp("b", (0, 0.5))]
    source = CropSource(clips, LABELS, PLAN)
    windows = [(index, played(piece).numpy()) for index, piece in all_windows(source, 0, 0)]
    for index, decoded in enumerate(clips):
        samples = np.concatenate([window for of, window in windows if of == index])
        assert set(samples.tolist()) == set(np.concatenate(decoded.segments).tolist())
    assert len(windows) == 3 + 2 + 1  # the last of 1.2 s begins early enough to be whole


def test_passes_add_as_many_random_crops_as_there_are_windows() -> None:
    source = CropSource([ramp("a", (0, 1.2), (5, 6.0)), ramp("b", (0, 0.5))], LABELS, PLAN)
    plain, more = (list(all_windows(source, passes, 0)) for passes in (0, 2))
    assert [index for index, _ in more] == [0] * 15 + [1] * 3
    assert len(more) == 3 * len(plain)
