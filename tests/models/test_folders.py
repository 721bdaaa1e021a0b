"""What trainings leave on disk: Trainer's folders, wrapped weights, parts, half precision."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.checkpoints import of_transformers, probabilities, refused
from helpers.models import CPU, LABELS, SIZES, edit, save_ast, save_extractor, tiny_ast
from torch import Tensor, nn
from transformers import ASTForAudioClassification, Trainer, TrainingArguments

from tagger.models.find import find_model
from tagger.models.model import load_model

State = dict[str, Tensor]
PROBLEMS = ("single", "multi")


# --- a Trainer's folder ---------------------------------------------------------------------------


class Clips(torch.utils.data.Dataset[dict[str, Tensor]]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        size = (SIZES["max_length"], SIZES["num_mel_bins"])
        features = torch.randn(size, generator=torch.Generator().manual_seed(index))
        return {"input_values": features, "labels": torch.tensor(index % len(LABELS))}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real training of three steps, all saved, the second one the best."""
    folder = tmp_path_factory.mktemp("training") / "out"
    arguments = TrainingArguments(
        str(folder), max_steps=3, save_steps=1, eval_steps=1, save_strategy="steps",
        eval_strategy="steps", per_device_train_batch_size=2, learning_rate=0.01, use_cpu=True,
        metric_for_best_model="score", load_best_model_at_end=True, disable_tqdm=True,
        report_to=[], logging_strategy="no",
    )  # fmt: skip
    scores = iter([0.1, 0.9, 0.2])
    trainer = Trainer(
        tiny_ast(), arguments, train_dataset=Clips(), eval_dataset=Clips(),
        compute_metrics=lambda _: {"score": next(scores)},
    )  # fmt: skip
    trainer.train()
    for step in (1, 2, 3):
        assert (folder / f"checkpoint-{step}" / "training_args.bin").exists()
    return folder


@pytest.fixture
def training(trained: Path, tmp_path: Path) -> Path:
    """A copy of it at another place, with the front end in the training's folder only."""
    folder = Path(shutil.copytree(trained, tmp_path / "moved"))
    save_extractor(folder)
    return folder


def test_the_best_step_of_a_training_is_used_and_named(training: Path) -> None:
    said: list[str] = []
    info = find_model(str(training), said.append)
    assert info.folder == training / "checkpoint-2"
    assert info.short_name == "moved/checkpoint-2"
    assert [line for line in said if "checkpoint-2, the best" in line] == said
    network = ASTForAudioClassification.from_pretrained(training / "checkpoint-2")
    np.testing.assert_allclose(
        probabilities(training), of_transformers(network, training), atol=1e-5
    )


def test_a_step_of_a_training_is_a_model_and_takes_the_front_end_of_its_training(
    training: Path,
) -> None:
    save_extractor(training, mean=-1.5, std=2.0)
    info = find_model(str(training / "checkpoint-3"))
    assert (info.front_end.mean, info.front_end.std) == (-1.5, 2.0)
    network = ASTForAudioClassification.from_pretrained(training / "checkpoint-3")
    expected = of_transformers(network, training / "checkpoint-3")
    np.testing.assert_allclose(probabilities(training / "checkpoint-3"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "step", "word"),
    [
        (lambda at: shutil.rmtree(at / "checkpoint-2"), 3, "since checkpoint-2, the best"),
        (lambda at: (at / "checkpoint-2/model.safetensors").unlink(), 3, "since checkpoint-2"),
        (lambda at: shutil.rmtree(at / "checkpoint-3"), 2, "the best"),
        (lambda at: edit(at, "checkpoint-3/trainer_state.json", best_model_checkpoint=0), 3, "new"),
        (
            lambda at: edit(
                at, "checkpoint-3/trainer_state.json",
                best_model_checkpoint="C:\\runs\\out\\checkpoint-1",
            ),
            1, "the best",
        ),
        (lambda at: (at / "checkpoint-3/trainer_state.json").write_text("{"), 3, "the newest"),
        (lambda at: (at / "checkpoint-3").rename(at / "checkpoint-10"), 2, "the best"),
    ],
)  # fmt: skip
def test_the_newest_step_is_used_where_there_is_no_best(
    training: Path, change: Callable[[Path], None], step: int, word: str
) -> None:
    change(training)
    said: list[str] = []
    assert find_model(str(training), said.append).folder == training / f"checkpoint-{step}"
    assert word in said[0]


def test_a_model_in_a_trainings_folder_comes_before_its_steps(
    training: Path, tiny_model: Path
) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny_model / name, training)
    assert find_model(str(training)).folder == training


@pytest.mark.parametrize("place", ["", "checkpoint-3"])
def test_the_config_of_a_step_may_lie_in_the_folder_of_its_training(
    training: Path, place: str
) -> None:
    network = ASTForAudioClassification.from_pretrained(training / "checkpoint-3")
    expected = of_transformers(network, training / "checkpoint-3")
    for step in (1, 2, 3):
        (training / f"checkpoint-{step}" / "config.json").rename(training / "config.json")
    (training / "checkpoint-3/trainer_state.json").unlink()
    np.testing.assert_allclose(probabilities(training / place), expected, atol=1e-5)
    edit(training, "config.json", temperature=2.0)
    changed = find_model(str(training / place))
    assert changed.temperature == 2.0
    edit(training, "config.json", temperature=1.0)
    assert find_model(str(training / place)).fingerprint != changed.fingerprint


def test_training_arguments_are_never_opened(training: Path) -> None:
    for path in training.rglob("training_args.bin"):
        path.chmod(0)
        path.unlink()
        path.symlink_to("/dev/zero")
    assert find_model(str(training)).labels == LABELS


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["optimizer.pt", "scheduler.pt", "rng_state.pth"], "only what a training needs to contin"),
        (["training_args.bin", "trainer_state.json"], "only what a training needs to continue"),
        (["zero_to_fp32.py", "global_step3"], "DeepSpeed.*zero_to_fp32"),
        (["pytorch_model_fsdp_0"], "FSDP.*merge-weights"),
        (["epoch=3.ckpt", "optimizer.pt"], "it has epoch=3.ckpt, but neither"),
        (["model-00001-of-00002.safetensors"], "in all its parts"),
        ([], "neither model.safetensors nor pytorch_model.bin"),
    ],
)
def test_a_folder_without_weights_says_what_it_has(
    model_copy: Path, files: list[str], message: str
) -> None:
    (model_copy / "model.safetensors").unlink()
    for name in files:
        (model_copy / name).touch()
    refused(model_copy, message)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"], "only what a tr"),
        (["epoch=3.ckpt"], "it has epoch=3.ckpt; .*save_pretrained"),
        (["model.safetensors"], "only weights are there; copy it"),
        (["adapter_config.json"], "but not adapter_model.safetensors"),
        (["checkpoint-5"], r"none of the steps of a training in it \(checkpoint-5\) has weights"),
        (["song.mp3"], "nothing else in that folder looks like a model"),
    ],
)
def test_a_folder_without_a_config_says_what_it_has(
    tmp_path: Path, files: list[str], message: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert "config.json is missing" in refused(tmp_path, message)


# --- weights that were wrapped --------------------------------------------------------------------


def average(network: nn.Module) -> nn.Module:
    return torch.optim.swa_utils.AveragedModel(network)


def compiled_body(network: nn.Module) -> nn.Module:
    network.audio_spectrogram_transformer = torch.compile(network.audio_spectrogram_transformer)
    return network


class Lightning(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.model = network


def with_lora_merged(network: nn.Module) -> nn.Module:
    """A model of peft whose layers are not adapted: its names begin with base_model.model."""
    import peft

    config = peft.LoraConfig(target_modules=["q_proj"])
    adapted: nn.Module = peft.get_peft_model(network, config)
    adapted.base_model.unload()
    return adapted


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "DataParallel": nn.DataParallel,
    "torch.compile": torch.compile,
    "both": lambda network: nn.DataParallel(torch.compile(network)),
    "both, the other way round": lambda network: torch.compile(nn.DataParallel(network)),
    "compiled body": compiled_body,
    "Lightning": Lightning,
    "Lightning, compiled": lambda network: Lightning(torch.compile(network)),
    "average": average,
    "average of a compiled one": lambda network: average(torch.compile(network)),
    "peft": with_lora_merged,
    "peft in DataParallel": lambda network: nn.DataParallel(with_lora_merged(network)),
}


def write(folder: Path, state: object, kind: str = "bin") -> None:
    from safetensors.torch import save_file

    (folder / "model.safetensors").unlink(missing_ok=True)
    if kind == "bin":
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file(state, folder / "model.safetensors")


@pytest.mark.parametrize("kind", ["bin", "safetensors"])
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS.keys())
def test_wrapped_weights_are_those_of_the_network(
    model_copy: Path, tiny_model: Path, wrap: Callable[[nn.Module], nn.Module], kind: str
) -> None:
    network = ASTForAudioClassification.from_pretrained(model_copy)
    expected = of_transformers(network, tiny_model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's and peft's own code
        state = {name: weights.clone() for name, weights in wrap(network).state_dict().items()}
    write(model_copy, state, kind)
    np.testing.assert_allclose(probabilities(model_copy), expected, atol=1e-5)


def below(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": weights.clone() for name, weights in state.items()}


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_weights_beside_other_values_of_a_training_loop_are_found(
    model_copy: Path, tiny_model: Path, key: str
) -> None:
    state = Lightning(ASTForAudioClassification.from_pretrained(model_copy)).state_dict()
    write(model_copy, {"epoch": 3, key: state, "loss": 0.5, "optimizer_states": [{"lr": 1.0}]})
    np.testing.assert_allclose(probabilities(model_copy), probabilities(tiny_model), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: below("model.", s) | below("ema.", s), "under 'ema.' and 'model.'"),
        (lambda s: {**s, **below("module.", s)}, "several networks"),
        (lambda s: below("model.", s) | {"head.weight": torch.ones(2)}, "left over: head.weight"),
    ],
)
def test_weights_of_more_than_one_network_are_refused(
    model_copy: Path, change: Callable[[State], State], message: str
) -> None:
    state = ASTForAudioClassification.from_pretrained(model_copy).state_dict()
    write(model_copy, change(state))
    refused(model_copy, message)


# --- as people publish them -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_parts_of_weights_in_any_precision_give_what_transformers_gives(
    tmp_path: Path, dtype: torch.dtype, kind: str
) -> None:
    network = tiny_ast(num_hidden_layers=4).to(dtype)
    save_extractor(tmp_path)
    network.save_pretrained(tmp_path, max_shard_size="40KB")
    parts = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(parts) > 2
    if kind == "bin":  # as transformers 4 wrote them on request
        from safetensors.torch import load_file

        for path in parts:
            name = path.name.replace("model-", "pytorch_model-").replace("safetensors", "bin")
            torch.save(load_file(path), tmp_path / name)
            path.unlink()
        (tmp_path / "model.safetensors.index.json").unlink()
    expected = of_transformers(network.float(), tmp_path)
    np.testing.assert_allclose(probabilities(tmp_path), expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"do_normalize": False},
        {"mean": -1.25, "std": 3.5},
        {"mean": 0.0, "std": 0.5},
        {"max_length": 48},
        {"padding_value": 1.0, "return_attention_mask": True},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "problem", [None, "single_label_classification", "multi_label_classification"]
)
def test_the_probabilities_are_those_of_the_pipeline(
    tmp_path: Path, settings: dict[str, object], problem: str | None
) -> None:
    import transformers

    sizes = {"max_length": settings.get("max_length", SIZES["max_length"])}
    network = tiny_ast(problem_type=problem, **sizes)
    nn.init.normal_(network.classifier.dense.weight, std=0.5)
    network.save_pretrained(tmp_path)
    extractor = save_extractor(tmp_path, **settings)
    info = find_model(str(tmp_path))
    noise = np.random.default_rng(1).standard_normal(info.front_end.window_samples) / 10
    ours = load_model(info, CPU).probabilities(noise.astype(np.float32)[None])[0]
    pipe = transformers.pipeline(
        "audio-classification", ASTForAudioClassification.from_pretrained(tmp_path),
        feature_extractor=extractor, device="cpu",
    )  # fmt: skip
    theirs = {row["label"]: row["score"] for row in pipe(noise.astype(np.float32), top_k=4)}
    np.testing.assert_allclose(ours, [theirs[label] for label in info.labels], atol=1e-4)


def test_keys_that_a_preprocessor_config_lacks_have_the_extractors_values(tmp_path: Path) -> None:
    save_ast(tmp_path)
    path = tmp_path / "preprocessor_config.json"
    values = json.loads(path.read_text())
    kept = {key: values[key] for key in ("max_length", "num_mel_bins")}
    path.write_text(json.dumps(kept))
    front_end = find_model(str(tmp_path)).front_end
    assert (front_end.mean, front_end.std, front_end.rate) == (-4.2677393, 4.5689974, 16_000)
