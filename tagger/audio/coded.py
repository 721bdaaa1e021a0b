"""Coded audio in what says that it is PCM: DTS, AC-3, Dolby E ... as on DTS CDs and from SPDIF.

Played as PCM, it is noise. Each frame of it starts with a sync word, which is looked for in the
samples as integers. Sources: ETSI TS 102 114 (DTS), ETSI TS 102 366 (AC-3, E-AC-3), IEC 61937 and
SMPTE 337M and 338M (bursts of other codes).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagger.audio.bare import ac3
from tagger.audio.chunks import Order
from tagger.audio.crc import crc16
from tagger.audio.mixing import Samples

Words = NDArray[np.int32]

# Samples that are looked at: few frames are longer than a piece, so a piece has a sync word.
PIECES, PIECE = 6, 8192
SCALE = np.float32(1 << 23)  # 24 bits are the most that a sample of a code has
ALIKE = 0.8  # correlation of neighbours
CONFIRMED = 2  # sync words with the same header

# A burst has a preamble of two words; behind it stand its kind and its length.
BURST_16, BURST_20, BURST_24 = 0xF8724E1F, (0x6F8720, 0x54E1F0), (0x96F872, 0xA54E1F)
BURSTS = {
    1: "AC-3", **dict.fromkeys((4, 5, 6, 8, 9, 10), "MPEG audio"), 7: "AAC", 19: "AAC", 20: "AAC",
    11: "DTS", 12: "DTS", 13: "DTS", 17: "DTS-HD", 14: "ATRAC", 15: "ATRAC", 16: "ATRAC", 18: "WMA",
    21: "E-AC-3", 22: "Dolby TrueHD", 28: "Dolby E",
}  # fmt: skip
DTS_16, DTS_14, DTS_HD = 0x7FFE8001, 0x1FFFE800, 0x64582025
DTS_RATES = {1, 2, 3, 6, 7, 8, 11, 12, 13}  # codes of sample rates
AC3 = 0x0B77
AC3_LONGEST = 2049  # words of a frame, and the first of the next
AC3_SYNC = b"\x0b\x77"
AC3_WORDS = np.array([AC3, 0x770B], np.uint16)
OTHER: dict[Order, Order] = {"little": "big", "big": "little"}
MOST = 30  # sync words of a piece; a sound at rest at one of these numbers has thousands


def _swapped(pair: int) -> int:
    return (pair & 0xFF00FF) << 8 | pair >> 8 & 0xFF00FF


SYNCS = {sync: (sync, False) for sync in (BURST_16, DTS_16, DTS_14, DTS_HD, AC3)}
SYNCS |= {_swapped(sync): (sync, True) for sync in SYNCS}
IS_FIRST = np.zeros(1 << 16, bool)
IS_FIRST[[pair >> 16 or pair for pair in SYNCS]] = True


class Code(NamedTuple):
    """A code, and how FFmpeg gets its stream from words of 16 bits."""

    name: str
    demuxer: str = ""  # FFmpeg's name; none for words of more bits
    order: Order = "big"  # of the bytes in which it reads a word
    header: int = 0  # what all headers of the stream have in common


def find_code(samples: Samples) -> Code | None:
    """The code that samples `(1 or 2, n)` in [-1, 1] are, None if they are PCM."""
    found: Counter[Code] = Counter()
    with np.errstate(over="ignore", invalid="ignore"):  # of floats that are no integers
        for words in _pieces(samples):
            found.update(_syncs(words))
    for code, count in found.most_common(1):
        if count >= CONFIRMED:
            return code
    return None


def _pieces(samples: Samples) -> Iterator[Words]:
    """Some places of the samples as integers of 24 bits, in the order of a file's words.

    None if they are no integers, but come from a lossy decoder. Places are left out where a sample
    is much like the one before, as in most music and never in a code: that saves most of the time.
    """
    room = max(0, samples.shape[1] - PIECE)
    for start in dict.fromkeys(room * number // (PIECES - 1) for number in range(PIECES)):
        piece = samples[:, start : start + PIECE]
        if piece[0, 1:] @ piece[0, :-1] > ALIKE * (piece[0] @ piece[0]):
            continue
        scaled = piece.T.ravel() * SCALE
        words = scaled.astype(np.int32)
        if not (words == scaled).all():
            return
        yield words


def _syncs(words: Words) -> Iterator[Code]:
    """The code, and what all its headers have in common, for each sync word."""
    if not (words & 0xFF).any():
        yield from _syncs_of_16_bits((words >> 8).astype(np.uint16))
        return
    words = words & 0xFFFFFF
    for first, second in (BURST_20, BURST_24):
        for at in np.flatnonzero((words[:-2] == first) & (words[1:-1] == second)).tolist():
            yield from _burst(int(words[at + 2]) >> 8, "")  # the upper 16 bits count (SMPTE 339M)


def _syncs_of_16_bits(words: NDArray[np.uint16]) -> Iterator[Code]:
    """In either order of bytes."""
    firsts = np.flatnonzero(IS_FIRST[words])
    firsts = firsts[firsts < len(words) - 8]
    pairs = words[firsts].astype(np.uint32) << 16 | words[firsts + 1]
    is_ac3 = np.isin(words[firsts], AC3_WORDS)  # one word is all that it has
    pairs[is_ac3] = words[firsts[is_ac3]]
    candidates = 0
    for at, pair in zip(firsts.tolist(), pairs.tolist(), strict=True):
        if pair not in SYNCS:
            continue
        candidates += 1
        sync, is_swapped = SYNCS[pair]
        near = words[at : at + 8]
        header = (near.byteswap() if is_swapped else near).tolist()
        if sync == BURST_16:
            codes = _burst(header[2], "spdif")
        elif sync == AC3 and header[1] != AC3:
            frame = words[at : at + AC3_LONGEST]
            codes = _ac3(frame.byteswap() if is_swapped else frame)
        elif sync == DTS_HD:
            codes = iter([Code("DTS-HD", "dts")])
        elif sync in (DTS_16, DTS_14):
            codes = _dts(header[:7], 16 if sync == DTS_16 else 14)
        else:
            continue
        for code in codes:
            yield code._replace(order=OTHER[code.order]) if is_swapped else code
        if candidates == MOST:
            return


def _burst(information: int, demuxer: str) -> Iterator[Code]:
    """`information` (Pc) has the kind of the burst in its lowest bits."""
    kind = information & 0x1F
    if kind in BURSTS:
        yield Code(BURSTS[kind], demuxer, "little", kind)


def _dts(words: list[int], bits: int) -> Iterator[Code]:
    """A header of 16 or, in the lowest bits of each word, 14 bits a word."""
    joined = 0
    for word in words:
        joined = joined << bits | word & (1 << bits) - 1

    def field(at: int, width: int) -> int:
        return joined >> (len(words) * bits - at - width) & (1 << width) - 1

    # Of a normal frame of 32 samples a block: blocks, bytes, places of channels, rate.
    is_normal, blocks, size, rate = field(32, 6) == 0x3F, field(39, 7), field(46, 14), field(66, 4)
    if len(words) == 7 and is_normal and blocks >= 5 and size >= 95 and rate in DTS_RATES:
        yield Code("DTS", "dts", header=blocks << 10 | field(60, 6) << 4 | rate)


def _ac3(words: NDArray[np.uint16]) -> Iterator[Code]:
    """The frame at the start of these words, if its checksum is right and another one follows."""
    data = words.astype(">u2").tobytes()
    frame, version = ac3(data), data[5] >> 3
    if frame and version <= 16 and frame.size > 4 and data.startswith(AC3_SYNC, frame.size):
        is_ac3, size = version <= 10, frame.size // 2
        # The first checksum is of five eighths of a frame, that of E-AC-3 of all.
        checked = (size >> 1) + (size >> 3) if is_ac3 else size
        if not crc16(data[2 : 2 * checked]):
            name = "AC-3" if is_ac3 else "E-AC-3"
            yield Code(name, name.replace("-", "").lower(), header=version)
