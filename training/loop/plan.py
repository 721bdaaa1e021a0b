"""The arguments and the result of the training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagger.types import FrontEnd
from training.augment.features import FeatureAugmenter
from training.loop.bank import BankDataset, HeldOutRows
from training.loop.crops import CropDataset
from training.loop.features import FeatureDataset
from training.networks.student import LossWeights
from training.options import Method

AVERAGE = "average.safetensors"
# Called after each validation with the finished share of the run and the accuracy; true ends the
# run.
ShouldStop = Callable[[float, float], bool]


# Log-probabilities `(windows, labels)` of each clip to metrics, such as "accuracy" and "loss".
Score = Callable[[list[NDArray[np.floating]]], dict[str, float]]


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """The data to validate on: windows, and the clip of each.

    `inputs` is `(windows, samples)`, or `(windows, hidden)` of a frozen network; `clips`
    `(windows,)` counts from 0 and ascends.
    """

    inputs: Tensor
    clips: Tensor
    score: Score


@dataclass(frozen=True, slots=True)
class Task:
    """What a method trains, on which data, and how it is validated."""

    student: nn.Module
    crops: CropDataset | FeatureDataset | BankDataset
    epoch_windows: int
    validation: ValidationSet | None
    # The features of the network, and how those of crops are changed, None for those of a bank;
    # None if the inputs are the features of a frozen network.
    features_from: tuple[FrontEnd, FeatureAugmenter | None] | None = None
    dtype: torch.dtype = torch.float32  # in which its weights are saved, and so validated
    weights: LossWeights = field(default_factory=LossWeights)
    held_out: HeldOutRows | None = None  # of a bank


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """The length of a run, and its other settings."""

    method: Method
    steps: int
    epoch_steps: float  # steps in one epoch
    batch: int  # windows per step and process
    windows: int  # of them computed at once, as long as memory suffices
    processes: int
    seed: int
    device: torch.device
    precision: torch.dtype
    keep: str
    judged: str  # what the share of valid clips that are right is called, see `epoch_row`
    folder: Path  # of its own checkpoints and curves

    @property
    def draws(self) -> int:
        """Crops in the whole run, of all processes."""
        return self.steps * self.batch * self.processes


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The module with the weights to keep, and how training went."""

    module: nn.Module
    steps: int  # before the weights were taken; the row of the history with this step is theirs
    history: list[dict[str, float]]  # the rows of `training.evaluation.plots.curves_png`
