"""Whether an MP4 or MOV is fragmented: then its sample table does not list its samples."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from tagger.audio.extent import read_at

MOST_BOXES = 1_000


def is_fragmented(path: Path) -> bool:
    """Whether the `moov` box has a `mvex` box (ISO 14496-12, 8.8.1)."""
    with path.open("rb") as file:
        moov = _box(file, b"moov", 0, file.seek(0, 2))
        return bool(moov and _box(file, b"mvex", *moov))


def _box(file: IO[bytes], kind: bytes, at: int, end: int) -> tuple[int, int] | None:
    """Where the content of the first box of this kind starts and ends."""
    for _ in range(MOST_BOXES):
        head = read_at(file, at, 16)
        size, body = int.from_bytes(head[:4], "big"), at + 8
        if size == 1:  # a size of 64 bits follows
            size, body = int.from_bytes(head[8:], "big"), at + 16
        after = at + size if size else end
        if len(head) < 8 or after < body:
            return None
        if head[4:8] == kind:
            return body, min(after, end)
        at = after
    return None
