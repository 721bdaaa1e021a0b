"""Whether the number of samples that a WavPack file states is that of its blocks.

Each block states where it lies in the track. Source: the WavPack 4 and 5 file format.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, NamedTuple

from tagger.audio.extent import read_at, skip_back, skip_front
from tagger.audio.structure import Structure

HEADER = 32
UNKNOWN = 0xFFFFFFFF
LARGEST = 1 << 20  # bytes of a block, by the format
LOOKS = (1 << 17, 2 * LARGEST)  # bytes that are looked at for a block; most are far shorter
PLACES = (0.4, 0.7)  # of the file
MORE = 1.6  # bytes of the file, as a share of what some blocks take for as many samples


class Block(NamedTuple):
    """A block with audio."""

    start: int  # in the file
    end: int  # in the file
    first: int  # its first sample in the track
    samples: int
    is_whole: bool  # holds all channels; of more than two, each block holds one or two


def wavpack_structure(path: Path) -> Structure:
    """The samples are compared with where the last block ends, and blocks in between ascend."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = skip_front(file, size, blanks=False)
        end = skip_back(file, start, size)
        stated = int.from_bytes(read_at(file, start + 12, 4), "little")
        if stated in (0, UNKNOWN) or not (blocks := _blocks(file, start, end)):
            return Structure()
    last = blocks[-1]
    if last.end > end:
        return Structure("its last block is cut off", is_truncated=True)
    if [block.first for block in blocks] != sorted(block.first for block in blocks):
        return Structure("it consists of several files")
    density = sum(b.end - b.start for b in blocks) / sum(b.samples for b in blocks)
    if all(b.is_whole for b in blocks) and end - start > MORE * density * stated:
        return Structure("it has more blocks than its header states")
    if last.first + last.samples != stated:
        return Structure("its header states another number of samples")
    return Structure()


def _blocks(file: IO[bytes], start: int, end: int) -> list[Block]:
    """Blocks at some places in between, and the last one; each only if one is found there."""
    found = []
    for share in PLACES:
        at = start + int((end - start) * share)
        found += _in(file, at, min(end, at + LOOKS[0]))[:1]
    for look in LOOKS:
        if last := _in(file, max(start, end - look), end)[-1:]:
            return found + last
    return []


def _in(file: IO[bytes], start: int, end: int) -> list[Block]:
    """The blocks whose headers lie there."""
    data, found, at = read_at(file, start, end - start), [], 0
    while (at := data.find(b"wvpk", at)) >= 0 and at + HEADER <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little") + 8
        version = int.from_bytes(data[at + 8 : at + 10], "little")
        first, samples = (int.from_bytes(data[at + p : at + p + 4], "little") for p in (16, 20))
        is_header = 0x402 <= version <= 0x410 and HEADER <= length <= LARGEST
        if is_header and samples:
            is_whole = data[at + 25] & 0x18 == 0x18  # the first and the last of these samples
            found.append(Block(start + at, start + at + length, first, samples, is_whole))
        at += length if is_header else 4
    return found
