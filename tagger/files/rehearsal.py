"""A path whose file is edited in memory: the same edit as of a copy, without the copy."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

BLOCK = 1 << 16  # bytes
# An edit that moves the audio of a huge file would need its size; small servers have 1 GB in all.
MOST_BLOCKS = (1 << 28) // BLOCK

# Python 3.10 and 3.11 can only inherit from the path of the system.
if TYPE_CHECKING:
    _SystemPath = Path
else:
    _SystemPath = type(Path())


class Rehearsal(_SystemPath):
    """A path for which `open` gives the file with the edits so far, whatever the mode."""

    content: _Content

    def open(self, *_: Any, **__: Any) -> IO[Any]:  # type: ignore[override]
        """The file in binary, at its start."""
        file = io.BufferedRandom(self.content)
        file.seek(0)
        return file


@contextmanager
def rehearsing(path: Path) -> Iterator[Rehearsal]:
    """Yield such a path; the file itself stays as it is, and the edits are forgotten."""
    with path.open("rb") as source:
        copy = Rehearsal(path)
        copy.content = _Content(source)
        yield copy


class _Content(io.RawIOBase):
    """Blocks that were changed, over the file. Closing it does nothing."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._at = source, 0
        self._size = self._kept = source.seek(0, 2)  # of the file, only so many bytes still count
        self._blocks: dict[int, bytearray] = {}

    @property
    def is_full(self) -> bool:
        """Whether an edit needed more memory than it may take, and failed."""
        return len(self._blocks) >= MOST_BLOCKS

    def close(self) -> None:
        pass

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None, /) -> int:
        self._size = self._at if size is None else size
        self._kept = min(self._kept, self._size)
        for number in [number for number in self._blocks if number * BLOCK >= self._size]:
            del self._blocks[number]
        if block := self._blocks.get(self._size // BLOCK):
            block[self._size % BLOCK :] = bytes(BLOCK - self._size % BLOCK)
        return self._size

    def readinto(self, buffer: Any, /) -> int:
        number, start = divmod(self._at, BLOCK)
        count = max(min(len(buffer), BLOCK - start, self._size - self._at), 0)
        buffer[:count] = self._read(number)[start : start + count]
        self._at += count
        return count

    def write(self, data: Any, /) -> int:
        number, start = divmod(self._at, BLOCK)
        part = bytes(data[: BLOCK - start])
        if number not in self._blocks:
            if self.is_full:
                raise OSError("the edit needs too much memory")
            self._blocks[number] = bytearray(self._read(number))
        self._blocks[number][start : start + len(part)] = part
        self._at += len(part)
        self._size = max(self._size, self._at)
        return len(part)

    def _read(self, number: int) -> bytes | bytearray:
        """A whole block, with zeros beyond the end."""
        if (block := self._blocks.get(number)) is not None:
            return block
        self._source.seek(number * BLOCK)
        wanted = max(min(BLOCK, self._kept - number * BLOCK), 0)
        return self._source.read(wanted).ljust(BLOCK, b"\0")
