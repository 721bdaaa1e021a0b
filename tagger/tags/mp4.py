"""The tag list (ilst) of an MP4 as bytes; only the genre and our note are ever replaced.

mutagen's save rewrites every item: it relabels pictures, merges repeated items and forgets what it
could not read. Here the other items keep their bytes; mutagen puts the list into the file and
corrects the offsets of the audio.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from itertools import count
from typing import IO, Any

import mutagen
import mutagen.mp4

from tagger.errors import TagError
from tagger.genres.provenance import FIELD

GENRE = (b"\xa9gen", b"gnre")  # the name, and the number that old iTunes wrote
MEAN = "com.apple.iTunes"  # the "mean" of a freeform item: who defines its name
CONTAINERS = (b"moov udta trak mdia meta ilst stbl minf moof traf").split()  # mutagen enters these
MOST_ATOMS, DEEPEST = 200_000, 64  # a long fragmented file: thousands of parts, ten atoms each
UTF8 = 1  # type of a data atom
# mutagen treats the first two atoms of an item as "mean" and "name", whatever their names.
_NOTE = re.compile(
    rb".{4}----.{12}%b.{12}%b(.{4}data|\Z)" % (re.escape(MEAN.encode()), FIELD.encode()),
    re.DOTALL,
)

_mutagen: Any = mutagen  # half of it is untyped


def check_atoms(file: IO[bytes]) -> None:
    """Raise `TagError` for more atoms than mutagen can parse in a few seconds."""
    length, at, ends = file.seek(0, 2), 0, [0]
    for number in count(1):
        while ends and at >= ends[-1]:
            ends.pop()
        file.seek(at)
        header = file.read(16)
        size, head = int.from_bytes(header[:4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(header[8:], "big"), 16
        size = size or length - at
        if len(header) < 8 or size < head:
            return  # the end, or an atom at which mutagen stops
        if number > MOST_ATOMS or len(ends) > DEEPEST:
            raise TagError("it has more atoms, or deeper ones, than a real MP4")
        if header[4:8] in CONTAINERS:
            ends.append(at + size)
            at += head + (4 if header[4:8] == b"meta" else 0)
        else:
            at += size


def items(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Name and bytes of each item of the list, in file order; none if there is no list."""
    atoms = _mutagen.mp4.Atoms(file)
    try:
        found = atoms.path(b"moov", b"udta", b"meta", b"ilst")[-1].children or []
    except KeyError:
        return
    size = file.seek(0, 2)  # Python allocates as many bytes as it is asked to read
    for atom in found:
        file.seek(atom.offset)
        yield atom.name, file.read(min(atom.length, size))


def put_items(
    file: IO[bytes], media: Any, genres: Sequence[str] | None, note: Sequence[str] | None
) -> None:
    """Replace the genre and our note with these values, or remove them."""
    if any(atom.name in (b"moof", b"mfra") for atom in _mutagen.mp4.Atoms(file).atoms):
        raise TagError(
            "a fragmented MP4: if its tag grows, its fragments can no longer be found; "
            "make it a plain one with: ffmpeg -i OLD -c copy -map_metadata 0 NEW.m4a"
        )
    found = list(items(file))
    unread = "©gen" not in (media.tags or {})
    if unread and any(name in GENRE for name, _ in found):
        raise TagError("its genre cannot be read and would be lost; remove it first")
    kept = b"".join(data for name, data in found if name not in GENRE and not _NOTE.match(data))
    if genres is not None:
        kept += _atom(GENRE[0], _data(genres))
    if note is not None:
        head = _atom(b"mean", bytes(4) + MEAN.encode()) + _atom(b"name", bytes(4) + FIELD.encode())
        kept += _atom(b"----", head + _data(note))
    file.seek(0)
    # mutagen's own save does no more than this with the list that it renders.
    save = _mutagen.mp4.MP4Tags()._MP4Tags__save
    save(file, _mutagen.mp4.Atoms(file), _atom(b"ilst", kept), None)


def _atom(name: bytes, data: bytes) -> bytes:
    return bytes(_mutagen.mp4.Atom.render(name, data))


def _data(values: Sequence[str]) -> bytes:
    head = struct.pack(">2I", UTF8, 0)  # type, locale
    return b"".join(_atom(b"data", head + value.encode()) for value in values)
