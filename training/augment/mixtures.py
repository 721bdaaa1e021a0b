"""Mixtures of music for student and teacher: clips cut, changed and mixed.

A network that imitates a teacher can learn from any sound, as the targets are what the teacher
makes of that very sound (Beyer et al. 2022, https://arxiv.org/abs/2106.05237). Mixtures of a few
hours of music are as many sounds as anyone can compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.models.fbank import kaldi_mel

MOST = 3  # clips in a mixture
COUNTS = (0.45, 0.35, 0.2)  # share of the mixtures of one, two and three clips
SHARES = 1.5  # parameter of the Dirichlet distribution of the clips' shares of the power
SPEED, SPEEDS = 0.15, (0.7, 1.4)  # deviation of the logarithm; limits
LOOP_SHARE, LOOP_SECONDS = 0.15, (2.5, 6.0)  # of long clips, repeated as a short track is
NOISE_SHARE, NOISE_RATIO = 0.15, (5.0, 30.0)  # dB from the noise up to the music
CLICKS, CLICK_SIZE = (10, 200), 20.0  # as on an old record; standard deviations of the noise
EQUALISER_POINTS, EQUALISER = 6, 4.0  # along the mel scale; dB, standard deviation
LOW_PASS, LOW_PASS_SLOPE = (2000.0, 7000.0), (24.0, 96.0)  # Hz; dB an octave
HIGH_PASS, HIGH_PASS_SLOPE = (60.0, 500.0), (12.0, 24.0)
GAIN = 3.0  # dB, standard deviation
RESPONSE_POINTS = 257  # at which the gains of a filter are computed; linear between them


@dataclass(frozen=True, slots=True)
class Mixture:
    """One sound to learn from.

    `waveform` `(samples,)`, float32; `clips` and `shares` `(MOST,)` say whose music it is, with
    clip -1 and share 0 for no clip.
    """

    waveform: NDArray[np.float32]
    clips: NDArray[np.int32]
    shares: NDArray[np.float32]


class Pools:
    """Groups of clips: a group is drawn by its weight, then a clip of it by its length's root."""

    def __init__(self, groups: Sequence[tuple[float, Sequence[int]]], lengths: Sequence[int]):
        """`groups` holds the weight and the clips of each; `lengths` the samples of all clips."""
        decoded = [(weight, [of for of in clips if lengths[of]]) for weight, clips in groups]
        weights = np.array([weight for weight, clips in decoded if clips])
        self.weights = weights / weights.sum()
        self.clips = [np.array(clips) for _, clips in decoded if clips]
        roots = [np.sqrt(np.array(lengths)[clips]) for clips in self.clips]
        self.shares = [root / root.sum() for root in roots]

    def draw(self, draw: np.random.Generator) -> int:
        """A clip."""
        group = draw.choice(len(self.weights), p=self.weights)
        return int(draw.choice(self.clips[group], p=self.shares[group]))


class Mixer:
    """Makes mixtures `samples` long of clips `(any,)`, int16 at `rate` Hz.

    All randomness comes from the generator that is given: equal ones give equal bytes.
    """

    def __init__(
        self,
        clips: Sequence[NDArray[np.int16]],
        pools: Pools,
        samples: int,
        rate: int,
    ) -> None:
        self.clips = clips
        self.pools = pools
        self.samples = samples
        self.rate = rate

    def __call__(self, draw: np.random.Generator) -> Mixture:
        """One mixture."""
        count = int(draw.choice(len(COUNTS), p=COUNTS)) + 1
        chosen = [self.pools.draw(draw) for _ in range(count)]
        pieces = [self._piece(self.clips[clip], draw) for clip in chosen]
        shares = draw.dirichlet(np.full(count, SHARES)) if count > 1 else np.ones(1)
        waveform = pieces[0]
        if count > 1:
            levels = [np.sqrt(np.square(piece).mean()) + 1e-6 for piece in pieces]
            factors = (np.sqrt(shares) * levels[0] / levels).astype(np.float32)
            waveform = factors @ np.stack(pieces)
        if draw.random() < NOISE_SHARE:
            waveform = with_noise(waveform, draw)
        waveform = filtered(waveform, draw, self.rate)
        clips = np.full(MOST, -1, np.int32)
        clips[:count] = chosen
        padded = np.zeros(MOST, np.float32)
        padded[:count] = shares
        return Mixture(waveform.astype(np.float32, copy=False), clips, padded)

    def _piece(self, clip: NDArray[np.int16], draw: np.random.Generator) -> NDArray[np.float32]:
        """A piece of a clip, perhaps at another speed; a short clip is repeated."""
        factor = 1.0
        if draw.random() < 0.7:
            factor = float(np.clip(np.exp(draw.normal(0, SPEED)), *SPEEDS))
        needed = round(self.samples * factor)
        longest = LOOP_SECONDS[1] * self.rate
        if len(clip) > longest and draw.random() < LOOP_SHARE:
            length = int(draw.uniform(*LOOP_SECONDS) * self.rate)
            start = draw.integers(len(clip) - length + 1)
            clip = clip[start : start + length]
        if len(clip) < needed:
            piece = np.resize(np.roll(clip, -int(draw.integers(len(clip)))), needed)
        else:
            start = draw.integers(len(clip) - needed + 1)
            piece = clip[start : start + needed]
        return change_speed(piece.astype(np.float32) / np.float32(32768), self.samples)


def change_speed(waveform: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """`(any,)` played in `samples` samples, by linear interpolation."""
    if len(waveform) == samples:
        return waveform
    places = np.linspace(0, len(waveform) - 1, samples, dtype=np.float32)
    return np.interp(places, np.arange(len(waveform), dtype=np.float32), waveform).astype(
        np.float32
    )


def with_noise(waveform: NDArray[np.float32], draw: np.random.Generator) -> NDArray[np.float32]:
    """A waveform with hiss of some colour, and in half of the cases with clicks."""
    from scipy.signal import lfilter

    noise = draw.standard_normal(len(waveform), dtype=np.float32)
    pole = draw.uniform(0, 0.9)
    noise = np.asarray(lfilter([1 - pole], [1, -pole], noise), np.float32)
    if draw.random() < 0.5:
        count = int(draw.integers(*CLICKS))
        places = draw.integers(0, len(noise), count)
        noise[places] += (draw.normal(0, CLICK_SIZE, count) * noise.std()).astype(np.float32)
    level = np.sqrt(np.square(waveform).mean() + 1e-10) / noise.std()
    noise *= np.float32(level * 10 ** (-draw.uniform(*NOISE_RATIO) / 20))
    return waveform + noise


def filtered(
    waveform: NDArray[np.float32], draw: np.random.Generator, rate: int
) -> NDArray[np.float32]:
    """A waveform through a gain, an equaliser, a low pass and a high pass, or some of them."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(waveform), real=True)
    decibels = np.interp(np.linspace(0, rate / 2, size // 2 + 1), *response(draw, rate))
    spectrum = rfft(waveform, size) * (10 ** (decibels / 20)).astype(np.float32)
    return np.asarray(irfft(spectrum, size)[: len(waveform)], np.float32)


def response(
    draw: np.random.Generator, rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies in Hz, from 0 to half the rate, and the gains in dB at them."""
    frequencies, mels = _axes(rate)
    decibels = np.full(len(frequencies), draw.normal(0, GAIN))
    if draw.random() < 0.5:
        points = draw.normal(0, EQUALISER, EQUALISER_POINTS)
        decibels += np.interp(mels, np.linspace(0, 1, EQUALISER_POINTS), points)
    octaves = np.log2(np.maximum(frequencies, 1.0))
    if draw.random() < 0.15:
        above = (octaves - np.log2(draw.uniform(*LOW_PASS))).clip(min=0)
        decibels -= above * draw.uniform(*LOW_PASS_SLOPE)
    if draw.random() < 0.15:
        below = (np.log2(draw.uniform(*HIGH_PASS)) - octaves).clip(min=0, max=6)
        decibels -= below * draw.uniform(*HIGH_PASS_SLOPE)
    return frequencies, decibels


@cache
def _axes(rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies in Hz, and their places in mel, from 0 to 1."""
    frequencies = np.linspace(0, rate / 2, RESPONSE_POINTS)
    mels = kaldi_mel(torch.from_numpy(frequencies)).numpy()
    return frequencies, mels / mels[-1]
