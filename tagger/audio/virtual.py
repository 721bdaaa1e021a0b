"""A file whose bytes are computed when a decoder reads them."""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from typing import Any


class VirtualFile(io.RawIOBase):
    """A file of `size` bytes that can be read and sought in."""

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0

    @abstractmethod
    def read_at(self, at: int, count: int) -> bytes:
        """`count` bytes from offset `at`, all before the end; fewer if they cannot be read."""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As in any file."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As many bytes as there are."""
        count = max(0, min(len(buffer), self._size - self._at))
        data = self.read_at(self._at, count) if count else b""
        memoryview(buffer).cast("B")[: len(data)] = data
        self._at += len(data)
        return len(data)
