"""The tag list of an MP4 as bytes, of which only the genre is ever replaced.

mutagen's save renders every item anew: it relabels pictures, merges repeated items and forgets what
it could not read. Here the other items keep their bytes; mutagen puts the list into the file and
corrects the offsets of the audio.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import IO, Any

import mutagen
import mutagen.mp4

from tagger.errors import TagError

GENRE = (b"\xa9gen", b"gnre")  # the name, and the number that old iTunes wrote
UTF8 = 1  # type of a data atom

_mutagen: Any = mutagen  # half of it is untyped


def items(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Name and bytes of each item of the list, in the order of the file; none without a list."""
    atoms = _mutagen.mp4.Atoms(file)
    try:
        found = atoms.path(b"moov", b"udta", b"meta", b"ilst")[-1].children or []
    except KeyError:
        return
    for atom in found:
        file.seek(atom.offset)
        yield atom.name, file.read(atom.length)


def put_genres(file: IO[bytes], media: Any, genres: Sequence[str] | None) -> None:
    """Replace the genre of the list by these values, or remove it."""
    found = list(items(file))
    unread = "©gen" not in (media.tags or {})
    if unread and any(name in GENRE for name, _ in found):
        raise TagError("its genre cannot be read, and would be lost; remove it first")
    atom = _mutagen.mp4.Atom.render
    kept = b"".join(data for name, data in found if name not in GENRE)
    if genres is not None:
        head = struct.pack(">2I", UTF8, 0)  # type, locale
        values = (atom(b"data", head + genre.encode()) for genre in genres)
        kept += atom(GENRE[0], b"".join(values))
    file.seek(0)
    # mutagen's own save does no more than this with the list that it renders.
    save = _mutagen.mp4.MP4Tags()._MP4Tags__save
    save(file, _mutagen.mp4.Atoms(file), atom(b"ilst", kept), None)
