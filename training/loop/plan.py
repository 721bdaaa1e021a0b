"""What the training loop is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tagger.types import FrontEnd
from training.augment.features import FeatureAugmenter
from training.loop.crops import CropDataset
from training.loop.features import FeatureDataset
from training.options import Method

AVERAGE = "average.safetensors"
# Called after each validation with the share of the run that is done and the accuracy; true ends
# the run.
ShouldStop = Callable[[float, float], bool]


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """What a run is validated on: windows, and the clip that each belongs to.

    `inputs` is `(windows, samples)`, or `(windows, hidden)` of a frozen network; `clips`
    `(windows,)` counts from 0; `truth` `(clips,)` has the labels' indices.
    """

    inputs: Tensor
    clips: Tensor
    truth: Tensor


@dataclass(frozen=True, slots=True)
class Task:
    """What a method trains, on what, and how that is validated."""

    student: nn.Module
    crops: CropDataset | FeatureDataset
    epoch_windows: int
    validation: ValidationSet | None
    # How waveforms become features; None where the inputs are features already.
    features_from: tuple[FrontEnd, FeatureAugmenter] | None = None


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How long a run goes, and with which numbers."""

    method: Method
    steps: int
    epoch_steps: float  # steps in one epoch
    batch: int  # windows in a step, of each process
    processes: int
    seed: int
    device: torch.device
    precision: torch.dtype
    keep: str
    folder: Path  # of its own checkpoints and curves

    @property
    def draws(self) -> int:
        """Crops in the whole run, of all processes."""
        return self.steps * self.batch * self.processes


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The module with the weights to keep, and how training went."""

    module: nn.Module
    steps: int  # after which the weights were taken
    history: list[dict[str, float]]  # the rows of `training.evaluation.plots.curves_png`
