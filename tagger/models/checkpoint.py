"""The configuration of a checkpoint, read and checked before anything is built from it.

A checkpoint may come from anybody. Only the keys of its config that describe an AST are used: a
config of transformers can also name code to run, other files to load, and ways to load them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tagger.audio.windows import Count, WindowPlan
from tagger.errors import CheckpointError
from tagger.genres.labels import genre_columns
from tagger.models.cache import CONFIGS, weight_names
from tagger.types import FrontEnd

BUNDLED = Path(__file__).parents[1] / "checkpoints"
CLASSIFIERS = ("ASTForAudioClassification", "ASTWithMlpHead")  # see tagger.models.heads
CONFIG_BYTES = 16 << 20  # an AudioSet model with 527 labels has 30 kB
# Sizes of a network, with ASTConfig's own values for those that a config leaves out.
SIZES = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "patch_size": 16, "frequency_stride": 10, "time_stride": 10,
    "max_length": 1024, "num_mel_bins": 128,
}  # fmt: skip
OTHERS = (
    "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range",
    "layer_norm_eps", "qkv_bias", "mlp_dropout",
)  # fmt: skip
# The name of each kind of front end in preprocessor_config.json.
EXTRACTORS: dict[Literal["ast", "maest"], str] = {
    "ast": "ASTFeatureExtractor", "maest": "MAESTFeatureExtractor"
}  # fmt: skip
# Far above any front end and depth in use, but too low to keep a machine busy for minutes.
MAX_LAYERS, MAX_FRAMES, MAX_BINS, MAX_RATE = 200, 100_000, 1000, 1_000_000
MAX_WHOLE = 1 << 31


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known about a checkpoint from its files, before any weight is loaded."""

    name: str  # as the user gave it; id@commit for a hub model
    folder: Path
    labels: tuple[str, ...]
    front_end: FrontEnd
    multi_label: bool  # a sigmoid for each label instead of a softmax over all
    fingerprint: str  # of the contents: equal files give equal predictions, wherever they are
    architecture: str = CLASSIFIERS[0]
    temperature: float = 1.0  # logits are divided by it (Guo et al. 2017); positive

    @property
    def is_bundled(self) -> bool:
        """Whether it is part of the package."""
        return self.folder.parent == BUNDLED

    @property
    def short_name(self) -> str:
        """The name without its folder, since a tagged file must not reveal the user's folders."""
        return self.folder.resolve().name if self.folder == Path(self.name) else self.name

    def plan(self, count: Count) -> WindowPlan:
        """Windows that fill the model's frames exactly."""
        front_end = self.front_end
        columns = genre_columns(self.labels)
        return WindowPlan(front_end.window_samples, front_end.rate, count, columns)


def read_json(path: Path, name: str) -> dict[str, Any]:
    """The object in a file of the checkpoint `name`. Raises `CheckpointError`."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > CONFIG_BYTES:
            raise CheckpointError(
                f"{name} has a damaged {path.name}: it is not a file of at most "
                f"{CONFIG_BYTES >> 20} MB"
            )
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{name} is not a checkpoint: {path} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{name} has a damaged {path.name}: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{name} has a damaged {path.name}: it is not a JSON object")
    return values


def read_features(folder: Path, config: dict[str, Any], name: str) -> dict[str, Any]:
    """The object in preprocessor_config.json, or AST's own values if there is no such file.

    Hand-written training code around AST does not save one: it uses the extractor of the checkpoint
    that it started from. Raises `CheckpointError`, also if the file is missing and the features in
    the config do not have AST's size.
    """
    usual = FrontEnd()
    sizes = tuple(config.get(key, SIZES[key]) for key in ("max_length", "num_mel_bins"))
    path = folder / "preprocessor_config.json"
    if sizes == (usual.frames, usual.mel_bins) and not os.path.lexists(path):
        return {"mean": usual.mean, "std": usual.std}
    return read_json(path, name)


def config_files(folder: Path) -> list[Path]:
    """The JSON files of a checkpoint that we read."""
    return [path for name in CONFIGS if os.path.lexists(path := folder / name)]


def weight_files(folder: Path, name: str) -> list[Path]:
    """The file with a checkpoint's weights, or its parts in order. Raises `CheckpointError`."""
    files = [folder / file for file in weight_names(set(os.listdir(folder)))]
    if not files:
        raise CheckpointError(
            f"{name} has no weights: {folder} has neither model.safetensors, in one file or in all "
            f"its parts, nor pytorch_model.bin"
        )
    for path in files:
        if not path.is_file():
            raise CheckpointError(f"{name} has no usable weights: {path} is not a regular file")
    return files


def classifier(config: dict[str, Any], name: str) -> str:
    """The one of `CLASSIFIERS` that a config names. Raises `CheckpointError`."""
    named = config.get("architectures") or []
    for known in CLASSIFIERS:
        if isinstance(named, list) and known in named:
            return known
    raise CheckpointError(
        f"{name} is not an AST audio classifier (its config.json names "
        f"{named or 'no architecture'}, not {CLASSIFIERS[0]})"
    )


def front_end(features: dict[str, Any]) -> FrontEnd:
    """The front end of preprocessor_config.json. Raises `ValueError`, `TypeError` or `KeyError`."""
    usual = FrontEnd()
    extractor = features.get("feature_extractor_type", EXTRACTORS[usual.kind])
    kind = next((kind for kind, name in EXTRACTORS.items() if name == extractor), None)
    if kind is None:
        known = " nor ".join(EXTRACTORS.values())
        raise ValueError(f"feature_extractor_type is {extractor!r}, neither {known}")
    is_normalised = features.get("do_normalize", True)
    found = FrontEnd(
        rate=_whole(features, "sampling_rate", usual.rate),
        frames=_whole(features, "max_length", usual.frames),
        mel_bins=_whole(features, "num_mel_bins", usual.mel_bins),
        mean=float(features["mean"]) if is_normalised else 0.0,
        std=float(features["std"]) if is_normalised else 0.5,  # the scale is 2 std
        kind=kind,
    )
    if found.rate > MAX_RATE or found.frames > MAX_FRAMES or found.mel_bins > MAX_BINS:
        raise ValueError(f"{found.frames} frames of {found.mel_bins} bins at {found.rate} Hz")
    if not math.isfinite(found.mean) or not math.isfinite(found.std):
        raise ValueError(f"mean and std are {found.mean} and {found.std}")
    required = {"n_fft": found.fft_size, "hop_length": found.hop_length, "log_compression": "logC"}
    for key, only in required.items():
        if features.get(key, only) != only:
            raise ValueError(f"{key} must be {only!r}, not {features[key]!r}")
    return found


def labels(config: dict[str, Any]) -> tuple[str, ...]:
    """The labels in the order of the outputs. Raises `ValueError`, `TypeError` or `KeyError`."""
    given = config["id2label"]
    if not isinstance(given, dict):
        raise TypeError("id2label must be an object")
    by_index = {int(index): str(label) for index, label in given.items()}
    found = tuple(by_index[index] for index in range(len(by_index)))
    if len(set(found)) < max(2, len(found)):
        raise ValueError("id2label must name at least two labels, each once")
    if odd := first_unusable(found):
        raise ValueError(f"{odd!r} cannot be a label")
    if (number := config.get("num_labels", len(found))) != len(found):
        raise ValueError(f"num_labels is {number!r}, and id2label has {len(found)}")
    return found


def first_unusable(names: Iterable[str]) -> str | None:
    """The first with a control character or half a surrogate pair, which no tag may hold."""
    for name in names:
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            return name
    return None


def temperature(config: dict[str, Any]) -> float:
    """The divisor of the logits; 1 unless the config has another. Raises `ValueError`."""
    value = config.get("temperature", 1.0)
    # Exact types, since JSON's true is a number in Python. A limit, since JSON allows 1e400.
    if type(value) not in (int, float) or not 0 < value <= sys.float_info.max:
        raise ValueError(f"temperature must be a positive finite number, not {value!r}")
    return float(value)


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """The keys of a config that define the network, for `ASTConfig`. Raises `ValueError`."""
    sizes = {key: _whole(config, key, usual) for key, usual in SIZES.items()}
    if "mlp_hidden" in config:  # see tagger.models.heads
        sizes["mlp_hidden"] = _whole(config, "mlp_hidden", 1)
    if sizes["num_hidden_layers"] > MAX_LAYERS:
        raise ValueError(f"it has {sizes['num_hidden_layers']} layers")
    return sizes | {key: config[key] for key in OTHERS if key in config}


def check_size(sizes: dict[str, Any], labels: int, weights: Iterable[Path], name: str) -> None:
    """Raise `CheckpointError` if `settings` and labels describe a network larger than its weights.

    Without this check a file of a few bytes could use up all memory.
    """
    needed, stored = _parameters(sizes, labels), sum(path.stat().st_size for path in weights)
    if needed > stored:  # a number takes at least one byte
        raise CheckpointError(
            f"the weights of {name} cannot be loaded: {stored:,} bytes are too few for the "
            f"{needed:,} numbers that its config describes"
        )


def _parameters(sizes: dict[str, Any], labels: int) -> int:
    """How many numbers a network of these sizes has, without biases."""
    hidden, patch = sizes["hidden_size"], sizes["patch_size"]
    layer = 4 * hidden + 2 * sizes["intermediate_size"]  # times `hidden`: attention, and the MLP
    rows = (sizes["num_mel_bins"] - patch) // sizes["frequency_stride"] + 1
    columns = (sizes["max_length"] - patch) // sizes["time_stride"] + 1
    embeddings = rows * columns + patch**2  # of positions and of a patch
    numbers: int = hidden * (
        sizes["num_hidden_layers"] * layer + embeddings + sizes.get("mlp_hidden", 0)
    )
    head: int = labels * sizes.get("mlp_hidden", hidden)
    return numbers + head


def _whole(values: dict[str, Any], key: str, usual: int) -> int:
    value = values.get(key, usual)
    if type(value) is not int or not 1 <= value <= MAX_WHOLE:
        short = repr(value)[:20]
        raise ValueError(f"{key} must be a whole number from 1 to {MAX_WHOLE:,}, not {short}")
    return value


def fingerprint(files: Iterable[Path]) -> str:
    """A hash of the contents of all files; `OSError` if one cannot be read."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
