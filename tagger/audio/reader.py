"""Read the windows of a track with the first decoder that can.

Placing the windows, resampling, and repeating what is short is the same for every decoder, so that
the same music gets the same prediction whatever container it came in.
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
from tagger.audio.pyav import TRUNCATED, Samples
from tagger.audio.windows import AUTO, PART_WINDOWS, WindowPlan, lots, place_windows
from tagger.errors import AudioError, EmptyAudio, Truncated, one_line

MARGIN = 0.025  # s read on both sides of a window, so that the resampler's edges fall outside it

# What a file may declare: from less than telephones have to DSD1024 as FFmpeg hands it over, more
# channels than any room, and six weeks. Beyond are mistakes, and attempts to take all memory.
RATES = range(1_000, 6_000_001)  # Hz
CHANNELS = 64
SECONDS = 1_000 * 3600
# A damaged MP3 may decode to 100,000 times full scale; far beyond, the front end would overflow.
LOUDEST = 1e6
SILENCE = 4 / 32768  # between the lowest and the highest sample: what dither makes of 16 bits
ZEROS = 1 << 20  # bytes at the start; an MP3 may have less of them in front of its first frame


@dataclass(frozen=True, slots=True)
class Waveforms:
    """Windows of one track: `windows` is `(n, samples)`, float32 in [-1, 1] at the plan's rate."""

    windows: Samples
    total: int  # windows of the whole track; more than n where it is read in lots
    seconds: float  # decoded length of the track
    # Told with the first lot: that nothing sounds in its windows, nor, if there are more, in as
    # many that are spread over the track.
    is_silent: bool = False


def read_windows(path: Path, plan: WindowPlan, part: int = 0) -> Waveforms:
    """Decode the planned windows of a track, and nothing else where its container can seek.

    These are the `part`-th of the lots that `windows.lots` makes of them. Raises `AudioError` with
    the reason of every decoder if none can read it, `OSError` if the file cannot be opened at all.
    """
    check_start(path)
    errors: dict[str, Exception] = {}
    for name, opened in DECODERS.items():
        try:
            with closing(opened(path)) as source:
                _check_declared(source)
                return _read_part(source, plan, part)
        except SettledError as error:
            raise AudioError(str(error), path) from None
        except Exception as error:
            # Decoders raise what their C libraries say, of every type; the next one gets its turn.
            errors[name] = error
    raise AudioError(_summary(errors), path)


def check_start(path: Path) -> None:
    """Raise for what would keep every decoder waiting or searching, and for an empty file."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file any more", str(path))
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
        raise AudioError("no sample rate")  # that is known to this decoder
    if source.rate not in RATES:
        raise SettledError(f"it declares a sample rate of {source.rate:,} Hz")
    if source.channels > CHANNELS:
        raise SettledError(f"it declares {source.channels:,} channels")
    if source.length > SECONDS * source.rate:
        raise SettledError(f"it declares {source.length // source.rate // 3600:,} hours")


def _read_part(source: Source, plan: WindowPlan, part: int) -> Waveforms:
    """Read one lot of windows; where a track ends before its stated length, place them anew."""
    declared = round(source.length * plan.rate / source.rate)
    while True:
        length = round(source.length * plan.rate / source.rate)
        # Placed anew, windows that are spread would come in another order than those heard before.
        is_placed = part > 0 and plan.count == AUTO
        starts = place_windows(declared if is_placed else length, plan)
        parts = lots(len(starts), plan)
        # No window is left of a last part if the track ends before its stated length.
        chosen = [starts[index] for index in (parts[part] if part < len(parts) else ())]
        if is_placed:
            chosen = [start for start in chosen if start + plan.samples <= length]
        try:
            windows = [*_read_in_order(source, chosen, plan)]
            is_silent = part == 0 and _is_silent(windows)
            if is_silent and len(chosen) < len(starts):
                spread = place_windows(length, replace(plan, count=PART_WINDOWS))
                is_silent = _is_silent([*_read_in_order(source, spread, plan)])
            if part == 0 and source.is_stated:
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
    low: float  # the range of what was decoded for it
    high: float


def _read_in_order(source: Source, starts: list[int], plan: WindowPlan) -> Iterator[_Window]:
    """The windows at `starts`, read from the front to the back, as some containers only can."""
    read = {start: _read_window(source, start, plan) for start in sorted(starts)}
    return map(read.__getitem__, starts)


def _look_at_end(source: Source, heard: float) -> None:
    """Raise `Truncated` for a file that was cut off behind all that is heard of it (s)."""
    place = int(TRUNCATED * source.length)
    if heard * source.rate < place and not len(source.read(place, round(MARGIN * source.rate))):
        raise Truncated(
            f"truncated: nothing can be decoded at {place / source.rate:.1f} s "
            f"of the {source.length / source.rate:.1f} s it declares"
        )


def _is_silent(windows: list[_Window]) -> bool:
    """Whether nothing sounds in all of them together; a constant is silence too.

    Before resampling, since that rings where a constant begins; or after it, since dither may lie
    above what is left then.
    """
    decoded = max(window.high for window in windows) - min(window.low for window in windows)
    samples = np.stack([window.samples for window in windows])
    return min(decoded, float(np.ptp(samples))) < SILENCE


def _read_window(source: Source, start: int, plan: WindowPlan) -> _Window:
    """One window; a shorter track is repeated until it fills it."""
    ratio = Fraction(source.rate, plan.rate)
    margin = round(MARGIN * source.rate) if source.rate != plan.rate else 0
    # A multiple of the ratio's numerator, where a sample of the one rate falls on one of the other.
    begin = max(0, int(start * ratio) - margin) // ratio.numerator * ratio.numerator
    end = min(source.length, int((start + plan.samples) * ratio) + margin + 1)
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is looked at below
        decoded = source.read(begin, end - begin)
    if len(decoded) < end - begin:
        raise _EndsEarly(begin + len(decoded))
    if not np.isfinite(decoded).all():
        raise SettledError("it holds samples that are not finite numbers")
    if np.abs(decoded).max(initial=0) > LOUDEST:
        raise SettledError("it holds samples more than a million times as loud as they can be")
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
    """A source gave fewer samples than its length promised."""

    def __init__(self, length: int) -> None:
        self.length = length


def _summary(errors: dict[str, Exception]) -> str:
    """What people may understand, and what each decoder said."""
    plain = [str(error) for error in errors.values() if isinstance(error, EmptyAudio | Truncated)]
    if plain:
        return plain[0]
    told = (f"{name}: {_one_line(error)}" for name, error in errors.items())
    return f"no decoder can read it ({'; '.join(told)})"


def _one_line(error: Exception) -> str:
    return "it needs too much memory" if isinstance(error, MemoryError) else one_line(error)
