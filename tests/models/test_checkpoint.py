"""A checkpoint that is damaged or means harm is refused, by name and at no cost."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.models import CPU, edit

from tagger.errors import CheckpointError
from tagger.models.find import find_model
from tagger.models.model import load_model


def test_the_fingerprint_is_that_of_the_contents(tiny_model: Path, model_copy: Path) -> None:
    assert find_model(str(tiny_model)).fingerprint == find_model(str(model_copy)).fingerprint
    edit(model_copy, "preprocessor_config.json", mean=0.0)
    assert find_model(str(tiny_model)).fingerprint != find_model(str(model_copy)).fingerprint


@pytest.mark.parametrize(
    "temperature", [0, -1.5, "1", True, None, [1], float("nan"), float("inf"), 10**400]
)
def test_an_impossible_temperature_is_refused(model_copy: Path, temperature: object) -> None:
    edit(model_copy, "config.json", temperature=temperature)
    with pytest.raises(CheckpointError, match="temperature must be a positive") as caught:
        find_model(str(model_copy))
    assert str(model_copy) in str(caught.value)


def damage_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def drop_a_weight(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["classifier.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (lambda folder: (folder / "config.json").write_text("{"), "damaged config.json"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "preprocessor_config"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        (
            lambda folder: edit(folder, "config.json", architectures=["ASTModel"]),
            "not an AST audio",
        ),
        (lambda folder: edit(folder, "config.json", max_length=128), "contradicts itself"),
        (lambda folder: edit(folder, "config.json", id2label={"0": "a"}), "there is only one name"),
        (lambda folder: edit(folder, "config.json", problem_type="regression"), "problem_type is"),
        (lambda folder: edit(folder, "preprocessor_config.json", std=0), "unusable config"),
        (lambda folder: edit(folder, "preprocessor_config.json", mean=None), "unusable config"),
        (damage_weights, "cannot be loaded"),
        (drop_a_weight, "do not fit"),
    ],
)
def test_a_bad_checkpoint_is_refused_by_name(
    model_copy: Path, damage: object, message: str
) -> None:
    damage(model_copy)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(find_model(str(model_copy)), CPU)
    assert str(model_copy) in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 10**9},
        {"hidden_size": 10**9, "num_attention_heads": 10**9},
        {"intermediate_size": 10**12},
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 10**9, "hidden_size": 1, "intermediate_size": 1},
        {"num_attention_heads": 10**9},
        {"num_attention_heads": 0},
        {"patch_size": 10**9},
        {"time_stride": 10**12},
        {"hidden_size": "32"},
        {"hidden_size": 32.5},
        {"hidden_size": -1},
        {"num_hidden_layers": True},
        {"architectures": ["ASTWithMlpHead"], "mlp_hidden": 10**12},
        {"hidden_act": "evil"},
        {"hidden_dropout_prob": 5},
        {"layer_norm_eps": []},
        {"architectures": 5},
        {"id2label": ["a", "b"]},
        {"id2label": {"0": "a", "2": "b"}},
    ],
    ids=str,
)
def test_absurd_sizes_are_refused_and_take_no_memory(
    model_copy: Path, changes: dict[str, object]
) -> None:
    edit(model_copy, "config.json", **changes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=re.escape(str(model_copy))):
        load_model(find_model(str(model_copy)), CPU)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


@pytest.mark.parametrize(
    "changes",
    [
        {"num_mel_bins": 10**9},
        {"max_length": 10**9},
        {"max_length": float("inf")},
        {"sampling_rate": 10**12},
        {"sampling_rate": None},
        {"mean": float("nan")},
        {"mean": "x"},
        {"std": float("inf")},
        {"std": float("nan")},
    ],
    ids=str,
)
def test_absurd_features_are_refused(model_copy: Path, changes: dict[str, object]) -> None:
    edit(model_copy, "preprocessor_config.json", **changes)
    sizes = {key: value for key, value in changes.items() if key in ("max_length", "num_mel_bins")}
    edit(model_copy, "config.json", **sizes, frequency_stride=10**9, time_stride=10**9)
    with pytest.raises(CheckpointError, match="has an unusable config"):
        find_model(str(model_copy))


@pytest.mark.parametrize("label", ["a\x1b[2J", "a\nb", "a\0b", "\x9b2J", "\ud800"])
def test_a_label_that_is_unsafe_in_a_tag_is_refused(model_copy: Path, label: str) -> None:
    edit(model_copy, "config.json", id2label={"0": label, "1": "b", "2": "c", "3": "d"})
    with pytest.raises(CheckpointError, match="cannot be a label"):
        find_model(str(model_copy))


def make_large(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 30)


def make_endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize(
    "damage",
    [
        make_large,
        make_endless,
        make_pipe,
        lambda path: path.write_text("[" * 200_000 + "]" * 200_000),
        lambda path: path.write_text('{"a":' * 200_000 + "1" + "}" * 200_000),
        lambda path: path.write_text('{"a": ' + "9" * 10_000 + "}"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("[]"),
    ],
)
def test_a_json_file_that_is_a_trap_is_refused(
    model_copy: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(model_copy / name)
    with pytest.raises(CheckpointError, match=f"has a damaged {name}"):
        find_model(str(model_copy))


@pytest.mark.parametrize("damage", [make_pipe, make_endless])
def test_weights_that_are_not_a_regular_file_are_refused(
    model_copy: Path, damage: Callable[[Path], None]
) -> None:
    damage(model_copy / "model.safetensors")
    with pytest.raises(CheckpointError, match="not a regular file"):
        find_model(str(model_copy))
