"""What a part of a batch gives, and torch's random state, for a step that is repeated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PartResult:
    """A part of a batch: its share of the losses, and how many of its labelled crops are right."""

    losses: dict[str, Tensor]
    right: Tensor
    count: Tensor


def sum_of(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of scalars; of a single one, its very bits."""
    every = list(tensors)
    return torch.stack(every).sum() if len(every) > 1 else every[0]


def random_state() -> tuple[Tensor, list[Tensor]]:
    """The state of torch's generators."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return torch.get_rng_state(), gpus


def restore_random_state(state: tuple[Tensor, list[Tensor]]) -> None:
    """Set the state of torch's generators."""
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])
