"""Where the audio lies in a bare stream of frames, and in a container of named chunks.

Unlike `trailers`, which must know exactly what a write may replace, this skips tags in any order.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import IO

from tagger.audio.id3 import HEADER, MOST_TAGS, from_synchsafe, id3_size
from tagger.tags.audio_parts import MOST_STEPS, Audio, read_at


def bare(file: IO[bytes], at: int, end: int) -> Audio:
    """Everything between the tags at the start and those at the end."""
    return Audio([(_first_frame(file, at), skip_back(file, at, end))])


def skip_front(file: IO[bytes], end: int, *, blanks: bool) -> int:
    """Where the tags at the start end; with `blanks`, the zeros and line ends around them too."""
    at = 0
    for _ in range(MOST_TAGS):
        head = read_at(file, at, 4096)
        if size := id3_size(head[:HEADER]):
            at += size
        elif head.startswith(b"APETAGEX"):  # with its header, which the size does not count
            at += 32 + int.from_bytes(head[12:16], "little")
        elif blanks and (count := len(head) - len(head.lstrip(b"\0\r\n"))):
            at += count
        else:
            break
        if at >= end:
            break
    return at


def skip_back(file: IO[bytes], start: int, end: int) -> int:
    """Where the tags at the end start: ID3v1, TAG+, Lyrics3, APEv2 and ID3v2, in any order."""
    for _ in range(MOST_TAGS):
        tail = read_at(file, max(start, end - 5200), min(5200, end - start))
        size = _tag_size(tail)
        if not 0 < size <= end - start:
            break
        end -= size
    return end


def _tag_size(tail: bytes) -> int:
    """Bytes of the tag that ends with these bytes; 0 if none does."""
    if tail[-32:].startswith(b"APETAGEX"):
        has_header = tail[-12:-8][3] & 0x80
        return int.from_bytes(tail[-20:-16], "little") + (32 if has_header else 0)
    if tail[-128:].startswith(b"TAG") and len(tail) >= 128:
        return 128
    if tail[-227:].startswith(b"TAG+") and len(tail) >= 227:
        return 227
    if tail.endswith(b"LYRICS200") and tail[-15:-9].isdigit():
        return 15 + int(tail[-15:-9])
    if tail.endswith(b"LYRICSEND") and b"LYRICSBEGIN" in tail:
        return len(tail) - tail.rindex(b"LYRICSBEGIN")
    if tail[-10:].startswith(b"3DI"):
        return 2 * HEADER + from_synchsafe(tail[-4:])
    return 0


def _first_frame(file: IO[bytes], start: int) -> int:
    """The first frame of MPEG audio, where a tag of a wrong size or junk precedes it.

    A frame that holds no audio but the length of the stream is skipped: some programs add or drop
    it with the tags.
    """
    data, at = read_at(file, start, 1 << 17), 0
    if re.match(rb"TTA|wvpk|MPCK|MP\+|MAC |tBaK|OFR|\x0bw", data):
        return start
    for found in re.finditer(rb"\xff[\xe2-\xff][\x10-\xef]", data):
        size = _frame_size(data[found.start() :][:4])
        if size and _frame_size(data[found.start() + size :][:4]):
            at = found.start()
            is_header = re.match(rb".{4,36}(Xing|Info|VBRI)", data[at : at + size], re.DOTALL)
            return start + at + (size if is_header else 0)
    return start


def _frame_size(header: bytes) -> int:
    """Bytes of the MPEG audio frame with this header; 0 if it is none (ISO 11172-3, 2.4.2.3)."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate, kind = header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or layer == 4 or rate == 3 or kind in (0, 15):
        return 0
    is_first = version == 3
    bits = _KILOBITS[is_first, layer][kind - 1] * 1000
    hertz = (44_100, 48_000, 32_000)[rate] >> (3 - version if version else 2)
    padding = header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (144 if is_first or layer == 2 else 72) * bits // hertz + padding


_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KILOBITS = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW,
    (False, 3): _LOW,
}


# --- chunks ---------------------------------------------------------------------------------------


def flac(file: IO[bytes], at: int, end: int) -> Audio:
    """What follows the last block of metadata."""
    at += 4
    for _ in range(MOST_STEPS):
        head = read_at(file, at, 4)
        at += 4 + int.from_bytes(head[1:], "big")
        if head[0] & 0x80:
            break
    return Audio([(at, skip_back(file, at, end))])


def chunks(names: tuple[bytes, ...], first: int, size: str) -> Callable[..., Audio]:
    """A finder of the chunk with one of these names, in a container of named chunks."""
    width = struct.calcsize(size)

    def find(file: IO[bytes], at: int, end: int) -> Audio:
        head, at, large = 4 + width, at + first, 0
        for _ in range(MOST_STEPS):
            name, length = struct.unpack(f"{size[0]}4s{size[1]}", read_at(file, at, head))
            if name == b"ds64":  # of RF64, for a size that does not fit
                large = int.from_bytes(read_at(file, at + head + 8, 8), "little")
            if name in names:
                # A program that writes to a pipe cannot state the size.
                length = (large or end) if length in (0, (1 << 8 * width) - 1) else length
                return Audio([(at + head, at + head + length)])
            at += head + length + length % 2
        return Audio()

    return find


def dsf(file: IO[bytes], at: int, end: int) -> Audio:
    """The data chunk of a DSF, which follows two others."""
    at += 28
    at += int.from_bytes(read_at(file, at + 4, 8), "little")  # the size includes the chunk's head
    return Audio([(at + 12, at + int.from_bytes(read_at(file, at + 4, 8), "little"))])


def asf(file: IO[bytes], at: int, end: int) -> Audio:
    """The packets in the data object, which follows the header object."""
    at += int.from_bytes(read_at(file, at + 16, 8), "little")
    size = int.from_bytes(read_at(file, at + 16, 8), "little")
    return Audio([(at + 50, at + size if size else end)])
