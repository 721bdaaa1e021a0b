"""Whether an Ogg is one stream of audio whose pages count on from its start to its end.

Chained streams (RFC 3533, section 4) and files that were joined, cut or recorded from a radio are
not: the position on the last page says nothing of their length.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, NamedTuple

from tagger.audio.extent import read_at, skip_back, skip_front
from tagger.audio.structure import MOST_READ, MOST_SEARCHED, Structure, places

MARK = b"OggS\0"
HEADER = 27 + 255  # bytes of the longest header of a page
LARGEST = 65_307  # bytes of the largest page
PIECE = 1 << 13  # bytes that are read at once in search of a page
NO_POSITION = -1  # of a page on which no packet ends
BEGINS, ENDS = 2, 4  # flags of the first and of the last page of a stream
FRONT = 1_000  # pages that are read at most before the audio starts; a picture takes 16 per MB
UNEVEN = 1.4  # ratio of the mean sizes of pages in two parts of a file
MOST_SAMPLES = 65_535  # in a packet of FLAC, and 5,760 of Opus, 640 of Speex


class Page(NamedTuple):
    """The header of a page at an offset of the file."""

    offset: int
    begins: bool  # a stream
    ends: bool  # a stream
    position: int  # samples up to the end of the last packet that ends on it
    serial: int  # of the stream
    number: int
    packets: int  # that end on it
    end: int  # offset


def ogg_structure(path: Path) -> Structure:
    """Compare some pages of a large file with each other, all pages of a small one."""
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, 2)
        start = skip_front(file, size, blanks=True)
        front = [*_front_pages(file, start)]
        if not front:
            return Structure("an Ogg with other data in front of it", is_irregular=True)
        if sum(page.begins for page in front) > 1:
            return Structure("an Ogg of several streams")
        end = skip_back(file, start, size)
        stream = Stream(front[0].serial, _most_samples(read_at(file, start + 28, 80)))
        if stream.starts_late(front):
            return Structure("an Ogg whose time stamps do not start at 0", is_irregular=True)
        if end - start > MOST_READ:
            last = _last_pages(file, start, end)
            found = [*_some_pages(file, start, end), *last]
            # A picture fills large pages in front of the audio.
            some = [front[-1], *(page for page in found if page.offset > front[-1].offset)]
            if last and not stream.fault(some, are_all=False) and _is_even(some):
                return Structure()
        if end - start > MOST_SEARCHED:
            return Structure("an Ogg that is too large to be searched")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            pages = [*all_pages(data, start, end)]
            fault = stream.fault(pages, are_all=True)
            # FFmpeg looks no further back for the last page, and guesses the length then.
            if not fault and end - pages[-1].end > LARGEST:
                fault = "an Ogg with other data behind it"
        return Structure(fault, is_irregular=bool(fault))


class Stream(NamedTuple):
    """What the first page says of all."""

    serial: int
    most: int  # samples per packet

    @property
    def is_vorbis(self) -> bool:
        """Whether its packets have fewer samples than those of any other codec may have."""
        return self.most < 5_760

    def starts_late(self, front: list[Page]) -> bool:
        """Whether the first page with audio ends later than its packets last.

        libsndfile subtracts the start from the positions of Vorbis.
        """
        audio = [page for page in front if page.position > 0]
        if not audio or self.is_vorbis:
            return False
        first, *following = audio
        most = float(self.most)
        # A last page may end before its packets do.
        if following and following[0].packets and not following[0].ends:
            most = (following[0].position - first.position) / following[0].packets
        return first.position > 1.1 * most * first.packets + 2_400

    def fault(self, pages: list[Page], *, are_all: bool) -> str | None:
        """What is irregular about some pages in their order, or about all."""
        if any(page.serial != self.serial or page.begins for page in pages[1:]):
            return "an Ogg of several chained streams"
        if any(page.packets and page.position == NO_POSITION for page in pages):
            return "an Ogg without time stamps"
        audio = [page for page in pages if page.position > 0]
        if audio and pages[-1].position <= 0:
            return "an Ogg whose last page has no time stamp"
        for earlier, later in pairwise(pages):
            if later.number <= earlier.number:
                return "an Ogg whose pages begin anew"
            if later.number != earlier.number + 1 and (are_all or earlier.end == later.offset):
                return "an Ogg that lacks pages"
            if earlier.end != later.offset and (are_all or later.number == earlier.number + 1):
                return "an Ogg with other data between its pages"
        for earlier, later in pairwise(audio):
            if later.position < earlier.position:
                return "an Ogg whose time stamps begin anew"
            most = self.most * (later.packets + 2)  # FFmpeg rounds when it writes Vorbis
            if earlier.end == later.offset and later.position - earlier.position > most:
                return "an Ogg whose time stamps leave out a time"
        return None


def page_at(data: bytes | mmap, at: int, offset: int) -> Page | None:
    """The page whose header is at a place of data from `offset` of a file, if it is there."""
    head = data[at : at + HEADER]
    if len(head) < 27 or not head.startswith(MARK) or head[5] > 7:
        return None
    sizes = head[27 : 27 + head[26]]
    return Page(
        at + offset,
        bool(head[5] & BEGINS),
        bool(head[5] & ENDS),
        int.from_bytes(head[6:14], "little", signed=True),
        int.from_bytes(head[14:18], "little"),
        int.from_bytes(head[18:22], "little"),
        sum(size < 255 for size in sizes),
        at + offset + 27 + head[26] + sum(sizes),
    )


def _front_pages(file: IO[bytes], at: int) -> Iterator[Page]:
    """The pages up to the second that has audio."""
    audio = 0
    for _ in range(FRONT):
        page = page_at(read_at(file, at, HEADER), 0, at)
        if not page:
            return
        yield page
        at, audio = page.end, audio + (page.position > 0)
        if audio == 2:
            return


def _some_pages(file: IO[bytes], start: int, end: int) -> Iterator[Page]:
    """One page in each of some places between."""
    for place in places(start, end, 4, 0)[:-1]:
        for at in range(place, min(end, place + 2 * LARGEST), PIECE):
            data = read_at(file, at, PIECE + HEADER)
            if page := next(_found(data, at), None):
                yield page
                break


def _last_pages(file: IO[bytes], start: int, end: int) -> list[Page]:
    """The last two whole pages, or more."""
    for reach in (2 * PIECE, 2 * LARGEST + PIECE):
        at = max(start, end - reach)
        pages = [page for page in _found(read_at(file, at, end - at), at) if page.end <= end]
        if len(pages) > 1:
            break
    return pages


def _found(data: bytes, offset: int) -> Iterator[Page]:
    at = -1
    while (at := data.find(MARK, at + 1)) >= 0:
        if page := page_at(data, at, offset):
            yield page


def all_pages(data: mmap, at: int, end: int) -> Iterator[Page]:
    """All whole pages, without other data between them."""
    while at >= 0:
        page = page_at(data, at, 0)
        if page and page.end <= end:
            yield page
            at = data.find(MARK, page.end, end)
        else:
            at = data.find(MARK, at + 1, end)


def _is_even(pages: list[Page]) -> bool:
    """Whether the pages between some are about as large in each part of the file."""
    means = [
        (later.offset - earlier.offset) / (later.number - earlier.number)
        for earlier, later in pairwise(pages)
        if later.offset - earlier.offset > LARGEST
    ]
    return not means or max(means) < UNEVEN * min(means)


def _most_samples(first: bytes) -> int:
    """Samples in a packet, by the first packet of the stream (of Vorbis I, section 4.2.2)."""
    if first.startswith(b"\x01vorbis") and len(first) > 28:
        return (1 << (first[28] >> 4)) // 2
    return 5_760 if first.startswith(b"OpusHead") else MOST_SAMPLES
