"""Where the audio lies in an MP4."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from itertools import accumulate
from typing import IO

from tagger.tags.audio_parts import MOST_STEPS, Audio, Part, read_at

MOST_SAMPLES = 1 << 24  # of one track: 100 hours


def mp4(file: IO[bytes], at: int, end: int) -> Audio:
    """The samples of the first audio track; without a table of them (fragments), all media data."""
    boxes = list(_boxes(file, at, end))
    for name, start, stop in boxes:
        for track in _inside(file, start, stop, b"trak") if name == b"moov" else ():
            if audio := _samples(file, track):
                return audio
    return Audio([(start, stop) for name, start, stop in boxes if name == b"mdat"])


def _samples(file: IO[bytes], track: Part) -> Audio | None:
    (media,) = _inside(file, *track, b"mdia")
    (handler,) = _inside(file, *media, b"hdlr")
    if read_at(file, handler[0] + 8, 4) != b"soun":
        return None
    (more,) = _inside(file, *media, b"minf")
    (table,) = _inside(file, *more, b"stbl")
    found = {name: (start, stop) for name, start, stop in _boxes(file, *table)}
    is_short = b"stco" in found
    chunks = _numbers(file, found[b"stco" if is_short else b"co64"], 8, "I" if is_short else "Q")
    size, count = struct.unpack(">2I", read_at(file, found[b"stsz"][0] + 4, 8))
    if not count or count > MOST_SAMPLES:
        return None
    ends = accumulate([size] * count if size else _numbers(file, found[b"stsz"], 12, "I"))
    upto = array("Q", [0, *ends])
    runs = _numbers(file, found[b"stsc"], 8, "I")  # first chunk, samples per chunk, description
    parts, done = [], 0
    for number, first in enumerate(runs[::3]):
        last = runs[3 * number + 3] if 3 * number + 3 < len(runs) else len(chunks) + 1
        for place in chunks[first - 1 : last - 1]:
            start, done = done, min(done + runs[3 * number + 1], count)
            parts.append((place, place + upto[done] - upto[start]))
    return Audio(parts)


def _numbers(file: IO[bytes], box: Part, skipped: int, kind: str) -> array[int]:
    data = read_at(file, box[0] + skipped, min(box[1] - box[0] - skipped, 8 * MOST_SAMPLES))
    numbers = array(kind, data[: len(data) // array(kind).itemsize * array(kind).itemsize])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _inside(file: IO[bytes], start: int, stop: int, wanted: bytes) -> list[Part]:
    return [(first, last) for name, first, last in _boxes(file, start, stop) if name == wanted]


def _boxes(file: IO[bytes], at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, and first and last offset of the content, of each box."""
    for _ in range(MOST_STEPS):
        head = read_at(file, at, 16)
        if at + 8 > end or len(head) < 8:
            return
        size, start = int.from_bytes(head[:4], "big"), at + 8
        if size == 1:
            size, start = int.from_bytes(head[8:], "big"), at + 16
        stop = min(at + size, end) if size else end
        yield head[4:8], start, stop
        if stop <= at:
            return
        at = stop
