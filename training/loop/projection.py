"""Principal components of teachers' outputs, which a student has to predict.

An embedding, its deviation and hundreds of classes are many numbers that say much the same: few
components hold nearly all of their variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.networks.teacher import TeacherOutputs

COMPONENTS = 64  # of each teacher: 90 % of the variance of musicnn's outputs


@dataclass(frozen=True, slots=True)
class Components:
    """`(x - mean) @ matrix`: `mean` `(width,)`, `matrix` `(width, COMPONENTS)`."""

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]

    def __call__(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs `(..., width)` to components, the strongest first; their total variance is 1."""
        return np.asarray((outputs - self.mean) @ self.matrix, np.float32)


def components(outputs: NDArray[np.float32], *, standardised: bool) -> Components:
    """The components of a sample of outputs `(n, width)`."""
    mean = outputs.mean(axis=0)
    deviation = np.maximum(outputs.std(axis=0), 1e-3) if standardised else np.ones_like(mean)
    centred = ((outputs - mean) / deviation).astype(np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    variances, axes = variances[::-1][:COMPONENTS], axes[:, ::-1][:, :COMPONENTS]
    # Divided by the root of their deviation, so that the strong components have most of the weight
    # in a squared error, but not all of it, and no output has to grow large.
    scale = np.sqrt(np.sqrt(variances.clip(min=0)).sum()) * variances.clip(min=1e-9) ** 0.25
    scale[variances < 1e-6 * variances[0]] = np.inf  # fewer rows than components have less
    matrix = axes / deviation[:, None] / scale
    return Components(mean.astype(np.float32), matrix.astype(np.float32))


class Projection:
    """The components of all teachers, side by side."""

    def __init__(self, parts: Sequence[tuple[Components, Components]]) -> None:
        """For each teacher those of its outputs for whole sounds, and for moments."""
        self.parts = parts

    @classmethod
    def fit(cls, samples: Sequence[TeacherOutputs]) -> Projection:
        """From a sample of each teacher's outputs."""
        parts = []
        for outputs in samples:
            moments = outputs.moments.flatten(0, 1).numpy()
            whole = components(outputs.whole.numpy(), standardised=True)
            parts.append((whole, components(moments, standardised=False)))
        return cls(parts)

    def __call__(
        self, outputs: Sequence[TeacherOutputs]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Targets `(n, components)`, and those of moments `(n, steps, components)`."""
        pairs = list(zip(self.parts, outputs, strict=True))
        wholes = [whole(of.whole.numpy()) for (whole, _), of in pairs]
        moments = [moment(of.moments.numpy()) for (_, moment), of in pairs]
        return np.concatenate(wholes, axis=-1), np.concatenate(moments, axis=-1)

    def save(self, path: Path) -> None:
        """Write it atomically."""
        arrays: dict[str, Any] = {}
        for number, part in enumerate(self.parts):
            for kind, of in zip(("whole", "moments"), part, strict=True):
                arrays[f"{number}.{kind}.mean"] = of.mean
                arrays[f"{number}.{kind}.matrix"] = of.matrix
        partial = path.with_name(f"partial-{path.name}")
        np.savez(partial, **arrays)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Projection:
        """What `save` wrote. Raises `OSError`, `ValueError` or `KeyError`."""
        with np.load(path) as stored:
            return cls(
                [
                    (
                        Components(stored[f"{n}.whole.mean"], stored[f"{n}.whole.matrix"]),
                        Components(stored[f"{n}.moments.mean"], stored[f"{n}.moments.matrix"]),
                    )
                    for n in range(len(stored.files) // 4)
                ]
            )
