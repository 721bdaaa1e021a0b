"""Decoded frames of FFmpeg as samples of one rate, and reading on from any place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from tagger.audio.mixing import Samples, join, mix

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

KEPT = 0.1  # s of the last read that are kept, since margins of consecutive windows overlap
BLOCK = 1 << 20  # samples of all channels that are decoded at once


class BlockSource(ABC):
    """Reads blocks that follow each other; a read that continues the last one does not seek."""

    rate: int
    channels: int

    def __init__(self) -> None:
        self._blocks = Blocks(iter(()), 0)
        self._held: Samples = np.zeros((1, 0), np.float32)  # the end of the last read
        self._held_from = -1

    def read(self, start: int, count: int) -> Samples:
        """Mono or a pair, `(1 or 2, <= count)`."""
        if not self._held_from <= start <= self._held_from + self._held.shape[1]:
            self._begin(start)
        blocks, end = [self._held], self._held_from + self._held.shape[1]
        while end < start + count and (block := self._blocks.take(start + count - end)).size:
            blocks.append(block)
            end = self._held_from + sum(block.shape[1] for block in blocks)
        samples = join(blocks)
        begin = start - self._held_from
        self._held = samples[:, max(0, begin + count - round(KEPT * self.rate)) :]
        self._held_from = end - self._held.shape[1]
        return samples[:, begin : begin + count]

    @abstractmethod
    def _begin(self, start: int) -> None:
        """Let `_held` end at or after sample `start`, or the next of `_blocks` hold it.

        `_held_from` becomes the first sample of `_held`, or of the next block when it is read.
        """


class Blocks:
    """The samples of frames one after the other; a run of frames of another rate is resampled."""

    def __init__(self, frames: Iterator[AudioFrame], rate: int) -> None:
        self._frames, self._rate = frames, rate
        self._ahead: AudioFrame | None = None
        self._resampler: Any = None

    def take(self, count: int) -> Samples:
        """Samples `(1 or 2, n)` of the next frames, at least `count`; none at the end."""
        while frames := self._gather(count):
            block, rate = _samples(frames), frames[0].sample_rate
            if rate != self._rate:
                block = self._resample(block, rate)
            if block.size:
                return block
        return np.zeros((1, 0), np.float32)

    def skip(self, count: int) -> int:
        """Drop the next frames, at most `count` samples, up to one of another rate; how many."""
        done = 0
        while frame := self._ahead or next(self._frames, None):
            self._ahead = None
            if frame.sample_rate != self._rate or done + frame.samples > count:
                self._ahead = frame
                break
            done += frame.samples
        return done

    def _gather(self, count: int) -> list[AudioFrame]:
        """Frames of one rate, at least `count` samples; `_ahead` is one of another rate, if any."""
        ahead, self._ahead = self._ahead, None
        frames = [ahead] if ahead else []
        size = ahead.samples if ahead else 0
        for frame in self._frames:
            if frames and frame.sample_rate != frames[0].sample_rate:
                self._ahead = frame
                break
            frames.append(frame)
            size += frame.samples
            if size >= min(count, BLOCK // max(1, frame.layout.nb_channels)):
                break
        return frames

    def _resample(self, block: Samples, rate: int) -> Samples:
        """The next part of a run, as a pair: channels may change in it."""
        import soxr

        if self._resampler is None:
            self._resampler = soxr.ResampleStream(rate, self._rate, 2, dtype="float32")
        if self._ahead is None:
            self._ahead = next(self._frames, None)
        is_last = self._ahead is None or self._ahead.sample_rate != rate
        pair = np.ascontiguousarray(np.broadcast_to(block, (2, block.shape[1])).T)
        resampled = self._resampler.resample_chunk(pair, last=is_last)
        if is_last:
            self._resampler = None
        return np.ascontiguousarray(resampled.T)


def decoded(context: Any, packets: Iterable[Any]) -> Iterator[AudioFrame]:
    """The frames of packets, without those of damaged packets."""
    import av

    for packet in packets:
        try:
            frames = context.decode(packet)
        except (av.error.InvalidDataError, av.error.PermissionError):
            # A damaged packet (AAC's decoder returns -1, which is PermissionError), or one that
            # depends on skipped packets.
            continue
        yield from frames


def readable(packets: Iterator[Any]) -> Iterator[Any]:
    """Packets up to the end, or to where FFmpeg can read no further: there it ends, too."""
    import av

    errors = av.error.InvalidDataError, av.error.PatchWelcomeError, av.error.BlockingIOError
    with suppress(*errors):
        yield from packets


def _samples(frames: Iterable[AudioFrame]) -> Samples:
    """Frames of one rate, concatenated: mono or a pair, `(1 or 2, n)` in [-1, 1]."""
    alike = groupby(frames, lambda frame: (frame.format.name, frame.layout.name))
    return join([_join(name, [*same]) for (name, _), same in alike])


def _join(name: str, frames: Sequence[Any]) -> Samples:
    """Frames of one format and layout, mixed all at once: there are thousands of short ones."""
    from av.audio.frame import format_dtypes

    channels = frames[0].layout.channels
    dtype, values = np.dtype(format_dtypes[name]), 1 if name.endswith("p") else len(channels)
    count = len(channels) // values  # of eight channels, PyAV may list more, which are no memory
    planes = (
        [np.frombuffer(plane, dtype, frame.samples * values) for plane in frame.planes[:count]]
        for frame in frames
    )
    joined = np.empty((count, values * sum(frame.samples for frame in frames)), dtype)
    for row, plane in zip(joined, zip(*planes, strict=True), strict=True):
        np.concatenate(plane, out=row)
    places = tuple(channel.name for channel in channels)
    mixed = mix(joined if values == 1 else joined[0].reshape(-1, len(channels)).T, places)
    if dtype.kind == "f":
        return mixed
    mixed /= 1 << (8 * dtype.itemsize - 1)
    return mixed - 1 if dtype.kind == "u" else mixed
