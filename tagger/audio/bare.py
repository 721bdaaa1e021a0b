"""Whether a bare stream of AAC, AC-3, E-AC-3 or DTS has the same rate and channels all along.

No header states its length; its frames are counted in any case. Sources: ISO 14496-3 (1.A.2.2,
ADTS, and 1.7.2, LOAS), ETSI TS 102 366 (AC-3 and E-AC-3), ETSI TS 102 114 (DTS).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tagger.audio.extent import read_at, skip_back, skip_front
from tagger.audio.structure import MOST_READ, PIECES, Structure, places

PIECE = 1 << 13  # bytes that are read at some places
HEADER = 10  # bytes of which a frame's size and kind are known

AC3_KILOBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576,
                640)  # fmt: skip


class Frame(NamedTuple):
    """What a header says; `kind` is None where it leaves the sample rate to another frame."""

    size: int  # bytes
    kind: tuple[int, ...] | None


Parse = Callable[[bytes], Frame | None]


def bare_structure(path: Path, kind: str) -> Structure:
    """Compare all frames of a small stream with the first, some frames of a large one."""
    mark, parse = STREAMS[kind]
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = skip_front(file, size, blanks=True)
        end = skip_back(file, start, size) if start < size else start
        if end - start <= MOST_READ:
            pieces = [read_at(file, start, end - start)]
        else:
            pieces = [
                read_at(file, at, PIECE) for at in (start, *places(start, end, PIECES, PIECE))
            ]
    kinds = {frame.kind for piece in pieces for frame in frames(piece, mark, parse) if frame.kind}
    if len(kinds) < 2:
        return Structure()
    return Structure("a stream whose sample rate or channels change", is_irregular=True)


def frames(data: bytes, mark: re.Pattern[bytes], parse: Parse) -> Iterator[Frame]:
    """The frames in a piece of a file that another follows."""
    at = 0
    while found := mark.search(data, at):
        at = found.start()
        frame = parse(data[at : at + HEADER])
        following = frame and data[at + frame.size : at + frame.size + HEADER]
        if frame and following and mark.match(following):
            yield frame
            at += frame.size
        else:
            at += 1


def adts(data: bytes) -> Frame | None:
    """A frame of AAC."""
    size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5 if len(data) > 5 else 0
    if size < 7 or data[2] >> 2 & 15 > 12:
        return None
    return Frame(size, (data[2] >> 2 & 15, (data[2] & 1) << 2 | data[3] >> 6))


def loas(data: bytes) -> Frame | None:
    """A frame of AAC in LATM; its configuration may be that of the frame before."""
    if len(data) < 7:
        return None
    # Of version 0 without a further program: 15 bits, then the object type, the rate, the channels.
    first = int.from_bytes(data[3:7], "big")
    kind = (first >> 3 & 0x1FFF,) if not first >> 30 else None
    return Frame(((data[1] & 0x1F) << 8 | data[2]) + 3, kind)


def ac3(data: bytes) -> Frame | None:
    """A frame of AC-3 or E-AC-3, where a dependent one adds channels to the one before."""
    if len(data) < 7:
        return None
    version, rate = data[5] >> 3, data[4] >> 6
    if version > 10:
        kind = (version, rate, data[4] >> 4 & 3 if rate == 3 else 0, data[4] >> 1 & 7)
        is_dependent = data[2] >> 6 == 1 or data[2] >> 3 & 7
        return Frame(((data[2] & 7) << 8 | data[3]) * 2 + 2, None if is_dependent else kind)
    code = data[4] & 63
    if rate == 3 or code >= 2 * len(AC3_KILOBITS):
        return None
    kilobits = AC3_KILOBITS[code >> 1]
    words = (2 * kilobits, 320 * kilobits // 147 + (code & 1), 3 * kilobits)[rate]
    return Frame(2 * words, (version, rate, data[6] >> 5))


def dts(data: bytes) -> Frame | None:
    """A frame of DTS, or of the extension of DTS-HD behind it."""
    bits = int.from_bytes(data[4:10], "big")  # 48
    if data.startswith(b"\x64\x58\x20\x25"):
        is_long = bits >> 37 & 1
        return Frame((bits >> 4 & 0xFFFFF if is_long else bits >> 13 & 0xFFFF) + 1, None)
    return Frame((bits >> 20 & 0x3FFF) + 1, (bits >> 10 & 15, bits >> 14 & 63))


STREAMS: dict[str, tuple[re.Pattern[bytes], Parse]] = {
    "aac": (re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), adts),
    "loas": (re.compile(rb"\x56[\xe0-\xff]"), loas),
    "ac3": (re.compile(rb"\x0b\x77"), ac3),
    "eac3": (re.compile(rb"\x0b\x77"), ac3),
    "dts": (re.compile(rb"\x7f\xfe\x80\x01|\x64\x58\x20\x25"), dts),
}


def has_own_channels(frame: bytes) -> bool:
    """Whether ADTS has no usual channels; often only the first frame states their places."""
    return len(frame) > 3 and not (frame[2] & 1 or frame[3] >> 6)
