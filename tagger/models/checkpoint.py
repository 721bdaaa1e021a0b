"""The configuration of a checkpoint, read and checked before anything is built from it.

A checkpoint may come from anybody. Only the keys of its config that describe an AST are used: a
config of transformers can also name code to run, other files to load, and ways to load them.
"""

from __future__ import annotations

import hashlib
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tagger.audio.windows import Count, WindowPlan
from tagger.errors import CheckpointError
from tagger.genres.labels import are_independent, genre_columns
from tagger.models.adapters import Adapter
from tagger.models.folders import read_json, training_step
from tagger.types import FrontEnd

BUNDLED = Path(__file__).parents[1] / "checkpoints"
LAST = ("classifier.dense.weight", "classifier.dense.4.weight")  # (labels, hidden) of either head
CLASSIFIERS = ("ASTForAudioClassification", "ASTWithMlpHead")  # see tagger.models.heads
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
MIN_RATE = 100  # Hz, for a hop of one sample
MAX_WHOLE = 1 << 31
MAEST_NORM = 2.06755686098554, 1.268292820667291  # mean and std of MAEST's own extractor
SINGLE_LABEL, MULTI_LABEL = "single_label_classification", "multi_label_classification"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known about a checkpoint from its files, before any weight is loaded."""

    name: str  # as the user gave it; id@commit for a hub model
    folder: Path  # with config.json and the weights; for an adapter, that of its base
    labels: tuple[str, ...]
    front_end: FrontEnd
    multi_label: bool  # a sigmoid for each label instead of a softmax over all
    fingerprint: str  # of the contents: equal files give equal predictions, wherever they are
    architecture: str = CLASSIFIERS[0]
    temperature: float = 1.0  # logits are divided by it (Guo et al. 2017); positive
    adapter: Adapter | None = None  # that changes the weights

    @property
    def is_bundled(self) -> bool:
        """Whether it is part of the package."""
        return self.folder.parent == BUNDLED and self.adapter is None

    @property
    def own_folder(self) -> Path:
        """The folder of the model itself: for an adapter not that of its base."""
        return self.folder if self.adapter is None else self.adapter.folder

    @property
    def short_name(self) -> str:
        """The name without its folder, since a tagged file must not reveal the user's folders."""
        folder = self.own_folder
        if folder != Path(self.name):
            return self.name
        real = folder.resolve()
        return "/".join(real.parts[-2:]) if training_step(real) is not None else real.name

    def plan(self, count: Count) -> WindowPlan:
        """Windows that fill the model's frames exactly."""
        front_end = self.front_end
        columns = genre_columns(self.labels)
        return WindowPlan(front_end.window_samples, front_end.rate, count, columns)


def read_features(path: Path | None, config: dict[str, Any], name: str) -> dict[str, Any]:
    """The object in preprocessor_config.json; {}, which means AST's own values, without the file.

    Hand-written training code around AST does not save one: it uses the extractor of the checkpoint
    that it started from. Raises `CheckpointError`, also if the file is missing and the features in
    the config do not have AST's size.
    """
    if path is not None:
        return read_json(path, name)
    usual = FrontEnd()
    sizes = tuple(config.get(key, SIZES[key]) for key in ("max_length", "num_mel_bins"))
    if sizes != (usual.frames, usual.mel_bins):
        raise CheckpointError(
            f"{name} cannot be used: preprocessor_config.json is missing, and its features are not "
            "of AST's usual size; copy that file from the model that its training started from"
        )
    return {}


def classifier(config: dict[str, Any], name: str) -> str:
    """The one of `CLASSIFIERS` that a config names. Raises `CheckpointError`."""
    named = config.get("architectures") or []
    for known in CLASSIFIERS:
        if isinstance(named, list) and known in named:
            return known
    shown = ", ".join(map(str, named)) if isinstance(named, list) else str(named)
    raise CheckpointError(
        f"{name} is not an AST audio classifier (its config.json names "
        f"{shown[:100] or 'no architecture'}, not {CLASSIFIERS[0]})"
    )


def front_end(features: dict[str, Any]) -> FrontEnd:
    """The front end of preprocessor_config.json. Raises `ValueError`."""
    extractor = features.get("feature_extractor_type", EXTRACTORS["ast"])
    kind = next((kind for kind, name in EXTRACTORS.items() if name == extractor), None)
    if kind is None:
        known = " nor ".join(EXTRACTORS.values())
        raise ValueError(f"feature_extractor_type is {extractor!r}, neither {known}")
    usual = FrontEnd()
    mean, std = (usual.mean, usual.std) if kind == "ast" else MAEST_NORM
    mean, std = _number(features, "mean", mean), _number(features, "std", std)
    if std <= 0:
        raise ValueError(f"std must be greater than 0, not {std:g}")
    is_normalised = features.get("do_normalize", True)
    rate = _whole(features, "sampling_rate", usual.rate)
    frames = _whole(features, "max_length", usual.frames)
    bins = _whole(features, "num_mel_bins", usual.mel_bins)
    if not MIN_RATE <= rate <= MAX_RATE or frames > MAX_FRAMES or bins > MAX_BINS:
        raise ValueError(f"no front end has {frames} frames of {bins} bins at {rate} Hz")
    found = FrontEnd(
        rate=rate,
        frames=frames,
        mel_bins=bins,
        mean=mean if is_normalised else 0.0,
        std=std if is_normalised else 0.5,  # the scale is 2 std
        kind=kind,
    )
    required = {"n_fft": found.fft_size, "hop_length": found.hop_length, "log_compression": "logC"}
    for key, only in required.items():
        if features.get(key, only) != only:
            raise ValueError(f"{key} must be {only!r}, not {features[key]!r}")
    return found


def is_multi_label(config: dict[str, Any], labels: Sequence[str]) -> bool:
    """Whether each label has a probability of its own, by a sigmoid. Raises `ValueError`."""
    problem = config.get("problem_type")
    if problem not in (None, SINGLE_LABEL, MULTI_LABEL):
        raise ValueError(
            f"problem_type is {problem!r}: only {SINGLE_LABEL} and {MULTI_LABEL} predict genres"
        )
    return are_independent(labels) if problem is None else problem == MULTI_LABEL


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
        raise ValueError(
            f"num_hidden_layers is {sizes['num_hidden_layers']}, more than {MAX_LAYERS}"
        )
    for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if not 0 <= _number(config, key, 0.0) <= 1:
            raise ValueError(f"{key} must be from 0 to 1, not {config[key]!r}")
    _number(config, "layer_norm_eps", 0.0)
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


def _number(values: dict[str, Any], key: str, usual: float) -> float:
    value = values.get(key, usual)
    # A comparison, since JSON allows integers that no float can hold.
    if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{key} must be a number, not {repr(value)[:20]}")
    return float(value)


def fingerprint(files: Iterable[Path], names: Sequence[str] = ()) -> str:
    """A hash of the contents of all files, and of names that replace those in the files.

    Raises `OSError` if a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    if names:
        digest.update("\0".join(["labels", *names]).encode())
    return digest.hexdigest()[:16]
