"""MAEST: its features against two independent implementations, and a checkpoint of its layout.

The oracles follow the extractor that MAEST's authors publish: one by librosa, one by the tools of
transformers.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import sounds
from helpers.clips import LABELS, write_clips
from helpers.models import CPU, save_extractor, tiny_ast
from helpers.runs import SMALL, trained
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import ASTForAudioClassification

from tagger.audio.reader import read_windows
from tagger.audio.windows import WindowPlan
from tagger.errors import CheckpointError
from tagger.models.fbank import Fbank, mel_filters
from tagger.models.find import find_model
from tagger.models.model import load_model
from tagger.types import FrontEnd
from training.augment.features import Augmentation, FeatureAugmenter
from training.networks.methods import save_checkpoint

ROOT = Path(__file__).parents[2]
FRAMES = {5: 316, 10: 626, 20: 1256, 30: 1876}  # by the seconds in a checkpoint's name
MEAN, STD = 2.06755686098554, 1.268292820667291
RATE = 16_000
Floats = NDArray[np.float32]


def maest(frames: int, **changes: Any) -> FrontEnd:
    return FrontEnd(
        **{"frames": frames, "mel_bins": 96, "mean": MEAN, "std": STD, "kind": "maest", **changes}
    )


# The oracles


def librosa_energies(waveform: Floats) -> NDArray[np.float64]:
    """`(frames, 96)`."""
    import librosa

    spectrum = librosa.stft(
        np.float64(waveform), n_fft=512, hop_length=256, center=True, pad_mode="constant"
    )
    filters = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=96, dtype=np.float64)
    return (filters @ np.abs(spectrum) ** 2).T  # type: ignore[no-any-return]


def transformers_energies(waveform: Floats) -> NDArray[np.float64]:
    """`(frames, 96)`."""
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    filters = mel_filter_bank(257, 96, 0.0, 8000.0, RATE, norm="slaney", mel_scale="slaney")
    settings = {"frame_length": 512, "hop_length": 256, "power": 2.0, "pad_mode": "constant"}
    return spectrogram(  # type: ignore[no-any-return]
        waveform, window_function(512, "hann"), mel_filters=filters, dtype=np.float64, **settings
    ).T


ORACLES = {"librosa": librosa_energies, "transformers": transformers_energies}
Oracle = Callable[[Floats], NDArray[np.float64]]


def extract(waveform: Floats, frames: int, energies: Oracle = librosa_energies) -> Floats:
    """Features `(frames, 96)`: cut, or filled up with zeros before they are normalised."""
    compressed = np.log10(1 + 10_000 * energies(waveform))[:frames]
    filled = np.pad(compressed, ((0, frames - len(compressed)), (0, 0)))
    return np.float32((filled - MEAN) / (2 * STD))


def assert_same(waveform: NDArray[np.floating[Any]], frames: int, oracle: str) -> None:
    front_end = maest(frames)
    sound = np.float32(waveform)
    features = Fbank(front_end)(torch.from_numpy(sound)[None])
    assert features.shape == (1, frames, 96)
    np.testing.assert_allclose(features[0], extract(sound, frames, ORACLES[oracle]), atol=1e-3)


def noise(samples: int, seed: int = 0) -> Floats:
    return np.float32(np.random.default_rng(seed).normal(0, 0.1, samples))


# Features

SAMPLES = maest(FRAMES[5]).window_samples
TIME = np.arange(SAMPLES) / RATE
WAVEFORMS = {
    "noise": noise(SAMPLES),
    "full scale": np.sign(noise(SAMPLES)),
    "quiet noise": 1e-4 * noise(SAMPLES),
    "nearly nothing": 1e-9 * noise(SAMPLES),
    "silence": np.zeros(SAMPLES),
    "a constant": np.ones(SAMPLES),
    "a click": np.eye(1, SAMPLES, 5000)[0],
    "a click at either end": np.eye(1, SAMPLES, 0)[0] + np.eye(1, SAMPLES, SAMPLES - 1)[0],
    "tone of 60 Hz": np.sin(2 * np.pi * 60 * TIME),
    "tone of 1 kHz": np.sin(2 * np.pi * 1000 * TIME),
    "tone of 7900 Hz": np.sin(2 * np.pi * 7900 * TIME),
    "notes": sounds.sound_at(3 + TIME).mean(axis=1),
}


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("name", WAVEFORMS)
def test_features_are_those_of_other_implementations(name: str, oracle: str) -> None:
    assert_same(WAVEFORMS[name], FRAMES[5], oracle)


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("seconds", FRAMES)
@pytest.mark.parametrize("title", ["02 Quiet Fugue.flac", "07 Iron Door.aiff"])
def test_features_of_music_are_those_of_other_implementations(
    title: str, seconds: int, oracle: str
) -> None:
    front_end = maest(FRAMES[seconds])
    path = ROOT / "examples/library" / title
    read = read_windows(path, WindowPlan(front_end.window_samples, RATE, 1))
    assert_same(read.windows[0], front_end.frames, oracle)


@settings(deadline=None, max_examples=20)
@given(
    st.floats(-120, 0), st.floats(1, 8000), st.floats(-1, 1), st.integers(3, 40), st.integers(0, 99)
)
def test_features_of_any_sound_are_those_of_another_implementation(
    decibels: float, hertz: float, offset: float, frames: int, seed: int
) -> None:
    time = np.arange(maest(frames).window_samples) / RATE
    sound = np.sin(2 * np.pi * hertz * time) + noise(len(time), seed) + offset
    assert_same(np.clip(10 ** (decibels / 20) * sound, -1, 1), frames, "librosa")


def test_each_row_of_a_batch_is_what_it_is_alone() -> None:
    fbank = Fbank(maest(FRAMES[5]))
    batch = torch.from_numpy(np.stack([noise(SAMPLES, seed) for seed in range(5)]))
    alone = torch.cat([fbank(row[None]) for row in batch])
    torch.testing.assert_close(fbank(batch), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("seconds", "samples"), [(5, 80_640), (10, 160_000), (20, 321_280), (30, 480_000)]
)
def test_a_window_fills_the_frames_of_the_model_and_leaves_no_sample(
    seconds: int, samples: int
) -> None:
    front_end = maest(FRAMES[seconds])
    assert front_end.window_samples == samples
    fbank = Fbank(front_end)
    assert fbank(torch.zeros(1, samples + 255)).shape == (1, front_end.frames, 96)
    assert fbank(torch.zeros(1, samples - 1)).shape == (1, front_end.frames - 1, 96)


def test_one_frame_is_not_a_window() -> None:
    with pytest.raises(ValueError, match="unusable front end"):
        maest(1)


@pytest.mark.parametrize("bins", [1, 2, 40, 96])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_mel_filters_are_those_of_librosa(bins: int, rate: int) -> None:
    import librosa

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Empty filters detected")  # 96 of them at 44.1 kHz
        expected = librosa.filters.mel(sr=rate, n_fft=512, n_mels=bins)
    filters = mel_filters(maest(2, rate=rate, mel_bins=bins)).T
    np.testing.assert_allclose(filters, expected, atol=1e-7)


# A checkpoint


@cache
def discogs() -> tuple[str, ...]:
    """Names as Discogs has them, with separators in parents and styles."""
    parents = ("Rock", "Folk, World, & Country", "Funk / Soul", "Electronic", "Non-Music")
    return tuple(f"{parent}---Style {number}, RnB/Swing" for parent in parents for number in (1, 2))


def write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values))


def extractor_config(frames: int) -> dict[str, Any]:
    """preprocessor_config.json as MAEST's authors publish it, with its lists cut short."""
    return {
        "auto_map": {"AutoFeatureExtractor": "feature_extraction_maest.MAESTFeatureExtractor"},
        "do_normalize": True,
        "feature_extractor_type": "MAESTFeatureExtractor",
        "feature_size": 1,
        "hop_length": 256,
        "log_compression": "logC",
        "max_length": frames,
        "mean": MEAN,
        "mel_fb": [[0.0, 0.5], [0.5, 0.0]],
        "n_fft": 512,
        "num_mel_bins": 96,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
        "sampling_rate": 16000,
        "std": STD,
        "window": [0.0, 0.5, 1.0, 0.5],
    }


def save_maest(folder: Path, frames: int) -> Path:
    """MAEST's configs and names, with a small network of random weights."""
    network = tiny_ast(discogs(), layer_norm_eps=1e-6, max_length=frames, num_mel_bins=96)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    # So that the probabilities of one sound are far from those of another.
    torch.nn.init.normal_(network.classifier.dense.weight, std=2.0)
    network.save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", extractor_config(frames))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_maest(tmp_path / "maest", FRAMES[5])


@pytest.mark.parametrize("seconds", FRAMES)
def test_probabilities_are_those_of_transformers_on_the_features_of_the_oracle(
    tmp_path: Path, seconds: int
) -> None:
    folder = save_maest(tmp_path / "maest", FRAMES[seconds])
    info = find_model(str(folder))
    assert info.front_end == maest(FRAMES[seconds]) and info.labels == discogs()
    assert "problem_type" not in json.loads((folder / "config.json").read_text())
    samples = info.front_end.window_samples
    time = np.arange(samples) / RATE
    notes = np.float32(sounds.sound_at(time).mean(axis=1))
    waveforms = np.stack([notes, noise(samples), np.zeros(samples, np.float32)])
    features = torch.from_numpy(np.stack([extract(row, FRAMES[seconds]) for row in waveforms]))
    network = ASTForAudioClassification.from_pretrained(folder)
    with torch.inference_mode():
        expected = network(input_values=features).logits.sigmoid().numpy()
    actual = load_model(info, CPU).probabilities(waveforms)
    assert np.abs(expected[0] - expected[1]).max() > 0.05
    np.testing.assert_allclose(actual, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_fft", 1024),
        ("hop_length", 160),
        ("hop_length", None),
        ("log_compression", "dB"),
        ("feature_extractor_type", "WhisperFeatureExtractor"),
        ("feature_extractor_type", None),
        ("feature_extractor_type", ["MAESTFeatureExtractor"]),
    ],
)
def test_features_that_are_not_computed_here_are_refused_by_name(
    folder: Path, key: str, value: object
) -> None:
    write_json(folder / "preprocessor_config.json", extractor_config(FRAMES[5]) | {key: value})
    with pytest.raises(CheckpointError, match="unusable config") as caught:
        find_model(str(folder))
    assert f"{key} " in str(caught.value) and repr(value) in str(caught.value)


def test_features_of_maest_that_are_not_declared_as_such_are_refused(folder: Path) -> None:
    config = extractor_config(FRAMES[5])
    del config["feature_extractor_type"]
    write_json(folder / "preprocessor_config.json", config)
    with pytest.raises(CheckpointError, match="hop_length must be 160, not 256"):
        find_model(str(folder))


def test_what_the_config_leaves_out_of_the_fixed_values_is_as_it_has_to_be(folder: Path) -> None:
    config = extractor_config(FRAMES[5])
    for key in ("n_fft", "hop_length", "log_compression", "auto_map", "mel_fb", "window"):
        del config[key]
    write_json(folder / "preprocessor_config.json", config)
    assert find_model(str(folder)).front_end == maest(FRAMES[5])


# Training


@pytest.mark.parametrize(
    "front_end",
    [maest(FRAMES[5]), maest(200, rate=22_050, mean=0.5, std=0.25), FrontEnd(frames=FRAMES[5])],
    ids=lambda front_end: front_end.kind,
)
def test_a_checkpoint_is_saved_with_its_front_end(
    tmp_path: Path, folder: Path, front_end: FrontEnd
) -> None:
    network = ASTForAudioClassification.from_pretrained(folder)
    network.config.max_length, network.config.num_mel_bins = front_end.frames, front_end.mel_bins
    saved = tmp_path / "saved"
    save_checkpoint(network, front_end, saved, torch.float32)
    info = find_model(str(saved))
    assert info.front_end == front_end
    assert info.labels == discogs() and not info.multi_label  # it was trained with a softmax


def test_the_front_end_of_an_ast_is_saved_as_transformers_saves_it(
    tmp_path: Path, folder: Path
) -> None:
    front_end = FrontEnd(frames=FRAMES[5], mel_bins=96, mean=-1.0, std=2.0)
    network = ASTForAudioClassification.from_pretrained(folder)
    save_checkpoint(network, front_end, tmp_path / "ours", torch.float32)
    save_extractor(tmp_path / "theirs", max_length=FRAMES[5], num_mel_bins=96, mean=-1.0, std=2.0)
    ours, theirs = (
        json.loads((tmp_path / name / "preprocessor_config.json").read_text())
        for name in ("ours", "theirs")
    )
    assert ours == theirs


def test_a_model_trained_from_maest_keeps_its_front_end(tmp_path: Path, folder: Path) -> None:
    data = write_clips(tmp_path / "data")
    how = ("--method", "full", "--steps", 1, "--augment", "colour,mixup", "--new-head")
    out = trained(tmp_path / "out", *SMALL, *how, "--data", data, "--model", folder)
    info = find_model(str(out))
    assert info.front_end == maest(FRAMES[5])
    assert info.labels == LABELS


FRONT_ENDS = [maest(40), FrontEnd(frames=40, mel_bins=40)]


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda front_end: front_end.kind)
def test_a_gain_changes_features_as_it_changes_a_sound(front_end: FrontEnd) -> None:
    fbank = Fbank(front_end)
    sound = torch.from_numpy(np.stack([noise(front_end.window_samples, seed) for seed in (1, 2)]))
    augmenter = FeatureAugmenter(Augmentation(gain=6, equaliser=0, noise=0))
    torch.manual_seed(0)
    gain = torch.randn(2, 1, 1)[:, 0] * 6  # (batch, 1), dB
    torch.manual_seed(0)
    changed = fbank.features(augmenter.colour(fbank.energies(sound)))
    assert gain.abs().min() > 1
    torch.testing.assert_close(changed, fbank(sound * 10 ** (gain / 20)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda front_end: front_end.kind)
def test_a_mix_has_the_sum_of_the_powers(front_end: FrontEnd) -> None:
    """Of two sounds that do not overlap in time, the mixed waveform has the same features."""
    fbank = Fbank(front_end)
    sound = torch.from_numpy(np.stack([noise(front_end.window_samples, seed) for seed in range(4)]))
    half = front_end.window_samples // 2
    sound[::2, :half], sound[1::2, half:] = 0, 0
    torch.manual_seed(0)
    mixed, other, share = FeatureAugmenter(Augmentation()).mix(fbank.energies(sound))
    assert (other != torch.arange(4)).any() and (share < 0.99).any()
    waveforms = share.sqrt() * sound + (1 - share).sqrt() * sound[other]
    frames = slice(0, 18)  # those in the middle hold some of both
    apart = (other - torch.arange(4)) % 2 == 1  # one has the first half, the other the second
    expected = fbank(waveforms)[apart]
    assert apart.any()
    found = fbank.features(mixed)[apart]
    torch.testing.assert_close(found[:, frames], expected[:, frames], atol=1e-4, rtol=0)
    torch.testing.assert_close(found[:, -18:], expected[:, -18:], atol=1e-4, rtol=0)


def test_silence_stays_finite_under_every_change() -> None:
    front_end = maest(40)
    fbank = Fbank(front_end)
    waveforms = torch.zeros(4, front_end.window_samples)
    silence = fbank(waveforms)
    augmenter = FeatureAugmenter(Augmentation(noise=0))
    mixed, _, _ = augmenter.mix(fbank.energies(waveforms))
    torch.testing.assert_close(fbank.features(mixed), silence)
    coloured = fbank.features(augmenter.colour(fbank.energies(waveforms)))
    assert (coloured - silence).abs().max() < 1e-6
    noisy = FeatureAugmenter(Augmentation(noise=1)).colour(fbank.energies(waveforms))
    noisy = fbank.features(noisy)
    assert noisy.isfinite().all() and (noisy > silence).all()
    assert math.isclose(float(silence.mean()), -MEAN / (2 * STD), rel_tol=1e-5)
