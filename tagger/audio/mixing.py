"""Channels of a file to a stereo pair, and a pair to mono."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

CHANNELS = 64  # more than any room has: a mistake, or an attempt to use up memory

# Shares of a channel in the left and the right side, by FFmpeg's names of channels. The source is
# ITU-R BS.775-4, table 2: centre and surrounds at -3 dB. It leaves out the LFE channel, and does
# not know the others: they count as the nearest that it knows. The first ambisonic channel is what
# comes from all directions; the others are differences between directions.
FRONT, SURROUND, BOTH = 1.0, 0.5**0.5, 0.5
LEFT = dict.fromkeys(("FL", "FLC", "DL", "WL", "BFL"), FRONT)
LEFT |= dict.fromkeys(("BL", "SL", "SDL", "SSL", "TFL", "TBL", "TSL", "TTL"), SURROUND)
RIGHT = {name.replace("L", "R"): share for name, share in LEFT.items()}
CENTRE = {"FC": SURROUND, "BFC": SURROUND, "AMBI0": FRONT}
CENTRE |= dict.fromkeys(("BC", "TC", "TFC", "TBC"), BOTH)
# A file that does not say has these places if it has as many channels; it is what a WAV from a
# recorder or an editor means, and FFmpeg's guess as well.
USUAL = {
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}


def mix(channels: Sequence[NDArray[Any]] | NDArray[Any], names: tuple[str, ...] = ()) -> Samples:
    """Channels, `(n,)` each, of a layout to a stereo pair `(2, n)` or to mono `(1, n)`.

    One or two channels stay as they are. Each side of more is the sum of its `side_weights`, which
    add up to 1, so that nothing clips. Channels whose places are unknown or on no side become mono:
    their mean.
    """
    if len(channels) <= 2:
        return np.ascontiguousarray(channels, np.float32)
    sides = side_weights(names if len(names) == len(channels) else ("NONE",) * len(channels))
    mixed = np.zeros((len(sides), len(channels[0])), np.float32)
    for side, weights in zip(mixed, sides, strict=True):
        for channel, weight in zip(channels, weights, strict=True):
            if weight:
                side += channel.astype(np.float32, copy=False) * np.float32(weight)
    return mixed


@cache
def side_weights(names: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
    """Weights of the named channels in the left and the right side, or in mono; each sums to 1."""
    if set(names) == {"NONE"}:
        names = USUAL.get(len(names), names)
    sides = [[side.get(name, CENTRE.get(name, 0.0)) for name in names] for side in (LEFT, RIGHT)]
    if not all(map(sum, sides)):
        return ((1 / len(names),) * len(names),)
    return tuple(tuple(share / sum(side) for share in side) for side in sides)


def to_mono(channels: Samples) -> Samples:
    """A pair or mono, `(1 or 2, n)`, to the mean of its channels `(n,)`.

    A sum would make stereo up to 6 dB louder than the mono clips that models learn from.
    """
    # Channel by channel: 20 times as fast as numpy's mean over an axis of two.
    mono: Samples = channels[0] if len(channels) == 1 else channels[0] + channels[1]
    if len(channels) == 2:
        mono /= 2
    return mono


def join(blocks: Sequence[Samples]) -> Samples:
    """Consecutive blocks `(1 or 2, n)`; a pair if one of them is."""
    rows = max((len(block) for block in blocks), default=1)
    filled = [block for block in blocks if block.size]
    if len(filled) == 1 and len(filled[0]) == rows:
        return filled[0]
    same = [np.broadcast_to(block, (rows, block.shape[1])) for block in blocks]
    return np.concatenate([np.zeros((rows, 0), np.float32), *same], axis=1)
