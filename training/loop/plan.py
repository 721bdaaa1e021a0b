"""The arguments and the result of the training loop."""

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
# Called after each validation with the finished share of the run and the accuracy; true ends the
# run.
ShouldStop = Callable[[float, float], bool]


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """The data to validate on: windows, and the clip of each.

    `inputs` is `(windows, samples)`, or `(windows, hidden)` of a frozen network; `clips`
    `(windows,)` counts from 0; `truth` `(clips,)` has the labels' indices.
    """

    inputs: Tensor
    clips: Tensor
    truth: Tensor


@dataclass(frozen=True, slots=True)
class Task:
    """What a method trains, on which data, and how it is validated."""

    student: nn.Module
    crops: CropDataset | FeatureDataset
    epoch_windows: int
    validation: ValidationSet | None
    # How waveforms become features; None if the inputs are already features.
    features_from: tuple[FrontEnd, FeatureAugmenter] | None = None


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """The length of a run, and its other settings."""

    method: Method
    steps: int
    epoch_steps: float  # steps in one epoch
    batch: int  # windows per step and process
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
    steps: int  # before the weights were taken
    history: list[dict[str, float]]  # the rows of `training.evaluation.plots.curves_png`
