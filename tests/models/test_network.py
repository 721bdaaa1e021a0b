"""Our forward pass against transformers' own, and against itself in fewer bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import sounds
from helpers.models import CPU, SIZES, save_extractor, tiny_ast
from torch.nn import functional
from transformers import ASTConfig, ASTForAudioClassification

from tagger.genres.labels import AUDIOSET_NAMES
from tagger.models.checkpoint import ModelInfo
from tagger.models.find import find_model
from tagger.models.heads import ASTWithMlpHead
from tagger.models.model import load_model
from tagger.models.network import Network
from tagger.types import DEFAULT_MODEL


def drawn(
    head: type[ASTForAudioClassification] = ASTForAudioClassification,
    labels: Sequence[str] = "abcde",
    **sizes: object,
) -> ASTForAudioClassification:
    """A network in which every weight matters: norms, biases and tokens are random too."""
    network = tiny_ast(labels, head, **{"num_hidden_layers": 3, **sizes})
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    return network.eval()


@pytest.mark.parametrize("head", [ASTForAudioClassification, ASTWithMlpHead])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_hidden_layers": 1},
        {"qkv_bias": False},
        {"hidden_size": 36, "num_attention_heads": 5, "intermediate_size": 7},
        {"patch_size": 11, "frequency_stride": 7, "time_stride": 13},
        {"patch_size": 1, "frequency_stride": 31, "time_stride": 3},
        {"patch_size": 32, "max_length": 32},
        {"layer_norm_eps": 0.5},
        {"hidden_act": "relu"},
        {"hidden_act": "quick_gelu"},
        {"hidden_act": "prelu"},
        {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5},
    ],
    ids=str,
)
def test_logits_are_those_of_transformers(
    head: type[ASTForAudioClassification], changes: dict[str, object]
) -> None:
    network = drawn(head, **changes)
    features = torch.randn(3, network.config.max_length, network.config.num_mel_bins)
    with torch.inference_mode():
        expected = network(input_values=features).logits
        actual = Network(network).eval()(features)
    assert expected.std() > 0.01
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_logits_of_ast_base_are_those_of_transformers() -> None:
    torch.manual_seed(0)
    network = ASTForAudioClassification(ASTConfig(num_hidden_layers=2, initializer_range=0.05))
    torch.nn.init.normal_(network.audio_spectrogram_transformer.embeddings.position_embeddings)
    features = torch.randn(1, 1024, 128)
    with torch.inference_mode():
        expected = network.eval()(input_values=features).logits
        ours = Network(network).eval()
        actual = ours(features)
    assert ours.tokens == 1214
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frames", [316, 626, 1256, 1876])
def test_logits_of_maest_are_those_of_transformers(frames: int) -> None:
    network = drawn(max_length=frames, num_mel_bins=96, layer_norm_eps=1e-6)
    features = torch.randn(2, frames, 96)
    with torch.inference_mode():
        expected = network(input_values=features).logits
        ours = Network(network).eval()
        actual = ours(features)
    assert ours.tokens == 2 + 9 * {316: 31, 626: 62, 1256: 125, 1876: 187}[frames]
    assert expected.std() > 0.01
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_probabilities_of_an_audioset_model_are_those_of_transformers(tmp_path: Path) -> None:
    labels = (*AUDIOSET_NAMES, "Music", "Speech")
    network = drawn(labels=labels, max_length=1024, num_mel_bins=128)
    torch.nn.init.normal_(network.classifier.dense.weight, std=2.0)  # sounds are far apart
    network.save_pretrained(tmp_path)
    extractor = save_extractor(tmp_path, max_length=1024, num_mel_bins=128)
    info = find_model(str(tmp_path))
    time = np.arange(info.front_end.window_samples) / info.front_end.rate
    notes = np.float32(sounds.sound_at(time).mean(axis=1))
    noise = np.float32(np.random.default_rng(0).normal(0, 0.1, len(time)))
    features = extractor([notes, noise], sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        expected = network(**features).logits.sigmoid()
    actual = load_model(info, CPU).probabilities(np.stack([notes, noise]))
    assert (expected[0] - expected[1]).abs().max() > 0.05
    np.testing.assert_allclose(actual, expected.numpy(), atol=1e-3)


@pytest.fixture(scope="module")
def windows_of_sound() -> tuple[ModelInfo, np.ndarray]:
    """The bundled model, and windows of notes, of noise, and of both."""
    info = find_model(DEFAULT_MODEL)
    front_end = info.front_end
    starts = np.arange(0, 30, 3)[:, None] + np.arange(front_end.window_samples) / front_end.rate
    notes = np.stack([sounds.sound_at(start).mean(axis=1) for start in starts])
    noise = np.random.default_rng(0).normal(0, 0.1, notes.shape)
    return info, np.float32(np.concatenate([notes, noise, (notes + noise) / 2]))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_fewer_bits_give_the_same_genres(
    windows_of_sound: tuple[ModelInfo, np.ndarray], precision: str
) -> None:
    info, windows = windows_of_sound
    exact = load_model(info, CPU).probabilities(windows)
    rounded = load_model(info, replace(CPU, precision=precision)).probabilities(windows)
    assert exact.max(axis=1).min() < 0.5 < exact.max()  # windows of both kinds: clear and doubtful
    np.testing.assert_allclose(rounded, exact, atol=0.02)
    first, second = np.sort(exact, axis=1)[:, :-3:-1].T
    clear = first - second > 0.02
    assert clear.any()
    np.testing.assert_array_equal(rounded.argmax(axis=1)[clear], exact.argmax(axis=1)[clear])


def test_float32_probabilities_are_those_of_transformers_own_network(
    windows_of_sound: tuple[ModelInfo, np.ndarray],
) -> None:
    info, windows = windows_of_sound
    model = load_model(info, CPU)
    network = ASTForAudioClassification.from_pretrained(info.folder, dtype=torch.float32)
    with torch.inference_mode():
        logits = network(input_values=model._fbank(torch.from_numpy(windows))).logits
        expected = functional.softmax(logits / info.temperature, dim=-1)
    np.testing.assert_allclose(model.probabilities(windows), expected.numpy(), atol=1e-5)


def test_it_keeps_no_weight_of_the_other_modules() -> None:
    source = drawn()
    counted = sum(weights.numel() for weights in source.parameters())
    joined = 2 * SIZES["hidden_size"]  # the two tokens are stored with their positions
    assert sum(weights.numel() for weights in Network(source).parameters()) == counted - joined
