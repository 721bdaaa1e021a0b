"""Fold DoRA's factors into the plain weights that they adapt.

Hand-written DoRA saves its factors beside the weights of each adapted layer (Liu et al. 2024,
https://arxiv.org/abs/2402.09353). With the factors folded in, the network is like any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

FACTOR = re.compile(r"(?P<layer>.+?)(?:\.lora)?\.(?P<part>[ABm])")
INSIDE = ("", ".linear", ".base_layer")  # name of the adapted layer inside its wrapper
ALPHAS = ("dora_alpha", "lora_alpha", "alpha")
# The alpha of an AST fine-tuned on GTZAN, whose code saves such factors but no alpha in the config.
# `training` uses it too.
USUAL_ALPHA = 4.247


def has_dora(weights: Mapping[str, Tensor]) -> bool:
    """Whether these weights include factors of DoRA."""
    return any(FACTOR.fullmatch(name) for name in weights)


def dora_alpha(config: Mapping[str, Any]) -> float:
    """The config's alpha, under one of `ALPHAS`; else `USUAL_ALPHA`. Raises `ValueError`."""
    value = next((config[key] for key in ALPHAS if key in config), USUAL_ALPHA)
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"alpha must be a finite number, not {value!r}")
    return float(value)


def fold_dora(weights: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """The same weights with W' = m V / ||V|| in place of W, A, B and m.

    W is `(out, in)`, float32 when folded. For a layer with factors `LAYER.A` or `LAYER.lora.A` and
    so on, W is `LAYER.weight`, `LAYER.linear.weight` or `LAYER.base_layer.weight`, and becomes
    `LAYER.weight`; likewise for its bias. The shapes decide the rest:

    - A `(in, r)` and B `(r, out)`: V = W + alpha (A B)^T;
    - A `(r, in)` and B `(out, r)`: V = W + alpha / r B A, as in peft;
    - m `(1, in)` or `(in,)`: the norm is that of each column;
    - m `(out, 1)` or `(out,)`: the norm is that of each row, as in peft.

    Raises `ValueError`, which names the layer, if a factor is missing, if the shapes fit none of
    these or more than one, or if a norm is zero.
    """
    folded = dict(weights)
    layers: dict[str, dict[str, Tensor]] = {}
    for name in weights:
        if found := FACTOR.fullmatch(name):
            parts = layers.setdefault(found["layer"], {})
            if found["part"] in parts:
                raise ValueError(f"{found['layer']} has two factors {found['part']} of DoRA")
            parts[found["part"]] = folded.pop(name)
    for layer, parts in layers.items():
        if missing := {"A", "B", "m"} - parts.keys():
            raise ValueError(f"{layer} lacks {', '.join(sorted(missing))} of DoRA's A, B and m")
        _unwrap(folded, layer)
        try:
            changed = _changed(folded[f"{layer}.weight"].float(), parts["A"], parts["B"], alpha)
            folded[f"{layer}.weight"] = _scaled(changed, parts["m"])
        except ValueError as error:
            raise ValueError(f"DoRA's factors of {layer}: {error}") from error
    return folded


def _unwrap(weights: dict[str, Tensor], layer: str) -> None:
    """Give the weights of the adapted layer the name of its wrapper."""
    found = [place for place in INSIDE if f"{layer}{place}.weight" in weights]
    if len(found) != 1:
        raise ValueError(f"{layer} has DoRA's factors and {len(found)} weights for them to adapt")
    for kind in ("weight", "bias"):
        if (name := f"{layer}{found[0]}.{kind}") in weights:
            weights[f"{layer}.{kind}"] = weights.pop(name)


def _changed(weights: Tensor, a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """V of `fold_dora`: `(out, in)`."""
    if weights.ndim != 2:
        raise ValueError(f"weights of shape {tuple(weights.shape)} are not a matrix")
    outputs, inputs = weights.shape
    rank = min(a.shape, default=0)
    by_hand = rank > 0 and (a.shape, b.shape) == ((inputs, rank), (rank, outputs))
    as_peft = rank > 0 and (a.shape, b.shape) == ((rank, inputs), (outputs, rank))
    if by_hand == as_peft:
        shapes = f"A {tuple(a.shape)} and B {tuple(b.shape)} for {outputs} x {inputs} weights"
        raise ValueError(f"{shapes} {'are ambiguous' if by_hand else 'do not fit'}")
    product = (a.float() @ b.float()).T * alpha if by_hand else b.float() @ a.float() * alpha / rank
    return weights + product


def _scaled(changed: Tensor, m: Tensor) -> Tensor:
    """W' of `fold_dora`: `(out, in)`."""
    outputs, inputs = changed.shape
    of_columns = m.shape in ((1, inputs), (inputs,))
    of_rows = m.shape in ((outputs, 1), (outputs,))
    if of_columns == of_rows:
        shapes = f"m {tuple(m.shape)} for {outputs} x {inputs} weights"
        raise ValueError(f"{shapes} {'is ambiguous' if of_rows else 'does not fit'}")
    norms = changed.norm(dim=0 if of_columns else 1, keepdim=True)  # (1, in) or (out, 1)
    if not bool((norms > 0).all()):  # false for NaN too
        raise ValueError(
            f"the norm of a {'column' if of_columns else 'row'} is zero or not a number"
        )
    folded: Tensor = m.float().reshape(norms.shape) * changed / norms
    return folded
