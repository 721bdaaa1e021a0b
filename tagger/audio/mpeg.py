"""Frames of MPEG audio: what their headers say (ISO 11172-3, 2.4.2.3), and where they are."""

from __future__ import annotations

import re
import sys
from functools import cache
from mmap import mmap
from typing import NamedTuple

SYNC = re.compile(rb"\xff[\xe2-\xff][\x00-\xef]", re.DOTALL)


class Frame(NamedTuple):
    """What the header of a frame says; `size` is 0 in free format, where no header states it."""

    size: int  # bytes
    samples: int  # per channel
    rate: int  # Hz
    layer: int
    is_mono: bool

    @property
    def kind(self) -> tuple[int, int, int, bool]:
        """What is the same in all frames of a regular stream."""
        return self[1:]


def frame_at(data: bytes | mmap, at: int) -> Frame | None:
    """The frame whose header is at this place; None if there is none."""
    header = data[at : at + 4]
    if len(header) < 4 or header[0] != 0xFF:
        return None
    return _frame(header[1], header[2], header[3] >> 6)


@cache
def _frame(second: int, third: int, mode: int) -> Frame | None:
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    rate, kind = third >> 2 & 3, third >> 4
    if second & 0xE0 != 0xE0 or version == 1 or layer == 4 or rate == 3 or kind == 15:
        return None
    is_first = version == 3
    hertz = (44_100, 48_000, 32_000)[rate] >> (3 - version if version else 2)
    samples = 384 if layer == 1 else 1152 if is_first or layer == 2 else 576
    size = 0
    if kind:
        bits = _KILOBITS[is_first, layer][kind - 1] * 1000
        slot = 4 if layer == 1 else 1
        size = (samples // 8 // slot * bits // hertz + (third >> 1 & 1)) * slot
    return Frame(size, samples, hertz, layer, mode == 3)


_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KILOBITS = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW,
    (False, 3): _LOW,
}


def first_frame(
    data: bytes | mmap, start: int = 0, end: int = sys.maxsize
) -> tuple[int, Frame] | None:
    """The first frame between two places that another of its kind follows, and its offset."""
    for found in SYNC.finditer(data, start, end):
        frame = frame_at(data, found.start())
        if frame and frame.size:
            after = frame_at(data, found.start() + frame.size)
            if after and after.kind == frame.kind:
                return found.start(), frame
    return None


def is_free_format(data: bytes) -> bool:
    """Whether there are three frames of one size which their headers do not state."""
    at = next((found.start() for found in SYNC.finditer(data) if frame_at(data, found.start())), 0)
    first = frame_at(data, at)
    if not first or first.size:
        return False
    alike = [
        found.start() - at
        for found in SYNC.finditer(data, at)
        if frame_at(data, found.start()) == first
    ]
    # Padding makes a frame a byte longer; four in the first layer.
    return any(abs(place - 2 * alike[1]) <= 4 for place in alike[2:])
