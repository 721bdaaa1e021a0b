"""Principal components of teachers' outputs, which a student has to predict.

An embedding, its deviation and hundreds of classes are many numbers, highly correlated: few
components hold nearly all of their variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.networks.teacher import TeacherOutputs

COMPONENTS = 64  # of each teacher: 90 % of the variance of musicnn's outputs


@dataclass(frozen=True, slots=True)
class Components:
    """`(x - mean) @ matrix`: `mean` `(width,)`, `matrix` `(width, COMPONENTS)`, float32."""

    mean: Tensor
    matrix: Tensor

    def __call__(self, outputs: Tensor) -> Tensor:
        """Outputs `(..., width)` to components, the strongest first; their mean variance is 1."""
        return (outputs - self.mean) @ self.matrix


def components(outputs: Tensor, *, standardised: bool) -> Components:
    """The components of a sample of outputs `(n, width)`."""
    mean = outputs.mean(dim=0)
    deviation = torch.ones_like(mean)
    if standardised:
        deviation = outputs.std(dim=0, unbiased=False)
        # A class that is rare in the sample must not dominate the components elsewhere.
        deviation = deviation.clamp_min(0.2 * float(deviation.mean()))
    centred = ((outputs - mean) / deviation).double()
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    variances, axes = variances.flip(0)[:COMPONENTS], axes.flip(1)[:, :COMPONENTS]
    # Divided by the root of their deviation, so that the strong components have most of the weight
    # in a squared error, but not all of it, and no output has to grow large.
    scale = variances.clamp_min(0).sqrt().mean().sqrt() * variances.clamp_min(1e-9) ** 0.25
    scale[variances < 1e-6 * variances[0]] = torch.inf  # of components beyond the number of rows
    matrix = axes / deviation[:, None] / scale
    return Components(mean, matrix.float())


class Projection:
    """The components of all teachers, side by side."""

    def __init__(self, parts: Sequence[tuple[Components, Components]]) -> None:
        """For each teacher those of its outputs for whole sounds, and for segments."""
        self.parts = parts

    @classmethod
    def fit(cls, samples: Sequence[TeacherOutputs]) -> Projection:
        """From a sample of each teacher's outputs."""
        parts = []
        for outputs in samples:
            segments = outputs.segments.flatten(0, 1)
            whole = components(outputs.whole, standardised=True)
            parts.append((whole, components(segments, standardised=False)))
        return cls(parts)

    def __call__(self, outputs: Sequence[TeacherOutputs]) -> tuple[Tensor, Tensor]:
        """Targets `(n, components)`, and those of segments `(n, steps, components)`."""
        pairs = list(zip(self.parts, outputs, strict=True))
        wholes = [whole(of.whole) for (whole, _), of in pairs]
        segments = [segment(of.segments) for (_, segment), of in pairs]
        return torch.cat(wholes, dim=-1), torch.cat(segments, dim=-1)

    def save(self, path: Path) -> None:
        """Write it atomically."""
        arrays: dict[str, Any] = {}
        for number, part in enumerate(self.parts):
            for kind, of in zip(("whole", "segments"), part, strict=True):
                arrays[f"{number}.{kind}.mean"] = of.mean.numpy()
                arrays[f"{number}.{kind}.matrix"] = of.matrix.numpy()
        partial = path.with_name(f"partial-{path.name}")
        np.savez(partial, **arrays)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Projection:
        """What `save` wrote. Raises `OSError`, `ValueError` or `KeyError`."""
        with np.load(path) as stored:
            arrays = {name: torch.from_numpy(stored[name]) for name in stored.files}
        return cls(
            [
                (
                    Components(arrays[f"{n}.whole.mean"], arrays[f"{n}.whole.matrix"]),
                    Components(arrays[f"{n}.segments.mean"], arrays[f"{n}.segments.matrix"]),
                )
                for n in range(len(arrays) // 4)
            ]
        )
