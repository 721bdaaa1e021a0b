"""Read the windows of a track: soundfile, then PyAV, then pydub, behind one interface.

A source knows its rate and length and reads mono samples from any place; all the rest (placing the
windows, resampling, repeating what is short) is the same for every decoder, so that the same music
gets the same prediction whatever container it came in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tagger.errors import AudioError, EmptyAudio
from tagger.windows import WindowPlan, place_windows

if TYPE_CHECKING:
    import av.container

Samples = NDArray[np.float32]

PART_WINDOWS = 32  # windows handed over at once; bounds the memory that a long track takes
MARGIN = 0.025  # s read on both sides of a window, so that the resampler's edges fall outside it
PREROLL = 0.25  # s decoded before a seek's target: MP3's bit reservoir, AAC's overlap
TRUNCATED = 0.95  # share of the declared length that must be there

# What FFmpeg may take a file for. Without this a playlist renamed to .mp3 could make it open other
# files or addresses, and a picture or a text would count as a "video".
FORMATS = (
    "aac,ac3,aiff,ape,asf,au,caf,dsf,dts,eac3,flac,iff,matroska,webm,mov,mp4,m4a,mp3,mpc,mpc8,mpeg,"
    "ogg,tak,tta,w64,wav,wv"
)
# Streams of bare frames: they have no index, and what FFmpeg says of their length is a guess.
FRAMES_ONLY = {"aac", "ac3", "dts", "eac3", "mp3"}


@dataclass(frozen=True, slots=True)
class Waveforms:
    """Windows of one track: `windows` is `(n, samples)`, float32 in [-1, 1] at the plan's rate."""

    windows: Samples
    total: int  # windows of the whole track; more than n where it is read in parts
    seconds: float  # decoded length of the track


class Source(Protocol):
    """An open track: `length` samples a channel at `rate` Hz."""

    rate: int
    length: int

    def read(self, start: int, count: int) -> Samples:
        """Mono samples `(<= count,)` from `start`; fewer only where the track ends."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def read_windows(path: Path, plan: WindowPlan, part: int = 0) -> Waveforms:
    """Decode the planned windows of a track, and nothing else where its container can seek.

    Of a track with more than `PART_WINDOWS` windows this is the `part`-th lot of as many. Raises
    `AudioError` with the reason of every decoder if none can read it, `OSError` if the file cannot
    be opened at all.
    """
    path.open("rb").close()
    reasons = []
    for name, opened in DECODERS.items():
        try:
            with closing(opened(path)) as source:
                return _read_part(source, plan, part)
        # Decoders raise what their C libraries say, of every type; the next one gets its turn.
        except Exception as error:
            reasons.append(f"{name}: {_one_line(error)}")
    raise AudioError("; ".join(reasons), path)


def _read_part(source: Source, plan: WindowPlan, part: int) -> Waveforms:
    """Read one lot of windows; where a track ends before its stated length, place them anew."""
    while True:
        starts = place_windows(round(source.length * plan.rate / source.rate), plan)
        chosen = starts[part * PART_WINDOWS : (part + 1) * PART_WINDOWS]
        try:
            windows = [_read_window(source, start, plan) for start in chosen]
        except _EndsEarly as end:
            if end.length < TRUNCATED * source.length:
                raise AudioError(
                    f"truncated: {end.length / source.rate:.1f} s can be decoded of the "
                    f"{source.length / source.rate:.1f} s it declares"
                ) from None
            source.length = end.length
        else:
            return Waveforms(np.stack(windows), len(starts), source.length / source.rate)


def _read_window(source: Source, start: int, plan: WindowPlan) -> Samples:
    """One window `(samples,)`; a shorter track is repeated until it fills it."""
    ratio = source.rate / plan.rate
    margin = round(MARGIN * source.rate) if source.rate != plan.rate else 0
    begin = max(0, int(start * ratio) - margin)
    end = min(source.length, int((start + plan.samples) * ratio) + margin + 1)
    samples = source.read(begin, end - begin)
    if len(samples) < end - begin:
        raise _EndsEarly(begin + len(samples))
    if not np.isfinite(samples).all():
        raise AudioError("it holds samples that are not finite numbers")
    if source.rate != plan.rate:
        import soxr

        samples = soxr.resample(samples, source.rate, plan.rate)
    skip = start - round(begin / ratio)
    window = samples[skip : skip + plan.samples]
    if len(window) == 0:
        raise EmptyAudio("it holds no audio samples")
    return np.resize(window, plan.samples)  # numpy's resize repeats


class _EndsEarly(Exception):
    """A source gave fewer samples than its length promised."""

    def __init__(self, length: int) -> None:
        self.length = length


class SoundfileSource:
    """WAV, AIFF, FLAC, Ogg, MP3, AU, W64, CAF through libsndfile, which seeks exactly."""

    def __init__(self, path: Path) -> None:
        import soundfile

        if _is_mp3_without_length(path):
            raise AudioError("an MP3 without a length header")
        self._file = soundfile.SoundFile(os.fsencode(path) if os.name != "nt" else str(path))
        self.rate = int(self._file.samplerate)
        self.length = int(self._file.frames)

    def read(self, start: int, count: int) -> Samples:
        """Mono samples `(<= count,)`."""
        self._file.seek(start)
        return _mono(self._file.read(count, dtype="float32", always_2d=True))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class AvSource:
    """Everything FFmpeg's libraries in PyAV's wheel know: AAC, ALAC, WMA, APE, WavPack, TTA, DSF ...

    Containers with an index are sought in. A stream of bare frames is read from its start, but its
    packets are only counted up to the wanted place and not decoded: that is exact, and fast.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container = open_container(path)
        self._bare = self._container.format.name in FRAMES_ONLY
        self._rewind()
        self.rate = int(self._stream.rate or 0)
        if self.rate < 1:
            raise AudioError("no sample rate")
        self.length = self._find_length()
        self._blocks: Iterator[Samples] = iter(())
        self._held = np.zeros(0, np.float32)  # the end of what was read last
        self._held_from = -1

    def _rewind(self) -> None:
        self._stream = self._container.streams.audio[0]
        self._packets: Iterator[Any] = self._container.demux(self._stream)
        self._counted = 0  # samples of the packets that were taken so far

    def _find_length(self) -> int:
        """Samples a channel: what the container declares, else counted packet by packet."""
        duration = self._stream.duration or 0
        declared = self._samples(duration)
        if declared and not self._bare:
            return declared
        counted = self._samples(sum(packet.duration or 0 for packet in self._packets))
        self._container.close()
        self._container = open_container(self._path)
        self._rewind()
        # Only an MP3 with a length header declares; for other bare frames FFmpeg guesses.
        knows = self._container.format.name == "mp3" and not _is_mp3_without_length(self._path)
        return declared if knows and counted < TRUNCATED * declared else counted

    def _samples(self, ticks: int) -> int:
        return round(ticks * (self._stream.time_base or 0) * self.rate)

    def read(self, start: int, count: int) -> Samples:
        """Mono samples `(<= count,)`; a read that follows the last one goes on without seeking."""
        if not self._held_from <= start <= self._held_from + len(self._held):
            self._blocks = self._decode_from(start)
            self._held, self._held_from = self._held[:0], start
        blocks, end = [self._held], self._held_from + len(self._held)
        while end < start + count and (block := next(self._blocks, None)) is not None:
            blocks.append(block)
            end += len(block)
        samples = np.concatenate(blocks)
        begin = start - self._held_from
        # Neighbouring windows overlap by their margins; so much is kept for the next read.
        self._held = samples[max(0, begin + count - round(3 * MARGIN * self.rate)) :]
        self._held_from = end - len(self._held)
        return samples[begin : begin + count]

    def _decode_from(self, start: int) -> Iterator[Samples]:
        """Mono blocks of samples, of which the first begins at `start`."""
        import av

        position = None
        for packet in self._packets_from(max(0, start - round(PREROLL * self.rate))):
            try:
                frames = self._stream.codec_context.decode(packet)
            except av.error.InvalidDataError:
                continue  # one damaged packet, or one whose predecessors were left out
            for frame in frames:
                samples = _mono(_floats(frame))
                if position is None:
                    position = start if frame.pts is None else self._place(frame.pts)
                position += len(samples)
                if position > start:
                    yield samples[-min(len(samples), position - start) :]

    def _place(self, ticks: int) -> int:
        """The sample that a time stamp of the stream stands for."""
        return self._samples(ticks - (self._stream.start_time or 0))

    def _packets_from(self, target: int) -> Iterator[Any]:
        """The packets that hold sample `target` and all that follow."""
        if not self._bare:
            ticks = int(target / self.rate / (self._stream.time_base or 1))
            ticks += self._stream.start_time or 0
            self._container.seek(ticks, stream=self._stream, backward=True)
            self._packets = self._container.demux(self._stream)
        elif target < self._counted:
            self._container.close()
            self._container = open_container(self._path)
            self._rewind()
        self._stream.codec_context.flush_buffers()
        for packet in self._packets:
            if packet.pts is not None:
                self._counted = self._place(packet.pts + (packet.duration or 0))
            if packet.pts is None or self._counted >= target:
                yield packet

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()


class PydubSource:
    """What only a system FFmpeg knows, such as Musepack 7.

    Each read starts a program that decodes from the beginning, but no more than one window is ever
    held in memory.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
            raise AudioError("no ffmpeg and ffprobe on the PATH; installing FFmpeg may help")
        info = _pydub().utils.mediainfo_json(self._path)
        streams = [s for s in info.get("streams", []) if s.get("codec_type") == "audio"]
        if not streams:
            raise AudioError("FFmpeg finds no audio in it")
        self.rate = int(streams[0]["sample_rate"])
        seconds = float(streams[0].get("duration") or info["format"]["duration"])
        self.length = int(seconds * self.rate)

    def read(self, start: int, count: int) -> Samples:
        """Mono samples `(<= count,)`."""
        # pydub cuts at whole milliseconds: ask for a few more than are wanted.
        segment = _pydub().AudioSegment.from_file(
            self._path, start_second=start / self.rate, duration=count / self.rate + 0.005
        )
        scale = float(1 << (8 * segment.sample_width - 1))
        samples = np.array(segment.get_array_of_samples(), dtype=np.float32) / scale
        return _mono(samples.reshape(-1, segment.channels))[:count]

    def close(self) -> None:
        """Nothing is held open."""


def open_container(path: Path) -> av.container.InputContainer:
    """Open a file through PyAV with at least one audio stream in it."""
    import av

    # FFmpeg would also report to stderr, in the middle of the progress bar.
    av.logging.set_level(av.logging.PANIC)
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    container = av.open(os.fspath(path), options=options, metadata_errors="replace")
    if not container.streams.audio:
        container.close()
        raise AudioError("no audio stream in it")
    return container


def digest_packets(path: Path) -> str | None:
    """A hash of the encoded audio, without decoding it; None where PyAV does not know the format.

    Equal before and after a change of tags, unless the change damaged the audio.
    """
    import av

    digest = hashlib.sha256()
    try:
        with closing(open_container(path)) as container:
            for packet in container.demux(container.streams.audio[0]):
                digest.update(bytes(packet))
    except (AudioError, av.error.FFmpegError, ValueError):
        return None
    return digest.hexdigest()


def decoder_versions() -> str:
    """Which decoders are here; a track that none could read is tried again when this changes."""
    from importlib.metadata import version

    ffmpeg = shutil.which("ffmpeg") or "no ffmpeg"
    return f"soundfile {version('soundfile')}, av {version('av')}, {ffmpeg}"


def _is_mp3_without_length(path: Path) -> bool:
    """Whether a file is an MP3 whose first frame tells no length (no Xing, Info or VBRI header).

    For such a file libsndfile returns a wrong length without an error.
    """
    with path.open("rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3":
            b1, b2, b3, b4 = head[6:10]
            file.seek(10 + (b1 << 21 | b2 << 14 | b3 << 7 | b4))
        else:
            file.seek(0)
        frames = file.read(8192).lstrip(b"\0")
    # Eleven bits of sync; the layer bits tell MPEG audio from the ADTS of AAC, where they are zero.
    is_mpeg = len(frames) > 1 and frames[0] == 0xFF and frames[1] & 0xE0 == 0xE0
    is_mpeg = is_mpeg and frames[1] & 0x06 != 0
    return is_mpeg and not any(mark in frames for mark in (b"Xing", b"Info", b"VBRI"))


def _mono(samples: Samples) -> Samples:
    """`(n, channels)` to `(n,)`: the mean.

    A sum would make stereo up to 6 dB louder than the mono clips that models learn from.
    """
    return samples.mean(axis=1, dtype=np.float32)


def _floats(frame: av.AudioFrame) -> Samples:
    """A decoded frame as `(n, channels)` in [-1, 1]."""
    values = frame.to_ndarray()  # (channels, n) if planar, else (1, n * channels)
    channels = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    if values.dtype == np.uint8:
        return ((channels.astype(np.float32)) - 128) / 128
    if values.dtype.kind == "i":
        return channels.astype(np.float32) / float(1 << (8 * values.dtype.itemsize - 1))
    return channels.astype(np.float32)


def _pydub() -> Any:
    with warnings.catch_warnings():
        # pydub warns about its own regular expressions, and about a missing FFmpeg, which we name.
        warnings.simplefilter("ignore")
        import pydub
        import pydub.utils
    return pydub


def _one_line(error: Exception) -> str:
    text = str(error).encode("utf-8", "backslashreplace").decode()  # names may not be UTF-8
    return " ".join(text.split())[:200] or type(error).__name__


DECODERS: dict[str, Callable[[Path], Source]] = {
    "soundfile": SoundfileSource,
    "PyAV": AvSource,
    "pydub": PydubSource,
}
