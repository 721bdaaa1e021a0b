"""Where the segments of a Matroska or WebM lie, by their own sizes.

Source: RFC 8794 (EBML), section 4 on sizes; RFC 9559 (Matroska), section 5.1 on the Segment.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

from tagger.audio.extent import read_at

HEADER = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"


def segments(path: Path) -> Iterator[tuple[int, int]]:
    """Start and end of each Matroska in a file, in bytes: more than one where files were joined.

    The end of one that was cut off is beyond that of the file. One of unknown size, as from a pipe,
    ends where the next one starts.
    """
    with path.open("rb") as file:
        size, at = file.seek(0, 2), 0
        while read_at(file, at, 4) == HEADER:
            body, length = _size(read_at(file, at + 4, 8), at + 4)
            segment = body + (length or 0)
            if read_at(file, segment, 4) != SEGMENT:
                break
            body, length = _size(read_at(file, segment + 4, 8), segment + 4)
            if length is None:
                with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
                    end = data.find(HEADER, body)
                length = (end if end >= 0 else size) - body
            yield at, body + length
            at = body + length


def seconds(text: str) -> float:
    """A time in a tag, like 00:03:25.120000000; 0 if it is none."""
    try:
        hours, minutes, rest = map(float, text.split(":"))
    except ValueError:
        return 0.0
    return 3600 * hours + 60 * minutes + rest


def _size(data: bytes, at: int) -> tuple[int, int | None]:
    """Where a number of variable length at `at` ends, and the number; None for an unknown size."""
    width = 9 - data[0].bit_length() if data else 9
    number = int.from_bytes(data[:width], "big") & (1 << 7 * width) - 1
    return at + min(width, 8), None if width > 8 or number == (1 << 7 * width) - 1 else number
