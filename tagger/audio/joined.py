"""Files that were joined, as by `cat` or a recorder: each part is read as a file of its own."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import accumulate, islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tagger.audio import ebml
from tagger.audio.examine import examine
from tagger.audio.extent import read_at, skip_front
from tagger.audio.mixing import Samples, join
from tagger.audio.ogg import Page, all_pages
from tagger.audio.pyav import AvSource
from tagger.audio.resampling import reading_for
from tagger.errors import AudioError, EmptyAudio

Span = tuple[int, int]  # the first byte, and that after the last

MOST_PARTS = 10_000  # a day of a radio's titles; more only keep a reader busy
# The mark of a FLAC, and the header of its first block, which is STREAMINFO.
FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
# A WavPack block of the first sample; the next byte of its flags says whether it is the first one.
WAVPACK = re.compile(rb"wvpk.{4}[\x02-\x10]\x04.{6}\0{4}.{4}.(.)", re.DOTALL)
INITIAL = 8


def joined_spans(path: Path) -> list[Span]:
    """The parts of an Ogg, FLAC, WavPack or Matroska that each could be a file of its own.

    Raises `AudioError` if there are more than `MOST_PARTS`.
    """
    spans = _find_spans(path)
    if len(spans) > MOST_PARTS:
        raise AudioError(f"it consists of more than {MOST_PARTS:,} files", path)
    return spans


def _find_spans(path: Path) -> list[Span]:
    """All of them, or a few more than `MOST_PARTS`; none for other formats."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        head = read_at(file, start := skip_front(file, size, blanks=True), 4)
        if head == ebml.HEADER:
            segments = islice(ebml.segments(path), MOST_PARTS + 1)
            return [(first, min(end, size)) for first, end in segments]
        if head == b"OggS" and examine(path, "ogg").fault:
            with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
                return _until(size, _chain(all_pages(data, start, size)))
        if head == b"fLaC" and examine(path, "flac").fault:
            with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
                return _until(size, (found.start() for found in FLAC.finditer(data)))
        if head == b"wvpk" and examine(path, "wv").fault:
            with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
                blocks = WAVPACK.finditer(data)
                return _until(size, (found.start() for found in blocks if found[1][0] & INITIAL))
    return []


def _until(size: int, starts: Iterable[int]) -> list[Span]:
    some = [*islice(starts, MOST_PARTS + 1)]
    return list(zip(some, [*some[1:], size], strict=True))


def _chain(pages: Iterable[Page]) -> Iterator[int]:
    """Where each link of a chain starts: at the first of the first pages of its streams."""
    was_first = False
    for page in pages:
        if page.begins and not was_first:
            yield page.offset
        was_first = page.begins


class JoinedSource:
    """The parts of a file one after the other, at the highest of their rates.

    One part is open at a time.
    """

    is_stated = False

    def __init__(self, path: Path, spans: list[Span], length: int | None = None) -> None:
        self._path = path
        self._parts = [*_playable(path, spans)]
        self.rate = max(part.rate for part in self._parts)
        self.channels = max(part.channels for part in self._parts)
        scaled = (part.length * self.rate // part.rate for part in self._parts)
        self._ends = [*accumulate(scaled)]
        self.length = self._ends[-1] if length is None else length
        self._open: tuple[int, AvSource] | None = None

    def read(self, start: int, count: int) -> Samples:
        """Samples `(1 or 2, <= count)`."""
        blocks, end = [], min(start + count, self._ends[-1])
        while start < end:
            number = bisect_right(self._ends, start)
            first, after = self._ends[number - 1] if number else 0, self._ends[number]
            block = self._read_part(number, start - first, min(end, after) - start)
            if number < len(self._parts) - 1:  # a damaged part keeps its place
                block = np.pad(block, ((0, 0), (0, min(end, after) - start - block.shape[1])))
            blocks.append(block)
            start = min(end, after)
        return join(blocks)

    def _read_part(self, number: int, start: int, count: int) -> Samples:
        """Samples of one part, counted from its start, at the rate of all."""
        part = self._parts[number]
        if self._open is None or self._open[0] != number:
            self.close()
            self._open = number, AvSource(self._path, part.length, part.span)
        source = self._open[1]
        if part.rate == self.rate:
            return source.read(start, count)

        rates = part.rate, self.rate
        begin, end, skip = reading_for(start, start + count, rates, part.length)
        samples = source.read(begin, end - begin)
        if not samples.size:
            return samples
        import soxr

        resampled = soxr.resample(np.ascontiguousarray(samples.T), *rates).T
        return np.ascontiguousarray(resampled[:, skip : skip + count])

    def close(self) -> None:
        """Close the file."""
        if self._open:
            self._open[1].close()
            self._open = None


class _Part(NamedTuple):
    span: Span
    rate: int  # Hz
    channels: int
    length: int  # samples of each channel at its own rate


def _playable(path: Path, spans: list[Span]) -> Iterator[_Part]:
    """The parts that hold audio; a last one may be cut off in its header."""
    import av

    failed: Exception = EmptyAudio("it holds no audio samples")
    count = 0
    for span in spans:
        try:
            with closing(AvSource(path, span=span)) as part:
                if part.rate and part.length > 0:
                    yield _Part(span, part.rate, part.channels, part.length)
                    count += 1
        except (av.error.FFmpegError, AudioError) as error:
            failed = error
    if not count:
        raise failed
