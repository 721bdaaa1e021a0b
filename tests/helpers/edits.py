"""An M4A with an edit list, or with other numbers in its headers (ISO 14496-12, 8.6.6)."""

from __future__ import annotations

import struct
from collections.abc import Iterator


def with_edits(data: bytes, edits: list[tuple[int, int]]) -> bytes:
    """With these edits: duration (ms) and first time of the media (samples), or -1 for a pause.

    Its `moov` box is at its end, so that nothing else moves.
    """
    (at, size), *_ = (place for name, *place in _boxes(data, 0, len(data)) if name == b"moov")
    assert at + size == len(data)
    return data[:at] + _rebuilt(data, b"moov", at, size, edits)


def with_number(data: bytes, box: bytes, offset: int, number: int) -> bytes:
    """With another number of 4 bytes at an offset behind the name of a box."""
    at = data.index(box) + 4 + offset
    return data[:at] + struct.pack(">I", number) + data[at + 4 :]


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at < end:
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at, size
        at += size


def _rebuilt(data: bytes, name: bytes, at: int, size: int, edits: list[tuple[int, int]]) -> bytes:
    parts = []
    for inner, start, length in _boxes(data, at + 8, at + size):
        if inner == b"trak":
            parts.append(_rebuilt(data, inner, start, length, edits))
        elif inner != b"edts":
            parts.append(data[start : start + length])
        if inner == b"tkhd":
            rows = b"".join(
                struct.pack(">iiHH", duration, first, 1, 0) for duration, first in edits
            )
            parts.append(_box(b"edts", _box(b"elst", struct.pack(">II", 0, len(edits)) + rows)))
    return _box(name, b"".join(parts))


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content
