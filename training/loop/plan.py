"""What a training run is asked to do, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from training.options import Method

AVERAGE = "average.safetensors"
# Is told the share of the run that is done and the accuracy at each judgement; true ends the run.
Watch = Callable[[float, float], bool]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a run is judged by on its way: windows, and the clip that each belongs to.

    `inputs` is `(windows, samples)`, or `(windows, hidden)` of a frozen network; `clips`
    `(windows,)` counts from 0; `truth` `(clips,)` has the labels' indices.
    """

    inputs: Tensor
    clips: Tensor
    truth: Tensor


@dataclass(frozen=True, slots=True)
class Loop:
    """How long and by what numbers a run goes."""

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
class Trained:
    """A run's outcome: the module with the weights to keep, and how it came to them."""

    module: nn.Module
    steps: int  # that the weights have seen
    history: list[dict[str, float]]  # as training.plots wants it
