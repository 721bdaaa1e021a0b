"""The true sizes of WAV, RF64, BW64, W64, AIFF, AIFC, AU and CAF.

Sizes in their headers are often wrong: a program that writes to a pipe, crashes or passes 4 GiB
leaves 0, 2**32 - 1, the size modulo 2**32 or any other. `corrected` gives such a file with a
header that states what is there, so that every decoder reads just that.
Sources: the WAVE, EBU Tech 3306 (RF64), AIFF-C, Core Audio Format and Wave64 specifications.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, NamedTuple

from tagger.audio.chunks import (
    AIFF,
    AU,
    CAF,
    WAVE,
    WAVE64,
    Chunk,
    Layout,
    Order,
    chunk_at,
    chunks_from,
    next_chunk,
    true_end,
)
from tagger.audio.id3 import skip_id3
from tagger.audio.structure import TRUNCATED
from tagger.audio.virtual import VirtualFile
from tagger.errors import Truncated

READ = 64  # bytes of a chunk that are looked at
EXTENSIBLE = 0xFFFE
# Codes whose "fmt " states the samples in a block: ADPCM of Microsoft and IMA, and GSM.
WAVE_BLOCKS = {2, 0x11, 0x31}
WAVE_PLAIN = {1, 3, 6, 7}  # PCM, floats, A-law, mu-law
AIFC_SIZES = {  # bytes of a sample; 0 is as many as the bits in COMM need
    b"NONE": 0, b"twos": 0, b"sowt": 0, b"in24": 3, b"in32": 4, b"raw ": 1, b"fl32": 4, b"FL32": 4,
    b"fl64": 8, b"FL64": 8, b"alaw": 1, b"ALAW": 1, b"ulaw": 1, b"ULAW": 1,
}  # fmt: skip
AU_SIZES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # by code, like the above
UNKNOWN = 0xFFFFFFFF
NO_COUNT = (0, UNKNOWN, 0xFFFFFFFFFFFFFFFF)


class Blocks(NamedTuple):
    """How many samples the bytes hold: `samples` of each channel in `width` bytes."""

    width: int
    samples: int  # 1 for PCM, 0 if it is not constant
    counted: int = 0  # samples of each channel by a number beside the size in bytes; 0 if none
    counted_at: int = 0  # where that number is, in 4 bytes, so that it can be corrected
    counts_blocks: bool = False


@dataclass(frozen=True, slots=True)
class Uncompressed:
    """The samples of a file are its bytes `start` to `stop`; its header states `stated` bytes."""

    blocks: Blocks
    base: int  # where the header begins
    start: int
    stop: int
    stated: int
    patches: Mapping[int, bytes]  # by offset: what the header should say
    is_valid: bool  # whether decoders understand the rest of the header

    @property
    def length(self) -> int:
        """Samples of each channel that are there; 0 if that is not known."""
        return (self.stop - self.start) // self.blocks.width * self.blocks.samples

    @property
    def is_as_stated(self) -> bool:
        """Whether the header is right, but for a part of a sample."""
        blocks = self.blocks
        is_counted = blocks.counted == self.length or not (blocks.counted_at and blocks.samples)
        is_right = 0 <= self.stated - (self.stop - self.start) < blocks.width
        return is_right and is_counted and self.is_valid

    @property
    def is_truncated(self) -> bool:
        """Whether less than `TRUNCATED` of the stated count of samples is there.

        A count alone may be wrong: the size in bytes must say too that more should be there.
        """
        is_short = self.stop - self.start + self.blocks.width <= self.stated
        return is_short and 0 < self.length < TRUNCATED * self.blocks.counted


class Content(NamedTuple):
    """The first bytes of a chunk, and where they are."""

    start: int
    data: bytes
    order: Order

    def number(self, at: int, width: int) -> int:
        """0 behind the end."""
        return int.from_bytes(self.data[at : at + width], self.order)


def corrected(path: Path) -> Corrected | None:
    """The file with the right sizes in its header; None if they are right already.

    Raises `Truncated` if less than `TRUNCATED` of the samples that the header counts are there.
    """
    found = find_samples(path)
    if found is None or found.is_as_stated:
        return None
    if found.is_truncated:
        raise Truncated(
            f"truncated: {found.length:,} of the {found.blocks.counted:,} samples that its header "
            "declares"
        )
    return Corrected(path, found)


def find_samples(path: Path) -> Uncompressed | None:
    """None if it is no such file, or its header is too damaged to say what the samples are."""
    with path.open("rb") as file:
        return samples_in(file)


def samples_in(file: IO[bytes]) -> Uncompressed | None:
    """See `find_samples`."""
    skip_id3(file)
    base = file.tell()
    name = file.read(4)
    if name == b".snd":
        found = _find_in_au(file, base)
    else:
        found = _find_in_chunks(file, base, KINDS[name]) if name in KINDS else None
    return found if found and found.start <= found.stop else None


def _find_in_chunks(file: IO[bytes], base: int, kind: Kind) -> Uncompressed | None:
    layout, total = kind.layout, file.seek(0, os.SEEK_END)
    others: dict[bytes, Content] = {}
    for chunk in chunks_from(file, base + kind.first, layout):
        if chunk.name[:4] == kind.holder:
            break
        others[chunk.name[:4]] = _content(file, chunk, layout)
    else:
        return None
    stated, sizes = chunk, []
    if b"ds64" in others and (real := others[b"ds64"].number(8, 8)):
        stated, sizes = chunk._replace(size=real if chunk.size == UNKNOWN else chunk.size), [real]
    # In AIFF, the samples may begin later.
    offset = _content(file, chunk, layout).number(0, 4) if layout is AIFF else 0
    inner = kind.inner + (offset if offset < chunk.size else 0)
    if (blocks := kind.blocks(others)) and blocks.counted and blocks.samples:
        sizes.append(inner + blocks.counted // blocks.samples * blocks.width)
    end = true_end(file, stated, layout, total, sizes)
    at = next_chunk(file, chunk._replace(size=end - chunk.start), layout, total)
    for later in chunks_from(file, at, layout) if at is not None else ():
        others.setdefault(later.name[:4], _content(file, later, layout))
    blocks = kind.blocks(others)
    if not (blocks and blocks.width and chunk.start + inner <= end):
        return None
    # Of these, libsndfile or FFmpeg takes what follows PCM for more of it.
    is_valid = end == total or not blocks.samples or layout not in (WAVE64, CAF)
    whole = base + layout.header if kind.first > layout.header else 0  # the file is a chunk too
    if whole and (outer := chunk_at(file, base, layout)):
        is_valid = is_valid and outer.size > chunk.start - whole
    start, size = chunk.start + inner, stated.size - inner
    found = Uncompressed(blocks, base, start, end, size, {}, is_valid)
    patches = {chunk.start - layout.width: layout.size_field(end - chunk.start)}
    if whole:
        patches[whole - layout.width] = layout.size_field(end - whole)
    if kind.layout is WAVE:  # such a size, up to the end of the file, is understood without "ds64"
        patches[base] = b"RIFF"
    if blocks.counted_at and blocks.samples:
        count = found.length // (blocks.samples if blocks.counts_blocks else 1)
        patches[blocks.counted_at] = min(count, UNKNOWN).to_bytes(4, layout.order)
    return replace(found, patches=patches)


def _find_in_au(file: IO[bytes], base: int) -> Uncompressed | None:
    """The header has a fixed form, and nothing follows the samples."""
    header = _content(file, Chunk(b"", base, READ), AU)
    start, width = base + header.number(4, 4), AU_SIZES.get(header.number(12, 4), 0)
    blocks = Blocks(width * header.number(20, 4) or 1, 1 if width else 0)
    chunk = Chunk(b"", start, header.number(8, 4))
    end = true_end(file, chunk, AU, file.seek(0, os.SEEK_END))
    patches = {base + 8: AU.size_field(end - start)}
    size = end - start if chunk.size == UNKNOWN else chunk.size  # that is allowed
    return Uncompressed(blocks, base, start, end, size, patches, True)


def _content(file: IO[bytes], chunk: Chunk, layout: Layout) -> Content:
    file.seek(chunk.start)
    return Content(chunk.start, file.read(min(chunk.size, READ)), layout.order)


def _wave_blocks(chunks: Mapping[bytes, Content]) -> Blocks | None:
    """From "fmt ", and the count of samples from "fact" or "ds64"."""
    if (form := chunks.get(b"fmt ")) is None or len(form.data) < 16:
        return None
    code = form.number(0, 2)
    code = form.number(24, 2) if code == EXTENSIBLE else code
    samples = form.number(18, 2) if code in WAVE_BLOCKS else int(code in WAVE_PLAIN)
    fact, large = chunks.get(b"fact"), chunks.get(b"ds64")
    count = (large.number(16, 8) if large else 0) or (fact.number(0, 4) if fact else 0)
    return Blocks(form.number(12, 2), samples, 0 if count in NO_COUNT else count)


def _aiff_blocks(chunks: Mapping[bytes, Content]) -> Blocks | None:
    """From "COMM"; in AIFC, a code follows."""
    if (form := chunks.get(b"COMM")) is None or len(form.data) < 18:
        return None
    channels, count, code = form.number(0, 2), form.number(2, 4), form.data[18:22] or b"NONE"
    count = 0 if count in NO_COUNT else count
    if code == b"ima4":  # whose packets are counted
        return Blocks(34 * channels, 64, 64 * count, form.start + 2, counts_blocks=True)
    width = (AIFC_SIZES.get(code) or -(-form.number(6, 2) // 8)) * channels
    return Blocks(width, int(code in AIFC_SIZES), count, form.start + 2)


def _caf_blocks(chunks: Mapping[bytes, Content]) -> Blocks | None:
    """From "desc"; packets of other codes than PCM may have no fixed size."""
    form = chunks.get(b"desc")
    return form and Blocks(form.number(16, 4) or 1, form.number(20, 4) if form.number(16, 4) else 0)


class Kind(NamedTuple):
    """A kind of file that consists of chunks."""

    layout: Layout
    first: int  # where the first chunk begins
    holder: bytes  # the name of the chunk with the samples
    inner: int  # bytes in front of the samples in it
    blocks: Callable[[Mapping[bytes, Content]], Blocks | None]


RIFF = Kind(WAVE, 12, b"data", 0, _wave_blocks)
KINDS = {
    b"RIFF": RIFF,
    b"RF64": RIFF,
    b"BW64": RIFF,
    b"riff": Kind(WAVE64, 40, b"data", 0, _wave_blocks),
    b"FORM": Kind(AIFF, 12, b"SSND", 8, _aiff_blocks),
    b"caff": Kind(CAF, 8, b"data", 4, _caf_blocks),
}


class Corrected(VirtualFile):
    """A file with a header that states what is there; what follows PCM is not in it.

    Packets of a varying size, as in a CAF, may be listed behind them.
    """

    def __init__(self, path: Path, found: Uncompressed) -> None:
        self._file, self._found = path.open("rb", buffering=0), found
        self.length = found.length
        stop = found.stop if found.blocks.samples else os.fstat(self._file.fileno()).st_size
        super().__init__(stop - found.base)

    def read_at(self, at: int, count: int) -> bytes:
        """The bytes of the file, with the corrections."""
        begin = self._found.base + at
        self._file.seek(begin)
        data = bytearray(self._file.read(count))
        for place, patch in self._found.patches.items():
            for offset, byte in enumerate(patch, place - begin):
                if 0 <= offset < len(data):
                    data[offset] = byte
        return bytes(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
