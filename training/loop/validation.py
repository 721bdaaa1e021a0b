"""The windows that a run is validated on: those that the tagger would predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError
from training.clips.clip import Clip
from training.clips.decode import read_all_windows

# Of each clip, as in `evaluate.py`: figures are comparable only for the same number of windows.
VALIDATION_WINDOWS = 8


@dataclass(frozen=True, slots=True)
class ValidationClips:
    """Clips to validate on, and their windows.

    `windows` is `(n, samples)`; `owners` `(n,)` has the index of each window's clip.
    """

    clips: tuple[Clip, ...] = ()
    windows: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    owners: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))


def read_validation_clips(
    clips: Sequence[Clip], plan: WindowPlan, say: Callable[[str], None], advance: Callable[[], None]
) -> ValidationClips:
    """The windows of a plan of each clip; `say` gets a line for each that is unreadable or silent.

    `advance` is called after each clip.
    """
    readable: list[Clip] = []
    windows: list[NDArray[np.float32]] = []
    owners: list[int] = []
    for clip in clips:
        try:
            rows, _ = read_all_windows(clip.path, plan)  # (samples,) each
            if not rows:
                raise AudioError("it is silent", clip.path)
        except (AudioError, OSError) as error:
            say(f"left out: {clip.path}: {error}")
        else:
            owners += [len(readable)] * len(rows)
            windows += rows
            readable.append(clip)
        advance()
    if not readable:
        return ValidationClips()
    return ValidationClips(
        tuple(readable), torch.from_numpy(np.stack(windows)), torch.tensor(owners)
    )
