"""Crops as the workers cut them, in batches, to waveforms: on the device that they are on."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# What a crop has besides its targets: samples `(longest,)`, int16 or float32, how many of them
# count, and by how much they are multiplied. Arithmetic on them waits for the device.
PIECE = ("inputs", "taken", "scale")


@torch.no_grad()
def play(inputs: Tensor, taken: Tensor, scale: Tensor, samples: int) -> Tensor:
    """The first `taken` `(batch,)` of `inputs` `(batch, longest)`, played in `samples` samples.

    By linear interpolation, float32 `(batch, samples)`, times the `scale` `(batch,)`. Inputs of
    just `samples` are only multiplied; longer ones must be longer than any `taken`.
    """
    waveforms = inputs * scale[:, None]  # (batch, longest)
    if waveforms.shape[1] == samples:
        return waveforms
    # The distance from the place at unchanged speed: in float32, late places themselves would be
    # off by a hundredth of a sample.
    steps = (taken - samples) / max(1, samples - 1)  # (batch,)
    numbers = torch.arange(samples, device=inputs.device)
    shifts = numbers * steps[:, None]  # (batch, samples)
    whole = shifts.floor()
    places = whole.long() + numbers  # (batch, samples)
    before, after = (of.gather(1, places) for of in (waveforms, waveforms[:, 1:]))
    return torch.lerp(before, after, shifts.sub_(whole))


def pieces(batch: dict[str, Tensor], windows: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The arguments of `play` for at most so many crops at once; one by one on a CPU.

    What is computed of one window fits in a CPU's cache.
    """
    size = 1 if batch["inputs"].device.type == "cpu" else windows
    parts = [torch.split(batch[name], size) for name in PIECE]
    yield from zip(*parts, strict=True)
