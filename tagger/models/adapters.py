"""Adapters of peft (LoRA, DoRA): what their config states, checked before a weight is read.

An adapter holds the change of another checkpoint, its base. `lora` merges both.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagger.errors import CheckpointError
from tagger.models.cache import weight_names
from tagger.models.folders import ADAPTER, ADAPTER_WEIGHTS, file_names, is_adapter, read_json

MERGE = "merge it where it was trained: `model.merge_and_unload().save_pretrained(FOLDER)`"
# Keys of a LoRA config that say how the factors are used.
FLAGS = ("use_rslora", "use_dora")
# Keys that the names and shapes of the weights say too, or that only matter for training.
WITHOUT_EFFECT = frozenset([
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config",
    "ensure_weight_tying", "eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode",
    "init_lora_weights", "layers_pattern", "layers_to_transform", "loftq_config", "lora_alpha",
    "lora_dropout", "megatron_core", "modules_to_save", "peft_type", "peft_version",
    "qalora_group_size", "r", "rank_pattern", "revision", "runtime_config", "target_modules",
    "task_type", *FLAGS,
])  # fmt: skip
# Ways to draw the factors that leave the weights of the base as they are.
PLAIN_DRAWS = (True, False, None, "gaussian", "orthogonal", "eva")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A peft adapter, and the checkpoint that it changes."""

    folder: Path
    weights: Path
    base: str  # as its config names it
    revision: str  # of a base on the hub; "" if its config names none
    alpha: float
    alphas: tuple[tuple[str, float], ...]  # ends of names of layers with another alpha
    flags: tuple[str, ...]  # those of FLAGS that are set

    @property
    def files(self) -> list[Path]:
        """Everything that it adds to its base."""
        return [self.folder / ADAPTER, self.weights]


def read_adapter(folder: Path, name: str) -> Adapter | None:
    """The adapter in a folder; None if it holds none. Raises `CheckpointError`."""
    names = file_names(folder)
    if not is_adapter(names):
        return None
    if weight_names(names):
        raise CheckpointError(
            f"{name} holds both a model and an adapter of a model: move the adapter "
            f"({ADAPTER}, adapter_model.*) or the model to another folder, and name the one you "
            "want"
        )
    config = read_json(folder / ADAPTER, name)
    if reason := _why_not(config):
        raise CheckpointError(f"{name} is an adapter that cannot be merged here: {reason}; {MERGE}")
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise CheckpointError(
            f"{name} is an adapter that does not say which model it changes: write the folder or "
            f"hub id of that model behind base_model_name_or_path in {folder / ADAPTER}"
        )
    revision = config.get("revision")
    weights = next(folder / file for file in ADAPTER_WEIGHTS if file in names)
    if not weights.is_file():
        raise CheckpointError(f"{name} has no usable weights: {weights} is not a regular file")
    return Adapter(
        folder=folder,
        weights=weights,
        base=base,
        revision=revision if isinstance(revision, str) else "",
        alpha=float(config["lora_alpha"]),
        alphas=tuple(_alphas(config)),
        flags=tuple(flag for flag in FLAGS if config.get(flag)),
    )


def base_name(adapter: Adapter) -> str:
    """The base as a value for `--model`: a path in the config may be relative to the adapter."""
    base = adapter.base
    for place in (Path(), adapter.folder, adapter.folder.parent):
        if os.path.isdir(path := place / base):
            is_here = place == Path() and not os.path.isabs(base)
            return f".{os.sep}{path}" if is_here else str(path)
    return f"{base}@{adapter.revision}" if adapter.revision else base


def _why_not(config: Mapping[str, Any]) -> str:
    if config.get("peft_type") != "LORA":
        return f"its kind is {config.get('peft_type')!r}, and only LORA (with DoRA) is supported"
    if config.get("init_lora_weights", True) not in PLAIN_DRAWS:
        return f"init_lora_weights {config['init_lora_weights']!r} changes the weights of the base"
    unknown = sorted(key for key, value in config.items() if value and key not in WITHOUT_EFFECT)
    if unknown:
        return f"its config has {unknown[0]}, which is not supported"
    if config.get("fan_in_fan_out"):
        return "its config says fan_in_fan_out, which no layer of AST has"
    if any(not re.fullmatch(r"[\w.]+", end) for end, _ in _alphas(config)):
        return "its alpha_pattern has regular expressions"
    alphas = {"lora_alpha": config.get("lora_alpha"), **dict(_alphas(config))}
    for key, value in alphas.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            return f"{key} is {value!r}, not a number"
    return ""


def _alphas(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pattern = config.get("alpha_pattern") or {}
    return list(pattern.items()) if isinstance(pattern, dict) else [("alpha_pattern", pattern)]
