"""Genres that a tag has in a second place, which TagLib, FFmpeg and others show with the first.

They are read, last of all, and such a file is not written: the second one would still be shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

import mutagen

from tagger.tags import containers, id3v2
from tagger.tags.field_names import texts
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

_mutagen: Any = mutagen  # half of it is untyped


def second_genres(file: IO[bytes], family: Family) -> Iterator[tuple[tuple[str, ...], str]]:
    """The values of each, and why the file is not written and what to do."""
    if family.id3 is not None:
        yield from ((values, OWN_FRAME) for values in _in_frames(read_id3(file, family.id3)))
    if family.id3 == containers.WAV:
        yield from ((values, OTHER_LIST) for values in _in_lists(file))


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
