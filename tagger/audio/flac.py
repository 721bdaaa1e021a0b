"""Whether a FLAC is as long as its STREAMINFO says: the numbers of some frames show it.

Source: RFC 9639, sections 8.2 (STREAMINFO) and 9.1 (headers of frames).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

from tagger.audio.crc import crc8, crc16
from tagger.audio.extent import read_at, skip_back, skip_front
from tagger.audio.structure import MOST_READ, Structure, places

MOST_BLOCKS = 50_000  # of metadata
SYNC = re.compile(rb"\xff[\xf8\xf9][\x10-\xff]", re.DOTALL)
HEADER = 16  # bytes of the longest header of a frame
PIECE = 1 << 13  # bytes that are read at once in search of a frame
LARGEST = 1 << 21  # bytes of the largest frame
RATES = {1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050, 7: 24_000, 8: 32_000,
         9: 44_100, 10: 48_000, 11: 96_000}  # fmt: skip
BITS = {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}


class Kind(NamedTuple):
    """What is the same in all frames of a regular stream."""

    rate: int  # Hz
    channels: int
    bits: int


class Info(NamedTuple):
    """STREAMINFO."""

    kind: Kind
    total: int  # samples per channel; 0 if it is not stated
    largest: int  # bytes of the largest frame; 0 if it is not stated


class Frame(NamedTuple):
    """The header of a frame at an offset of the file."""

    offset: int
    kind: Kind
    number: int  # of the frame, or with blocks of various sizes of its first sample
    is_various: bool
    block: int  # samples per channel


def flac_structure(path: Path) -> Structure:
    """Compare the stated number of samples with the last frame, and some frames with each other."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = skip_front(file, size, blanks=True)
        if read_at(file, start, 4) != b"fLaC":
            return Structure("a FLAC with other data in front of it", is_irregular=True)
        info, start = _metadata(file, start)
        end = skip_back(file, start, size) if start < size else start
        first = next(find_frames(read_at(file, start, PIECE), start, info.kind), None)
        if not info.total:
            return Structure("a FLAC whose header does not state its length")
        if not first or first.offset != start or first.number:
            return Structure("a FLAC that does not start with its first frame", is_irregular=True)
        if first.kind != info.kind:
            return Structure("a FLAC whose frames differ from its header")
        frames = [first, *_some_frames(file, start, end, info)]
        last = frames[-1].offset
        tail = read_at(file, last, min(end - last, LARGEST))
    return _judge(frames, info, tail)


def _judge(frames: list[Frame], info: Info, tail: bytes) -> Structure:
    """From some frames; the last of the file, and all bytes from there, are among them."""
    fixed = frames[0].block
    starts = [frame.number * (1 if frame.is_various else fixed) for frame in frames]
    length = starts[-1] + frames[-1].block
    if any(frame.kind != info.kind for frame in frames) or b"fLaC" in tail:
        return Structure("a FLAC of several joined files, or whose sample rate or channels change")
    for (earlier, begin), (later, following) in pairwise(zip(frames, starts, strict=True)):
        least = -(-(later.offset - earlier.offset) // info.largest) if info.largest else 1
        # With blocks of various sizes, a frame may be as short as the encoder likes.
        least = 1 if earlier.is_various else least * fixed
        if following - begin < least:
            return Structure("a FLAC whose frames are not numbered from its start to its end")
    if length < info.total and not _is_whole(tail):
        return Structure(is_truncated=True)
    if length != info.total:
        return Structure(f"a FLAC of {length:,} samples whose header states {info.total:,}")
    return Structure()


def _metadata(file: IO[bytes], at: int) -> tuple[Info, int]:
    """STREAMINFO, and where the frames start."""
    data = read_at(file, at + 8, 34).ljust(34, b"\0")
    packed = int.from_bytes(data[10:18], "big")
    kind = Kind(packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1)
    info = Info(kind, packed & (1 << 36) - 1, int.from_bytes(data[7:10], "big"))
    return info, skip_metadata(file, at)


def skip_metadata(file: IO[bytes], at: int) -> int:
    """Where the frames of a FLAC start that starts at offset `at`."""
    at += 4
    for _ in range(MOST_BLOCKS):
        head = read_at(file, at, 4)
        at += 4 + int.from_bytes(head[1:], "big")
        if not head or head[0] & 0x80:
            break
    return at


def _some_frames(file: IO[bytes], start: int, end: int, info: Info) -> Iterator[Frame]:
    """All frames but the first of a small file; of a large one, some in the middle and the last."""
    if end - start <= MOST_READ:
        data = read_at(file, start, end - start)
        yield from _without_chance([*find_frames(data, start, info.kind)], data, info.kind)[1:]
        return
    for place in places(start, end, 4, 0)[:-1]:
        yield from _first_from(file, place, end, info)
    yield from _last_before(file, start, end, info)


def _without_chance(frames: list[Frame], data: bytes, kind: Kind) -> list[Frame]:
    """The frames in data, the first at its start, without those of another kind inside a frame.

    Audio may look like a header; then the frame before it does not end there, but where the next
    one starts. (The checksum of several whole frames is right, too.)
    """
    start, kept = frames[0].offset, frames[:1]
    ends = [frame.offset - start for frame in frames] + [len(data)]
    for frame, end in zip(frames[1:], ends[2:], strict=True):
        begin, at = kept[-1].offset - start, frame.offset - start
        if frame.kind == kind or not crc16(data[begin:at]) or crc16(data[begin:end]):
            kept.append(frame)
    return kept


def _first_from(file: IO[bytes], at: int, end: int, info: Info) -> Iterator[Frame]:
    for place in range(at, min(end, at + LARGEST), PIECE):
        data = read_at(file, place, min(end - place, PIECE + HEADER))
        if found := next(find_frames(data, place, info.kind), None):
            yield found
            return


def _last_before(file: IO[bytes], start: int, end: int, info: Info) -> Iterator[Frame]:
    """The last frame; all joined files may end with less than is read."""
    reach = max(PIECE, info.largest + HEADER)
    while reach < 2 * LARGEST:
        at = max(start + 1, end - reach)
        if found := [*find_frames(read_at(file, at, end - at), at, info.kind)]:
            yield found[-1]
            return
        reach *= 2


def find_frames(data: bytes, offset: int, kind: Kind) -> Iterator[Frame]:
    """The frames whose headers lie in data from `offset` of a file, in their order.

    `kind` is what a header stands for that refers to STREAMINFO. Frames of any kind are found; by
    chance, one in 30 million bytes of audio is taken for the header of another kind.
    """
    for found in SYNC.finditer(data):
        frame = _frame(data[found.start() : found.start() + HEADER], found.start() + offset, kind)
        if frame:
            yield frame


def _frame(data: bytes, offset: int, kind: Kind) -> Frame | None:
    """The frame with this header; None if it is none."""
    if len(data) < 6 or data[3] & 1:
        return None
    block_code, rate_code = data[2] >> 4, data[2] & 15
    channel_code, bits_code = data[3] >> 4, data[3] >> 1 & 7
    more = _bytes_more(data[4])
    if rate_code == 15 or channel_code > 10 or bits_code == 3 or more is None:
        return None
    number = data[4] & 0x7F >> (more + 1 if more else 0)
    for byte in data[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    at = 5 + more
    wide = {6: 1, 7: 2}.get(block_code, 0)
    block = int.from_bytes(data[at : at + wide], "big") + 1
    if not wide:
        block = (
            192
            if block_code == 1
            else (576 << block_code - 2)
            if block_code < 6
            else (256 << block_code - 8)
        )
    at += wide
    wide = {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    rate = int.from_bytes(data[at : at + wide], "big") * {12: 1000, 14: 10}.get(rate_code, 1)
    at += wide
    if len(data) <= at or crc8(data[: at + 1]):
        return None
    rate = RATES.get(rate_code, rate) or kind.rate
    channels = channel_code + 1 if channel_code < 8 else 2
    bits = BITS.get(bits_code, kind.bits)
    return Frame(offset, Kind(rate, channels, bits), number, bool(data[1] & 1), block)


def _bytes_more(first: int) -> int | None:
    """How many bytes of a coded number follow its first, as in UTF-8 (but up to six)."""
    ones = 8 - (first ^ 0xFF).bit_length()
    return None if ones in (1, 8) else max(ones - 1, 0)


def _is_whole(frame: bytes) -> bool:
    """Whether a frame, perhaps with zeros behind it, has the checksum of a whole one."""
    least = len(frame.rstrip(b"\0"))
    return any(not crc16(frame[:size]) for size in range(least, min(least + 2, len(frame)) + 1))
