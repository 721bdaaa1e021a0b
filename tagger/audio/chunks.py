"""Where chunks of WAV, Wave64, AIFF and CAF begin and end, even if their sizes are wrong.

A stated size counts if the file ends there or a chunk follows. Otherwise the chunk ends with the
file, or where the chunks begin that end with the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Literal, NamedTuple

MOST_CHUNKS = 1_000  # in front of the samples
SEARCHED = 4 << 20  # bytes at the end of the file, in a tenth of a second; a tag may hold a picture
BLOCK = 1 << 20
WRAP = 1 << 32  # a larger size loses its upper bits in a header of 32
WRAPS = 16
SLIGHT = 1 << 10  # bytes behind a chunk that do not matter, whatever they are
# Tags that programs append to any kind of file, without a chunk, and another CAF, as by `cat`.
TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"caff\0\1")

Order = Literal["little", "big"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a kind of file writes the header of a chunk, and which chunks may follow the samples."""

    names: str  # a regular expression
    order: Order = "little"
    header: int = 8  # bytes of name and size
    width: int = 4  # bytes of the size
    align: int = 2  # chunks begin at a multiple, counted from the first
    with_header: bool = False  # whether the size includes the header

    @property
    def known(self) -> re.Pattern[bytes]:
        """Finds the name of a chunk that may follow the samples; none has one of zeros."""
        return re.compile(self.names.encode())

    def size_field(self, size: int) -> bytes:
        """The size of a content as a chunk's header states it; all bits are set if it is larger."""
        size = max(0, size) + (self.header if self.with_header else 0)
        return min(size, (1 << 8 * self.width) - 1).to_bytes(self.width, self.order)


WAVE = Layout(
    "LIST|id3 |ID3 |fact|cue |smpl|bext|iXML|_PMX|afsp|PEAK|JUNK|junk|inst|acid|cart|axml|chna|LGWV"
    "|DISP|FLLR|PAD |umid|levl|r64m|slnt|plst|minf|elm1|regn|strc|mext|bxml|ubxt|dbmd"
)
AIFF = Layout(
    r"COMM|MARK|INST|COMT|NAME|AUTH|\(c\) |ANNO|MIDI|AESD|APPL|FVER|ID3 |id3 |CHAN|SAXL|basc|trns"
    "|cate|LGWV|FLLR|PAD |PEAK",
    "big",
)
CAF = Layout(
    "info|free|strg|mark|inst|midi|ovvw|peak|edct|umid|uuid|chan|pakt|kuki|regn",
    "big",
    header=12,
    width=8,
    align=1,
)
WAVE64 = Layout(
    r"list/\x91\xcf\x11\xa5\xd6\(\xdb\x04\xc1\x00\x00"
    r"|[\x20-\x7e]{4}\xf3\xac\xd3\x11\x8c\xd1\x00\xc0O\x8e\xdb\x8a",
    header=24,
    width=8,
    align=8,
    with_header=True,
)
NONE = "(?!)"  # what follows the samples is not looked for
DSDIFF = Layout(NONE, "big", header=12, width=8)
AU = Layout(NONE, "big")  # no chunks


class Chunk(NamedTuple):
    """`start` and `size` (bytes) are of the content, and the size is as stated."""

    name: bytes
    start: int
    size: int

    @property
    def end(self) -> int:
        """The first byte after the content."""
        return self.start + self.size


def chunk_at(file: IO[bytes], at: int, layout: Layout) -> Chunk | None:
    """The chunk whose header stands there; None at the end of the file."""
    if at + layout.header > file.seek(0, os.SEEK_END):
        return None
    file.seek(at)
    header = file.read(layout.header)
    size = int.from_bytes(header[-layout.width :], layout.order)
    size -= layout.header if layout.with_header else 0
    return Chunk(header[: -layout.width], at + layout.header, max(0, size))


def chunks_from(file: IO[bytes], at: int, layout: Layout) -> Iterator[Chunk]:
    """A row of chunks, whose sizes are believed."""
    for _ in range(MOST_CHUNKS):
        chunk = chunk_at(file, at, layout)
        if chunk is None:
            return
        yield chunk
        at = _after(chunk, layout)


def true_end(
    file: IO[bytes], chunk: Chunk, layout: Layout, total: int, sizes: Sequence[int] = ()
) -> int:
    """Where the content of a chunk ends in a file of `total` bytes.

    `sizes` are others that the header states or implies: they count if a chunk follows there.
    """
    if chunk.size and chunk.end <= total and _may_end(file, chunk, layout, total):
        return chunk.end
    others = [chunk._replace(size=size) for size in sizes]
    if layout.width == 4:
        most = min(total - chunk.start, chunk.size + WRAPS * WRAP)
        others += [chunk._replace(size=size) for size in range(chunk.size, most, WRAP)]
    for other in others:
        if next_chunk(file, other, layout, total) is not None:
            return other.end
    return _last_chunks(file, chunk.start, layout, total)


def _may_end(file: IO[bytes], chunk: Chunk, layout: Layout, total: int) -> bool:
    """Whether a chunk may be of its size: nothing, a chunk, a tag or padding follows."""
    if total - chunk.end < SLIGHT or next_chunk(file, chunk, layout, total) is not None:
        return True
    file.seek(chunk.end)
    rest = file.read(BLOCK)
    return rest.startswith(TAGS) or (chunk.end + len(rest) == total and not rest.strip(b"\0"))


def next_chunk(file: IO[bytes], chunk: Chunk, layout: Layout, total: int) -> int | None:
    """Where one begins behind a chunk of this size, perhaps without the byte that pads it.

    It has a known name, or it and those that follow it end with the file.
    """
    for begin in dict.fromkeys((_after(chunk, layout), chunk.end)):
        following = chunk_at(file, begin, layout)
        if following is None or begin >= total:
            continue
        if layout.known.fullmatch(following.name):
            return begin
        if re.fullmatch(rb"[ -~]{4}", following.name[:4]):
            *_, last = chunks_from(file, begin, layout)
            if last.end <= total <= _after(last, layout):
                return begin
    return None


def _last_chunks(file: IO[bytes], start: int, layout: Layout, total: int) -> int:
    """Where the known chunks begin that end with the file; its end if there are none.

    They are found from the back to the front: each ends where the next one begins.
    """
    begin, least = total, max(start, total - SEARCHED)
    for stop in range(total, least, -BLOCK):
        low = max(least, stop - BLOCK)
        file.seek(low)
        block = file.read(stop - low + layout.header)
        for found in reversed([*layout.known.finditer(block)]):
            chunk = chunk_at(file, low + found.start(), layout)
            if chunk is None:
                continue
            if begin in (chunk.end, chunk.end + 1, _after(chunk, layout)):
                begin = low + found.start()
    return begin


def _after(chunk: Chunk, layout: Layout) -> int:
    """Where the next chunk begins."""
    return chunk.end + -chunk.size % layout.align
