"""A peft adapter on its base gives what peft gives, or is refused in words."""

from __future__ import annotations

import json
import re
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.checkpoints import of_transformers, old_name, probabilities, refused
from helpers.models import LABELS, edit, save_ast
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import ASTForAudioClassification

from tagger.app.doctor import Asked, look_at_default_model
from tagger.app.models import get_model
from tagger.app.usable import Named
from tagger.models.find import find_model, from_hub
from tagger.models.weights import read_weights

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]


def adapt(folder: Path, base: Path, network: nn.Module | None = None, **settings: Any) -> nn.Module:
    """Save an adapter with random factors, as peft does; gives the network with it."""
    import peft

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = network or ASTForAudioClassification.from_pretrained(base)
        given = {"r": 3, "lora_alpha": 5, "target_modules": ["q_proj", "v_proj"]} | settings
        model = peft.get_peft_model(network, peft.LoraConfig(**given))
        torch.manual_seed(1)
        for name, weights in model.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                nn.init.normal_(weights, mean=0.5 * ("magnitude" in name), std=0.3)
        model.save_pretrained(folder)
    edit(folder, "adapter_config.json", base_model_name_or_path=str(base))
    assert (folder / "adapter_model.safetensors").exists()
    result: nn.Module = model
    return result


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"target_modules": ALL, "r": 4},
        {"use_dora": True},
        {"use_rslora": True},
        {"target_modules": ALL, "use_dora": True, "use_rslora": True},
        {"modules_to_save": ["classifier"]},
        {"modules_to_save": ["classifier"], "use_dora": True},
        {"modules_to_save": ["dense"]},
        {"target_modules": r".*\.layers\.(0|1)\.mlp\.fc2", "modules_to_save": ["classifier"]},
        {
            "rank_pattern": {"q_proj": 5},
            "alpha_pattern": {"v_proj": 11, "layers.0.attention.q_proj": 2},
        },
        {"target_modules": "all-linear"},
        {"target_modules": ["projection", "dense"]},
        {"bias": "all"},
        {"bias": "lora_only"},
        {"init_lora_weights": "gaussian", "lora_dropout": 0.3},
        {"init_lora_weights": "orthogonal", "r": 4},
        {"task_type": "SEQ_CLS"},
    ],
    ids=str,
)  # fmt: skip
def test_an_adapter_gives_what_peft_gives(
    tiny_model: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    network = adapt(tmp_path / "adapter", tiny_model, **settings)
    expected = of_transformers(network, tiny_model)
    assert np.abs(expected - probabilities(tiny_model)).max() > 0.01  # so the adapter matters
    np.testing.assert_allclose(probabilities(tmp_path / "adapter"), expected, atol=1e-4)
    merged = network.merge_and_unload()
    np.testing.assert_allclose(of_transformers(merged, tiny_model), expected, atol=1e-4)


def test_an_adapter_is_named_by_its_own_folder(tiny_model: Path, tmp_path: Path) -> None:
    adapt(tmp_path / "mine", tiny_model)
    info, base = find_model(str(tmp_path / "mine")), find_model(str(tiny_model))
    assert (info.name, info.short_name) == (str(tmp_path / "mine"), "mine")
    assert info.fingerprint != base.fingerprint
    assert not info.is_bundled
    edit(tmp_path / "mine", "adapter_config.json", lora_alpha=50)
    assert find_model(str(tmp_path / "mine")).fingerprint != info.fingerprint


def test_the_bundled_model_may_be_the_base(tmp_path: Path) -> None:
    bundled = find_model("bundled")
    adapt(tmp_path / "mine", bundled.folder)
    edit(tmp_path / "mine", "adapter_config.json", base_model_name_or_path="gtzan-small")
    info = find_model(str(tmp_path / "mine"))
    assert info.labels == bundled.labels and not info.is_bundled
    assert info.short_name == "mine"


@pytest.mark.parametrize("place", ["beside", "inside", "here"])
def test_a_base_may_be_named_relative_to_the_adapter(
    tiny_model: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = adapt(tmp_path / "adapter", tiny_model)
    at = {"beside": tmp_path, "inside": tmp_path / "adapter", "here": tmp_path / "cwd"}[place]
    at.mkdir(exist_ok=True)
    shutil.copytree(tiny_model, at / "audioset")  # a preset has this name too
    monkeypatch.chdir(at if place == "here" else "/")
    edit(tmp_path / "adapter", "adapter_config.json", base_model_name_or_path="audioset")
    expected = of_transformers(network, tiny_model)
    np.testing.assert_allclose(probabilities(tmp_path / "adapter"), expected, atol=1e-4)


def test_a_revision_in_the_config_is_that_of_a_hub_model(tiny_model: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(tiny_model, tmp_path / "me@home" / "base"))
    (tmp_path / "me").mkdir()
    network = adapt(tmp_path / "adapter", base)
    edit(tmp_path / "adapter", "adapter_config.json", revision="main")
    expected = of_transformers(network, tiny_model)
    np.testing.assert_allclose(probabilities(tmp_path / "adapter"), expected, atol=1e-4)
    edit(tmp_path / "adapter", "adapter_config.json", base_model_name_or_path="someone/tiny")
    want = from_hub(str(tmp_path / "adapter"))
    assert want is not None and (want.repo, want.revision) == ("someone/tiny", "main")


def test_the_base_of_a_default_model_is_not_downloaded_by_doctor(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapt(tmp_path / "adapter", tiny_model)
    edit(tmp_path / "adapter", "adapter_config.json", base_model_name_or_path="someone/tiny")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("tagger.models.hub.fetch", lambda *args, **more: pytest.fail("a request"))
    monkeypatch.delenv("TAG_GENRES_MODEL", raising=False)
    named = Named(model=(str(tmp_path / "adapter"),))
    asked = Asked(tmp_path / "no.toml", exists=False, faults=(), named=named, lines={})
    found = look_at_default_model(asked)
    assert (found.error, found.missing) == ("", ("someone/tiny",))


def test_models_get_takes_a_folder_that_could_be_a_hub_id(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapt(tmp_path / "out/mine", tiny_model)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tagger.models.hub.fetch", lambda *args, **more: pytest.fail("a request"))
    lines = list(get_model("out/mine", print, accepted=False, quiet=True))
    assert lines == ["model:   out/mine, 4 labels", "folder:  out/mine"]


def test_names_of_transformers_4_are_understood(tiny_model: Path, tmp_path: Path) -> None:
    network = adapt(tmp_path, tiny_model, target_modules=ALL, use_dora=True)
    path = tmp_path / "adapter_model.safetensors"
    save_file({old_name(name): weights for name, weights in load_file(path).items()}, path)
    assert any("encoder.layer.0.attention.attention.query" in name for name in load_file(path))
    expected = of_transformers(network, tiny_model)
    np.testing.assert_allclose(probabilities(tmp_path), expected, atol=1e-4)


def test_an_adapter_of_a_compiled_network_is_understood(tiny_model: Path, tmp_path: Path) -> None:
    network = adapt(tmp_path, tiny_model)
    path = tmp_path / "adapter_model.safetensors"
    wrapped = {
        name.replace("base_model.model.", "base_model.model._orig_mod."): weights
        for name, weights in load_file(path).items()
    }
    save_file(wrapped, path)
    expected = of_transformers(network, tiny_model)
    np.testing.assert_allclose(probabilities(tmp_path), expected, atol=1e-4)


def test_an_adapter_as_a_pickle_is_read_as_bare_tensors(tiny_model: Path, tmp_path: Path) -> None:
    network = adapt(tmp_path, tiny_model)
    path = tmp_path / "adapter_model.safetensors"
    torch.save(load_file(path), tmp_path / "adapter_model.bin")
    path.unlink()
    expected = of_transformers(network, tiny_model)
    np.testing.assert_allclose(probabilities(tmp_path), expected, atol=1e-4)

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    torch.save({"x": Evil()}, tmp_path / "adapter_model.bin")
    refused(tmp_path, "holds code")
    assert not (tmp_path / "ran").exists()


def test_a_head_for_other_labels_needs_their_names(tiny_model: Path, tmp_path: Path) -> None:
    network = ASTForAudioClassification.from_pretrained(
        tiny_model, num_labels=3, ignore_mismatched_sizes=True
    )
    folder = tmp_path / "adapter"
    model = adapt(folder, tiny_model, network, modules_to_save=["classifier"])
    refused(folder, "its head has 3 outputs, and its config names 4.*--labels FILE")
    file = tmp_path / "labels.txt"
    file.write_text("Polka\nSka\nTango")
    assert find_model(str(folder), labels=file).labels == ("Polka", "Ska", "Tango")
    expected = of_transformers(model, tiny_model)
    np.testing.assert_allclose(probabilities(folder, file), expected, atol=1e-4)
    network.config.id2label = dict(enumerate(["Polka", "Ska", "Tango"]))
    network.config.save_pretrained(folder)  # or a config beside the adapter has them
    assert find_model(str(folder)).labels == ("Polka", "Ska", "Tango")
    np.testing.assert_allclose(probabilities(folder), expected, atol=1e-4)


def test_the_best_step_of_a_training_with_an_adapter_is_used(
    tiny_model: Path, tmp_path: Path
) -> None:
    for step in (5, 10):
        adapt(tmp_path / f"checkpoint-{step}", tiny_model)
    said: list[str] = []
    info = find_model(str(tmp_path), said.append)
    assert info.adapter is not None and info.adapter.folder == tmp_path / "checkpoint-10"
    assert "checkpoint-10, the newest" in said[0]


def without_weights(folder: Path) -> None:
    (folder / "adapter_model.safetensors").unlink()


def with_base(folder: Path) -> None:
    save_ast(folder, LABELS)


def set_to(**values: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder, "adapter_config.json", **values)


def rename_a_factor(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    save_file({name.replace("q_proj", "x"): it for name, it in load_file(path).items()}, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_weights, "config.json is missing"),
        (with_base, "both a model and an adapter"),
        (set_to(base_model_name_or_path=None), "does not say which model it changes"),
        (set_to(base_model_name_or_path=""), "does not say which model it changes"),
        (set_to(base_model_name_or_path="/no/such/folder"), "its base is missing: no model"),
        (set_to(base_model_name_or_path="someone/none"), "its base is missing: .*HF_HUB_OFFLINE"),
        (set_to(peft_type="IA3"), "its kind is 'IA3'.*merge_and_unload"),
        (set_to(peft_type=None), "its kind is None"),
        (set_to(init_lora_weights="pissa"), "'pissa' changes the weights of the base"),
        (set_to(layer_replication=[[0, 1]]), "its config has layer_replication"),
        (set_to(alpha_pattern={"(a+)+$": 3}), "regular expressions"),
        (set_to(lora_alpha="5"), "lora_alpha is '5', not a number"),
        (set_to(lora_alpha=float("nan")), "not a number"),
        (rename_a_factor, "the base has no layer .*x that"),
        (lambda at: (at / "adapter_config.json").write_text("{"), "damaged adapter_config.json"),
        (lambda at: (at / "adapter_model.safetensors").write_bytes(b"x"), "cannot be loaded"),
    ],
)
def test_an_adapter_that_cannot_be_merged_is_refused_in_words(
    tiny_model: Path, tmp_path: Path, change: Callable[[Path], None], message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    adapt(tmp_path / "adapter", tiny_model)
    change(tmp_path / "adapter")
    assert str(tmp_path / "adapter") in refused(tmp_path / "adapter", message)


def test_a_base_of_another_shape_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    adapt(tmp_path / "adapter", tiny_model)
    edit(tmp_path / "adapter", "adapter_config.json", base_model_name_or_path="gtzan-small")
    refused(tmp_path / "adapter", "gtzan-small|does not fit|cannot be loaded")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda at: (at / "config.json").unlink(), "is not a checkpoint: .*config.json is missing"),
        (lambda at: (at / "model.safetensors").unlink(), "has no weights"),
        (lambda at: edit(at, "config.json", architectures=["ASTModel"]), "is not an AST audio cl"),
    ],
)
def test_a_fault_of_the_base_is_not_said_of_the_adapter(
    model_copy: Path, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    adapt(tmp_path / "adapter", model_copy)
    change(model_copy)
    refused(tmp_path / "adapter", f"^the base of {tmp_path / 'adapter'} {message}")


def test_an_adapter_of_an_adapter_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    adapt(tmp_path / "one", tiny_model)
    adapt(tmp_path / "two", tiny_model)
    edit(tmp_path / "two", "adapter_config.json", base_model_name_or_path=str(tmp_path / "one"))
    refused(tmp_path / "two", "is an adapter itself")


def test_without_peft_an_adapter_is_refused_with_what_to_install(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapt(tmp_path, tiny_model)
    monkeypatch.setitem(sys.modules, "peft", None)
    text = refused(tmp_path, "peft cannot be imported")
    assert re.search(r"pip install peft, or merge it .*merge_and_unload\(\)", text)


def test_all_weights_of_a_model_with_an_adapter_are_not_taken_for_a_plain_one(
    tiny_model: Path, tmp_path: Path
) -> None:
    state = adapt(tmp_path / "adapter", tiny_model).state_dict()
    folder = Path(shutil.copytree(tiny_model, tmp_path / "whole"))
    (folder / "model.safetensors").unlink()
    torch.save(dict(state), folder / "pytorch_model.bin")
    refused(folder, "an adapter that is not merged.*merge_and_unload")


def test_training_reads_the_merged_weights(tiny_model: Path, tmp_path: Path) -> None:
    network = adapt(tmp_path, tiny_model).merge_and_unload()
    weights = read_weights(find_model(str(tmp_path)))
    for name, expected in network.state_dict().items():
        torch.testing.assert_close(weights[name], expected, atol=1e-5, rtol=1e-5)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["peft_type"] == "LORA"
