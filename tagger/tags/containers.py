"""Find and replace the ID3v2 tag and the RIFF INFO list of a file, as bytes.

An ID3v2 tag is at the start (MP3, TTA), at the end (DSF) or in a chunk (WAV, AIFF, DSDIFF). For
other tags at the end of a file see `trailers`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import IO

from tagger.audio.id3 import HEADER, id3_size
from tagger.audio.uncompressed import samples_in
from tagger.errors import TagError
from tagger.tags.parts import check_count, read_part, splice

AUDIO = (b"data", b"SSND", b"DSD ", b"DST ")  # chunks that hold the audio


@dataclass(frozen=True, slots=True)
class ChunkLayout:
    """How a container stores its chunks: id, size, data padded to an even length."""

    size: str  # struct format of a size
    new_id: bytes  # id of an ID3 chunk that is added

    @property
    def head(self) -> int:
        """Bytes of a chunk's header."""
        return 4 + struct.calcsize(self.size)


FRONT, DSF = "front", "dsf"
WAV = ChunkLayout("<I", b"id3 ")
AIFF = ChunkLayout(">I", b"ID3 ")
DSDIFF = ChunkLayout(">Q", b"ID3 ")
Place = str | ChunkLayout


def read_id3(file: IO[bytes], place: Place) -> bytes:
    """The ID3v2 tag; empty if there is none."""
    return read_part(file, *find_id3(file, place))


def find_id3(file: IO[bytes], place: Place) -> tuple[int, int]:
    """Offsets of the tag's first byte and of the byte after its last; equal if there is none."""
    if isinstance(place, ChunkLayout):
        found = [(at + place.head, stop) for name, at, stop in chunks(file, place) if is_id3(name)]
        return found[0] if found else (0, 0)
    start = 0
    if place == DSF:
        file.seek(20)
        start = int.from_bytes(file.read(8), "little") or file.seek(0, 2)
    file.seek(start)
    return start, start + id3_size(file.read(HEADER))


def put_id3(file: IO[bytes], place: Place, new: bytes) -> None:
    """Replace or add the ID3v2 tag, or remove it if `new` is empty."""
    if isinstance(place, ChunkLayout):
        _put_chunk(file, place, new)
        return
    start, stop = find_id3(file, place)
    if start == stop and place == DSF and start != file.seek(0, 2):
        raise TagError(
            "its header points at neither an ID3 tag nor the end of the file, so a new tag would "
            "damage it; fix that pointer (bytes 20 to 27; 0 means none) first"
        )
    splice(file, start, stop, new)
    if place == DSF:
        size = file.seek(0, 2)
        file.seek(12)
        file.write(struct.pack("<QQ", size, start if new else 0))


def is_id3(name: bytes) -> bool:
    """Whether a chunk with this id holds an ID3v2 tag."""
    return name.upper() == b"ID3 "


def chunks(
    file: IO[bytes], layout: ChunkLayout, end: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Id, offset of the header and offset after the data of each chunk of a file.

    Stops at `end`; by default, at the end that the container's header states.
    """
    head = layout.head
    at, end = head + 4, container_end(file, layout) if end is None else end
    for number in count():
        check_count(number)
        if at + head > end:
            return
        file.seek(at)
        header = file.read(head)
        if len(header) < head or not header[:4].isascii() or not header[:4].decode().isprintable():
            return
        stop = at + head + struct.unpack(layout.size, header[4:])[0]
        yield header[:4], at, stop
        at = stop + stop % 2


def container_end(file: IO[bytes], layout: ChunkLayout) -> int:
    """Where the container ends, by its own header."""
    width = struct.calcsize(layout.size)
    file.seek(4)
    return 4 + width + int(struct.unpack(layout.size, file.read(width))[0])


def set_end(file: IO[bytes], layout: ChunkLayout, end: int) -> None:
    """Say in the container's header where it ends. Raises `TagError` if that cannot hold it."""
    size = end - layout.head
    if size >> 8 * struct.calcsize(layout.size):
        raise TagError("with the larger tag it would exceed 4 GB, the limit of its container")
    file.seek(4)
    file.write(struct.pack(layout.size, size))


def _put_chunk(file: IO[bytes], layout: ChunkLayout, new: bytes) -> None:
    """Like `put_id3`; also corrects the size of the whole container."""
    _check_end(file, layout)
    found = list(chunks(file, layout))
    length = file.seek(0, 2)
    head = layout.head
    sound = next((stop - at - head for name, at, stop in found if name in AUDIO), 0)
    # Readers assume that an audio chunk without a size reaches the end: they would play the tag.
    if not found or found[-1][2] > length or not sound:
        raise TagError(
            "the file is cut off, or its header does not say where the audio ends; "
            "rewrite it with: ffmpeg -i OLD -c copy -map_metadata 0 NEW"
        )
    last = found[-1][2]
    rest = read_part(file, last + last % 2, container_end(file, layout))
    if len(rest) >= head and rest.strip(b"\0"):  # may be chunks at an odd offset
        raise TagError(
            "its chunks are misaligned (the padding byte after one of odd size may be missing); "
            "fix that first, or drop what follows the audio: ffmpeg -i OLD -c copy NEW"
        )
    if last % 2 and last == length:  # the padding byte is missing
        length += file.write(b"\0")
    absent = (layout.new_id, last + last % 2, last)
    name, start, stop = next((chunk for chunk in found if is_id3(chunk[0])), absent)
    stop += stop % 2
    end = max(min(container_end(file, layout), length), stop)
    if new:
        new = name + struct.pack(layout.size, len(new)) + new + b"\0" * (len(new) % 2)
    splice(file, start, stop, new)
    set_end(file, layout, end + len(new) - (stop - start))


def _check_end(file: IO[bytes], layout: ChunkLayout) -> None:
    """Refuse what follows the end of the container: many readers miss tags behind a new tag.

    A new tag would cut audio in two.
    """
    end, length = container_end(file, layout), file.seek(0, 2)
    behind = [name for name, at, _ in chunks(file, layout, length) if at >= end]
    if any(is_id3(name) or name == b"LIST" for name in behind):
        raise TagError(
            "it has tags after the end that its header states; save it once in a tag editor such "
            "as Kid3, which fixes that, or drop them: ffmpeg -i OLD -c copy NEW"
        )
    samples, found = samples_in(file), chunks(file, layout)
    stops = (stop for name, at, stop in found if name in AUDIO and stop > at + layout.head)
    if samples and next(stops, length) <= end < samples.stop:
        raise TagError("its audio goes on after the end that its header states; correct that first")
