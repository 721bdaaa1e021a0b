"""Probabilities of a model, against those of transformers' own pipeline."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.command import LIBRARY
from helpers.models import CPU, edit, tiny_ast
from transformers import ASTModel

from tagger.audio.pool import DecoderPool
from tagger.audio.reader import read_windows
from tagger.errors import CheckpointError, DeviceError
from tagger.files.scan import find_tracks
from tagger.inference.predict import predict_tracks
from tagger.models.checkpoint import ModelInfo
from tagger.models.find import find_model
from tagger.models.model import GenreModel, load_model
from tagger.types import DEFAULT_MODEL, Prediction, Track


def test_probabilities_are_those_of_the_pipeline_on_the_same_windows(tiny_model: Path) -> None:
    from transformers import pipeline

    info = find_model(str(tiny_model))
    model = load_model(info, CPU)
    oracle = pipeline("audio-classification", model=str(tiny_model), device="cpu")
    tracks = [item for item in find_tracks([LIBRARY]) if isinstance(item, Track)]
    plan = info.plan(5)
    with DecoderPool(1, 60) as pool:
        predictions = dict(predict_tracks(tracks, model, plan, pool))
    for index, track in enumerate(tracks):
        prediction = predictions[index]
        assert isinstance(prediction, Prediction)
        windows = read_windows(track.path, plan).windows
        answers = oracle(
            [{"raw": w, "sampling_rate": 16000} for w in windows], top_k=None, batch_size=1
        )
        by_label = [{answer["label"]: answer["score"] for answer in window} for window in answers]
        mean = {label: np.mean([window[label] for window in by_label]) for label in info.labels}
        expected = [mean[label] for label in prediction.labels]
        np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-3)
        assert prediction.ranked[0][0] == max(mean, key=lambda label: mean[label])
        assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-5)


def test_a_multi_label_checkpoint_gets_a_sigmoid_each(model_copy: Path, tiny_model: Path) -> None:
    edit(model_copy, "config.json", problem_type="multi_label_classification")
    info = find_model(str(model_copy))
    wave = np.random.default_rng(0).standard_normal((2, info.plan(1).samples)).astype(np.float32)
    several = load_model(info, CPU).probabilities(wave)
    one = load_model(find_model(str(tiny_model)), CPU).probabilities(wave)
    odds = several / (1 - several)  # softmax is the odds of the sigmoids, scaled to one
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), one, atol=1e-4)


def noise(info: ModelInfo, windows: int = 3) -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.standard_normal((windows, info.plan(1).samples)).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.25, 1.37, 20])
def test_logits_are_divided_by_the_temperature(
    model_copy: Path, tiny_model: Path, temperature: float
) -> None:
    edit(model_copy, "config.json", temperature=temperature)
    info, plain = find_model(str(model_copy)), find_model(str(tiny_model))
    assert (info.temperature, plain.temperature) == (temperature, 1.0)
    assert info.fingerprint != plain.fingerprint
    logits = np.log(load_model(plain, CPU).probabilities(noise(plain)))
    scaled = np.exp(logits / temperature)
    actual = load_model(info, CPU).probabilities(noise(info))
    np.testing.assert_allclose(actual, scaled / scaled.sum(axis=1, keepdims=True), rtol=1e-4)


def test_a_multi_label_checkpoint_has_its_temperature_too(model_copy: Path) -> None:
    edit(model_copy, "config.json", problem_type="multi_label_classification")
    info = find_model(str(model_copy))
    plain = load_model(info, CPU).probabilities(noise(info))
    edit(model_copy, "config.json", temperature=2)
    halved = load_model(find_model(str(model_copy)), CPU).probabilities(noise(info))
    odds = plain.astype(np.float64) / (1 - plain)
    np.testing.assert_allclose(halved / (1 - halved), odds**0.5, rtol=1e-3)


@pytest.fixture(scope="module")
def mlp_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a head of a hidden layer, saved by transformers itself."""
    import torch

    from tagger.models.heads import ASTWithMlpHead

    folder = tmp_path_factory.mktemp("models") / "mlp"
    network = tiny_ast(head=ASTWithMlpHead, mlp_hidden=24)
    for place in (1, 4):
        torch.nn.init.normal_(network.classifier.dense[place].weight, std=0.5)
    network.save_pretrained(folder)
    shutil.copy(tiny_model / "preprocessor_config.json", folder)
    return folder


def test_an_mlp_head_survives_saving_bit_for_bit(mlp_model: Path, tmp_path: Path) -> None:
    import torch

    from tagger.models.heads import ASTWithMlpHead

    config = json.loads((mlp_model / "config.json").read_text())
    assert config["architectures"] == ["ASTWithMlpHead"]
    assert (config["mlp_hidden"], config["mlp_dropout"]) == (24, [0.05, 0.1])
    first = ASTWithMlpHead.from_pretrained(mlp_model)
    first.save_pretrained(tmp_path)
    second, loading = ASTWithMlpHead.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(loading.values())
    one, two = first.state_dict(), second.state_dict()
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    shapes = [tuple(weights.shape) for weights in first.classifier.dense.parameters()]
    assert shapes == [(24, 32), (24,), (4, 24), (4,)]


def test_an_mlp_head_has_the_defaults_of_its_source() -> None:
    from tagger.models.heads import ASTWithMlpHead

    dense = tiny_ast(head=ASTWithMlpHead).classifier.dense
    kinds = ["Dropout", "Linear", "GELU", "Dropout", "Linear"]
    assert [type(part).__name__ for part in dense] == kinds
    assert (dense[0].p, dense[1].out_features, dense[3].p) == (0.05, 200, 0.1)


def test_an_mlp_head_gives_the_probabilities_of_its_weights(mlp_model: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from tagger.models.fbank import Fbank

    info = find_model(str(mlp_model))
    assert info.architecture == "ASTWithMlpHead"
    model = load_model(info, CPU)
    weights = load_file(mlp_model / "model.safetensors")
    body = ASTModel.from_pretrained(mlp_model)
    with torch.inference_mode():
        pooled = body(input_values=Fbank(info.front_end)(torch.from_numpy(noise(info))))[1]
        names = ("layernorm", "dense.1", "dense.4")
        norm, first, last = (
            (weights[f"classifier.{name}.weight"], weights[f"classifier.{name}.bias"])
            for name in names
        )
        normed = torch.nn.functional.layer_norm(pooled, (32,), *norm, eps=1e-12)
        hidden = torch.nn.functional.gelu(normed @ first[0].T + first[1])
        expected = (hidden @ last[0].T + last[1]).softmax(dim=-1)
    np.testing.assert_allclose(model.probabilities(noise(info)), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"mlp_hidden": 25},
        {"mlp_hidden": "many"},
        {"mlp_dropout": [0.1]},
    ],
)
def test_an_mlp_head_that_its_config_does_not_describe_is_refused(
    mlp_model: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    folder = Path(shutil.copytree(mlp_model, tmp_path / "copy"))
    edit(folder, "config.json", **changes)
    with pytest.raises(CheckpointError, match=re.escape(str(folder))):
        load_model(find_model(str(folder)), CPU)


def test_a_linear_head_is_refused_as_an_mlp_head(model_copy: Path) -> None:
    edit(model_copy, "config.json", architectures=["ASTWithMlpHead"])
    with pytest.raises(CheckpointError, match="do not fit"):
        load_model(find_model(str(model_copy)), CPU)


def test_bfloat16_stays_near_float32(tiny_model: Path) -> None:
    info = find_model(str(tiny_model))
    wave = np.random.default_rng(0).standard_normal((4, info.plan(1).samples)).astype(np.float32)
    exact = load_model(info, CPU).probabilities(wave)
    rounded = load_model(info, replace(CPU, precision="bfloat16")).probabilities(wave)
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, exact, atol=0.05)


# --- batches --------------------------------------------------------------------------------------


def small_memory(model: GenreModel, limit: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the network lack memory for more than `limit` windows; gives the sizes of its calls.

    The error is the one that torch raises where a GPU's memory is full.
    """
    import torch

    network, sizes = model._network, []

    def forward(features: torch.Tensor) -> torch.Tensor:
        sizes.append(len(features))
        if len(features) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        logits: torch.Tensor = network(features)
        return logits

    monkeypatch.setattr(model, "_network", forward)
    return sizes


def test_started_batches_give_the_same_results_when_requested(tiny_model: Path) -> None:
    import torch

    info = find_model(str(tiny_model))
    model = load_model(info, CPU)
    first, second = noise(info, 3), -2 * noise(info, 5)
    running = [model.start(first), model.start(torch.from_numpy(second))]
    results = [scores.result() for scores in running]
    assert [(scores.dtype, scores.shape) for scores in results] == [
        (np.float32, (3, 4)),
        (np.float32, (5, 4)),
    ]
    np.testing.assert_array_equal(results[0], model.probabilities(first))
    np.testing.assert_array_equal(results[1], model.probabilities(second))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_a_batch_is_computed_in_parts_of_the_requested_size(
    tiny_model: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = find_model(str(tiny_model))
    expected = load_model(info, replace(CPU, batch_size=7)).probabilities(noise(info, 7))
    model = load_model(info, replace(CPU, batch_size=batch_size))
    sizes = small_memory(model, 100, monkeypatch)
    np.testing.assert_allclose(model.probabilities(noise(info, 7)), expected, atol=1e-6)
    assert model.batch_size == batch_size
    assert sum(sizes) == 7 and max(sizes) == min(7, batch_size)


def test_without_a_size_the_model_has_one_that_suits_the_device(tiny_model: Path) -> None:
    assert load_model(find_model(str(tiny_model)), CPU).batch_size > 16
    assert 8 <= load_model(find_model(DEFAULT_MODEL), CPU).batch_size <= 32


def test_a_batch_too_large_for_the_memory_is_halved_permanently(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, said = find_model(str(tiny_model)), []
    expected = load_model(info, CPU).probabilities(noise(info, 13))
    model = load_model(info, replace(CPU, batch_size=12), said.append)
    sizes = small_memory(model, 4, monkeypatch)
    np.testing.assert_allclose(model.probabilities(noise(info, 13)), expected, atol=1e-6)
    assert model.batch_size == 3
    assert sizes == [12, 6, 3, 3, 3, 3, 1]
    assert len(said) == 1
    assert "cannot hold 12 windows at once; continuing with 3" in said[0]
    sizes.clear()
    np.testing.assert_allclose(model.probabilities(noise(info, 13)), expected, atol=1e-6)
    assert sizes == [3, 3, 3, 3, 1]
    assert len(said) == 1


def test_too_little_memory_for_one_window_is_an_error_with_advice(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = find_model(str(tiny_model))
    model = load_model(info, replace(CPU, batch_size=8))
    small_memory(model, 0, monkeypatch)
    with pytest.raises(DeviceError, match="close other programs that use it, or use --device cpu"):
        model.start(noise(info))


# --- a checkpoint that means harm -----------------------------------------------------------------


def test_only_the_part_of_a_config_that_describes_the_network_is_used(
    model_copy: Path, tiny_model: Path
) -> None:
    edit(
        model_copy, "config.json",
        auto_map={"AutoConfig": "evil.Config", "AutoModelForAudioClassification": "evil.Model"},
        model_type="evil",
        quantization_config={"quant_method": "gptq", "bits": 4},
        transformers_weights="evil.bin",
        fusion_config={"evil": True},
        _attn_implementation="kernels-community/evil",
        initializer_range=float("nan"),
    )  # fmt: skip
    (model_copy / "evil.py").write_text("raise SystemExit")
    adapter = {"base_model_name_or_path": "someone/evil", "peft_type": "LORA"}
    (model_copy / "adapter_config.json").write_text(json.dumps(adapter))
    info, plain = find_model(str(model_copy)), find_model(str(tiny_model))
    actual = load_model(info, CPU).probabilities(noise(info))
    expected = load_model(plain, CPU).probabilities(noise(plain))
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(model_copy: Path, value: float) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(model_copy / "model.safetensors")
    weights["classifier.dense.bias"][0] = value
    save_file(weights, model_copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not all finite"):
        load_model(find_model(str(model_copy)), CPU)


def test_weights_in_parts_are_those_in_one_file(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import ASTForAudioClassification

    folder = tmp_path / "parts"
    network = ASTForAudioClassification.from_pretrained(tiny_model)
    network.save_pretrained(folder, max_shard_size="40KB")
    shutil.copy(tiny_model / "preprocessor_config.json", folder)
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 1
    info, plain = find_model(str(folder)), find_model(str(tiny_model))
    actual = load_model(info, CPU).probabilities(noise(info))
    expected = load_model(plain, CPU).probabilities(noise(plain))
    np.testing.assert_array_equal(actual, expected)
