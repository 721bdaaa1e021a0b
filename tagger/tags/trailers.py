"""Tags at the end of a file: APEv2, then Lyrics3 or an enhanced "TAG+", then ID3v1."""

from __future__ import annotations

import re
import struct
from typing import IO

from tagger.errors import TagError
from tagger.tags.parts import check_count, read_part

V1_UNKNOWN = 255  # the genre byte of ID3v1 for a name that is not in its list
V1_SIZE = 128  # bytes of an ID3v1 block; the last one is the genre
APE_SIZE, APE_MARK = 32, b"APETAGEX"  # bytes of an APEv2 header or footer, and how both start


def read_v1(file: IO[bytes]) -> bytes:
    """The ID3v1 block at the end of the file; empty if there is none."""
    file.seek(max(file.seek(0, 2) - V1_SIZE, 0))
    block = file.read()
    # In a file that ends with an APEv2 tag, "TAG" is part of that tag.
    is_ape = block[-APE_SIZE:].startswith(APE_MARK)
    return block if len(block) == V1_SIZE and block.startswith(b"TAG") and not is_ape else b""


def find_v1_start(file: IO[bytes]) -> int:
    """Where ID3v1 starts, or TAG+ or Lyrics3 right before it; the end of a file without ID3v1."""

    def before(count: int) -> bytes:
        file.seek(max(at - count, 0))
        return file.read(min(count, at))

    at = file.seek(0, 2)
    if not read_v1(file):
        return at
    at -= V1_SIZE
    if before(227).startswith(b"TAG+"):
        at -= 227
    mark = before(15)
    if mark.endswith(b"LYRICS200") and mark[:6].isdigit():
        size = 15 + int(mark[:6])
        at -= size if before(size).startswith(b"LYRICSBEGIN") else 0
    elif mark.endswith(b"LYRICSEND"):
        lyrics = before(5120)
        start = lyrics.rfind(b"LYRICSBEGIN")
        at -= len(lyrics) - start if start >= 0 else 0
    return at


def find_ape(file: IO[bytes]) -> tuple[int, int]:
    """Offsets of the APEv2 tag's first byte and after its last; equal if there is none."""
    stop = find_v1_start(file)
    file.seek(max(stop - APE_SIZE, 0))
    footer = file.read(APE_SIZE)
    if stop < APE_SIZE or not footer.startswith(APE_MARK):
        return stop, stop
    size, _, flags = struct.unpack("<3I", footer[12:24])
    start = stop - size
    if start < 0:
        raise TagError("the APEv2 tag claims to be larger than the file")
    if flags >> 31 and start >= APE_SIZE:
        file.seek(start - APE_SIZE)
        start -= APE_SIZE if file.read(len(APE_MARK)) == APE_MARK else 0
    return start, stop


_APE_ITEM = re.compile(rb"(.{4}).{4}[\x20-\x7e]{2,255}\0", re.DOTALL)  # its size, flags and name


def read_ape_items(file: IO[bytes]) -> list[bytes] | None:
    """Each item of the APEv2 tag as bytes; `None` if they do not add up to its size."""
    found, adds_up = split_ape(file)
    return found if adds_up else None


def split_ape(file: IO[bytes]) -> tuple[list[bytes], bool]:
    """The items before the first invalid one, and whether they add up to the tag's size."""
    data = read_part(file, *find_ape(file))[:-APE_SIZE]
    at, found = APE_SIZE if data.startswith(APE_MARK) else 0, []
    while at < len(data) and (item := _APE_ITEM.match(data, at)):
        start, at = at, item.end() + int.from_bytes(item[1], "little")
        found.append(data[start:at])
        check_count(len(found))
    return found, at == len(data)


def find_audio_end(file: IO[bytes]) -> int:
    """Where the tags at the end of a file start.

    An APEv2 tag whose items do not add up to its size may start elsewhere: it counts as audio.
    """
    start, stop = find_ape(file)
    return stop if read_ape_items(file) is None else start
