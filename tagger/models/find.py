"""From the value of `--model` to a checkpoint on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tagger.errors import CheckpointError
from tagger.genres.labels import are_independent
from tagger.models import checkpoint
from tagger.models.checkpoint import BUNDLED, ModelInfo
from tagger.models.presets import PRESETS
from tagger.types import DEFAULT_MODEL

MULTI_LABEL = "multi_label_classification"


def find_model(
    name: str, say: Callable[[str], None] = lambda message: None, *, quiet: bool = False
) -> ModelInfo:
    """Find and check a checkpoint; a hub model is downloaded if it is not in the cache.

    `name` is a preset, a bundled model, a folder, a hub id, or `id@revision`; a folder with the
    name of a preset is written `./name`. `say` gets a line before anything is downloaded; `quiet`
    hides the progress bar. Raises `CheckpointError`, which says what to do.
    """
    name, folder = _find_folder(name, say, quiet)
    config = checkpoint.read_json(folder / "config.json", name)
    architecture = checkpoint.classifier(config, name)
    weights = checkpoint.weight_files(folder, name)
    features = checkpoint.read_features(folder, config, name)
    try:
        front_end = checkpoint.front_end(features)
        labels, temperature = checkpoint.labels(config), checkpoint.temperature(config)
        sizes = checkpoint.settings(config)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{name} has an unusable config: {error}") from error
    frames, bins = sizes["max_length"], sizes["num_mel_bins"]
    if (front_end.frames, front_end.mel_bins) != (frames, bins):
        raise CheckpointError(
            f"{name} contradicts itself: its config expects {frames} x {bins} features, its "
            f"preprocessor_config gives {front_end.frames} x {front_end.mel_bins}"
        )
    checkpoint.check_size(sizes, len(labels), weights, name)
    try:
        fingerprint = checkpoint.fingerprint([*checkpoint.config_files(folder), *weights])
    except OSError as error:
        raise CheckpointError(f"{name} cannot be read: {error}") from error
    return ModelInfo(
        name=name,
        folder=folder,
        labels=labels,
        front_end=front_end,
        multi_label=_is_multi_label(config, labels),
        fingerprint=fingerprint,
        architecture=architecture,
        temperature=temperature,
    )


def _is_multi_label(config: Mapping[str, Any], labels: Sequence[str]) -> bool:
    problem = config.get("problem_type")
    return are_independent(labels) if problem is None else problem == MULTI_LABEL


def _find_folder(name: str, say: Callable[[str], None], quiet: bool) -> tuple[str, Path]:
    """The name of a model, with the commit of one from the hub, and its folder."""
    bundled = sorted(path.parent.name for path in BUNDLED.glob("*/config.json"))
    if name == "bundled" or name in bundled:
        name = DEFAULT_MODEL if name == "bundled" else name
        return name, BUNDLED / name
    # A preset comes first: the meaning of a name must not depend on the current folder.
    if name not in PRESETS and os.path.isdir(name):  # no error for a name too long for a path
        return name, Path(name)
    from tagger.models import hub  # neither --help nor a run with a model on disk needs it

    if want := hub.wanted(name):
        folder = hub.fetch(want, say, quiet=quiet)
        return f"{want.repo}@{folder.name}", folder
    raise CheckpointError(
        f"no model {name!r}: use one that `tag-genres models` lists ({', '.join(PRESETS)}), a "
        "folder with config.json and model.safetensors, or a hub id such as "
        f"{PRESETS['audioset'].repo}"
    )
