"""The decoders behind one interface: soundfile, PyAV, and pydub with a system FFmpeg.

A source knows its rate and length and reads samples from any place: mono, or a stereo pair. A
decoder's own errors pass through: `reader.read_windows` collects them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tagger.audio.examine import examine
from tagger.audio.formats import FORMATS, FROM_START, GUESSED, MATROSKA, MUSEPACK
from tagger.audio.frames import BLOCK
from tagger.audio.id3 import lacks_footer
from tagger.audio.joined import JoinedSource, joined_spans
from tagger.audio.mixing import CHANNELS, Samples, join, mix
from tagger.audio.mp4 import is_fragmented
from tagger.audio.musepack import musepack_length
from tagger.audio.pyav import AvSource
from tagger.audio.sequential import SequentialSource
from tagger.audio.uncompressed import Corrected, corrected
from tagger.errors import AudioError, Crashed

READING = 2  # version of our own code that reads files; raise it if more files can be read
FULL_OPUS = 48_000  # Hz
KILLED = re.compile(r"error code: -(1|2|9|15)\b")  # of pydub: by SIGHUP, INT, KILL, TERM
NOT_RUN = (-1, -2, -9, -15, 126, 127)  # killed by one of these, or a library of FFmpeg is missing
SLACK = 0.05  # s between the length that FFmpeg states and the end of what it decodes


class Source(Protocol):
    """An open track: `length` samples in each of `channels` at `rate` Hz, as the file declares.

    The numbers are not checked yet. `is_stated` says whether the container states the length: if
    so, a track that ends long before it is truncated; if not, the length is guessed from the size
    of the file, or is known from another opening.
    """

    rate: int
    channels: int
    length: int
    is_stated: bool

    def read(self, start: int, count: int) -> Samples:
        """Samples from `start`, float32: mono, or a stereo pair that more channels are mixed to.

        `(1 or 2, <= count)`; fewer than `count` only where the track ends.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class SettledError(AudioError):
    """A fault that another decoder could not fix, and might hide."""


class SoundfileSource:
    """WAV, AIFF, FLAC, Ogg, MP3, AU, W64, CAF through libsndfile, which seeks exactly.

    It refuses what PyAV reads better.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        import soundfile

        file: Any = corrected(path)
        if file is None:
            file = os.fsencode(path) if sys.platform != "win32" else str(path)
        try:
            self._file = soundfile.SoundFile(file)
        except soundfile.LibsndfileError as error:
            # The message for an MP3 in which it finds no frame.
            if "not a regular file" in error.error_string:
                raise AudioError("Format not recognised") from None
            raise
        self.rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self.length = int(self._file.frames) if length is None else length
        self.is_stated = length is None
        has_more = isinstance(file, Corrected) and self._file.frames != file.length
        fault = "more bytes than its header can state" if has_more else self._fault(path)
        if fault:
            self.close()
            raise AudioError(fault)

    def _fault(self, path: Path) -> str | None:
        """Why PyAV has to read this file."""
        kind = self._file.format
        # libsndfile believes every header: it returns a wrong length and no error, or stops early.
        if self.is_stated and (fault := examine(path, kind.lower()).fault):
            return fault
        if (kind, self._file.subtype) == ("W64", "PCM_32"):
            return "a W64 of 32 bits, whose floats libsndfile takes for integers"
        if kind == "MP3" and lacks_footer(path):
            return "an MP3 whose ID3 tag states a footer that it lacks"
        # At 48 kHz libsndfile takes three times as long as FFmpeg; at 16 kHz, for example, not.
        if self._file.subtype == "OPUS" and self.rate == FULL_OPUS:
            return "an Opus file of 48 kHz, which PyAV reads faster"
        if 2 < self.channels <= CHANNELS:
            return f"{self.channels} channels, whose places only FFmpeg knows"
        return None

    def read(self, start: int, count: int) -> Samples:
        """Samples `(1 or 2, <= count)`."""
        self._file.seek(start)
        blocks, done = [], 0
        while done < count:
            block = self._file.read(min(BLOCK, count - done), dtype="float32", always_2d=True)
            if not len(block):
                break
            blocks.append(block.T)
            done += len(block)
        return blocks[0] if len(blocks) == 1 else join(blocks)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PydubSource:
    """Formats that only a system FFmpeg knows, such as Musepack 7.

    Each read starts a program that seeks or decodes from the beginning; at most one window is in
    memory. It refuses files in which FFmpeg's seeks and lengths are wrong.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        self._path = str(path)
        if corrected(path):
            raise AudioError("its header states wrong sizes")
        if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
            raise AudioError("no ffmpeg and ffprobe on the PATH; installing FFmpeg may help")
        if path.suffix.lower() in (".wav", ".raw", ".pcm"):
            # pydub parses these itself, holds them in memory, and reads floats as integers.
            raise AudioError(f"not used for {path.suffix}")
        info = _probe(path)
        streams = [s for s in info.get("streams", []) if s.get("codec_type") == "audio"]
        if not streams:
            raise AudioError("FFmpeg finds no audio in it")
        format_name = info["format"]["format_name"]
        if not {*format_name.split(",")} & {*FORMATS.split(",")}:
            raise AudioError(f"FFmpeg identifies it as {format_name}")
        seconds = streams[0].get("duration") or info["format"].get("duration") or 0
        self.rate = int(streams[0].get("sample_rate", 0))
        self.channels = int(streams[0].get("channels", 0))
        self._layout = str(streams[0].get("channel_layout", ""))
        self.is_stated = length is None and format_name not in GUESSED - {"mp3"}
        stated = musepack_length(path) if length is None and format_name in MUSEPACK else None
        self.length = length or stated or int(float(seconds) * self.rate)
        if length is None:
            _check_structure(path, format_name)
            starts = [float(part.get("start_time", 0)) for part in (streams[0], info["format"])]
            # Of a Matroska with a video, FFmpeg may not know where the sound starts.
            is_unknown = format_name == MATROSKA and len(info["streams"]) > 1
            is_late = is_unknown or abs(starts[0] - starts[1]) > SLACK
            if is_late or not (stated or self._ends_at(self.length)):
                raise AudioError("its audio does not begin or end where FFmpeg says")

    def _ends_at(self, length: int) -> bool:
        """Whether the audio ends at this sample, and not before or after."""
        slack = round(SLACK * self.rate)
        read = int(self.read(max(0, length - 2 * slack), 4 * slack).shape[1])
        return bool(abs(read - min(length, 2 * slack)) <= slack)

    def read(self, start: int, count: int) -> Samples:
        """Samples `(1 or 2, <= count)`."""
        # pydub cuts at whole milliseconds: ask for a few more.
        with _failed_programs(Path(self._path)):
            segment = _pydub().AudioSegment.from_file(
                self._path, start_second=start / self.rate, duration=count / self.rate + 0.005
            )
        scale = float(1 << (8 * segment.sample_width - 1))
        samples = np.array(segment.get_array_of_samples(), dtype=np.float32) / scale
        return mix(samples.reshape(-1, segment.channels).T, _places(self._layout))[:, :count]

    def close(self) -> None:
        """Do nothing: no file is open."""


def _probe(path: Path) -> dict[str, Any]:
    """What ffprobe says of the file. Raises `AudioError`, or `Crashed` if it was stopped.

    pydub runs ffprobe too, but hides its exit status: where a codec cannot be opened, ffprobe 5.1
    prints half an object.
    """
    # After `file:`, no name is taken for an option or a protocol.
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams"]
    ended = subprocess.run(
        [*command, f"file:{path}"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if ended.returncode in NOT_RUN:
        raise Crashed("ffprobe did not run to its end", lasting=False)
    if ended.returncode:
        reason = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise AudioError(f"ffprobe cannot read it: {reason or f'status {ended.returncode}'}")
    info: dict[str, Any] = json.loads(ended.stdout.decode(errors="replace"))
    return info


@contextmanager
def _failed_programs(path: Path) -> Iterator[None]:
    """Around what runs FFmpeg's programs by pydub. Raises as `_probe` does."""
    try:
        yield
    except json.JSONDecodeError:  # pydub runs ffprobe, which could read the file before
        _probe(path)
        raise Crashed("ffprobe did not run to its end", lasting=False) from None
    except _pydub().exceptions.CouldntDecodeError as error:
        if KILLED.search(str(error)):
            raise Crashed("ffmpeg was killed while it read it", lasting=False) from None
        # The error holds all of FFmpeg's output; the last line is the reason.
        raise AudioError(str(error).strip().rpartition("\n")[2]) from None


def _check_structure(path: Path, name: str) -> None:
    """Raise for a file that FFmpeg can only read from its start."""
    if fault := examine(path, name).fault:
        raise AudioError(fault)
    if name in FROM_START or len(joined_spans(path)) > 1 or is_fragmented(path):
        raise AudioError("joined files, fragments, or a stream without an index")


def _places(layout: str) -> tuple[str, ...]:
    """FFmpeg's names of the channels of a layout, which it names as well; none if unknown."""
    import av

    try:
        return tuple(channel.name for channel in av.AudioLayout(layout).channels)
    except ValueError:
        return ()


def open_av(path: Path, length: int | None = None) -> Source:
    """Open a track by PyAV, in the way that fits the structure of its file."""
    spans = joined_spans(path)
    if len(spans) > 1:
        return JoinedSource(path, spans, length)
    source = AvSource(path, length)
    if not source.is_irregular:
        return source
    source.close()
    return SequentialSource(path, length)


def decoder_versions() -> str:
    """What decodes; if this changes, tracks that could not be read are tried again."""
    from importlib.metadata import version

    ffmpeg = shutil.which("ffmpeg") or "no ffmpeg"
    installed = f"soundfile {version('soundfile')}, av {version('av')}, {ffmpeg}"
    return f"reading {READING}, {installed}"


def _pydub() -> Any:
    with warnings.catch_warnings():
        # pydub warns about its own regular expressions, and about a missing FFmpeg, as we do.
        warnings.simplefilter("ignore")
        import pydub
        import pydub.exceptions
        import pydub.utils
    return pydub


class Decoder(Protocol):
    """Opens a track; with a length if that is known from another opening."""

    def __call__(self, path: Path, length: int | None = None) -> Source:
        """Raise an error of any type for a file that it cannot read."""
        ...


DECODERS: dict[str, Decoder] = {
    "soundfile": SoundfileSource,
    "PyAV": open_av,
    "pydub": PydubSource,
}
