"""Where the audio lies in an MP4."""

from __future__ import annotations

import struct
import sys
from array import array
from itertools import accumulate
from typing import IO

from tagger.audio.extent import read_at
from tagger.tags.atoms import Atom, read_atoms
from tagger.tags.audio_parts import Audio

MOST_SAMPLES = 1 << 24  # of one track: 100 hours


def mp4(file: IO[bytes], at: int, end: int) -> Audio:
    """The samples of the first audio track; without a table of them (fragments), all media data."""
    root = read_atoms(file, at)
    for moov in root.children:
        for track in moov.children if moov.name == b"moov" else ():
            if track.name == b"trak" and (audio := _samples(file, track)):
                return audio
    return Audio([(atom.body, atom.stop) for atom in root.children if atom.name == b"mdat"])


def _samples(file: IO[bytes], track: Atom) -> Audio | None:
    media = _inside(track, b"mdia")
    if read_at(file, _inside(media, b"hdlr").body + 8, 4) != b"soun":
        return None
    table = _inside(_inside(media, b"minf"), b"stbl")
    found = {atom.name: atom for atom in table.children}
    is_short = b"stco" in found
    chunks = _numbers(file, found[b"stco" if is_short else b"co64"], 8, "I" if is_short else "Q")
    size, count = struct.unpack(">2I", read_at(file, found[b"stsz"].body + 4, 8))
    if not count or count > MOST_SAMPLES:
        return None
    ends = accumulate([size] * count if size else _numbers(file, found[b"stsz"], 12, "I"))
    upto = array("Q", [0, *ends])
    runs = _numbers(file, found[b"stsc"], 8, "I")  # first chunk, samples per chunk, description
    parts, done = [], 0
    for number, first in enumerate(runs[::3]):
        last = runs[3 * number + 3] if 3 * number + 3 < len(runs) else len(chunks) + 1
        for place in chunks[first - 1 : last - 1]:
            start, done = done, min(done + runs[3 * number + 1], count)
            parts.append((place, place + upto[done] - upto[start]))
    return Audio(parts)


def _inside(atom: Atom, name: bytes) -> Atom:
    """The first child of this name; `ValueError` if there is none."""
    if (found := atom.child(name)) is None:
        raise ValueError(f"an atom without {name!r}")
    return found


def _numbers(file: IO[bytes], atom: Atom, skipped: int, kind: str) -> array[int]:
    start = atom.body + skipped
    data = read_at(file, start, min(atom.stop - start, 8 * MOST_SAMPLES))
    numbers = array(kind, data[: len(data) // array(kind).itemsize * array(kind).itemsize])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
