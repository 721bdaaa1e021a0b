"""Decoding by PyAV, whose wheel includes FFmpeg's libraries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tagger.audio.examine import examine
from tagger.audio.mixing import Samples, join, mix
from tagger.audio.musepack import musepack_length
from tagger.audio.uncompressed import corrected
from tagger.errors import AudioError, Truncated

if TYPE_CHECKING:
    import av.container
    from av.audio.frame import AudioFrame

PREROLL = 0.25  # s decoded before a seek's target: MP3's bit reservoir, AAC's overlap
KEPT = 0.1  # s of the last read that are kept, since margins of consecutive windows overlap
BLOCK = 1 << 20  # samples of all channels that are decoded at once
TRUNCATED = 0.95  # share of the stated length that must be there

# The formats that FFmpeg may recognise. Without this list, a playlist renamed to .mp3 could make it
# open other files or addresses, and a picture or a text would be a "video".
FORMATS = (
    "aac,ac3,aiff,ape,asf,au,caf,dsf,dts,eac3,flac,iff,matroska,webm,mov,mp4,m4a,mp3,mpc,mpc8,mpeg,"
    "ogg,tak,tta,w64,wav,wv"
)
# Streams of bare frames: they have no index, and FFmpeg guesses their length.
BARE = {"aac", "ac3", "dts", "eac3", "mp3"}
# FFmpeg guesses the length of these as well: a large picture in the tag makes the track seem
# longer. WMA has few enough packets to count; the packets of DSD are as large as the file.
GUESSED = BARE | {"asf", "dsf", "iff"}
COUNTED = BARE | {"asf"}
# FFmpeg seeks to wrong packets of these, and a packet of SV7 depends on all before it.
MUSEPACK = {"mpc", "mpc8"}


class AvSource:
    """AAC, ALAC, WMA, APE, WavPack, TTA, DSF ... through FFmpeg's libraries in PyAV's wheel.

    It seeks in containers with an index. It reads a stream of bare frames from the start, but only
    counts the packets before the target, without decoding them, which is exact and fast.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        self._path = path
        self._container = open_container(path)
        self._format = self._container.format.name
        self._bare = self._format in BARE
        self._rewind()
        self.rate = int(self._stream.rate or 0)
        self.channels = int(self._stream.codec_context.channels or 0)
        self.is_stated = False  # a known length needs no proof
        self.length = self._find_length() if length is None else length
        self._frames: Iterator[AudioFrame] = iter(())
        self._held = np.zeros((1, 0), np.float32)  # the end of the last read
        self._held_from = -1

    def _rewind(self) -> None:
        self._stream = self._container.streams.audio[0]
        self._packets: Iterator[Any] = self._container.demux(self._stream)
        self._counted = 0  # samples of the packets read so far
        ratio = (self._stream.time_base or 0) * (self._stream.rate or 0)
        # Samples per tick as two integers: Fraction is slow, and there are thousands of packets.
        self._samples_in, self._ticks = ratio.numerator, ratio.denominator

    def _find_length(self) -> int:
        """Samples per channel: as the container declares, else counted packet by packet."""
        self.is_stated = self._format not in GUESSED
        if self._format in MUSEPACK and (length := musepack_length(self._path)):
            return length
        declared = self._samples(self._stream.duration or 0)
        if not declared:  # Matroska has one duration for all streams, in microseconds, from 0
            declared = (self._container.duration or 0) * self.rate // 1_000_000
            declared -= self._samples(max(self._stream.start_time or 0, 0)) if declared else 0
        # FFmpeg includes what Opus skips at the start.
        if declared and self._format in ("ogg", "matroska,webm"):
            declared = max(0, declared - self._stream.codec_context.delay)
        if declared and self._format not in COUNTED:
            return declared
        for packet in self._packets:
            self._count(packet)
        counted = self._counted
        self._container.close()
        self._container = open_container(self._path)
        self._rewind()
        # Only if it was cut off, its header knows better.
        self.is_stated = examine(self._path, self._format).is_truncated
        return declared if self.is_stated else counted

    def _count(self, packet: Any) -> None:
        """Note where a packet ends."""
        if packet.pts is not None:
            self._counted = self._place(packet.pts + (packet.duration or 0))

    def _samples(self, ticks: int) -> int:
        return round(ticks * self._samples_in / self._ticks)

    def read(self, start: int, count: int) -> Samples:
        """Mono or a pair, `(1 or 2, <= count)`; a read that continues the last does not seek."""
        if not self._held_from <= start <= self._held_from + self._held.shape[1]:
            self._frames = self._decode_from(start)
            self._held, self._held_from = self._held[:, :0], start
        blocks, end = [self._held], self._held_from + self._held.shape[1]
        while end < start + count and (block := self._next_block(start + count - end)).size:
            blocks.append(block)
            end = self._held_from + sum(block.shape[1] for block in blocks)
        samples = join(blocks)
        begin = start - self._held_from
        self._held = samples[:, max(0, begin + count - round(KEPT * self.rate)) :]
        self._held_from = end - self._held.shape[1]
        return samples[:, begin : begin + count]

    def _next_block(self, count: int) -> Samples:
        """Samples `(1 or 2, n)` of the next frames, at least `count`; none at the track's end."""
        frames, size = [], 0
        for frame in self._frames:
            frames.append(frame)
            size += frame.samples
            if size >= min(count, BLOCK // max(1, self.channels)):
                break
        return _samples(frames)

    def _decode_from(self, start: int) -> Iterator[AudioFrame]:
        """Frames from the one that holds sample `start`; `_held_from` becomes its first sample."""
        import av

        position = None
        for packet in self._packets_from(max(0, start - round(PREROLL * self.rate))):
            try:
                frames = self._stream.codec_context.decode(packet)
            except (av.error.InvalidDataError, av.error.PermissionError):
                # A damaged packet (AAC's decoder returns -1, which is PermissionError), or one
                # that depends on skipped packets.
                continue
            for frame in frames:
                if position is None:
                    position = start if frame.pts is None else self._place(frame.pts)
                if position <= start:
                    self._held_from = position
                position += frame.samples
                if position > start:
                    yield frame

    def _place(self, ticks: int) -> int:
        """The sample at a time stamp of the stream."""
        return self._samples(ticks - (self._stream.start_time or 0))

    def _packets_from(self, target: int) -> Iterator[Any]:
        """The packet that holds sample `target`, and all packets after it."""
        import av

        is_whole = self._format in MUSEPACK
        # A seek to the start of a Matroska misses its first packet, which may begin before 0.
        at_start = target == self._counted == 0
        if not (self._bare or is_whole or at_start):
            ticks = int(target / self.rate / (self._stream.time_base or 1))
            ticks += self._stream.start_time or 0
            try:
                self._container.seek(ticks, stream=self._stream, backward=True)
            except av.error.PermissionError:  # FFmpeg's -1: an error without a reason
                raise Truncated(
                    f"truncated: nothing is found at {target / self.rate:.1f} s "
                    f"of the {self.length / self.rate:.1f} s it declares"
                ) from None
            self._packets = self._container.demux(self._stream)
        elif target < self._counted:
            self._container.close()
            self._container = open_container(self._path)
            self._rewind()
        if not is_whole:
            self._stream.codec_context.flush_buffers()
        for packet in self._packets:
            self._count(packet)
            if packet.pts is None or self._counted >= target or is_whole:
                yield packet

    def close(self) -> None:
        """Close the file."""
        # Both refer to this source, and would keep the decoder until the next garbage collection.
        self._frames = self._packets = iter(())
        self._container.close()


def open_container(path: Path, end: int | None = None) -> av.container.InputContainer:
    """Open a file, or its part before byte `end`; it has at least one audio stream."""
    import av

    # FFmpeg would also print to stderr, into the progress bar.
    av.logging.set_level(av.logging.PANIC)
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file,subfile"}
    name = os.fspath(path) if end is None else f"subfile,,start,0,end,{end},,:{path}"
    file = corrected(path, TRUNCATED) if end is None else None
    container = av.open(file or name, options=options, metadata_errors="replace")
    if not container.streams.audio:
        container.close()
        raise AudioError("no audio stream in it")
    context: av.AudioCodecContext | None = container.streams.audio[0].codec_context
    if context is None:
        container.close()
        raise AudioError("FFmpeg does not know its codec")
    # Several processes decode at once, and FFmpeg would start a thread for each core.
    context.thread_count = 1
    return container


def _samples(frames: Iterable[AudioFrame]) -> Samples:
    """Decoded frames, concatenated: mono or a pair, `(1 or 2, n)` in [-1, 1]."""
    alike = groupby(frames, lambda frame: (frame.format.name, frame.layout.name))
    return join([_join(name, [*same]) for (name, _), same in alike])


def _join(name: str, frames: Sequence[Any]) -> Samples:
    """Frames of one format and layout, mixed all at once: there are thousands of short ones."""
    from av.audio.frame import format_dtypes

    channels = frames[0].layout.channels
    dtype, values = np.dtype(format_dtypes[name]), 1 if name.endswith("p") else len(channels)
    planes = (
        [np.frombuffer(plane, dtype, frame.samples * values) for plane in frame.planes]
        for frame in frames
    )
    joined = [np.concatenate(plane) for plane in zip(*planes, strict=True)]
    places = tuple(channel.name for channel in channels)
    mixed = mix(joined if values == 1 else joined[0].reshape(-1, len(channels)).T, places)
    if dtype.kind == "f":
        return mixed
    mixed /= 1 << (8 * dtype.itemsize - 1)
    return mixed - 1 if dtype.kind == "u" else mixed
