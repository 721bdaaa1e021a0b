"""Augmentation of log-mel features, and changes of speed.

On features, a gain is a sum, an equaliser a curve over the bins, and a mix of two crops a sum of
powers: far cheaper than on waveforms. Only the speed is changed on the waveform. MAEST's features
are not the logarithm of a power, so they are converted to it and back.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from tagger.models.fbank import COMPRESSION
from tagger.types import FrontEnd

NEPERS = math.log(10) / 10  # one decibel, in the natural logarithm of a power


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The strength of each change; zero turns it off."""

    speed: float = 0.15  # share by which music is played faster or slower, with its pitch
    gain: float = 6.0  # dB, standard deviation
    equaliser: float = 4.0  # dB, standard deviation at each of the points
    equaliser_points: int = 6  # along the mel scale
    noise: float = 0.3  # share of crops that get a faint noise floor
    mixup: float = 0.3  # both parameters of the Beta distribution of the shares in a mix
    patch_drop: float = 0.5  # share of the patches hidden from the network; saves time, too
    mel_mask: int = 16  # bins, at most, under each of two masks
    time_mask: float = 0.1  # share of the frames, at most, under each of two masks


def augmentation_of(kinds: Collection[str]) -> Augmentation:
    """The default strength of the given kinds, see `FEATURE_AUGMENTATION`; zero for all others."""
    default = Augmentation()
    return Augmentation(
        speed=default.speed if "speed" in kinds else 0,
        gain=default.gain if "colour" in kinds else 0,
        equaliser=default.equaliser if "colour" in kinds else 0,
        noise=default.noise if "colour" in kinds else 0,
        mel_mask=default.mel_mask if "specaugment" in kinds else 0,
        time_mask=default.time_mask if "specaugment" in kinds else 0,
        mixup=default.mixup if "mixup" in kinds else 0,
        patch_drop=default.patch_drop if "patchout" in kinds else 0,
    )


def change_speed(waveform: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """`(any,)` played in `samples` samples, by linear interpolation."""
    if len(waveform) == samples:
        return waveform
    places = np.linspace(0, len(waveform) - 1, samples, dtype=np.float32)
    return np.interp(places, np.arange(len(waveform), dtype=np.float32), waveform).astype(
        np.float32
    )


class FeatureAugmenter:
    """Changes features `(batch, frames, mel_bins)` as `Fbank` gives them.

    Draws from torch's generator.
    """

    def __init__(self, augmentation: Augmentation, front_end: FrontEnd) -> None:
        self.augmentation = augmentation
        self.scale = 2 * front_end.std
        self.mean = front_end.mean
        self.is_maest = front_end.kind == "maest"

    def log_powers(self, features: Tensor) -> Tensor:
        """The natural logarithm of the powers behind features; -inf for no power."""
        logs = features * self.scale + self.mean
        if not self.is_maest:
            return logs
        return (logs * math.log(10)).expm1().clamp_min(0).log() - math.log(COMPRESSION)

    def features(self, log_powers: Tensor) -> Tensor:
        """The inverse of `log_powers`."""
        logs = log_powers
        if self.is_maest:
            logs = (log_powers + math.log(COMPRESSION)).exp().log1p() / math.log(10)
        return (logs - self.mean) / self.scale

    def colour(self, features: Tensor) -> Tensor:
        """Change loudness and equalisation, and add a noise floor to some crops."""
        batch, _, bins = features.shape
        device = features.device
        gain = torch.randn(batch, 1, 1, device=device) * self.augmentation.gain  # (batch, 1, 1)
        points = (
            torch.randn(batch, 1, self.augmentation.equaliser_points, device=device)
            * self.augmentation.equaliser
        )
        curve = interpolate(points, bins, mode="linear", align_corners=True)  # (batch, 1, bins)
        powers = self.log_powers(features) + (gain + curve) * NEPERS  # (batch, frames, bins)
        # Codecs leave gaps of digital silence, uncompressed music does not: the floor hides that.
        floor = torch.empty(batch, 1, 1, device=device).uniform_(-14.0, -8.0)
        floor[torch.rand(batch, device=device) >= self.augmentation.noise] = -30.0
        powers = torch.logaddexp(powers, floor.expand_as(powers))
        return self.features(powers)

    def mix(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix each crop with another one.

        Returns the features, the other's index `(batch,)`, and the crop's own share `(batch, 1)`.
        """
        batch = len(features)
        other = torch.randperm(batch, device=features.device)  # (batch,)
        if not self.augmentation.mixup:
            return features, other, torch.ones(batch, 1, device=features.device)
        beta = torch.distributions.Beta(self.augmentation.mixup, self.augmentation.mixup)
        share = beta.sample((batch, 1)).to(features.device)  # (batch, 1)
        share = torch.maximum(share, 1 - share)
        powers = self.log_powers(features)
        own = powers + share.clamp_min(1e-6).log()[:, :, None]  # (batch, frames, bins)
        others = powers[other] + (1 - share).clamp_min(1e-6).log()[:, :, None]
        return self.features(torch.logaddexp(own, others)), other, share

    def mask(self, features: Tensor) -> Tensor:
        """SpecAugment: two bands of bins and two spans of frames are set to the crop's mean."""
        _, frames, bins = features.shape
        hidden = torch.zeros_like(features, dtype=torch.bool)
        for _ in range(2):
            hidden |= _spans(features, bins, self.augmentation.mel_mask)[:, None, :]
            hidden |= _spans(features, frames, round(self.augmentation.time_mask * frames))[
                :, :, None
            ]
        return torch.where(hidden, features.mean(dim=(1, 2), keepdim=True), features)


def _spans(features: Tensor, length: int, most: int) -> Tensor:
    """`(batch, length)`, true in one span of at most `most` for each crop."""
    batch = len(features)
    widths = torch.rand(batch, 1, device=features.device) * most
    starts = torch.rand(batch, 1, device=features.device) * (length - widths)
    places = torch.arange(length, device=features.device)[None]  # (1, length)
    return (places >= starts) & (places < starts + widths)
