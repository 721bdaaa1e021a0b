"""Whether an MP3 is as its first frame says, which may hold a Xing, Info or VBRI header.

The header of joined files is that of the first part; of a file that was cut or recorded in pieces,
that of another one. The fields of Xing are those of LAME's documentation.
"""

from __future__ import annotations

import math
import re
import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path
from statistics import fmean, pstdev
from typing import IO, NamedTuple

from tagger.audio.extent import read_at, skip_back, skip_front
from tagger.audio.mpeg import SYNC, Frame, first_frame, frame_at, is_free_format
from tagger.audio.structure import MOST_READ, MOST_SEARCHED, PIECE, Structure, places

HEAD = 1 << 16  # bytes in which the first frame is searched for
# FFmpeg drops audio at the start of a joined part, where the bits of earlier frames are missing.
HEADERS = re.compile(rb"Xing|Info|VBRI")
UNSTATED = "an MP3 without a Xing header that states its frames"
HAS_FRAMES, HAS_BYTES = 1, 2  # flags of Xing


class Header(NamedTuple):
    """A Xing or Info header: None where it does not state a number."""

    frames: int | None  # without its own
    size: int | None  # bytes, with its own frame


class Count(NamedTuple):
    """What walking from frame to frame finds."""

    frames: int
    end: int  # of the last whole frame
    changes: bool  # of the sample rate, the channels, the version or the layer
    has_junk: bool  # between the frames


def mp3_structure(path: Path) -> Structure:
    """Compare the header's counts of frames and bytes with the file; without one, it is a fault."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = skip_front(file, size, blanks=True)
        head = read_at(file, start, 8192)
        # Only libsndfile reads free format. All frames are of one size then: so is the file's.
        if is_free_format(head):
            return Structure()
        first = first_frame(head)
        if not first:
            head = read_at(file, start, HEAD)
            first = first_frame(head)
        if not first:
            return Structure("an MP3 without two frames in a row at its start", is_irregular=True)
        at, frame = first
        header = xing_header(head[at:], frame)
        start += at + (frame.size if header else 0)
        end = skip_back(file, start, size)
        stated = Stated(header.frames if header else None, None, frame)
        if header and header.size:
            stated = stated._replace(size=header.size - frame.size)
        densities = stated.densities(file, start, end) if end - start > MOST_READ else []
        if densities and stated.agrees(end - start, densities):
            return Structure()
        if densities and not stated.frames:
            return Structure(UNSTATED)
        if end - start > MOST_SEARCHED:
            return Structure("an MP3 that is too large to be searched")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            count = walk(data, start, end, frame)
            has_parts = bool(HEADERS.search(data, start, end))
        return stated.compare(count, end - start, has_parts=has_parts)


class Stated(NamedTuple):
    """What a header says of the frames that follow it: None for what it does not state."""

    frames: int | None
    size: int | None  # bytes
    first: Frame

    def densities(self, file: IO[bytes], start: int, end: int) -> list[float]:
        """Frames per byte at some places; none where other data are, or frames of another kind."""
        found = []
        for place in places(start, end):
            sizes = frame_sizes(read_at(file, place, PIECE), self.first)
            if not sizes:
                return []
            found.append(len(sizes) / sum(sizes))
        return found

    def agrees(self, size: int, densities: list[float]) -> bool:
        """Whether the file has as many bytes as stated, and at some places as many frames.

        The mean of these places is within four standard errors of the whole.
        """
        if not self.frames or self.size is None or abs(self.size - size) > 2 * self.first.size:
            return False
        mean = fmean(densities)
        error = pstdev(densities) / math.sqrt(len(densities) - 1)
        return abs(self.frames - mean * size) <= max(4 * error, 0.005 * mean) * size

    def compare(self, count: Count, size: int, *, has_parts: bool) -> Structure:
        """Compare with all frames of the file, which may have headers of joined parts as well."""
        is_irregular = count.changes or count.has_junk or has_parts
        if not self.frames:
            return Structure(UNSTATED, is_irregular)
        if count.changes:
            return Structure("an MP3 whose sample rate, channels or version change", is_irregular)
        missing = 1 - count.frames / self.frames
        if missing * self.frames > 1.5 and self.size:
            missing_bytes = 1 - size / self.size
            if missing / 2 < missing_bytes < missing * 2:
                return Structure(is_truncated=True)
        if abs(missing) * self.frames > 1.5:
            fault = f"an MP3 of {count.frames:,} frames whose header states {self.frames:,}"
            return Structure(fault, is_irregular)
        if count.has_junk:
            return Structure("an MP3 with other data between its frames", is_irregular)
        return Structure()


def xing_header(data: bytes, frame: Frame) -> Header | None:
    """The Xing or Info header in the frame at the start of these bytes."""
    is_first = frame.samples == 1152
    side = 4 + ((17 if frame.is_mono else 32) if is_first else (9 if frame.is_mono else 17))
    # Some encoders put it behind a checksum, others in its place.
    for at in (side, side + 2):
        if data[at : at + 4] in (b"Xing", b"Info"):
            flags, first, second = struct.unpack(">III", data[at + 4 : at + 16].ljust(12, b"\0"))
            frames = first if flags & HAS_FRAMES else None
            size = second if frames is not None else first
            return Header(frames, size if flags & HAS_BYTES else None)
    return None


def frame_sizes(data: bytes, first: Frame) -> list[int]:
    """Sizes of the frames that lie in a piece of a file; none where one is of another kind."""
    for found in SYNC.finditer(data):
        sizes, at = [], found.start()
        while (frame := frame_at(data, at)) and frame.kind == first.kind and frame.size:
            sizes.append(frame.size)
            at += frame.size
        if len(sizes) > 1:
            # The piece ends in a frame or in a header, or something else follows.
            return sizes if at + 4 > len(data) else []
    return []


def walk(data: mmap | bytes, start: int, end: int, first: Frame) -> Count:
    """Count the frames between two places."""
    at, frames, last, changes, has_junk = start, 0, start, False, False
    while at + 4 <= end:
        frame = frame_at(data, at)
        if frame and frame.size:
            at += frame.size
            if at <= end:
                frames, last = frames + 1, at
                changes = changes or frame.kind != first.kind
            continue
        following = first_frame(data, at + 1, end)
        if following is None:
            break
        at, has_junk = following[0], True
    return Count(frames, last, changes, has_junk)
