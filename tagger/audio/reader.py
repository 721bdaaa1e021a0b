"""Read the windows of a track with the first decoder that can read it.

Placing windows, resampling, and repeating short tracks are the same for every decoder, so the same
music gets the same prediction in any container.
"""

from __future__ import annotations

import errno
import stat
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tagger.audio.decoders import DECODERS, SettledError, Source
from tagger.audio.id3 import skip_id3
from tagger.audio.mixing import CHANNELS, Samples, to_mono
from tagger.audio.pyav import TRUNCATED
from tagger.audio.windows import CHUNK_WINDOWS, WindowPlan, place_windows, window_chunks
from tagger.errors import AudioError, EmptyAudio, Truncated, one_line

MARGIN = 0.025  # s read on both sides of a window, so that the resampler's edges fall outside it

# A file may declare rates from below a telephone's up to DSD1024 as FFmpeg decodes it, and six
# weeks. Anything beyond is a mistake, or an attempt to use up memory.
RATES = range(1_000, 6_000_001)  # Hz
SECONDS = 1_000 * 3600
# A damaged MP3 may decode to 100,000 times full scale; far beyond that, the front end overflows.
LOUDEST = 1e6
SILENCE = 4 / 32768  # between the lowest and the highest sample: the range of 16-bit dither
ZEROS = 1 << 20  # bytes; a good MP3 may have fewer zeros in front of its first frame


@dataclass(frozen=True, slots=True)
class Placement:
    """What the first chunk of a track finds out; the others are read by it."""

    decoder: str  # the first of `DECODERS` that can read the track
    length: int  # samples of each channel, at the rate of the file


@dataclass(frozen=True, slots=True)
class Waveforms:
    """Windows of one track: `windows` is `(n, samples)`, float32 in [-1, 1] at the plan's rate."""

    windows: Samples
    total: int  # windows of the whole track; more than n where it has several chunks
    seconds: float  # decoded length of the track
    placement: Placement
    # Decided with the first chunk: its windows are silent, and in a longer track also
    # `CHUNK_WINDOWS` windows spread over the whole track.
    is_silent: bool = False


def read_windows(
    path: Path, plan: WindowPlan, chunk: int = 0, placement: Placement | None = None
) -> Waveforms:
    """Decode one chunk of the planned windows, and nothing else if the container can seek.

    `chunk` counts the chunks of `window_chunks` from 0. `placement` is that of chunk 0; without it,
    chunk 0 is decoded first. Raises `AudioError` with the reasons of all decoders if none can read
    the track, `OSError` if the file cannot be opened at all.
    """
    if chunk and placement is None:
        placement = read_windows(path, plan).placement
    check_start(path)
    errors: dict[str, Exception] = {}
    names = [*DECODERS]
    # Those before it could not read the first chunk.
    for name in names[names.index(placement.decoder) :] if placement else names:
        try:
            with closing(DECODERS[name](path, placement.length if placement else None)) as source:
                _check_declared(source)
                if placement:
                    return _read_further(source, plan, chunk, placement)
                return _read_first(source, plan, name)
        except SettledError as error:
            raise AudioError(str(error), path) from None
        except Exception as error:
            # Decoders and their C libraries raise errors of every type; try the next one.
            errors[name] = error
    raise AudioError(_summary(errors), path)


def check_start(path: Path) -> None:
    """Raise for an empty file, and for one that would keep every decoder waiting or searching."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "no longer a regular file", str(path))
    with path.open("rb") as file:
        if not status.st_size:
            raise AudioError("the file is empty", path)
        skip_id3(file)
        head = file.read(4096)
        if head and not head.strip(b"\0") and not file.read(ZEROS).strip(b"\0"):
            raise AudioError(
                "it begins with nothing but zeros, as an unfinished download does", path
            )


def _check_declared(source: Source) -> None:
    if source.rate < 1:
        raise AudioError("no sample rate")  # another decoder may know it
    if source.rate not in RATES:
        raise SettledError(f"it declares a sample rate of {source.rate:,} Hz")
    if source.channels > CHANNELS:
        raise SettledError(f"it declares {source.channels:,} channels")
    if source.length > SECONDS * source.rate:
        raise SettledError(f"it declares {source.length // source.rate // 3600:,} hours")


def _read_first(source: Source, plan: WindowPlan, decoder: str) -> Waveforms:
    """Read the first chunk; place it again if the track ends before its stated length."""
    while True:
        length = _length(source, plan)
        starts = place_windows(length, plan)
        chosen = [starts[index] for index in window_chunks(len(starts), plan)[0]]
        try:
            windows = _read_in_order(source, chosen, plan)
            is_silent = _is_silent(windows)
            if is_silent and len(chosen) < len(starts):
                spread = place_windows(length, replace(plan, count=CHUNK_WINDOWS))
                is_silent = _is_silent(_read_in_order(source, spread, plan))
            if source.is_stated:
                _look_at_end(source, (max(chosen) + plan.samples) / plan.rate)
        except _EndsEarly as end:
            _end_at(source, end.length)
        else:
            placement = Placement(decoder, source.length)
            seconds = source.length / source.rate
            return Waveforms(_rows(windows, plan), len(starts), seconds, placement, is_silent)


def _read_further(source: Source, plan: WindowPlan, chunk: int, placement: Placement) -> Waveforms:
    """Read a chunk of a track whose first chunk is read.

    Where the track ends before its stated length, windows that are not in it any more are left out;
    but those of `all` are placed again, so that they cover all there is.
    """
    placed = place_windows(_length(source, plan), plan)
    numbers = window_chunks(len(placed), plan)[chunk]
    while True:
        length = _length(source, plan)
        starts = placed if plan.count is not None else place_windows(length, plan)
        chosen = starts[numbers.start : numbers.stop]
        if len(placed) > 1:
            chosen = [start for start in chosen if start + plan.samples <= length]
        try:
            windows = _read_in_order(source, chosen, plan)
        except _EndsEarly as end:
            _end_at(source, end.length)
        else:
            seconds = source.length / source.rate
            return Waveforms(_rows(windows, plan), len(placed), seconds, placement)


def _length(source: Source, plan: WindowPlan) -> int:
    """Samples of a track at the plan's rate."""
    return round(source.length * plan.rate / source.rate)


def _end_at(source: Source, length: int) -> None:
    """Take a source for this long; raise `Truncated` if it states far more."""
    if source.is_stated and length < TRUNCATED * source.length:
        raise Truncated(
            f"truncated: nothing can be decoded after {length / source.rate:.1f} s "
            f"of the {source.length / source.rate:.1f} s it declares"
        )
    source.length = length


def _rows(windows: list[_Window], plan: WindowPlan) -> Samples:
    rows = np.zeros((len(windows), plan.samples), np.float32)
    for row, window in zip(rows, windows, strict=True):
        row[:] = window.samples
    return rows


class _Window(NamedTuple):
    samples: Samples  # at the plan's rate
    low: float  # the range of the decoded samples
    high: float


def _read_in_order(source: Source, starts: list[int], plan: WindowPlan) -> list[_Window]:
    """The windows at `starts`, read from front to back, since some containers cannot seek back."""
    read = {start: _read_window(source, start, plan) for start in sorted(starts)}
    return [read[start] for start in starts]


def _look_at_end(source: Source, decoded: float) -> None:
    """Raise `Truncated` for a file cut off after its last window, which ends at `decoded` s."""
    place = int(TRUNCATED * source.length)
    if decoded * source.rate < place and not source.read(place, round(MARGIN * source.rate)).size:
        raise Truncated(
            f"truncated: nothing can be decoded at {place / source.rate:.1f} s "
            f"of the {source.length / source.rate:.1f} s it declares"
        )


def _is_silent(windows: list[_Window]) -> bool:
    """Whether all windows together are silent; a constant is silence too.

    Before or after resampling: it rings where a constant begins, and may filter out most of the
    dither.
    """
    decoded = max(window.high for window in windows) - min(window.low for window in windows)
    samples = np.stack([window.samples for window in windows])
    return min(decoded, float(np.ptp(samples))) < SILENCE


def _read_window(source: Source, start: int, plan: WindowPlan) -> _Window:
    """One window; a shorter track is repeated to fill it."""
    ratio = Fraction(source.rate, plan.rate)
    margin = round(MARGIN * source.rate) if source.rate != plan.rate else 0
    # A multiple of the ratio's numerator: there, samples of both rates coincide.
    begin = max(0, int(start * ratio) - margin) // ratio.numerator * ratio.numerator
    end = min(source.length, int((start + plan.samples) * ratio) + margin + 1)
    with np.errstate(over="ignore", invalid="ignore"):  # the samples are checked below
        decoded = to_mono(source.read(begin, end - begin))
    if len(decoded) < end - begin:
        raise _EndsEarly(begin + len(decoded))
    if not np.isfinite(decoded).all():
        raise SettledError("it holds samples that are not finite numbers")
    if np.abs(decoded).max(initial=0) > LOUDEST:
        raise SettledError("it holds samples more than a million times full scale")
    samples = decoded
    if source.rate != plan.rate:
        import soxr

        samples = soxr.resample(decoded, source.rate, plan.rate)
    skip = start - int(begin / ratio)
    window = samples[skip : skip + plan.samples]
    if len(window) == 0:
        raise EmptyAudio("it holds no audio samples")
    repeated = np.resize(window, plan.samples)
    return _Window(repeated, float(decoded.min()), float(decoded.max()))


class _EndsEarly(Exception):
    """A source gave fewer samples than its declared length."""

    def __init__(self, length: int) -> None:
        self.length = length


def _summary(errors: dict[str, Exception]) -> str:
    """A message in plain words if there is one, else the errors of all decoders."""
    plain = [str(error) for error in errors.values() if isinstance(error, EmptyAudio | Truncated)]
    if plain:
        return plain[0]
    reasons = (f"{name}: {_one_line(error)}" for name, error in errors.items())
    return f"no decoder can read it ({'; '.join(reasons)})"


def _one_line(error: Exception) -> str:
    return "it needs too much memory" if isinstance(error, MemoryError) else one_line(error)
