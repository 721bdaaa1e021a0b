"""Samples of a source as a model takes them: windows at its rate, and a scan of the whole track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagger.audio.coded import find_code
from tagger.audio.decoders import SettledError, Source
from tagger.audio.levels import QUIET, SILENCE, Scan, Span, mono_of
from tagger.audio.mixing import Samples
from tagger.audio.resampling import MARGIN, reading_for
from tagger.audio.structure import TRUNCATED
from tagger.audio.windows import WindowPlan
from tagger.errors import EmptyAudio, NotPcm, Truncated

# A damaged MP3 may decode to 100,000 times full scale; far beyond that, the front end overflows.
LOUDEST = 1e6

PIECE = 160_000  # samples that a scan reads at once, at the rate of the model
# A scan decodes this much, so that hours take a bounded time: all of a track that is shorter, else
# as many seconds, evenly spread.
SCANNED = 1200  # s


class EndsEarly(Exception):
    """A source gave fewer samples than its length."""

    def __init__(self, length: int) -> None:
        self.length = length


@dataclass(frozen=True, slots=True)
class Window:
    """What the model sees at once."""

    samples: Samples  # (samples of the plan,)
    range: float  # between the lowest and the highest sample
    level: float  # root of the mean square around the mean
    peak: float  # largest absolute value that was decoded
    is_one_channel: bool  # the others cancel it, see `levels.mono_of`

    def is_silent(self, loudest: float) -> bool:
        """Whether it holds digital silence, or is below -60 dB against the `loudest` window."""
        return self.range < SILENCE or self.level < QUIET * loudest


def read_window(source: Source, pieces: Sequence[Span], plan: WindowPlan, scale: float) -> Window:
    """The window that consists of these pieces of a track; less than a window is repeated.

    The ends of the pieces are at the plan's rate. Samples are divided by `scale`. Raises
    `EndsEarly`, `EmptyAudio`, and `SettledError` for samples that are no finite numbers.
    """
    read = [_read_piece(source, piece, plan.rate, scale) for piece in pieces]
    window = read[0][0] if len(read) == 1 else np.concatenate([samples for samples, *_ in read])
    if len(window) == 0:
        raise EmptyAudio("it holds no audio samples")
    repeated = np.resize(window, plan.samples)
    low, high = (min(each[1] for each in read), max(each[2] for each in read))
    # Before or after resampling: it rings where a constant begins, and may filter out most of the
    # dither.
    is_one_channel = any(each[3] for each in read)
    with np.errstate(over="ignore", invalid="ignore"):  # `check_loudness` finds such samples
        least, level = min(high - low, float(np.ptp(repeated))), float(repeated.std())
    return Window(repeated, least, level, max(high, -low), is_one_channel)


def _read_piece(
    source: Source, piece: Span, rate: int, scale: float
) -> tuple[Samples, float, float, bool]:
    """Mono samples at `rate`; the lowest and the highest as decoded; whether of one channel."""
    start, stop = piece
    begin, end, skip = reading_for(start, stop, (source.rate, rate), source.length)
    decoded, is_one_channel = _read_mono(source, begin, end)
    if len(decoded) < end - begin:
        raise EndsEarly(begin + len(decoded))
    if scale != 1:
        decoded = decoded / np.float32(scale)
    samples = decoded
    if source.rate != rate:
        import soxr

        samples = soxr.resample(decoded, source.rate, rate)
    low, high = (float(decoded.min()), float(decoded.max())) if len(decoded) else (0.0, 0.0)
    return samples[skip : skip + stop - start], low, high, is_one_channel


def _read_mono(source: Source, begin: int, end: int) -> tuple[Samples, bool]:
    with np.errstate(over="ignore", invalid="ignore"):  # the samples are checked here
        read = source.read(begin, end - begin)
        if code := find_code(read):
            raise NotPcm(f"its samples are {code.name}, although it says that they are PCM")
        decoded, is_one_channel = mono_of(read)
    if len(decoded) and not (np.isfinite(decoded.min()) and np.isfinite(decoded.max())):
        raise SettledError("it holds samples that are not finite numbers")
    return decoded, is_one_channel


def check_loudness(windows: Sequence[Window]) -> None:
    """Raise `SettledError` for samples far beyond full scale."""
    if any(window.peak > LOUDEST for window in windows):
        raise SettledError("it holds samples more than a million times full scale")


def scan(source: Source, rate: int) -> tuple[Scan, bool]:
    """The levels of a track at `rate`, and whether all of it was decoded (see `SCANNED`)."""
    is_whole = source.length <= SCANNED * source.rate
    found, size = Scan(rate), PIECE if is_whole else -(-length_at(source, rate) // SCANNED)
    start = 0
    while start < (length := length_at(source, rate)):
        stop = min(start + size, length)
        begin = start if is_whole else max(start, (start + stop - rate) // 2)
        piece = begin, stop if is_whole else min(begin + rate, stop)
        try:
            decoded, low, high, _ = _read_piece(source, piece, rate, 1)
        except EndsEarly as end:
            shorten(source, end.length)
            continue
        if len(decoded):
            end_of_piece = start + len(decoded) if is_whole else stop
            found.add(decoded, start, end_of_piece, max(high, -low))
        start = stop
    return found, is_whole


def length_at(source: Source, rate: int) -> int:
    """Samples of a track at another rate."""
    return round(source.length * rate / source.rate)


def shorten(source: Source, length: int) -> None:
    """Give a source the length that was decoded; raise `Truncated` if it states far more."""
    if source.is_stated and length < TRUNCATED * source.length:
        raise Truncated(
            f"truncated: nothing can be decoded after {_last(source, length) / source.rate:.1f} s "
            f"of the {source.length / source.rate:.1f} s it declares"
        )
    source.length = length


def _last(source: Source, length: int) -> int:
    """Where the samples before `length` end, to a hundredth of a second."""
    low = 0
    while length - low > source.rate // 100:
        middle = (low + length) // 2
        if source.read(middle, 1).size:
            low = middle
        else:
            length = middle
    return length


def check_end(source: Source, decoded: float) -> None:
    """Raise `Truncated` for a file cut off after its last window, which ends at `decoded` s."""
    place = int(TRUNCATED * source.length)
    if decoded * source.rate < place and not source.read(place, round(MARGIN * source.rate)).size:
        raise Truncated(
            f"truncated: nothing can be decoded at {place / source.rate:.1f} s "
            f"of the {source.length / source.rate:.1f} s it declares"
        )
