"""What decides how a training run turns out, and what each method brings along."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from tagger.models.find import DEFAULT_MODEL
from training.errors import TrainingError

SEED_AUGMENTATION = ("faster", "slower", "highpass", "lowpass", "echo", "mix")
FEATURE_AUGMENTATION = ("speed", "colour", "specaugment", "mixup", "patchout")
KEEP = ("best", "last")
HEADS = ("linear", "mlp")
RUN = "run"  # folder in the checkpoint's: what the run goes on from, and TensorBoard's curves
OPTIONS = "options.json"  # in that folder, as long as the run is not finished
STUDY = "search.sqlite3"  # in that one: the trials of a search
# In that one: outputs of a frozen network for what is learned from, and for what validates it.
FEATURES = "features.safetensors"
JUDGED_FEATURES = "judged-features.safetensors"


# Widths of a network that is trained from nothing.
SHAPES: dict[str, dict[str, int]] = {
    # 3.3 M parameters on 16 x 8 patches of 2.575 s: fits a wheel, and 2 cores. Wide and flat: as
    # good as 6 layers of 192 after as many steps, and each step is a tenth faster.
    "small": {
        "hidden_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "max_length": 256,
    },
    "tiny": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "max_length": 64},
}


@dataclass(frozen=True, slots=True)
class Method:
    """A way to train. What a command line may override stands here with its default."""

    what: str  # for --help and the model card
    epochs: float
    learning_rate: float  # at its highest, after the warm-up
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of the steps
    batch_size: int = 32
    head: str = "linear"
    augment: tuple[str, ...] = ()
    average: float = 0.0  # decay of the average of the weights, per step; 0 takes the last ones
    frozen: bool = False  # only the head learns, on features that are computed once
    muon: bool = False  # for the matrices of the layers; AdamW has the rest


METHODS = {
    "linear": Method(
        "a new linear head on the frozen network", 20, 3e-4, weight_decay=0.3, frozen=True
    ),
    "mlp": Method("a new two-layer head on the frozen network", 20, 3e-4, head="mlp", frozen=True),
    # The figures of the seed project, whose batches were 2 windows accumulated 8 times.
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


# Of a method's figures, those that options may override.
OVERRIDES = ("head", "epochs", "batch_size", "learning_rate", "weight_decay", "augment")


@dataclass(frozen=True, slots=True)
class FinetuneOptions:
    """Everything that decides how a run turns out. None takes the method's own figure."""

    data: Path
    out: Path
    artists: Path | None = None
    split: str = "filtered"
    folds: int = 5
    fold: int = 0
    method: str = "linear"
    model: str = DEFAULT_MODEL  # where training starts, but from scratch
    shape: str = "small"  # of a network from scratch
    head: str | None = None
    new_head: bool = False  # where the labels are not those of the model
    epochs: float | None = None  # one epoch draws as many windows as the clips hold
    steps: int | None = None  # instead of epochs
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    augment: tuple[str, ...] | None = None
    balance: float = 0.7  # 1 draws all labels as often, 0 all seconds
    keep: str = "best"
    logistic_head: bool = False
    refit: bool = False
    search: int = 0  # trials for the figures that are None, before the run itself
    soft_labels: tuple[Path, ...] = ()
    embeddings: tuple[Path, ...] = ()
    unlabelled: Path | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    @property
    def trained_by(self) -> Method:
        """The method, with what was asked for in place of its defaults."""
        method = METHODS[self.method]
        changed = {
            name: getattr(self, name) for name in OVERRIDES if getattr(self, name) is not None
        }
        return replace(method, **changed)

    @property
    def draw(self) -> dict[str, int]:
        """The numbers that the split is drawn by."""
        return {"seed": self.seed, "folds": self.folds, "fold": self.fold}

    @property
    def makes_new_head(self) -> bool:
        """Whether training begins with a head that knows nothing."""
        return self.new_head or self.method not in ("full", "scratch")

    def dump(self, path: Path) -> None:
        """Write them as JSON, for a later `load`."""
        path.write_text(json.dumps(asdict(self), default=str, indent=2) + "\n", encoding="utf-8")


def load_options(path: Path) -> FinetuneOptions:
    """Options as `FinetuneOptions.dump` wrote them. Raises `TrainingError`."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("data", "out", "artists", "unlabelled"):
            values[name] = Path(values[name]) if values[name] is not None else None
        for name in ("soft_labels", "embeddings"):
            values[name] = tuple(map(Path, values[name]))
        if values["augment"] is not None:
            values["augment"] = tuple(values["augment"])
        return FinetuneOptions(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"the options of the run cannot be read: {path}: {error}") from error


def difference(one: FinetuneOptions, other: FinetuneOptions) -> str | None:
    """The first option in which two runs differ, apart from where they compute; None if in none."""
    for field in fields(FinetuneOptions):
        if field.name not in ("out", "device") and getattr(one, field.name) != getattr(
            other, field.name
        ):
            return field.name
    return None
