from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import sounds
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.audio.reader import read_windows
from tagger.audio.windows import WindowPlan
from tagger.models.fbank import Fbank, mel_filters
from tagger.types import FrontEnd

ROOT = Path(__file__).parents[2]
SMALL = FrontEnd(frames=64, mel_bins=128)
RATE = SMALL.rate


@cache
def oracle(front_end: FrontEnd):
    """transformers' own extractor, in numpy and one waveform at a time."""
    from transformers import ASTFeatureExtractor

    return ASTFeatureExtractor(
        sampling_rate=front_end.rate,
        max_length=front_end.frames,
        num_mel_bins=front_end.mel_bins,
        mean=front_end.mean,
        std=front_end.std,
    )


def expected(waveform: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers warns where narrow mel filters hold no bin
        features = oracle(front_end)(waveform, sampling_rate=front_end.rate, return_tensors="np")
    return features["input_values"][0]


def computed(waveforms: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    return Fbank(front_end)(torch.from_numpy(np.float32(waveforms))).numpy()


def assert_same(waveform: np.ndarray, front_end: FrontEnd = SMALL) -> None:
    waveform = np.float32(waveform)
    features = computed(waveform[None], front_end)
    assert features.shape == (1, front_end.frames, front_end.mel_bins)
    np.testing.assert_allclose(features[0], expected(waveform, front_end), atol=1e-3)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.float32(np.random.default_rng(seed).normal(0, 0.1, samples))


TIME = np.arange(SMALL.window_samples) / RATE
WAVEFORMS = {
    "noise": noise(SMALL.window_samples),
    "loud noise": np.clip(20 * noise(SMALL.window_samples), -1, 1),
    "quiet noise": 1e-4 * noise(SMALL.window_samples),
    "nearly nothing": 1e-9 * noise(SMALL.window_samples),
    "silence": np.zeros(SMALL.window_samples),
    "a constant": np.full(SMALL.window_samples, 0.5),
    "a click": np.eye(1, SMALL.window_samples, 5000)[0],
    "tone of 60 Hz": 0.5 * np.sin(2 * np.pi * 60 * TIME),
    "tone of 440 Hz": 0.5 * np.sin(2 * np.pi * 440 * TIME),
    "tone of 7900 Hz": 0.5 * np.sin(2 * np.pi * 7900 * TIME),
    "noise beside a constant": noise(SMALL.window_samples) + 0.3,
    "notes": sounds.sound_at(3 + TIME).mean(axis=1),
}


@pytest.mark.parametrize("name", WAVEFORMS)
def test_features_are_those_of_transformers(name):
    assert_same(WAVEFORMS[name])


@pytest.mark.parametrize(
    "front_end",
    [
        FrontEnd(),
        FrontEnd(frames=1),
        FrontEnd(frames=2, mel_bins=1),
        FrontEnd(frames=98, mel_bins=40),
        FrontEnd(frames=256, mel_bins=64, mean=0.0, std=0.5),
        FrontEnd(frames=100, mel_bins=80, mean=-1.5, std=3.0),
    ],
    ids=str,
)
def test_other_front_ends_are_those_of_transformers_too(front_end):
    assert_same(noise(front_end.window_samples, seed=1), front_end)


def music_files() -> list[Path]:
    clips = sorted((ROOT.parent / "shared/data/gtzan/genres").glob("*/*.00000.opus"))[:4]
    library = [path for path in sorted((ROOT / "examples/library").rglob("*")) if path.is_file()]
    return [
        *clips,
        *[path for path in library if path.suffix in (".flac", ".mp3", ".ogg", ".wav")][:3],
    ]


@pytest.mark.parametrize("path", music_files(), ids=lambda path: path.stem)
def test_features_of_music_are_those_of_transformers(path):
    front_end = FrontEnd(frames=256)
    read = read_windows(path, WindowPlan(front_end.window_samples, front_end.rate, 1))
    assert_same(read.windows[0], front_end)


@settings(deadline=None, max_examples=6)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_each_row_of_a_batch_is_what_it_is_alone(rows, seed):
    batch = np.random.default_rng(seed).normal(0, 0.2, (rows, SMALL.window_samples))
    together = computed(batch, SMALL)
    alone = np.concatenate([computed(row[None], SMALL) for row in batch])
    np.testing.assert_array_equal(together, alone)


def test_a_window_fills_the_frames_of_the_model_and_leaves_no_sample():
    longest = np.zeros((1, SMALL.window_samples + SMALL.hop_length - 1))
    assert computed(longest, SMALL).shape[1] == SMALL.frames
    assert computed(longest[:, : SMALL.window_samples - 1], SMALL).shape[1] == SMALL.frames - 1


def test_features_are_float32_whatever_the_waveform_is():
    waveform = torch.from_numpy(noise(SMALL.window_samples))[None]
    assert Fbank(SMALL)(waveform.double()).dtype == torch.float32


@pytest.mark.parametrize("bins", [1, 2, 40, 128])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_mel_filters_are_triangles_that_peak_at_one_at_most(bins, rate):
    filters = mel_filters(FrontEnd(rate=rate, mel_bins=bins))
    assert filters.shape == (FrontEnd(rate=rate).fft_size // 2 + 1, bins)
    assert (filters >= 0).all()
    assert (filters <= 1).all()


def test_the_filters_are_no_part_of_a_checkpoint():
    assert Fbank(SMALL).state_dict() == {}
