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
    align: int = 2  # chunks begin at a multiple
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
AU = Layout("(?!)", "big")  # no chunks


class Chunk(NamedTuple):
    """`start` and `size` (bytes) are of the content, and the size is as stated."""

    name: bytes
    start: int
    size: int


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
        at = aligned(chunk.start + chunk.size, layout)


def true_end(
    file: IO[bytes], chunk: Chunk, layout: Layout, total: int, sizes: Sequence[int] = ()
) -> int:
    """Where the content of a chunk ends in a file of `total` bytes.

    `sizes` are others that the header states or implies: they count if a chunk follows there.
    """
    stated = chunk.start + chunk.size
    if chunk.size and stated <= total and _may_end(file, stated, layout, total):
        return stated
    ends = [chunk.start + size for size in sizes]
    if layout.width == 4:
        ends += range(stated, min(total, stated + WRAPS * WRAP), WRAP)
    for end in ends:
        if next_chunk(file, end, layout, total) is not None:
            return end
    return _last_chunks(file, chunk.start, layout, total)


def _may_end(file: IO[bytes], at: int, layout: Layout, total: int) -> bool:
    """Whether the content of a chunk may end there: nothing, a chunk, a tag or padding follows."""
    if total - at < SLIGHT or next_chunk(file, at, layout, total) is not None:
        return True
    file.seek(at)
    rest = file.read(BLOCK)
    return rest.startswith(TAGS) or (at + len(rest) == total and not rest.strip(b"\0"))


def next_chunk(file: IO[bytes], at: int, layout: Layout, total: int) -> int | None:
    """Where a chunk begins behind content that ends there, perhaps without the byte that pads it.

    It has a known name, or it and those that follow it end with the file.
    """
    for begin in dict.fromkeys((aligned(at, layout), at)):
        chunk = chunk_at(file, begin, layout)
        if chunk is None or begin >= total:
            continue
        if layout.known.fullmatch(chunk.name):
            return begin
        if re.fullmatch(rb"[ -~]{4}", chunk.name[:4]):
            *_, last = chunks_from(file, begin, layout)
            if last.start + last.size <= total <= aligned(last.start + last.size, layout):
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
            end = chunk.start + chunk.size
            if end in (begin, begin - 1) or aligned(end, layout) == begin:
                begin = low + found.start()
    return begin


def aligned(at: int, layout: Layout) -> int:
    """The next place where a chunk may begin."""
    return -(-at // layout.align) * layout.align
