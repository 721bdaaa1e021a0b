"""Decoding by PyAV, whose wheel includes FFmpeg's libraries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.audio.bare import has_own_channels
from tagger.audio.ebml import seconds, segments
from tagger.audio.examine import examine
from tagger.audio.formats import BARE, COUNTED, FORMATS, GUESSED, MATROSKA, MP4, MUSEPACK, is_lost
from tagger.audio.frames import Blocks, BlockSource, decoded, readable
from tagger.audio.mp4 import is_fragmented
from tagger.audio.musepack import musepack_length
from tagger.audio.structure import TRUNCATED, Structure
from tagger.audio.uncompressed import corrected
from tagger.errors import AudioError, NoSound, Truncated
from tagger.types import NO_SOUND

if TYPE_CHECKING:
    import av.container
    from av.audio.frame import AudioFrame

PREROLL = 0.25  # s decoded before a seek's target: MP3's bit reservoir, AAC's overlap

AGREES = 0.05  # s between a stated length and that of the packets


class AvSource(BlockSource):
    """AAC, ALAC, WMA, APE, WavPack, TTA, DSF ... through FFmpeg's libraries in PyAV's wheel.

    It seeks in containers with an index. It reads a stream of bare frames from the start, but only
    counts the packets before the target, without decoding them, which is exact and fast. Where it
    `is_irregular`, both are wrong. `span` is the part of the file to read, in bytes.
    """

    def __init__(
        self, path: Path, length: int | None = None, span: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self._path, self._span = path, span
        self._container = open_container(path, span)
        self._format = self._container.format.name
        self._rewind()
        context = self._stream.codec_context
        # FFmpeg seeks to wrong packets of these in Ogg.
        is_misplaced = self._format == "ogg" and context.name in ("flac", "speex", "libspeex")
        self._bare = is_misplaced or self._format in BARE
        self.rate = int(self._stream.rate or 0)
        self.channels = int(context.channels or 0)
        has_to_be_decoded = not span and self._structure.is_irregular
        self.is_irregular = has_to_be_decoded or is_lost(self._format, context.name)
        self.is_stated, self.length = False, length or 0
        # A known length is kept, but counting also shows whether some streams are irregular.
        if not self.is_irregular and (length is None or self._may_be_irregular()):
            found = self._find_length()
            self.length = found if length is None else length
            self.is_stated = self.is_stated and length is None

    def _reopen(self) -> None:
        self._container.close()
        self._container = open_container(self._path, self._span)
        self._rewind()

    def _rewind(self) -> None:
        self._stream = self._container.streams.audio[0]
        self._packets = readable(self._container.demux(self._stream))
        self._counted = 0  # samples of the packets read so far
        self._longest = 0  # ticks of a packet
        self._start, self._late = self._stream.start_time or 0, 0
        if len(self._container.streams) > 1 and (first := next(self._packets, None)):
            self._packets = chain([first], self._packets)
            # FFmpeg only looks at some seconds for a start; of others, it takes that of the file.
            late = (first.pts or 0) - self._start
            if late * (self._stream.time_base or 0) > 1:
                self._start, self._late = first.pts, late
        ratio = (self._stream.time_base or 0) * (self._stream.rate or 0)
        # Samples per tick as two integers: Fraction is slow.
        self._samples_in, self._ticks = ratio.numerator, ratio.denominator

    def _may_be_irregular(self) -> bool:
        """Whether counting its packets may show that it is."""
        if self._format in (MATROSKA, MP4):
            return not self._declared() or self._is_fragmented
        return self._format in ("aac", "asf") or bool(self._structure.fault and not self._bare)

    def _declared(self) -> int:
        """Samples per channel by the container, with what Opus skips at the start; 0 if unknown."""
        if declared := self._samples(self._stream.duration or 0):
            return declared - (0 if self._format == MP4 else self._samples(self._late))
        # Matroska has one duration for all streams, in microseconds, from 0.
        declared = (self._container.duration or 0) * self.rate // 1_000_000
        return declared and declared - self._samples(max(self._start, 0))

    def _find_length(self) -> int:
        """Samples per channel: as the container declares, else counted packet by packet."""
        self.is_stated = self._format not in GUESSED
        if self._format in MUSEPACK and (length := musepack_length(self._path)):
            return length
        skipped = self._stream.codec_context.delay if self._format in ("ogg", MATROSKA) else 0
        declared = self._declared()
        declared = max(0, declared - skipped) if declared else 0
        if declared and self._format in (MATROSKA, MP4) and not self._is_fragmented:
            return self._compare_with_packets(declared)
        if declared and not (self._format in COUNTED | {MP4} or self._structure.fault):
            return declared
        counted = self._count_all()  # what is skipped at the start has negative time stamps
        self._reopen()
        # Only if it was cut off, its header knows better.
        self.is_stated = self._structure.is_truncated
        return declared if self.is_stated else counted

    @cached_property
    def _is_fragmented(self) -> bool:
        """Whether it is an MP4 in fragments: its stated length may be that of another stream."""
        return self._format == MP4 and is_fragmented(self._path)

    @cached_property
    def _structure(self) -> Structure:
        """That of the file; a part of it is counted."""
        return Structure("a part") if self._span else examine(self._path, self._format)

    def _compare_with_packets(self, declared: int) -> int:
        """The stated length, or where the last packet ends: it may be that of another stream."""
        if self._format == MP4 and self._index_agrees(declared):
            return declared
        self.length, back, counted = declared, self.rate, 0
        while not counted:
            target = max(0, declared - back)
            self._seek(target)
            self._counted = 0
            counted = self._count_all()
            if not target:
                break
            back *= 4
        self._counted = max(1, counted)  # not at the start any more
        if abs(counted - declared) <= AGREES * self.rate:
            return declared
        stated = self._length_if_cut(declared)
        self.is_stated = counted < TRUNCATED * stated
        if self.is_stated:
            return stated
        self._reopen()  # its time stamps may begin anew
        return self._count_all()

    def _index_agrees(self, declared: int) -> bool:
        """Whether the table of packets, which FFmpeg has in memory, ends at the stated length."""
        entries = getattr(self._stream, "index_entries", ())  # since PyAV 17
        if len(entries) < 2:
            return False
        last, before = (entries[len(entries) - back].timestamp for back in (1, 2))
        return abs(self._place(2 * last - before) - declared) <= AGREES * self.rate

    def _length_if_cut(self, declared: int) -> int:
        """How long the audio of a file was that lacks its end; 0 if it does not say so."""
        if self._format == MP4:
            return declared
        _, end = next(segments(self._path), (0, 0))
        if self._span or end <= self._path.stat().st_size:
            return 0
        # Its duration may be that of another stream; many programs state that of each in a tag.
        if stated := seconds(self._stream.metadata.get("DURATION", "")):
            stated -= float(self._start * (self._stream.time_base or 0))
            return round(stated * self.rate)
        return declared if len(self._container.streams) == 1 else 0

    def _count_all(self) -> int:
        """Samples to the end of the last packet; whether the stream turns out irregular."""
        last, heads = None, set()
        gaps: list[int] = []
        for packet in self._packets:
            if self._format not in BARE and packet.pts is not None:
                place = self._place(packet.pts)
                if last is not None:
                    gaps.append(place - last)
                last = place
            elif self._format == "aac" and packet.size:
                # FFmpeg gives all packets the duration of the first.
                head = bytes(memoryview(packet)[2:4])
                heads.add((head[0] & 0xFD, head[1] & 0xC0))
            if not packet.is_corrupt:  # only a part of it is there
                self._count(packet)
        # Time stamps may begin anew, or leave out what FFmpeg does not fill.
        slack, most = self.rate // 20, self.rate
        if gaps and self._format in (MATROSKA, MP4):
            most = 2 * sorted(gaps)[len(gaps) // 2] + 2 * slack
        has_jumps = gaps and (min(gaps) < -slack or max(gaps) > most - slack)
        self.is_irregular = bool(self.is_irregular or has_jumps or len(heads) > 1)
        return self._counted

    def _count(self, packet: Any) -> None:
        """Note where a packet ends."""
        if packet.pts is not None:
            duration = self._longest = max(self._longest, packet.duration or 0)
            if "speex" not in self._stream.codec_context.name:  # which decodes all of the last one
                duration = packet.duration or 0
            self._counted = self._place(packet.pts + duration)

    def _samples(self, ticks: int) -> int:
        return round(ticks * self._samples_in / self._ticks)

    def _place(self, ticks: int) -> int:
        """The sample at a time stamp of the stream."""
        return self._samples(ticks - self._start)

    def _begin(self, start: int) -> None:
        self._held, self._held_from = self._held[:, :0], start
        target = max(0, start - round(PREROLL * self.rate))
        self._seek(target)
        frames = decoded(self._stream.codec_context, self._packets_from(target))
        self._blocks = Blocks(self._frames_from(start, frames), self.rate)

    def _frames_from(self, start: int, frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
        """Frames from the one that holds sample `start`; `_held_from` becomes its first sample."""
        position = None
        for frame in frames:
            if position is None:
                position = start if frame.pts is None else self._place(frame.pts)
            if position <= start:
                self._held_from = position
            position += frame.samples * self.rate // (frame.sample_rate or self.rate)
            if position > start:
                yield frame

    def _seek(self, target: int) -> None:
        """Let `_packets` start at or before sample `target`."""
        import av

        # A seek to the start of a Matroska misses its first packet, which may begin before 0.
        at_start = not target and (not self._counted or self._format == MATROSKA)
        if not (self._bare or at_start or self._format in MUSEPACK):
            ticks = int(target / self.rate / (self._stream.time_base or 1))
            ticks += self._start
            try:
                self._container.seek(ticks, stream=self._stream, backward=True)
            except av.error.PermissionError:  # FFmpeg's -1: an error without a reason
                raise Truncated(
                    f"truncated: nothing is found at {target / self.rate:.1f} s "
                    f"of the {self.length / self.rate:.1f} s it declares"
                ) from None
            self._packets = readable(self._container.demux(self._stream))
        elif target < self._counted:
            self._reopen()
        if self._format not in MUSEPACK:
            self._stream.codec_context.flush_buffers()

    def _packets_from(self, target: int) -> Iterator[Any]:
        """The packet that holds sample `target`, and all packets after it."""
        is_whole = self._format in MUSEPACK
        for packet in self._packets:
            is_first = not self._counted
            self._count(packet)
            if packet.pts is None or self._counted >= target or is_whole:
                yield packet
            elif is_first and self._format == "aac" and has_own_channels(bytes(packet)):
                self._stream.codec_context.decode(packet)

    def close(self) -> None:
        """Close the file."""
        # Both refer to this source, and would keep the decoder until the next garbage collection.
        self._blocks, self._packets = Blocks(iter(()), self.rate), iter(())
        self._container.close()


def open_container(
    path: Path, span: tuple[int, int] | None = None, *, corrects: bool = True
) -> av.container.InputContainer:
    """Open a file, or its bytes from a start to an end; it has at least one audio stream.

    Without `corrects`, wrong sizes in its header count, as they do for most players.
    """
    import av

    # FFmpeg would also print to stderr, into the progress bar.
    av.logging.set_level(av.logging.PANIC)
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file,subfile"}
    name = f"subfile,,start,{span[0]},end,{span[1]},,:{path}" if span else os.fspath(path)
    file = corrected(path) if corrects and not span else None
    container = av.open(file or name, options=options, metadata_errors="replace")
    if not container.streams.audio:
        pictures = [stream.disposition for stream in container.streams.video]
        container.close()
        if any(not shown & av.stream.Disposition.attached_pic for shown in pictures):
            raise NoSound(NO_SOUND)
        raise AudioError("no audio stream in it")
    context: av.AudioCodecContext | None = container.streams.audio[0].codec_context
    if context is None:
        container.close()
        raise AudioError("FFmpeg does not know its codec")
    # Several processes decode at once, and FFmpeg would start a thread for each core.
    context.thread_count = 1
    for stream in container.streams:
        if stream.type == "video" and hasattr(stream, "discard"):  # PyAV 18
            stream.discard = av.stream.Discard.all
    return container
