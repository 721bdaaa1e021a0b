"""Where the audio lies in Ogg and Matroska: in many small parts, of which the first are found."""

from __future__ import annotations

import struct
from typing import IO

from tagger.audio.extent import read_at
from tagger.tags.audio_parts import MOST_STEPS, Audio, Part

MOST_IN_PAGES, MOST_IN_BLOCKS = 2 << 20, 1 << 19  # bytes of audio; blocks are much smaller
MOST_PAGE = 65_307  # bytes of an Ogg page (RFC 3533)
NO_POSITION = b"\xff" * 8  # of a page on which no packet ends


def ogg(file: IO[bytes], at: int, end: int) -> Audio:
    """The content of the pages of the first audio stream, without its header packets."""
    reader = _OggReader()
    for _ in range(MOST_STEPS):
        head = read_at(file, at, 27 + 255)
        if len(head) < 27 or not head.startswith(b"OggS"):
            break
        sizes = head[27 : 27 + head[26]]
        start = at + 27 + head[26]
        if reader.serial is None and head[5] & 2:  # the first page of a stream
            reader.open(head[14:18], read_at(file, start, 80))
        if head[14:18] == reader.serial:
            reader.add(file, start, sizes)
        at = start + sum(sizes)
        if reader.size >= MOST_IN_PAGES:
            break
    return Audio(_cut(reader.parts, MOST_IN_PAGES), _last_position(file, end, reader.serial))


class _OggReader:
    """The pages of one stream; programs may distribute its packets to pages in other ways."""

    def __init__(self) -> None:
        self.serial: bytes | None = None
        self.parts: list[Part] = []
        self.size = 0
        self._headers = 0  # packets that are still to be skipped
        self._is_flac = False  # whose last header packet is followed by one that starts with 0xff
        self._begins = True  # whether a packet begins here

    def open(self, serial: bytes, first: bytes) -> None:
        """Begin with a stream whose first packet is this, if it is audio."""
        if first.startswith(b"\x01vorbis"):
            self._headers = 3
        elif first.startswith((b"OpusHead", b"CELT    ")):
            self._headers = 2
        elif first.startswith(b"Speex   "):
            self._headers = 2 + int.from_bytes(first[68:72], "little")
        elif first.startswith((b"\x7fFLAC", b"fLaC")):
            self._headers, self._is_flac = 1 << 32, True
        else:
            return
        self.serial = serial

    def add(self, file: IO[bytes], start: int, sizes: bytes) -> None:
        stop = start + sum(sizes)
        for size in sizes if self._headers else b"":
            if self._is_flac and self._begins and read_at(file, start, 1) == b"\xff":
                self._headers = 0
            if not self._headers:
                break
            start += size
            self._begins = size < 255
            self._headers -= self._begins
        if start < stop:
            self.parts.append((start, stop))
            self.size += stop - start


def _last_position(file: IO[bytes], end: int, serial: bytes | None) -> bytes:
    """The number of samples up to the end, as the last page states it."""
    tail = read_at(file, max(0, end - 2 * MOST_PAGE), 2 * MOST_PAGE)
    at, other = len(tail), b""
    while (at := tail.rfind(b"OggS\0", 0, at)) >= 0:
        position = tail[at + 6 : at + 14]
        if position != NO_POSITION:
            if tail[at + 14 : at + 18] == serial:
                return position
            other = other or position
    return other


# Elements whose content is read; all others are skipped (RFC 9559).
_SEGMENT, _CLUSTER, _GROUP = 0x18538067, 0x1F43B675, 0xA0
_TRACKS, _TRACK = 0x1654AE6B, 0xAE
_NUMBER, _TYPE, _BLOCKS = 0xD7, 0x83, (0xA1, 0xA3)
_AUDIO = b"\2"  # the type of a track


def matroska(file: IO[bytes], at: int, end: int) -> Audio:
    """The blocks of the first audio track; if none is declared before them, of the first track."""
    parts: list[Part] = []
    number = current = kind = None
    size = 0
    for _ in range(MOST_STEPS):
        head = read_at(file, at, 12)
        if len(head) < 2 or size >= MOST_IN_BLOCKS:
            break
        element, width = _number(head, keep_mark=True)
        length, more = _number(head[width:])
        at += width + more
        if element in (_SEGMENT, _CLUSTER, _GROUP, _TRACKS, _TRACK):
            if element == _TRACK:
                current = kind = None
            continue
        if length == (1 << 7 * more) - 1:  # unknown
            break
        if element == _NUMBER:
            current = read_at(file, at, length if length < 9 else 0)
        elif element == _TYPE:
            kind = read_at(file, at, 1)
        elif element in _BLOCKS:
            track, skipped = _number(read_at(file, at, 8))
            number = track if number is None else number
            if track == number:
                parts.append((at + skipped + 3, at + length))
                size += length - skipped - 3
        if number is None and current and kind == _AUDIO:
            number = int.from_bytes(current, "big")
        at += length
    return Audio(_cut(parts, MOST_IN_BLOCKS))


def _number(data: bytes, *, keep_mark: bool = False) -> tuple[int, int]:
    """A number of variable width at the start of the data, and its width in bytes."""
    width = 9 - data[0].bit_length()
    if width > 8:
        raise struct.error("no number")
    value = int.from_bytes(data[:width], "big")
    return value if keep_mark else value & ~(1 << 7 * width), width


def _cut(parts: list[Part], left: int) -> list[Part]:
    """The first `left` bytes, so that the result does not depend on the sizes of parts."""
    kept = []
    for start, stop in parts:
        kept.append((start, min(stop, start + left)))
        left -= min(left, stop - start)
        if not left:
            break
    return kept
