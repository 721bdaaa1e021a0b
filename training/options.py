"""The options of all commands, and the defaults of each training method.

Each command-line option is a field of `FinetuneOptions`, `EvaluateOptions` or `BankOptions`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from tagger.audio.windows import Count
from tagger.types import DEFAULT_MODEL
from training.errors import TrainingError

T = TypeVar("T")
SEED_AUGMENTATION = ("faster", "slower", "highpass", "lowpass", "echo", "mix")
FEATURE_AUGMENTATION = ("speed", "colour", "specaugment", "mixup", "patchout")
KEEP = ("best", "last")
REFIT_RATE = 0.3  # of the learning rate, for --refit-steps: little is left to change
HEADS = ("linear", "mlp")
# A folder inside the checkpoint's: the files that the run resumes from, and TensorBoard's curves.
RUN = "run"
# Files in that folder: the options and the split, until the run is finished; the trials of a
# search; the outputs of a frozen network for the train and for the valid part; and the decoded
# clips to learn from, until the run is finished.
OPTIONS = "options.json"
SPLIT = "split.json"
STUDY = "search.sqlite3"
FEATURES = "features.safetensors"
VALID_FEATURES = "judged-features.safetensors"
DECODED = "decoded.i16"

# Sizes of a network that is trained from scratch.
SHAPES: dict[str, dict[str, int]] = {
    # 3.3 M parameters on 16 x 8 patches of 2.575 s: fits in a wheel, trains on 2 cores. Wide and
    # shallow: after the same number of steps as good as 6 layers of 192, and 10 % faster per step.
    "small": {
        "hidden_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "max_length": 256,
    },
    # 4.9 M parameters on 4 x 64 patches of 10.255 s: the window that AST itself has, in mel bins
    # twice as wide, so that it costs less a second of music than "small".
    "long": {
        "hidden_size": 256,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "max_length": 1024,
        "num_mel_bins": 64,
    },
    "tiny": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "max_length": 64},
}


@dataclass(frozen=True, slots=True)
class Method:
    """A way to train, with defaults that the command line may override."""

    what: str  # for --help and the model card
    epochs: float
    learning_rate: float  # the maximum, after the warm-up
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of the steps
    batch_size: int = 32
    head: str = "linear"
    augment: tuple[str, ...] = ()
    average: float = 0.0  # decay of the average of the weights, per step; 0 keeps the last weights
    frozen: bool = False  # only the head learns, on features that are computed once
    muon: bool = False  # for the matrices of the layers; AdamW for the rest


METHODS = {
    "linear": Method(
        "a new linear head on the frozen network", 20, 3e-4, weight_decay=0.3, frozen=True
    ),
    "mlp": Method("a new two-layer head on the frozen network", 20, 3e-4, head="mlp", frozen=True),
    # The values of the seed project, whose batches were 2 windows accumulated 8 times.
    "dora": Method(
        "a new head, and DoRA on the second matrix of the last two feed-forward layers",
        epochs=13,
        learning_rate=1.322e-4,
        weight_decay=0.0676,
        warmup=0.085,
        batch_size=16,
        augment=SEED_AUGMENTATION,
    ),
    "full": Method(
        "all weights, from those of the checkpoint",
        epochs=10,
        learning_rate=5e-5,
        augment=("speed", "specaugment", "mixup"),
        average=0.99,
    ),
    # Muon reaches in 300 steps what AdamW needs 800 for (16 x 16 patches of 2.6 s, batch 32).
    "scratch": Method(
        "a new network of a named shape",
        epochs=45,
        learning_rate=2e-3,
        weight_decay=0.1,
        augment=FEATURE_AUGMENTATION,
        average=0.998,
        muon=True,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The numbers that decide a split, besides its name."""

    seed: int = 0  # `filtered` ignores it
    folds: int = 5  # only for `kfold`
    fold: int = 0  # counted from 0; for `kfold`, and for folds that the data states


DRAW = Draw()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipOptions:
    """Which clips a command uses, and how they are split into parts."""

    data: Path
    artists: Path | None = None
    split: str = "auto"  # one of `training.clips.splits.SPLITS`
    folds: int = DRAW.folds
    fold: int = DRAW.fold
    seed: int = DRAW.seed

    @property
    def draw(self) -> Draw:
        """The numbers that decide a split, besides its name."""
        return Draw(seed=self.seed, folds=self.folds, fold=self.fold)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions(ClipOptions):
    """What to evaluate, on which clips, and where to write the metrics besides stdout."""

    model: str = DEFAULT_MODEL
    labels: Path | None = None  # a file with the names of its outputs
    part: str = "valid"  # one of `training.clips.splits.PARTS`, or "all"
    windows: Count = 8  # per clip; see `tagger.audio.windows.WindowPlan`
    confusion: Path | None = None  # PNG
    figures: Path | None = None  # JSON
    device: str = "cpu"
    precision: str = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class BankOptions(ClipOptions):
    """Everything that decides the rows of a bank, and where it is stored."""

    out: Path
    teacher: tuple[Path, ...]  # musicnn's weights, YAMNet, or both
    unlabelled: Path | None = None
    shape: str = "long"
    crops: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneOptions(ClipOptions):
    """Everything that decides the outcome of a run. None means the method's own default."""

    out: Path
    labels_ok: bool = False  # train on labels that are probably no genres
    method: str = "linear"
    # Where training starts, except from scratch; None: `training.app.finetune.choose_model`.
    model: str | None = None
    labels: Path | None = None  # a file with the names of its outputs
    shape: str = "small"  # of a network from scratch
    head: str | None = None
    new_head: bool = False  # if the labels are not those of the model
    epochs: float | None = None  # an epoch draws as many windows as the clips hold
    steps: int | None = None  # instead of epochs
    batch_size: int | None = None  # windows that are computed at once
    accumulate: int = 1  # batches whose gradients are added up for one step
    learning_rate: float | None = None
    weight_decay: float | None = None
    augment: tuple[str, ...] | None = None
    balance: float = 0.7  # 1 draws all labels equally often, 0 all seconds of music
    keep: str = "best"
    logistic_head: bool = False
    refit: bool = False
    refit_steps: int | None = None  # as `refit`, but from the trained weights
    search: int = 0  # trials for the options that are None, before the run itself
    soft_labels: tuple[Path, ...] = ()
    embeddings: tuple[Path, ...] = ()
    unlabelled: Path | None = None
    bank: Path | None = None  # stored sounds and a teacher's targets, in place of crops
    device: str = "auto"
    precision: str = "auto"

    @property
    def trained_by(self) -> Method:
        """The method, with the options in place of its defaults."""
        method = METHODS[self.method]
        return replace(
            method,
            head=value_or(self.head, method.head),
            epochs=value_or(self.epochs, method.epochs),
            batch_size=value_or(self.batch_size, method.batch_size),
            learning_rate=value_or(self.learning_rate, method.learning_rate),
            weight_decay=value_or(self.weight_decay, method.weight_decay),
            augment=value_or(self.augment, method.augment),
        )

    @property
    def step_windows(self) -> int:
        """The windows of one step, of all processes."""
        return self.trained_by.batch_size * self.accumulate

    @property
    def refits(self) -> bool:
        """Whether the network is trained again, on the train and valid parts."""
        return self.refit or self.refit_steps is not None

    @property
    def makes_new_head(self) -> bool:
        """Whether training starts with a newly drawn head."""
        return self.new_head or self.method not in ("full", "scratch")

    def dump(self, path: Path) -> None:
        """Write them as JSON, for `load_options`."""
        path.write_text(json.dumps(asdict(self), default=str, indent=2) + "\n", encoding="utf-8")


def value_or(value: T | None, default: T) -> T:
    """The value, or the default for None; 0 and an empty tuple are values."""
    return default if value is None else value


def load_options(path: Path) -> FinetuneOptions:
    """Options as `FinetuneOptions.dump` wrote them. Raises `TrainingError`."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("labels", "bank", "refit_steps"):  # a version before these options
            values.setdefault(name, None)
        for name in ("data", "out", "artists", "unlabelled", "labels", "bank"):
            values[name] = Path(values[name]) if values[name] is not None else None
        for name in ("soft_labels", "embeddings"):
            values[name] = tuple(map(Path, values[name]))
        if values["augment"] is not None:
            values["augment"] = tuple(values["augment"])
        return FinetuneOptions(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"the options of the run cannot be read: {path}: {error}") from error


def first_difference(
    one: FinetuneOptions, other: FinetuneOptions, names: Collection[str]
) -> str | None:
    """The first of the named fields in which two runs differ.

    Raises `ValueError` if a name is not that of a field: its option would not be compared.
    """
    known = [field.name for field in fields(FinetuneOptions)]
    if unknown := set(names) - set(known):
        raise ValueError(f"FinetuneOptions has no field {min(unknown)!r}")
    for name in known:
        if name in names and getattr(one, name) != getattr(other, name):
            return name
    return None
