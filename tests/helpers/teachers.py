"""Random weights in the form of the teachers' files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# Height, width, inputs and outputs of the kernels.
CONVOLUTIONS = [
    (7, 38, 1, 204), (7, 67, 1, 204), (128, 1, 1, 51), (64, 1, 1, 51), (32, 1, 1, 51),
    (7, 561, 1, 64), (7, 64, 1, 64), (7, 64, 1, 64),
]  # fmt: skip
NORMS = [1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200]


def write_musicnn(path: Path, seed: int) -> Path:
    """Weights of musicnn's shape; norms may have negative factors, as real ones have."""
    draw = np.random.default_rng(seed)
    arrays = {}
    for number, shape in enumerate(CONVOLUTIONS):
        name = f"conv2d_{number}" if number else "conv2d"
        arrays[f"{name}.kernel"] = draw.normal(0, np.prod(shape[:3]) ** -0.5, shape)
        arrays[f"{name}.bias"] = draw.normal(0, 0.1, shape[-1])
    for number, width in enumerate(NORMS):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        arrays[f"{name}.gamma"] = draw.normal(0.5, 0.5, width)
        arrays[f"{name}.beta"] = draw.normal(0, 0.1, width)
        arrays[f"{name}.moving_mean"] = draw.normal(0, 0.1, width)
        arrays[f"{name}.moving_variance"] = draw.uniform(0.5, 1.5, width)
    arrays["dense.kernel"] = draw.normal(0, 1506**-0.5, (1506, 200))
    arrays["dense.bias"] = draw.normal(0, 0.1, 200)
    arrays["dense_1.kernel"] = draw.normal(0, 200**-0.5, (200, 50))
    arrays["dense_1.bias"] = draw.normal(0, 0.1, 50)
    np.savez(path, **{name: of.astype(np.float32) for name, of in arrays.items()})
    return path
