"""Read the windows of a track with the first decoder that can read it.

Placing windows, resampling, and repeating short tracks are the same for every decoder, so the same
music gets the same prediction in any container.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator
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
from tagger.audio.windows import AUTO, CHUNK_WINDOWS, WindowPlan, place_windows, window_chunks
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
class Waveforms:
    """Windows of one track: `windows` is `(n, samples)`, float32 in [-1, 1] at the plan's rate."""

    windows: Samples
    total: int  # windows of the whole track; more than n where it has several chunks
    seconds: float  # decoded length of the track
    # Decided with the first chunk: its windows are silent, and in a longer track also
    # `CHUNK_WINDOWS` windows spread over the whole track.
    is_silent: bool = False


def read_windows(path: Path, plan: WindowPlan, chunk: int = 0) -> Waveforms:
    """Decode one chunk of the planned windows, and nothing else if the container can seek.

    `chunk` counts the chunks of `window_chunks` from 0. Raises `AudioError` with the reasons of
    all decoders if none can read the track, `OSError` if the file cannot be opened at all.
    """
    check_start(path)
    errors: dict[str, Exception] = {}
    for name, opened in DECODERS.items():
        try:
            with closing(opened(path)) as source:
                _check_declared(source)
                return _read_chunk(source, plan, chunk)
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


def _read_chunk(source: Source, plan: WindowPlan, chunk: int) -> Waveforms:
    """Read one chunk of windows; place them again if the track ends before its stated length."""
    declared = round(source.length * plan.rate / source.rate)
    while True:
        length = round(source.length * plan.rate / source.rate)
        # Windows in spread order are not placed again: they must follow those of earlier chunks.
        is_placed = chunk > 0 and plan.count == AUTO
        starts = place_windows(declared if is_placed else length, plan)
        chunks = window_chunks(len(starts), plan)
        # A last chunk has no window left if the track ends before its stated length.
        chosen = [starts[index] for index in (chunks[chunk] if chunk < len(chunks) else ())]
        if is_placed:
            chosen = [start for start in chosen if start + plan.samples <= length]
        try:
            windows = [*_read_in_order(source, chosen, plan)]
            is_silent = chunk == 0 and _is_silent(windows)
            if is_silent and len(chosen) < len(starts):
                spread = place_windows(length, replace(plan, count=CHUNK_WINDOWS))
                is_silent = _is_silent([*_read_in_order(source, spread, plan)])
            if chunk == 0 and source.is_stated:
                _look_at_end(source, (max(chosen) + plan.samples) / plan.rate)
        except _EndsEarly as end:
            if source.is_stated and end.length < TRUNCATED * source.length:
                raise Truncated(
                    f"truncated: nothing can be decoded after {end.length / source.rate:.1f} s "
                    f"of the {source.length / source.rate:.1f} s it declares"
                ) from None
            source.length = end.length
        else:
            rows = np.zeros((len(windows), plan.samples), np.float32)
            for row, window in zip(rows, windows, strict=True):
                row[:] = window.samples
            return Waveforms(rows, len(starts), source.length / source.rate, is_silent)


class _Window(NamedTuple):
    samples: Samples  # at the plan's rate
    low: float  # the range of the decoded samples
    high: float


def _read_in_order(source: Source, starts: list[int], plan: WindowPlan) -> Iterator[_Window]:
    """The windows at `starts`, read from front to back, since some containers cannot seek back."""
    read = {start: _read_window(source, start, plan) for start in sorted(starts)}
    return map(read.__getitem__, starts)


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
