"""Crops, draws, teachers, optimizer and average: the parts of a training run on their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command import ROOT, environment
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tagger.audio.windows import WindowPlan
from training.clips.decode import DecodedClip
from training.clips.find import Clip
from training.loop.crops import CropDataset, CropSource, Draws, Teachers, draw_weights
from training.loop.features import all_windows
from training.loop.teachers import Teacher, read_embeddings, read_soft_labels
from training.networks.optimizer import MuonWithAdamW
from training.networks.student import WeightAverage

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


def test_an_epoch_has_an_order_of_its_own_that_a_seed_decides() -> None:
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
def test_balance_is_between_all_seconds_and_all_labels_as_often(balance: float) -> None:
    clips = [ramp("a", (0, 4)), ramp("a", (0, 2)), ramp("b", (0, 1.5))]
    weights = draw_weights(clips, balance)
    assert weights[0] / weights[1] == pytest.approx(2)  # within a label, seconds are
    assert (weights[0] + weights[1]) / weights[2] == pytest.approx(4 ** (1 - balance))


# Crops


def crops_of(
    sound: DecodedClip, speed: float = 0.0, teachers: Teachers | None = None
) -> list[dict[str, torch.Tensor]]:
    source = CropSource([sound], LABELS, PLAN, teachers or Teachers(), speed=speed)
    return [source.crop(0, np.random.default_rng(seed)) for seed in range(60)]


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

    assert crops(1, range(25)) == crops(1, range(24, -1, -1))
    assert not set(crops(1, range(25)).values()) & set(crops(2, range(25)).values())


def test_features_are_of_windows_that_cover_every_segment() -> None:
    clips = [ramp("a", (0, 1.2), (5, 6.0)), ramp("b", (0, 0.5))]
    source = CropSource(clips, LABELS, PLAN)
    windows = [(index, window.numpy()) for index, window in all_windows(source, 0, 0)]
    for index, decoded in enumerate(clips):
        samples = np.concatenate([window for of, window in windows if of == index])
        assert set(samples.tolist()) == set(np.concatenate(decoded.segments).tolist())
    assert len(windows) == 3 + 2 + 1  # the last of 1.2 s begins early enough to be whole


def test_passes_add_as_many_random_crops_as_there_are_windows() -> None:
    source = CropSource([ramp("a", (0, 1.2), (5, 6.0)), ramp("b", (0, 0.5))], LABELS, PLAN)
    plain, more = (list(all_windows(source, passes, 0)) for passes in (0, 2))
    assert [index for index, _ in more] == [0] * 15 + [1] * 3
    assert len(more) == 3 * len(plain)


# Teachers


def test_teacher_targets_are_decoded_and_averaged_over_the_crop(tmp_path: Path) -> None:
    stored = np.arange(8, dtype=np.uint8).reshape(4, 2)
    clips = [Clip(tmp_path, "a", "a.0")]
    np.savez(tmp_path / "soft.npz", **{"a.0": stored})
    np.savez(tmp_path / "embedding.npz", **{"a.0": stored.astype(np.int8)}, _scale=[0.5, 2.0])
    soft = read_soft_labels([tmp_path / "soft.npz"], clips)
    # Frames are centred on 0.48, 0.96, 1.44, and 1.92 s.
    expected = (stored[1:3] / 255) ** 4
    np.testing.assert_allclose(soft.between("a.0", 0.9, 1.5), expected.mean(axis=0), rtol=1e-5)
    embeddings = read_embeddings([tmp_path / "embedding.npz"], clips)
    np.testing.assert_allclose(embeddings.mean(), [3 * 0.5, 4 * 2.0])
    half = embeddings.half_whitened().targets["a.0"].std(axis=0)
    np.testing.assert_allclose(half**2, embeddings.targets["a.0"].std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(embeddings.between("a.0", 1.9, 9.0), [6 * 0.5, 7 * 2.0])
    np.testing.assert_allclose(embeddings.between("a.0", 0.5, 0.6), [0, 1 * 2.0])  # the nearest


def test_means_over_a_teacher_are_equal_bytes_in_every_process(tmp_path: Path) -> None:
    # Sets of strings have another order in each process, and sums of floats depend on theirs.
    names = [f"clip{number}" for number in range(40)]
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", **{name: draw.integers(0, 256, (9, 30), "u1") for name in names})
    code = f"""
from pathlib import Path
from training.clips.find import Clip
from training.loop.teachers import read_soft_labels
clips = [Clip(Path(), "", f"clip{{number}}") for number in range(40)]
teacher = read_soft_labels([Path({str(tmp_path / "a.npz")!r})], clips)
print(teacher.mean().tobytes().hex(), teacher.half_whitened().mean().tobytes().hex())
"""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**environment(tmp_path), "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2, 3)
    ]
    assert len({run.communicate()[0] for run in runs}) == 1
    assert not any(run.returncode for run in runs)


# The average of the weights, and the optimizer


class Block(nn.Module):
    """Named as a transformer: a matrix in its layers, one outside, and vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(3, 3)])})
        self.head = nn.Linear(3, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.encoder["layers"][0](inputs)))


def block() -> Block:
    torch.manual_seed(0)
    return Block()


def steps(module: nn.Module, optimizer: torch.optim.Optimizer, seeds: range) -> None:
    for seed in seeds:
        draw = torch.Generator().manual_seed(seed)
        optimizer.zero_grad()
        module(torch.randn(4, 3, generator=draw)).square().sum().backward()
        optimizer.step()


def weights_of(module: nn.Module) -> list[bytes]:
    return [weight.detach().numpy().tobytes() for weight in module.parameters()]


def test_an_average_without_decay_is_the_last_weights() -> None:
    module = block()
    average = WeightAverage(module, 0.0)
    steps(module, torch.optim.SGD(module.parameters(), lr=0.1), range(1))
    average.update(module)
    assert weights_of(average.module) == weights_of(module)


def test_an_average_goes_on_from_its_file_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    module = block()
    module.head.bias.requires_grad_(False)  # what does not learn is not in the file
    kept, stopped = WeightAverage(module, 0.9), WeightAverage(module, 0.9)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for number in range(5):
        steps(module, optimizer, range(number, number + 1))
        kept.update(module)
        if number < 3:
            stopped.update(module)
        if number == 2:
            stopped.save(tmp_path / "average.safetensors")
            stopped = WeightAverage(block(), 0.9)
            stopped.learned.remove("head.bias")
            stopped.load(tmp_path / "average.safetensors")
        if number > 2:
            stopped.update(module)
    assert weights_of(stopped.module) == weights_of(kept.module) and stopped.steps == 5
    assert [path.name for path in tmp_path.iterdir()] == ["average.safetensors"]


def test_an_average_follows_its_formula() -> None:
    module = block()
    average = WeightAverage(module, 0.5)
    expected = module.head.weight.detach().clone()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for step in range(1, 12):
        steps(module, optimizer, range(step, step + 1))
        average.update(module)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module.head.weight.detach()
    torch.testing.assert_close(average.module.head.weight.detach(), expected)


def test_an_optimizer_goes_on_from_its_state_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    from transformers import get_cosine_schedule_with_warmup

    def start(module: nn.Module) -> tuple[MuonWithAdamW, torch.optim.lr_scheduler.LambdaLR]:
        optimizer = MuonWithAdamW(module, 1e-2, 0.05)
        return optimizer, get_cosine_schedule_with_warmup(optimizer, 2, 10)

    def go(module: nn.Module, parts: tuple[MuonWithAdamW, object], seeds: range) -> None:
        for seed in seeds:
            steps(module, parts[0], range(seed, seed + 1))
            parts[1].step()  # type: ignore[attr-defined]

    whole, stopped = block(), block()
    whole_parts, stopped_parts = start(whole), start(stopped)
    go(whole, whole_parts, range(8))
    go(stopped, stopped_parts, range(5))
    torch.save([of.state_dict() for of in (stopped, *stopped_parts)], tmp_path / "state.pt")
    resumed = Block()
    resumed_parts = start(resumed)
    states = torch.load(tmp_path / "state.pt", weights_only=True)
    for of, state in zip((resumed, *resumed_parts), states, strict=True):
        of.load_state_dict(state)
    go(resumed, resumed_parts, range(5, 8))
    assert weights_of(resumed) == weights_of(whole)


def test_muon_has_the_matrices_of_the_layers_and_adamw_the_rest() -> None:
    module = block()
    optimizer = MuonWithAdamW(module, 2e-3, 0.05)
    muon, adamw = optimizer.parts
    matrices = [of for group in muon.param_groups for of in group["params"]]
    assert [of is module.encoder["layers"][0].weight for of in matrices] == [True]
    rest = [of for group in adamw.param_groups for of in group["params"]]
    assert {id(of) for of in (*matrices, *rest)} == {id(of) for of in module.parameters()}
    vectors = adamw.param_groups[1]
    assert vectors["weight_decay"] == 0 and all(of.ndim == 1 for of in vectors["params"])


def test_a_schedule_changes_both_speeds_of_an_optimizer() -> None:
    module = block()
    optimizer = MuonWithAdamW(module, 1e-2, 0.0)
    before = weights_of(module)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    steps(module, optimizer, range(1))
    assert weights_of(module) == before
