"""Muon for the matrices of the layers, AdamW for the rest, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

LAYERS = ".layers."  # part of the names of all weights in a transformer's layers
ADAMW_SHARE = 0.5  # of Muon's learning rate: 1e-3 and 2e-3 were chosen together


class MuonWithAdamW(Optimizer):
    """Muon (Jordan 2024) for the matrices of the layers, AdamW for all other weights.

    Muon's updates are scaled to the size of AdamW's (Liu et al. 2025), so one learning rate suits
    both. The groups are those of the two optimizers; a scheduler may change them.
    """

    def __init__(self, module: nn.Module, learning_rate: float, weight_decay: float) -> None:
        learned = [(name, of) for name, of in module.named_parameters() if of.requires_grad]
        matrices = [of for name, of in learned if LAYERS in name and of.ndim == 2]
        rest = [of for name, of in learned if not (LAYERS in name and of.ndim == 2)]
        decayed = [of for of in rest if of.ndim > 1]
        muon = Muon(
            matrices,
            lr=learning_rate,
            weight_decay=weight_decay,
            momentum=0.95,
            adjust_lr_fn="match_rms_adamw",
        )
        groups = [
            {"params": decayed, "weight_decay": weight_decay},
            {"params": [of for of in rest if of.ndim <= 1], "weight_decay": 0.0},
        ]
        adamw = AdamW(groups, lr=ADAMW_SHARE * learning_rate, betas=(0.9, 0.98))
        self.parts: tuple[Optimizer, ...] = (muon, adamw)
        super().__init__([group for part in self.parts for group in part.param_groups], {})

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all weights. A closure is ignored."""
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The states of both optimizers."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the states of both optimizers."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        # Loading gives each part new groups.
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def make_optimizer(
    module: nn.Module, learning_rate: float, weight_decay: float, *, muon: bool
) -> Optimizer:
    """The optimizer of a run; vectors (biases, norms) have no weight decay."""
    if muon:
        return MuonWithAdamW(module, learning_rate, weight_decay)
    learned = [of for of in module.parameters() if of.requires_grad]
    groups = [
        {"params": [of for of in learned if of.ndim > 1], "weight_decay": weight_decay},
        {"params": [of for of in learned if of.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate)
