"""Runs of a few steps by every method, and the bundled checkpoint."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from helpers.clips import GENRES, LABELS, RATE, write_clips
from helpers.command import DATA, ROOT, environment
from helpers.models import CPU, save_ast
from helpers.runs import SMALL, run_finetune, trained
from safetensors.numpy import load_file

from tagger.models.checkpoint import BUNDLED
from tagger.models.find import find_model
from tagger.models.model import load_model
from tagger.models.weights import load_network
from training import evaluate, train
from training.app.run_folder import CHECKPOINT_FILES, RESULT_FILES
from training.clips.find import find_clips
from training.clips.leakage import read_learned_from
from training.finetune import command_line
from training.options import OPTIONS, RUN

BACKBONE = "audio_spectrogram_transformer."
METHODS: dict[str, tuple[str, ...]] = {
    "linear": ("--method", "linear"),
    "mlp": ("--method", "mlp"),
    "dora": ("--method", "dora"),
    "dora-mlp": ("--method", "dora", "--head", "mlp"),
    "full": ("--method", "full", "--new-head"),
    "scratch": ("--method", "scratch", "--shape", "tiny"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "data")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs begin: other labels, three layers, random float32 weights."""
    return save_ast(
        tmp_path_factory.mktemp("models") / "plain", ("blues", "jazz", "rock"), layers=3
    )


@pytest.fixture(scope="module")
def outcomes(data: Path, plain: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint by each method."""
    folder = tmp_path_factory.mktemp("outcomes")
    return {
        name: trained(folder / name, "--data", data, "--model", plain, *SMALL, "--steps", 3, *how)
        for name, how in METHODS.items()
    }


@pytest.fixture(params=METHODS)
def outcome(outcomes: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    return outcomes[request.param]


def config_of(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


def changed_weights(before: Path, after: Path) -> set[str]:
    """Names of the weights that differ in a bit or in type; all others are in both."""
    one, two = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert one.keys() == two.keys()
    return {
        name
        for name in one
        if one[name].dtype != two[name].dtype or one[name].tobytes() != two[name].tobytes()
    }


# What every method leaves


def test_a_run_leaves_a_checkpoint_a_card_and_figures(outcome: Path, data: Path) -> None:
    assert {path.name for path in outcome.iterdir()} == CHECKPOINT_FILES | RESULT_FILES | {RUN}
    for picture in outcome.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
    card = (outcome / "README.md").read_text()
    assert "python training/finetune.py --out" in card and "noise 2, tone 2" in card
    metrics = json.loads((outcome / "metrics.json").read_text())
    assert metrics["test"]["n"] == metrics["valid"]["n"] == 2 and metrics["history"]
    assert f"accuracy           {metrics['test']['accuracy']:.3f}" in card
    assert not list((outcome / RUN).glob("**/checkpoint-*"))


def test_a_checkpoint_states_what_it_learned_from_and_can_be_loaded(
    outcome: Path, plain: Path
) -> None:
    info, config = find_model(str(outcome)), config_of(outcome)
    assert info.labels == LABELS
    drawn = {"seed": 0, "folds": 5, "fold": 0}
    assert config["learned_from"] == [{"split": "random", "parts": ["train"], **drawn}]
    metrics = json.loads((outcome / "metrics.json").read_text())
    assert info.temperature == metrics["test"]["temperature"] == metrics["valid"]["temperature"]
    if outcome.name != "scratch":
        assert info.front_end == find_model(str(plain)).front_end


def expected_logits(folder: Path, waveform: np.ndarray) -> np.ndarray:
    """By transformers alone; where it does not have the head, by that head's definition."""
    import torch
    from torch.nn.functional import gelu, linear
    from transformers import ASTForAudioClassification, AutoFeatureExtractor

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "At least one mel filter has all zero values")
        extractor = AutoFeatureExtractor.from_pretrained(folder)
    features = extractor(waveform, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        if config_of(folder)["architectures"] == ["ASTForAudioClassification"]:
            network = ASTForAudioClassification.from_pretrained(folder)
            return network(**features).logits.numpy()  # type: ignore[no-any-return]
        network = load_network(find_model(str(folder)))
        pooled = network.audio_spectrogram_transformer(**features).pooler_output
        stored = load_file(folder / "model.safetensors")
        head = {
            name.removeprefix("classifier."): torch.from_numpy(of).float()
            for name, of in stored.items()
        }
        normed = torch.layer_norm(
            pooled, pooled.shape[-1:], head["layernorm.weight"], head["layernorm.bias"], 1e-12
        )
        hidden = gelu(linear(normed, head["dense.1.weight"], head["dense.1.bias"]))
        return linear(hidden, head["dense.4.weight"], head["dense.4.bias"]).numpy()


def test_tagger_and_transformers_agree_on_a_checkpoint(outcome: Path) -> None:
    from scipy.special import softmax

    model = load_model(find_model(str(outcome)), CPU)
    waveform = np.random.default_rng(3).normal(0, 0.1, model.info.plan(1).samples)
    expected = softmax(expected_logits(outcome, waveform) / model.info.temperature, axis=-1)
    actual = model.probabilities(waveform[None].astype(np.float32))
    np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_a_checkpoint_has_plain_weights_of_its_sources_type(outcome: Path) -> None:
    weights = load_file(outcome / "model.safetensors")
    assert not [name for name in weights if "lora" in name or "base_" in name or "save" in name]
    # Nothing is lost of a float32 source; a new network is saved in half of the space.
    dtype = np.float16 if outcome.name == "scratch" else np.float32
    assert {of.dtype for of in weights.values()} == {np.dtype(dtype)}
    assert config_of(outcome)["dtype"] == "float32"
    heads = {"mlp": "ASTWithMlpHead", "dora-mlp": "ASTWithMlpHead"}
    architecture = heads.get(outcome.name, "ASTForAudioClassification")
    assert config_of(outcome)["architectures"] == [architecture]


# What each method changes


@pytest.mark.parametrize("method", ["linear", "mlp"])
def test_a_frozen_network_keeps_every_weight_bit_for_bit(
    outcomes: dict[str, Path], plain: Path, method: str
) -> None:
    before, after = (load_file(of / "model.safetensors") for of in (plain, outcomes[method]))
    names = {name for name in before if name.startswith(BACKBONE)}
    assert names == {name for name in after if name.startswith(BACKBONE)}
    assert all(before[name].tobytes() == after[name].tobytes() for name in names)


def test_a_frozen_network_in_float16_stays_so(data: Path, tmp_path: Path) -> None:
    half = save_ast(tmp_path / "half", LABELS, layers=1, half=True)
    out = trained(tmp_path / "out", "--data", data, "--model", half, *SMALL, "--method", "linear")
    assert {name for name in changed_weights(half, out) if name.startswith(BACKBONE)} == set()
    assert load_file(out / "model.safetensors")["classifier.dense.weight"].dtype == np.float16


def test_dora_changes_the_second_matrix_of_the_last_two_layers_and_the_head(
    data: Path, tmp_path: Path
) -> None:
    start = save_ast(tmp_path / "start", LABELS, layers=3)
    how = ("--method", "dora", "--steps", 2, "--augment", "none")
    out = trained(tmp_path / "out", "--data", data, "--model", start, *SMALL, *how)
    # What transformers calls fc2 since its version 5 has its old name in files.
    layers = {f"encoder.layer.{layer}.output.dense.weight" for layer in (1, 2)}
    head = {f"classifier.{of}.{kind}" for of in ("dense", "layernorm") for kind in WEIGHTS}
    changed = {name.removeprefix(BACKBONE) for name in changed_weights(start, out)}
    assert changed == layers | head


WEIGHTS = ("weight", "bias")


def test_full_keeps_a_head_for_the_same_labels(
    outcomes: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    before = outcomes["full"]
    how = ("--method", "full", "--steps", 1, "--learning-rate", 1e-9)
    out = trained(tmp_path / "out", "--data", data, "--model", before, *SMALL, *how)
    one, two = (load_file(folder / "model.safetensors") for folder in (before, out))
    for name, weights in one.items():
        np.testing.assert_allclose(weights, two[name], atol=1e-6)


def test_full_changes_every_weight(outcomes: dict[str, Path], data: Path, tmp_path: Path) -> None:
    before = outcomes["full"]
    how = ("--method", "full", "--steps", 2, "--keep", "last")
    out = trained(tmp_path / "out", "--data", data, "--model", before, *SMALL, *how)
    # A key's bias adds as much to each of a query's scores, which a softmax does not see.
    unseen = {name for name in load_file(out / "model.safetensors") if name.endswith("k_proj.bias")}
    everything = set(load_file(before / "model.safetensors"))
    assert changed_weights(before, out) | unseen == everything


def test_full_replaces_a_head_for_other_labels_only_on_request(
    data: Path, plain: Path, tmp_path: Path
) -> None:
    how = ("--data", data, "--out", tmp_path / "out", "--model", plain, *SMALL)
    result = run_finetune(*how, "--method", "full")
    assert result.exit_code == 1 and not (tmp_path / "out").exists()
    assert "'noise' is only in one of them" in result.output.splitlines()[-1]
    assert "--new-head" in result.output.splitlines()[-1]


# Features are computed once


def test_features_are_computed_again_only_if_what_the_network_sees_changes(
    data: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = Path(shutil.copytree(data, tmp_path / "clips"))
    computed = []
    compute = train.compute_features
    monkeypatch.setattr(
        train, "compute_features", lambda *given: computed.append(1) or compute(*given)
    )

    def times(*more: object) -> int:
        before = len(computed)
        how = ("--data", clips, "--model", plain, *SMALL, "--method", "linear", "--epochs", 1)
        trained(tmp_path / "out", *how, "--overwrite", *more)
        return len(computed) - before

    assert times() == 1
    assert times("--learning-rate", 0.1, "--epochs", 2) == 0
    assert times("--augment", "speed") == 1
    assert times() == 1
    assert times("--head", "mlp") == 0
    for clip in find_clips(clips):
        soundfile.write(clip.path, np.random.default_rng(7).normal(0, 0.1, RATE), RATE)
    assert times() == 1


# Afterwards


def test_a_finished_run_cannot_be_resumed(outcomes: dict[str, Path]) -> None:
    before = (outcomes["full"] / "model.safetensors").read_bytes()
    result = run_finetune("--out", outcomes["full"], "--resume")
    assert result.exit_code == 1 and "no unfinished run" in result.output.splitlines()[-1]
    assert (outcomes["full"] / "model.safetensors").read_bytes() == before
    assert not (outcomes["full"] / RUN / OPTIONS).exists()


def test_scripts_have_help(tmp_path: Path) -> None:
    scripts = [
        subprocess.Popen(
            [sys.executable, f"training/{script}.py", "--help"],
            cwd=ROOT,
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        )
        for script in ("finetune", "evaluate")
    ]
    for script in scripts:
        assert "--data" in script.communicate()[0] and script.returncode == 0


# The bundled checkpoint

SMALL_MODEL = BUNDLED / "gtzan-small"
TWIN = "training/checkpoints/gtzan-small-train"


def test_bundled_checkpoint_is_small_and_complete() -> None:
    assert {path.name for path in SMALL_MODEL.iterdir()} == CHECKPOINT_FILES
    assert sum(path.stat().st_size for path in SMALL_MODEL.iterdir()) <= 10_000_000
    weights = load_file(SMALL_MODEL / "model.safetensors")
    assert {of.dtype for of in weights.values()} == {np.dtype(np.float16)}
    assert find_model("gtzan-small").labels == GENRES


@pytest.mark.skipif(not (DATA / "gtzan").is_dir(), reason="GTZAN is not here (shared/data/gtzan)")
def test_bundled_card_states_what_evaluate_measures_of_its_twin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    data = str(DATA / "gtzan" / "genres")
    result = CliRunner().invoke(evaluate.main, ["--data", data, "--model", TWIN])
    assert result.exit_code == 0 and "warning" not in result.stderr, result.output
    card = (SMALL_MODEL / "README.md").read_text()
    for line in result.stdout.splitlines():
        assert line.rstrip() in card


def test_the_bundled_checkpoint_and_its_twin_say_what_they_learned_from() -> None:
    rows = [read_learned_from(find_model(name)) for name in ("gtzan-small", str(ROOT / TWIN))]
    assert [row["parts"] for (row,) in rows] == [["train", "valid"], ["train"]]


def test_the_card_does_not_show_where_the_data_was() -> None:
    shown = command_line(["--data=/home/me/music/gtzan", "--out", "/tmp/x/y", "--seed", "1"])
    assert "/home" not in shown and "/tmp" not in shown
    assert "--data music/gtzan --out x/y --seed 1" in shown
