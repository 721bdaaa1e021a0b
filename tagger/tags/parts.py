"""Read and replace parts of a file as bytes, and refuse too many parts to be real."""

from __future__ import annotations

from typing import IO, Any

import mutagen
import mutagen._util

from tagger.errors import TagError

_mutagen: Any = mutagen  # half of it is untyped

# More than any real tag has. With more, mutagen and other libraries take minutes or gigabytes.
MOST_PARTS = 10_000  # frames, items, comments or chunks


def check_count(count: int) -> None:
    """Raise `TagError` if a tag has more parts than any real one."""
    if count > MOST_PARTS:
        raise TagError(f"its tag has more than {MOST_PARTS:,} parts, which is too many to be real")


def read_part(file: IO[bytes], start: int, stop: int) -> bytes:
    """The bytes from `start` to `stop`, or to the end of the file."""
    stop = min(stop, file.seek(0, 2))  # Python allocates as many bytes as it is asked to read
    file.seek(start)
    return file.read(max(stop - start, 0))


def splice(file: IO[bytes], start: int, stop: int, new: bytes) -> None:
    """Replace the bytes from `start` to `stop`; what follows moves if the length changes.

    It moves in small blocks: an audiobook may be larger than the memory.
    """
    stop = min(stop, file.seek(0, 2))
    _mutagen._util.resize_bytes(file, stop - start, len(new), start)
    file.seek(start)
    file.write(new)
