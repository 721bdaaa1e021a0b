"""What turns a changed file back into the old one, byte for byte: a small text for the journal.

Made of pieces of the changed file and the bytes that it lacks. A new genre moves or changes little,
so a patch is a few hundred bytes, whatever happens to padding, order and offsets.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MOST = 1 << 17  # bytes in a patch that the changed file lacks; beyond, there is no patch
WINDOW = 32  # bytes that must be equal for two places to match
NEAR = 1 << 18  # bytes before and after the expected place in which a match is searched
BLOCK = 1 << 20  # bytes that are read or compared at once

# Start and length of a piece of the changed file, length of new bytes.
_PIECE = struct.Struct("<3Q")


class _Bytes:
    """The bytes of a file by place. Not mapped, since a file that is cut off would be a crash."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, or to the end; none before the first."""
        if start < 0:
            return b""
        self._file.seek(start)
        return self._file.read(max(stop - start, 0))


def make_patch(old: Path, new: Path) -> str:
    """The patch from `new` back to `old`; "" if they differ too much. Raises `OSError`."""
    with old.open("rb") as before, new.open("rb") as after:
        packed, size = [], 0
        for start, length, lacking in _pieces(_Bytes(before), _Bytes(after)):
            packed.append(_PIECE.pack(start, length, len(lacking)) + lacking)
            size += len(lacking)
            if size > MOST:
                return ""
        return f"{_digest(after)}:{b64encode(zlib.compress(b''.join(packed))).decode()}"


def apply_patch(path: Path, patch: str) -> bool:
    """Turn the file at `path` into the old one; false, and no change, if it is not the one meant.

    Edits the file in place. Raises `OSError`, and `ValueError` for a text that is no patch.
    """
    digest, _, body = patch.partition(":")
    with path.open("r+b") as file:
        if _digest(file) != digest:
            return False
        packed, at, done, parts = zlib.decompress(b64decode(body)), 0, 0, []
        while at < len(packed):
            start, length, lacking = _PIECE.unpack_from(packed, at)
            at += _PIECE.size
            if start != done:  # else the piece is already where it belongs
                file.seek(start)
                parts.append((done, file.read(length)))
            parts.append((done + length, packed[at : at + lacking]))
            at, done = at + lacking, done + length + lacking
        for start, data in parts:
            file.seek(start)
            file.write(data)
        file.truncate(done)
    return True


def _digest(file: IO[bytes]) -> str:
    found = hashlib.blake2b(digest_size=16)
    file.seek(0)
    while data := file.read(BLOCK):
        found.update(data)
    return found.hexdigest()


def _pieces(old: _Bytes, new: _Bytes) -> Iterator[tuple[int, int, bytes]]:
    """Start and length of each piece of `new` that `old` has, and the bytes of `old` after it."""
    at, shift = 0, 0  # the place in `old`, and how much further the same is in `new`
    while at < old.size:
        length = _common(old, at, new, at + shift)
        stop = at + length
        found = _next_match(old, stop, new, shift)
        yield at + shift, length, old.read(stop, found[0])
        at, shift = found


def _common(old: _Bytes, at: int, new: _Bytes, other: int) -> int:
    """How many bytes are equal from these two places on."""
    if other < 0:
        return 0
    length, step = 0, WINDOW
    while True:
        first = old.read(at + length, at + length + step)
        second = new.read(other + length, other + length + step)
        if first and first == second:
            length, step = length + len(first), min(2 * step, BLOCK)
            continue
        if step <= WINDOW:
            pairs = list(zip(first, second, strict=False))
            return length + next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        step = WINDOW


def _next_match(old: _Bytes, start: int, new: _Bytes, shift: int) -> tuple[int, int]:
    """The next place in `old`, from `start` on, that `new` has, and the shift to it there.

    Looks at the present shift, at the shift between the ends of both, and nearby.
    """
    at = start
    while at + WINDOW <= min(old.size, start + MOST + WINDOW):
        wanted = old.read(at, at + WINDOW)
        for known in (shift, new.size - old.size):
            if new.read(at + known, at + known + WINDOW) == wanted:
                return _first(old, start, at, new, known)
        low = max(at + shift - NEAR, 0)
        found = new.read(low, max(at + shift + NEAR, low)).find(wanted)
        if found >= 0:
            return _first(old, start, at, new, low + found - at)
        at += WINDOW
    return old.size, shift


def _first(old: _Bytes, start: int, at: int, new: _Bytes, shift: int) -> tuple[int, int]:
    """The match at `at`, extended backwards, but not beyond `start`."""
    while at > start and old.read(at - 1, at) == new.read(at - 1 + shift, at + shift):
        at -= 1
    return at, shift
