"""Where the audio lies in a bare stream of frames, and in a container of named chunks.

Unlike `trailers`, which must know exactly what a write may replace, `audio.extent` skips tags in
any order.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import IO

from tagger.audio.extent import read_at, skip_back
from tagger.audio.mpeg import SYNC, frame_at
from tagger.tags.audio_parts import MOST_STEPS, Audio


def bare(file: IO[bytes], at: int, end: int) -> Audio:
    """Everything between the tags at the start and those at the end."""
    return Audio([(_first_frame(file, at), skip_back(file, at, end))])


def _first_frame(file: IO[bytes], start: int) -> int:
    """The first frame of MPEG audio, where a tag of a wrong size or junk precedes it.

    A frame that holds no audio but the length of the stream is skipped: some programs add or drop
    it with the tags.
    """
    data = read_at(file, start, 1 << 17)
    if re.match(rb"TTA|wvpk|MPCK|MP\+|MAC |tBaK|OFR|\x0bw", data):
        return start
    for found in SYNC.finditer(data):
        at = found.start()
        frame = frame_at(data, at)
        after = frame and frame.size and frame_at(data, at + frame.size)
        if frame and after and after.size:
            is_header = re.match(rb".{4,36}(Xing|Info|VBRI)", data[at : at + frame.size], re.DOTALL)
            return start + at + (frame.size if is_header else 0)
    return start


# --- chunks ---------------------------------------------------------------------------------------


def flac(file: IO[bytes], at: int, end: int) -> Audio:
    """What follows the last block of metadata."""
    at += 4
    for _ in range(MOST_STEPS):
        head = read_at(file, at, 4)
        at += 4 + int.from_bytes(head[1:], "big")
        if head[0] & 0x80:
            break
    return Audio([(at, skip_back(file, at, end))])


def chunks(names: tuple[bytes, ...], first: int, size: str) -> Callable[..., Audio]:
    """A finder of the chunk with one of these names, in a container of named chunks."""
    width = struct.calcsize(size)

    def find(file: IO[bytes], at: int, end: int) -> Audio:
        head, at, large = 4 + width, at + first, 0
        for _ in range(MOST_STEPS):
            name, length = struct.unpack(f"{size[0]}4s{size[1]}", read_at(file, at, head))
            if name == b"ds64":  # of RF64, for a size that does not fit
                large = int.from_bytes(read_at(file, at + head + 8, 8), "little")
            if name in names:
                # A program that writes to a pipe cannot state the size.
                length = (large or end) if length in (0, (1 << 8 * width) - 1) else length
                return Audio([(at + head, at + head + length)])
            at += head + length + length % 2
        return Audio()

    return find


def dsf(file: IO[bytes], at: int, end: int) -> Audio:
    """The data chunk of a DSF, which follows two others."""
    at += 28
    at += int.from_bytes(read_at(file, at + 4, 8), "little")  # the size includes the chunk's head
    return Audio([(at + 12, at + int.from_bytes(read_at(file, at + 4, 8), "little"))])


def asf(file: IO[bytes], at: int, end: int) -> Audio:
    """The packets in the data object, which follows the header object."""
    at += int.from_bytes(read_at(file, at + 16, 8), "little")
    size = int.from_bytes(read_at(file, at + 16, 8), "little")
    return Audio([(at + 50, at + size if size else end)])
