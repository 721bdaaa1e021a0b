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
DIGEST_BYTES = 16

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
        pieces = b64encode(zlib.compress(b"".join(packed))).decode()
        return f"{_digest(after)}:{_digest(before)}:{pieces}"


def apply_patch(path: Path, patch: str, source: Path) -> bool:
    """Turn the file at `path`, a copy of `source`, into the old one.

    False, and no change, if it is not the one meant, or would not become the old one byte for byte.
    Raises `OSError`.
    """
    with source.open("rb") as changed, path.open("r+b") as file:
        try:
            digest, old_digest, packed = patch.split(":")
            pieces = list(_unpacked(zlib.decompress(b64decode(packed))))
        except (ValueError, zlib.error, struct.error):
            return False  # no patch
        if _digest(changed) != digest:
            return False
        found = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for _, data in _rebuilt(changed, pieces):
            found.update(data)
        if found.hexdigest() != old_digest:
            return False
        done = 0
        for at, data in _rebuilt(changed, pieces):
            if at != done:  # else it is already where it belongs
                file.seek(done)
                file.write(data)
            done += len(data)
        file.truncate(done)
    return True


def _unpacked(packed: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(packed):
        start, length, lacking = _PIECE.unpack_from(packed, at)
        at += _PIECE.size + lacking
        yield start, length, packed[at - lacking : at]


def _rebuilt(
    changed: IO[bytes], pieces: list[tuple[int, int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    """The old file in blocks, since it may be larger than the memory.

    With the place of each in the changed file, or -1.
    """
    for start, length, lacking in pieces:
        at, stop = start, start + length
        while at < stop:
            changed.seek(at)
            data = changed.read(min(stop - at, BLOCK))
            if not data:
                break
            yield at, data
            at += len(data)
        yield -1, lacking


def _digest(file: IO[bytes]) -> str:
    found = hashlib.blake2b(digest_size=DIGEST_BYTES)
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
        yield at + shift, length, old.read(stop, min(found[0], stop + MOST + 1))
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
