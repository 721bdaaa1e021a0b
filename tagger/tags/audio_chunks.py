"""Where the audio lies in a bare stream of frames, and in a container of named chunks.

Unlike `trailers`, which must know exactly what a write may replace, `audio.extent` skips tags in
any order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO

from tagger.audio.chunks import Layout, chunks_from
from tagger.audio.extent import read_at, skip_back
from tagger.audio.flac import skip_metadata
from tagger.audio.mpeg import SYNC, frame_at
from tagger.tags.audio_parts import Audio


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
    return Audio([(skip_metadata(file, at), skip_back(file, at, end))])


def chunks(names: tuple[bytes, ...], first: int, layout: Layout) -> Callable[..., Audio]:
    """A finder of the chunk with one of these names, in a container of named chunks."""

    def find(file: IO[bytes], at: int, end: int) -> Audio:
        large = 0
        for chunk in chunks_from(file, at + first, layout):
            if chunk.name == b"ds64":  # of RF64, for a size that does not fit
                large = int.from_bytes(read_at(file, chunk.start + 8, 8), "little")
            if chunk.name in names:
                # A program that writes to a pipe cannot state the size.
                is_unknown = chunk.size in (0, (1 << 8 * layout.width) - 1)
                length = (large or end) if is_unknown else chunk.size
                return Audio([(chunk.start, chunk.start + length)])
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
