"""What samples say about a track: where it is silent, whether its channels cancel, its full scale.

Pure: no files. A level is the root of the mean square around the mean, so that a constant has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tagger.audio.mixing import Samples, to_mono

Span = tuple[int, int]  # the first sample, and the one after the last

SILENCE = 4 / 32768  # between the lowest and the highest sample: the range of 16-bit dither
QUIET = 1e-3  # -60 dB, against the loudest window of the track
PAUSE = 2.0  # s; a shorter silence is part of the music
BLOCK = 0.02  # s in which samples are examined together
CLICK = 0.1  # s; a track with less sound than that is silent
# Where the mean of a pair has less than this share of its channels' energy (-10 dB), they cancel.
# 0.5 is the share of channels that have nothing in common, or of which one is silent. The lowest
# share in 49 windows of 37 real stereo files was 0.47; of mono music against itself, 1 to 30 ms
# later, 0.25 in 480 windows.
CANCELLED = 0.1
# A part of a file may be inverted: of a moment, less than this share (-20 dB) must be left. The
# lowest share in 908 such moments of real stereo was more than 0.1.
LOST, MOMENT = 0.01, 1 << 14  # samples, a third of a second
SAMPLED = 64  # one in so many samples shows that channels do not cancel
# Samples of more than twice full scale for half of the time, and a hundred times at their peak, are
# integers that were stored as floats.
OFTEN, PEAK = 4.0, 100.0
FULL_SCALES = (2.0**15, 2.0**23, 2.0**31)


def mono_of(channels: Samples) -> tuple[Samples, bool]:
    """A pair or mono, `(1 or 2, n)`, as mono `(n,)`, and whether that is one channel of a pair.

    That is the mean of the channels, but the one with more energy where the energy of the mean is
    less than `CANCELLED` times the mean of their energies, or `LOST` times that in a `MOMENT`.
    Constants do not count as energy.
    """
    if len(channels) == 1 or not channels.size:
        return channels[0], False
    few = channels[:, ::SAMPLED]
    if _share(few) < 2 * CANCELLED and _share(channels) < CANCELLED:
        return _louder(channels), True
    mono, size = to_mono(channels), MOMENT // SAMPLED
    whole = few.shape[1] // size
    shares = _share(few[:, : whole * size].reshape(2, whole, size))
    doubtful = [*np.flatnonzero(shares < 2 * CANCELLED), whole]  # and the rest behind the moments
    moments = [slice(number * MOMENT, (number + 1) * MOMENT) for number in doubtful]
    lost = [each for each in moments if channels[:, each].size and _share(channels[:, each]) < LOST]
    for moment in lost:
        mono[moment] = _louder(channels)[moment]
    return mono, bool(lost)


def _louder(channels: Samples) -> Samples:
    """The channel of a pair with more energy."""
    louder: Samples = channels[int(np.argmax(channels.var(axis=1, dtype=np.float64)))]
    return louder


def _share(channels: Samples) -> NDArray[np.float64]:
    """The energy of the mean of pairs `(2, ..., n)`, as a share of the mean energy of both.

    1 for constants.
    """
    with np.errstate(all="ignore"):  # the caller checks the samples
        left, right = channels - channels.mean(axis=-1, dtype=np.float64, keepdims=True)
        energy = _dot(left, left) + _dot(right, right)
        shares: NDArray[np.float64] = np.where(energy > 0, 0.5 + _dot(left, right) / energy, 1.0)
        return shares


def _dot(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    products: NDArray[np.float64] = np.einsum("...i,...i->...", one, other)
    return products


def block_levels(samples: Samples, rate: int) -> tuple[Samples, Samples]:
    """The range and the energy of each `BLOCK` of samples: `(n,)` to `(blocks,)` each."""
    size = max(1, min(round(BLOCK * rate), len(samples)))
    blocks = samples[: len(samples) // size * size].reshape(-1, size)
    ranges: Samples = blocks.max(axis=1) - blocks.min(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):  # the caller checks the samples
        return ranges, blocks.var(axis=1)


def paused(blocks: Sequence[tuple[Samples, Samples]]) -> list[float]:
    """The share of each window, from its `block_levels`, in silence that lasts at least `PAUSE`.

    Silence is as in `Scan.sound`, against the loudest two seconds of these windows.
    """
    size = round(PAUSE / BLOCK)
    loudest = max(
        float(energies[start : start + size].mean())
        for _, energies in blocks
        for start in range(0, len(energies), size)
    )
    shares = []
    for ranges, energies in blocks:
        silent = (ranges < SILENCE) | (energies < QUIET**2 * loudest)
        lengths = (end - start for start, end in _runs(silent))
        shares.append(sum(length for length in lengths if length >= size) / len(ranges))
    return shares


@dataclass(slots=True)
class Scan:
    """The levels of a whole track, from pieces of it that are added in order."""

    rate: int  # Hz
    _ends: list[Span] = field(default_factory=list)  # of each block in the track
    _ranges: list[float] = field(default_factory=list)  # of each block
    _energies: list[float] = field(default_factory=list)  # of each block
    _loudest: float = 0  # energy
    _peak: float = 0

    def add(self, piece: Samples, start: int, end: int, peak: float) -> None:
        """Add samples `(n,)` that the track has at `start`; they stand for all before `end`.

        `peak` is their largest absolute value before resampling, which may go beyond it.
        """
        is_whole = end - start == len(piece)
        size = max(1, round(BLOCK * self.rate)) if is_whole else len(piece)
        places = np.arange(0, len(piece), size)
        counts = np.diff(places, append=len(piece))
        values = piece.astype(np.float64)
        highest, lowest = (each.reduceat(piece, places) for each in (np.maximum, np.minimum))
        means = np.add.reduceat(values, places) / counts
        energies = np.add.reduceat(values**2, places) / counts - means**2
        pause = np.arange(0, len(places), round(PAUSE / BLOCK))  # as long as the shortest pause
        loudest = np.add.reduceat(energies * counts, pause) / np.add.reduceat(counts, pause)
        self._loudest = max(self._loudest, float(loudest.max()))
        self._peak = max(self._peak, peak)
        stops = [*(start + places[1:]), end]
        self._ends += zip((start + places).tolist(), map(int, stops), strict=True)
        self._ranges += (highest - lowest).tolist()
        self._energies += energies.tolist()

    @property
    def full_scale(self) -> float:
        """The largest value that a sample may have: 1, or that of integers stored as floats.

        They are of the smallest of `FULL_SCALES` that holds their peak.
        """
        sounding = [each for each in self._ranges if each >= SILENCE]
        if self._peak <= PEAK or not sounding or np.median(sounding) <= OFTEN:
            return 1.0
        return next((scale for scale in FULL_SCALES if scale >= self._peak), FULL_SCALES[-1])

    @property
    def loudest(self) -> float:
        """The highest level of any two seconds, as a share of full scale."""
        return float(np.sqrt(self._loudest)) / self.full_scale

    def sound(self) -> list[Span]:
        """Where the track sounds: all of it, without silence that lasts at least `PAUSE`.

        A block is silent if its range is below `SILENCE`, or its level below `QUIET` times
        `loudest`. Nothing sounds if all blocks with sound together are shorter than `CLICK`.
        """
        full, ends = self.full_scale, self._ends
        faint = np.array(self._energies) < (QUIET * self.loudest * full) ** 2
        sounding = ~(faint | (np.array(self._ranges) < SILENCE * full))
        runs = [(ends[first][0], ends[last - 1][1]) for first, last in _runs(sounding)]
        if sum(end - start for start, end in runs) < CLICK * self.rate:
            return []
        joined = [(ends[0][0], ends[0][0])]
        for start, end in [*runs, (ends[-1][1], ends[-1][1])]:
            if start - joined[-1][1] < PAUSE * self.rate:
                joined[-1] = joined[-1][0], end
            else:
                joined.append((start, end))
        return [(start, end) for start, end in joined if start < end]


def _runs(flags: NDArray[np.bool_]) -> list[Span]:
    """The first and the last plus one of each run of true flags."""
    steps = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    return list(zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True))


def sound_of(samples: Samples, rate: int) -> list[Span]:
    """Where samples `(n,)` sound, see `Scan.sound`."""
    scan = Scan(rate)
    scan.add(samples, 0, len(samples), float(np.abs(samples).max(initial=0)))
    return scan.sound()


def cut(spans: Sequence[Span], start: int, count: int) -> list[Span]:
    """Where `count` samples from `start` lie in a track of which only the spans are left."""
    pieces, stop, place = [], start + count, 0
    for first, end in spans:
        piece = first + max(0, start - place), min(end, first + stop - place)
        if piece[0] < piece[1]:
            pieces.append(piece)
        place += end - first
    return pieces
