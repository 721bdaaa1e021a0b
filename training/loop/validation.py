"""The windows that a run is validated on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tagger.audio.windows import WindowPlan
from training.clips.decode import DecodedClip
from training.loop.crops import CropSource
from training.loop.plan import ValidationSet

VALIDATION_WINDOWS = 4  # of each clip, during a run; the final figures use the tagger's own


def validation_set(source: CropSource, inputs: Tensor, owners: Tensor) -> ValidationSet | None:
    """The validation set of these windows and the source's clips; None without clips."""
    truth = [source.labels.index(decoded.clip.label) for decoded in source.clips]
    return ValidationSet(inputs, owners, torch.tensor(truth)) if truth else None


def spread_windows(clips: Sequence[DecodedClip], plan: WindowPlan) -> tuple[Tensor, Tensor]:
    """At most `VALIDATION_WINDOWS` of each clip, `(n, samples)`, and the clip of each, `(n,)`."""
    windows, owners = [], []
    for owner, decoded in enumerate(clips):
        every = [
            segment[start : start + plan.samples]
            for segment in decoded.segments
            for start in range(0, len(segment) - plan.samples + 1, plan.samples)
        ]
        step = max(1, len(every) // VALIDATION_WINDOWS)
        chosen = every[step // 2 :: step][:VALIDATION_WINDOWS]
        windows += [torch.from_numpy(window.copy()) for window in chosen]
        owners += [owner] * len(chosen)
    if not windows:
        return torch.zeros(0, plan.samples), torch.zeros(0, dtype=torch.long)
    return torch.stack(windows), torch.tensor(owners)
