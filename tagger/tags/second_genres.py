"""Genres in a second place, which TagLib, FFmpeg, exiftool and others show with the first.

They are read, last of all, and such a file is not written: the second one would still be shown.
"""

from __future__ import annotations

import html
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

import mutagen

from tagger.tags import containers, id3v2
from tagger.tags.atoms import read_atoms
from tagger.tags.field_names import MP4, texts
from tagger.tags.formats import Family, read_id3
from tagger.tags.parts import read_part
from tagger.tags.riff_info import info_text, is_info

OWN_FRAME = (
    "it has a second genre, in an ID3 frame TXXX:GENRE, which many players show; first move its "
    "text to the genre, and remove it, in a tag editor such as Kid3 or Mp3tag"
)
OTHER_LIST = (
    "it has a second RIFF INFO list with a genre, and players read different ones; first save it "
    "in a tag editor such as Kid3 or Mp3tag, which leaves one"
)
IN_XMP = (
    "it has a second genre, in its XMP metadata, which Adobe's programs and exiftool show; first "
    "remove it there (in an MP4: exiftool -XMP-xmpDM:Genre= FILE)"
)
IN_XTRA = (
    "it has a second genre, where Windows keeps its own tags (Xtra), which exiftool shows; make "
    "a file without them: ffmpeg -i OLD -c copy NEW.m4a"
)
_XMP_GENRE = re.compile(r"""xmpDM:genre(?:>|\s*=\s*["'])\s*([^<"']+)""")
_XMP_ATOM = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_XTRA_GENRE = re.compile(rb"WM/Genre\0\0\0.(.{4})\0\x08", re.DOTALL)  # how many, size, text type
MOST_XMP = 1 << 20

_mutagen: Any = mutagen  # half of it is untyped


def second_genres(file: IO[bytes], family: Family) -> Iterator[tuple[tuple[str, ...], str]]:
    """The values of each, and why the file is not written and what to do."""
    if family.id3 is not None:
        yield from ((values, OWN_FRAME) for values in _in_frames(read_id3(file, family.id3)))
    if family.id3 == containers.WAV:
        yield from ((values, OTHER_LIST) for values in _in_lists(file))
    if family.names is MP4:
        yield from ((values, IN_XTRA) for values in _in_xtra(file))
    for packet in _xmp_packets(file, family):
        text = packet.decode("utf-8", "replace")
        found = map(html.unescape, _XMP_GENRE.findall(text))
        if values := tuple(filter(None, map(str.strip, found))):
            yield values, IN_XMP


def _in_frames(source: bytes) -> Iterator[tuple[str, ...]]:
    tag = id3v2.parse(source)
    for frame in tag.frames:
        # In UTF-16 there are zeros between the letters.
        if not frame.startswith(b"TXX") or b"GENRE" not in frame[:40].replace(b"\0", b"").upper():
            continue
        with suppress(_mutagen.MutagenError):
            found = id3v2.load(tag.only([frame]).to_bytes())
            keys = [key for key in found if key.casefold() == "txxx:genre"]
            yield from filter(any, (texts(found, key) for key in keys))


def _in_lists(file: IO[bytes]) -> Iterator[tuple[str, ...]]:
    chunks = containers.chunks(file, containers.WAV)
    lists = [read_part(file, chunk[1] + 8, chunk[2]) for chunk in chunks if is_info(file, chunk)]
    for content in lists[1:]:
        at = content.find(b"IGNR")
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if at >= 0 and (text := info_text(content[at + 8 : at + 8 + size])):
            yield (text,)


def _xmp_packets(file: IO[bytes], family: Family) -> Iterator[bytes]:
    """XMP in an ID3 frame, in a chunk of a WAV or an AIFF, or in an atom of an MP4."""
    if family.id3 is not None and (source := read_id3(file, family.id3)):
        yield from (frame for frame in id3v2.parse(source).frames if frame[10:14] == b"XMP\0")
    places: list[tuple[int, int]] = []
    if isinstance(family.id3, containers.ChunkLayout):
        found = containers.chunks(file, family.id3)
        places = [(at + family.id3.head, stop) for name, at, stop in found
                  if name in (b"_PMX", b"APPL")]  # fmt: skip
    if family.names is MP4:
        atoms = read_atoms(file).walk()
        places = [(atom.body, atom.stop) for atom in atoms if atom.name in (b"uuid", b"XMP_")]
    for start, stop in places:
        head = read_part(file, start, min(start + 16, stop))
        is_xmp = head.startswith((b"<", b"XMP ", b"\xef\xbb\xbf<")) or head == _XMP_ATOM
        if is_xmp and stop - start <= MOST_XMP:
            yield read_part(file, start, stop)


def _in_xtra(file: IO[bytes]) -> Iterator[tuple[str, ...]]:
    """The genre among the tags that Windows adds to the user data of an MP4."""
    for atom in read_atoms(file).walk():
        if atom.name == b"Xtra" and atom.stop - atom.body <= MOST_XMP:
            content = read_part(file, atom.body, atom.stop)
            for match in _XTRA_GENRE.finditer(content):
                (size,) = struct.unpack(">I", match[1])
                text = content[match.end() : match.end() + size - 6].decode("utf-16-le", "replace")
                if text := text.rstrip("\0"):
                    yield (text,)
