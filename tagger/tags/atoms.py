"""The atoms of an MP4 or QuickTime file as a tree, and changes that keep its offsets right.

An atom ("box" in ISO 14496-12) is a size, a name of four bytes and its content. `moov` says by its
offset in the file where each chunk of audio lies, so these offsets change with the tags before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import IO

from tagger.errors import TagError
from tagger.tags.parts import read_part, splice

CONTAINERS = frozenset(b"moov trak mdia minf stbl udta meta ilst".split())
OFFSETS = {b"stco": "I", b"co64": "Q"}  # the atoms with offsets of audio, and their struct format
# Offsets in these are not corrected here: fragments, items of a file, encrypted samples.
FRAGMENTS, OTHER_OFFSETS = (b"moof", b"mfra"), (b"iloc", b"saio")
MOST_ATOMS, DEEPEST = 200_000, 64  # a long fragmented file has thousands


@dataclass(frozen=True, slots=True)
class Atom:
    """Where an atom lies in the file; `body` is where its content starts."""

    name: bytes
    start: int
    body: int
    stop: int
    children: tuple[Atom, ...] = ()
    is_cut: bool = False  # it states a size larger than what is there

    def child(self, name: bytes) -> Atom | None:
        """The first child of this name."""
        return next((atom for atom in self.children if atom.name == name), None)

    def walk(self) -> Iterator[Atom]:
        """All atoms inside, in file order."""
        for atom in self.children:
            yield atom
            yield from atom.walk()


@dataclass(frozen=True, slots=True)
class Change:
    """New content for the bytes from `start` to `stop`, which lie inside `parents`."""

    parents: Sequence[Atom]  # from the outermost; their sizes change
    start: int
    stop: int
    new: bytes


def read_atoms(file: IO[bytes], start: int = 0) -> Atom:
    """The file, from `start` on, as an atom.

    Raises `TagError` for more atoms, or deeper ones, than any real file has.
    """
    size = file.seek(0, 2)
    return Atom(b"", start, start, size, tuple(_children(file, start, size, count(1), 0)))


def _children(
    file: IO[bytes], at: int, stop: int, numbers: Iterator[int], depth: int
) -> Iterator[Atom]:
    """Stops at what is not an atom, such as the zeros at the end of some lists of QuickTime."""
    while at + 8 <= stop:
        file.seek(at)
        header = file.read(16)
        size, head, name = int.from_bytes(header[:4], "big"), 8, header[4:8]
        if size == 1:
            size, head = int.from_bytes(header[8:], "big"), 16
        if size == 0 and depth == 0:  # up to the end of the file
            size = stop - at
        if size < head:
            return
        if next(numbers) > MOST_ATOMS or depth > DEEPEST:
            raise TagError("it has more atoms, or deeper ones, than a real MP4")
        body, end = at + head, min(at + size, stop)
        if name == b"meta":  # QuickTime's has no version in front of the first child
            file.seek(body)
            body += 4 if file.read(4) == bytes(4) else 0
        inner = _children(file, body, end, numbers, depth + 1) if name in CONTAINERS else ()
        yield Atom(name, at, body, end, tuple(inner), at + size > stop)
        at = end


def box(name: bytes, content: bytes) -> bytes:
    """An atom as bytes."""
    return struct.pack(">I", 8 + len(content)) + name + content


def split(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each atom in these bytes."""
    at = 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size < 8:
            return
        yield content[at + 4 : at + 8], content[at + 8 : at + size]
        at += size


def check_movable(root: Atom) -> None:
    """Raise `TagError` for a file whose sizes or offsets `apply` cannot correct."""
    if any(atom.name in FRAGMENTS for atom in root.children):
        raise TagError(
            "a fragmented MP4: if its tag grows, its fragments can no longer be found; "
            "make it a plain one with: ffmpeg -i OLD -c copy -map_metadata 0 NEW.m4a"
        )
    tops = [atom for atom in root.children if atom.name in CONTAINERS]
    if any(atom.is_cut for top in tops for atom in (top, *top.walk())):
        raise TagError(
            "an atom of this MP4 is cut off, or its size is wrong; "
            "make a sound one with: ffmpeg -i OLD -c copy -map_metadata 0 NEW.m4a"
        )
    if any(atom.name in OTHER_OFFSETS for atom in root.walk()):
        raise TagError(
            "an MP4 with offsets of items or of encrypted samples, which would become wrong; "
            "make a plain one with: ffmpeg -i OLD -c copy -map_metadata 0 NEW.m4a"
        )


def apply(file: IO[bytes], root: Atom, changes: Sequence[Change]) -> None:
    """Make changes that do not overlap; correct the sizes of atoms and the offsets of the audio."""
    check_movable(root)
    in_order = sorted(changes, key=lambda change: (change.start, change.stop))
    deltas = [(change.stop, len(change.new) + change.start - change.stop) for change in in_order]

    def moved(at: int) -> int:
        return at + sum(delta for stop, delta in deltas if stop <= at)

    tables = [
        (moved(atom.body + 8), OFFSETS[atom.name], _offsets(file, atom))
        for atom in root.walk()
        if atom.name in OFFSETS
    ]
    for change, (_, delta) in zip(reversed(in_order), reversed(deltas), strict=True):
        splice(file, change.start, change.stop, change.new)
        for parent in change.parents:
            _resize(file, parent, delta)
    if not any(delta for _, delta in deltas):
        return
    for at, letter, offsets in tables:
        try:
            new = struct.pack(f">{len(offsets)}{letter}", *map(moved, offsets))
        except struct.error:
            raise TagError(
                "with a larger tag its audio would lie beyond 4 GB, the limit of its index"
            ) from None
        file.seek(at)
        file.write(new)


def _offsets(file: IO[bytes], atom: Atom) -> tuple[int, ...]:
    data, letter = read_part(file, atom.body, atom.stop), OFFSETS[atom.name]
    number = int.from_bytes(data[4:8], "big")
    if len(data) < 8 + number * struct.calcsize(letter):
        raise TagError(
            "the index of its audio is damaged; "
            "make a sound one with: ffmpeg -i OLD -c copy -map_metadata 0 NEW.m4a"
        )
    return struct.unpack_from(f">{number}{letter}", data, 8)


def _resize(file: IO[bytes], atom: Atom, delta: int) -> None:
    file.seek(atom.start)
    size = int.from_bytes(file.read(4), "big")
    if size == 1:
        file.seek(atom.start + 8)
        size = int.from_bytes(file.read(8), "big")
        file.seek(atom.start + 8)
        file.write(struct.pack(">Q", size + delta))
    elif size:  # 0: up to the end of the file
        file.seek(atom.start)
        file.write(struct.pack(">I", size + delta))
