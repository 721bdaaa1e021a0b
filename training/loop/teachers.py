"""A teacher's predictions, frame by frame: targets in addition to the label of a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.clips.clip import Clip
from training.errors import TrainingError

FRAME_SECONDS = 0.96  # YAMNet's frame
HOP_SECONDS = 0.48
SCALE_KEY = "_scale"

# Stored integers `(frames, width)` and the file's scale, to targets.
Decode = Callable[[NDArray[np.integer[Any]], NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Teacher:
    """Targets of each clip, by its name: `(frames, width)`, float32.

    Frame i covers 0.96 s, starting at 0.48 i s.
    """

    targets: dict[str, NDArray[np.float32]]

    def mean(self) -> NDArray[np.float32]:
        """Mean target `(width,)` over all frames of all clips."""
        frames = np.concatenate(list(self.targets.values()))
        mean: NDArray[np.float32] = frames.mean(axis=0, dtype=np.float32)
        return mean

    def half_whitened(self) -> Teacher:
        """Each component divided by the root of its standard deviation.

        The strong components of an embedding then have most of the weight in a squared error, but
        not all of it, and no output has to grow large.
        """
        frames = np.concatenate(list(self.targets.values()))  # (frames, width)
        scale = np.sqrt(np.maximum(frames.std(axis=0), np.float32(1e-6)))  # (width,)
        return Teacher({name: of / scale for name, of in self.targets.items()})

    def between(self, name: str, begin: float, end: float) -> NDArray[np.float32]:
        """Mean target `(width,)` over the frames whose centre lies between two times, in seconds.

        If there is no such frame, the target of the nearest one.
        """
        frames = self.targets[name]
        centres = np.arange(len(frames)) * HOP_SECONDS + FRAME_SECONDS / 2
        inside = (centres >= begin) & (centres <= end)
        if not inside.any():
            inside[np.abs(centres - (begin + end) / 2).argmin()] = True
        mean: NDArray[np.float32] = frames[inside].mean(axis=0, dtype=np.float32)
        return mean


def read_soft_labels(paths: Sequence[Path], clips: Sequence[Clip]) -> Teacher:
    """Probabilities of classes: uint8 `q` in the files, `(q / 255) ** 4` here.

    Raises `TrainingError` if a clip is in none of the files.
    """
    return _teacher(paths, clips, lambda frames, _: np.square(np.square(frames / np.float32(255))))


def read_embeddings(paths: Sequence[Path], clips: Sequence[Clip]) -> Teacher:
    """Embeddings: int8 times the file's `_scale`. Raises `TrainingError` as above."""
    return _teacher(paths, clips, lambda frames, scale: frames * scale)


def _teacher(paths: Sequence[Path], clips: Sequence[Clip], decode: Decode) -> Teacher:
    targets: dict[str, NDArray[np.float32]] = {}
    wanted = {clip.name for clip in clips}
    for path in paths:
        with np.load(path) as file:
            scale = file[SCALE_KEY] if SCALE_KEY in file.files else np.ones(1, np.float32)
            for name in wanted.intersection(file.files):
                targets[name] = decode(file[name], scale)
    missing = sorted(wanted - targets.keys())
    if missing:
        raise TrainingError(
            f"{len(missing)} of {len(wanted)} clips are not in {', '.join(map(str, paths))}, "
            f"such as {missing[0]}"
        )
    widths = {frames.shape[1] for frames in targets.values()}
    if len(widths) != 1:
        raise TrainingError(f"the teacher's targets differ in width: {sorted(widths)}")
    # Heads start from means over all targets, whose last bits depend on the order. A set's order
    # differs in each process: four runs of one seed gave four different checkpoints.
    return Teacher({name: targets[name] for name in sorted(targets)})
