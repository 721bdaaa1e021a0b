"""The files of a checkpoint, in the folders that people have: saved models, training outputs."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tagger.errors import CheckpointError, one_line
from tagger.models.cache import weight_names

CONFIG_BYTES = 16 << 20  # an AudioSet model with 527 labels has 30 kB
CONFIG = "config.json"
FEATURES = "preprocessor_config.json"
ADAPTER = "adapter_config.json"  # of peft; beside it is one of the two others
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
# What transformers' Trainer saves while it trains: a folder for each of some steps, and in it what
# it needs to continue. `training_args.bin` is a pickle, and is never opened.
STEP = re.compile(r"checkpoint-(\d{1,15})")
TRAINER_STATE = "trainer_state.json"
TO_CONTINUE = re.compile(
    r"(optimizer|scheduler|scaler)\.(pt|bin)|rng_state.*\.pth|training_args\.bin|trainer_state\.json"
)
OTHER_WEIGHTS = re.compile(r".+\.(safetensors|bin|ckpt|pt|pth|h5|onnx|msgpack)")


def read_json(path: Path, name: str) -> dict[str, Any]:
    """The object in a file of the checkpoint `name`. Raises `CheckpointError`."""
    try:
        values = json.loads(read_bytes(path).decode("utf-8-sig"))
    except FileNotFoundError:
        raise CheckpointError(f"{name} is not a checkpoint: {path} is missing") from None
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{name} has a damaged {path.name}: not JSON: {error}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{name} has a damaged {path.name}: {one_line(error)}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{name} has a damaged {path.name}: it is not a JSON object")
    return values


def read_bytes(path: Path) -> bytes:
    """The content of a small file. Raises `OSError`, and `ValueError` for any other."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > CONFIG_BYTES:
        raise ValueError(f"it is not a file of at most {CONFIG_BYTES >> 20} MB")
    return path.read_bytes()


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """The config.json of a checkpoint. Raises `CheckpointError` that says what is there instead."""
    path, names = config_file(folder), file_names(folder)
    if names and not os.path.lexists(path):
        raise CheckpointError(
            f"{name} is not a checkpoint: {path} is missing, and {_what_else(names)}"
        )
    return read_json(path, name)


def find_checkpoint(folder: Path, say: Callable[[str], None]) -> Path:
    """The folder that holds a model: this one, or the best or newest step in a Trainer's folder.

    `say` gets a line about which step it is. A folder without any model is returned as it is.
    """
    if holds_model(folder):
        return folder
    steps: dict[int, Path] = {}
    for path in map(folder.joinpath, file_names(folder)):
        if (step := training_step(path)) is not None and holds_model(path):
            steps[step] = path
    if not steps:
        return folder
    newest = steps[max(steps)]
    best = _best_step(newest, folder)
    if best is None:
        chosen, why = newest, "the newest that was saved"
    elif best in steps:
        chosen, why = steps[best], "the best according to its trainer_state.json"
    else:
        chosen, why = newest, f"the newest, since checkpoint-{best}, the best, is not there"
    say(f"{folder} is the folder of a training: using {chosen.name}, {why}")
    return chosen


def holds_model(folder: Path) -> bool:
    """Whether a folder has the config and the weights of a model or of an adapter."""
    names = file_names(folder)
    has_config = os.path.lexists(config_file(folder))
    return is_adapter(names) or (has_config and bool(weight_names(names)))


def file_names(folder: Path) -> set[str]:
    """The names in a folder; none if it cannot be listed, which reading a file then reports."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def is_adapter(names: set[str]) -> bool:
    """Whether these are the files of a peft adapter."""
    return ADAPTER in names and not names.isdisjoint(ADAPTER_WEIGHTS)


def training_step(folder: Path) -> int | None:
    """The number of the step at which a Trainer saved this folder; None for any other folder."""
    found = STEP.fullmatch(folder.name)
    return int(found[1]) if found else None


def config_file(folder: Path) -> Path:
    """The config.json of a checkpoint, whether it is there or not."""
    return _of_step(folder, CONFIG) or folder / CONFIG


def features_file(folder: Path) -> Path | None:
    """The preprocessor_config.json of a checkpoint, if there is one."""
    return _of_step(folder, FEATURES)


def _of_step(folder: Path, name: str) -> Path | None:
    """A file of a checkpoint; a step of a training may have it in the folder of the training."""
    places = [folder] if training_step(folder) is None else [folder, folder.parent]
    return next((path for at in places if os.path.lexists(path := at / name)), None)


def weight_files(folder: Path, name: str) -> list[Path]:
    """The file with a checkpoint's weights, or its parts in order. Raises `CheckpointError`."""
    names = file_names(folder)
    files = [folder / file for file in weight_names(names)]
    if not files:
        raise CheckpointError(f"{name} has no weights: {_why_no_weights(names)}")
    for path in files:
        if not path.is_file():
            raise CheckpointError(f"{name} has no usable weights: {path} is not a regular file")
    return files


def _why_no_weights(names: set[str]) -> str:
    if "zero_to_fp32.py" in names or any(name.startswith("global_step") for name in names):
        return (
            "they are in DeepSpeed's form; run `python zero_to_fp32.py . .` in that folder, which "
            "makes pytorch_model.bin"
        )
    if any(name.startswith("pytorch_model_fsdp") for name in names):
        return "they are in FSDP's form; `accelerate merge-weights` makes model.safetensors of them"
    to_continue, others = _weight_like(names)
    if others:
        return (
            f"it has {', '.join(others[:3])}, but neither model.safetensors, in one file or in all "
            "its parts, nor pytorch_model.bin"
        )
    if to_continue:
        return _only_to_continue(to_continue)
    return "there is neither model.safetensors nor pytorch_model.bin in its folder"


def _what_else(names: set[str]) -> str:
    """What a folder without a config has instead, and what to do."""
    if ADAPTER in names:
        return f"of an adapter it has {ADAPTER}, but not {ADAPTER_WEIGHTS[0]}"
    to_continue, others = _weight_like(names)
    if weight_names(names):
        return "only weights are there; copy it from the model that the training started from"
    if others:
        return (
            f"it has {', '.join(others[:3])}; `model.save_pretrained(FOLDER)` makes a folder that "
            "can be used"
        )
    if to_continue:
        return _only_to_continue(to_continue)
    steps = sorted(name for name in names if STEP.fullmatch(name))
    if steps:
        return f"none of the steps of a training in it ({', '.join(steps[:3])}) has weights"
    return "nothing else in that folder looks like a model"


def _weight_like(names: set[str]) -> tuple[list[str], list[str]]:
    """The files for continuing a training, and those that may hold weights in other forms."""
    to_continue = {name for name in names if TO_CONTINUE.fullmatch(name)}
    others = {name for name in names if OTHER_WEIGHTS.fullmatch(name)} - to_continue
    return sorted(to_continue), sorted(others)


def _only_to_continue(files: list[str]) -> str:
    return (
        f"it has only what a training needs to continue ({', '.join(files[:3])}); name a folder "
        "with model.safetensors, which trainer.save_model(FOLDER) makes"
    )


def _best_step(newest: Path, folder: Path) -> int | None:
    """The best step according to the last state of a Trainer; None if it does not say."""
    for path in (newest / TRAINER_STATE, folder / TRAINER_STATE):
        try:
            best = read_json(path, path.parent.name).get("best_model_checkpoint")
        except CheckpointError:
            continue
        # The path may be one of another machine or system.
        last = re.split(r"[/\\]", best.rstrip("/\\"))[-1] if isinstance(best, str) else ""
        if found := STEP.fullmatch(last):
            return int(found[1])
    return None
