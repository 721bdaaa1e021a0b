"""Augmentation of mel energies, and of the features that are their logarithm.

On energies, a gain is a factor, an equaliser a curve over the bins, and a mix of two crops a sum:
far cheaper than on waveforms, and as if those were changed before the logarithm cuts off what is
faint. Only the speed is changed on the waveform (`training.loop.waveforms`).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

NEPERS = math.log(10) / 10  # one decibel, in the natural logarithm of a power
NOISE = (-14.0, -8.0)  # the natural logarithm of a noise floor's energies, at least and at most


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


class FeatureAugmenter:
    """Changes energies and features, both `(batch, frames, mel_bins)`, as `Fbank` gives them.

    Draws from torch's generator.
    """

    def __init__(self, augmentation: Augmentation) -> None:
        self.augmentation = augmentation

    def colour(self, energies: Tensor) -> Tensor:
        """Change loudness and equalisation, and add a noise floor to some crops, in place."""
        strength = self.augmentation
        if not (strength.gain or strength.equaliser or strength.noise):
            return energies
        batch, _, bins = energies.shape
        device = energies.device
        gain = torch.randn(batch, 1, 1, device=device) * strength.gain  # (batch, 1, 1)
        points = torch.randn(batch, 1, strength.equaliser_points, device=device)
        curve = interpolate(
            points * strength.equaliser, bins, mode="linear", align_corners=True
        )  # (batch, 1, bins)
        # Codecs leave gaps of digital silence, uncompressed music does not: the floor hides that.
        floor = torch.empty(batch, 1, 1, device=device).uniform_(*NOISE).exp()
        has_floor = torch.rand(batch, 1, 1, device=device) < strength.noise
        factors = ((gain + curve) * NEPERS).exp()
        return torch.addcmul(floor * has_floor, energies, factors, out=energies)

    def mix(self, energies: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix each crop with another one.

        Returns the energies, the other's index `(batch,)`, and the crop's own share `(batch, 1)`.
        """
        batch = len(energies)
        other = torch.randperm(batch, device=energies.device)  # (batch,)
        if not self.augmentation.mixup:
            return energies, other, torch.ones(batch, 1, device=energies.device)
        beta = torch.distributions.Beta(self.augmentation.mixup, self.augmentation.mixup)
        share = beta.sample((batch, 1)).to(energies.device)  # (batch, 1)
        share = torch.maximum(share, 1 - share)
        return torch.lerp(energies[other], energies, share[:, :, None]), other, share

    def mask(self, features: Tensor) -> Tensor:
        """SpecAugment: two bands of bins and two spans of frames are set to the crop's mean."""
        _, frames, bins = features.shape
        widest, longest = self.augmentation.mel_mask, round(self.augmentation.time_mask * frames)
        if not (widest or longest):
            return features
        bands = _spans(features, bins, widest)[:, None, :]  # (batch, 1, bins)
        spans = _spans(features, frames, longest)[:, :, None]  # (batch, frames, 1)
        return torch.where(bands | spans, features.mean(dim=(1, 2), keepdim=True), features)


def _spans(features: Tensor, length: int, most: int) -> Tensor:
    """`(batch, length)`, true in two spans of at most `most` for each crop."""
    batch = len(features)
    widths = torch.rand(2, batch, 1, device=features.device) * most
    starts = torch.rand(2, batch, 1, device=features.device) * (length - widths)
    places = torch.arange(length, device=features.device)  # (length,)
    return ((places >= starts) & (places < starts + widths)).any(dim=0)
