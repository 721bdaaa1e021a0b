"""Read and replace parts of a file as bytes, and refuse too many parts to be real."""

from __future__ import annotations

from typing import IO

from tagger.errors import TagError

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
    """Replace the bytes from `start` to `stop`; what follows moves if the length changes."""
    moves = len(new) != stop - start
    file.seek(stop)
    rest = file.read() if moves else b""
    file.seek(start)
    file.write(new + rest)
    if moves:
        file.truncate()
