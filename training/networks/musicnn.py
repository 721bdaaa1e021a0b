"""The teacher musicnn (Pons and Serra 2019, https://arxiv.org/abs/1909.06654), fast on a CPU.

Its weights are read from an .npz file with TensorFlow's names and layout. Not a general network:
only what computing its outputs for very much audio needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d, conv1d, pad, relu

from tagger.models.fbank import Fbank
from tagger.types import FrontEnd
from training.errors import TrainingError
from training.networks.teacher import TeacherOutputs

EMBEDDING = 200  # width of the penultimate layer
TAGS = 50
PATCH_FRAMES = 187  # 3 s: what it was trained on
HOP_FRAMES = 94  # from one patch to the next
EPSILON = 1e-3  # of its batch norms
BANDS = 8  # positions along frequency, or
STEPS = 16  # along time, that one product computes
ROWS = 160  # frames in one product: larger outputs do not stay in a processor's cache


@dataclass(frozen=True, slots=True)
class Affine:
    """A batch norm as it is when a network is used: `x * scale + shift`."""

    scale: Tensor
    shift: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """The same shape; channels last."""
        return values * self.scale + self.shift


@dataclass(frozen=True, slots=True)
class Maxima:
    """A convolution, ReLU and batch norm, of which the maximum over frequency is taken.

    The norm is affine, so the maximum comes first: of the convolution where the scale is positive,
    else of its negative. `kernel` is `(taps, positions * channels)`: the kernel at `positions`
    neighbouring places, each zero where it does not reach. One product then does for all of them,
    with as little copying of the input as possible.
    """

    kernel: Tensor
    taps: int  # of the kernel itself along the axis on which it is moved
    sign: Tensor  # (channels,)
    bias: Tensor
    norm: Affine

    def finish(self, largest: Tensor) -> Tensor:
        """Maxima `(..., channels)` of products, after ReLU and norm."""
        return self.norm(relu(largest.float() * self.sign + self.bias))


class Musicnn:
    """Outputs of the "MSD" model, for each patch of 3 s.

    Raises `TrainingError` if the file does not hold its weights.
    """

    front_end = FrontEnd(kind="maest", mel_bins=96, frames=PATCH_FRAMES, mean=0.0, std=0.5)

    def __init__(self, path: Path, dtype: torch.dtype = torch.bfloat16) -> None:
        self.dtype = dtype
        try:
            with np.load(path) as weights:
                self._read(weights)
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(f"{path} does not hold musicnn's weights: {error}") from error

    def _read(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        def tensor(name: str) -> Tensor:
            return torch.from_numpy(np.asarray(weights[name]))

        def norm(number: int) -> Affine:
            name = f"batch_normalization_{number}" if number else "batch_normalization"
            deviation = (tensor(f"{name}.moving_variance") + EPSILON).sqrt()
            scale = tensor(f"{name}.gamma") / deviation
            return Affine(scale, tensor(f"{name}.beta") - tensor(f"{name}.moving_mean") * scale)

        def maxima(number: int, positions: int) -> Maxima:
            name = f"conv2d_{number}" if number else "conv2d"
            kernel = tensor(f"{name}.kernel")[:, :, 0]  # (time, bins, channels)
            after = norm(number + 1)
            sign = after.scale.sign()
            # The axis along which it is moved comes second.
            kernel = kernel if kernel.shape[1] > 1 else kernel.transpose(0, 1)
            rows, taps, channels = kernel.shape
            moved = torch.zeros(rows, taps + positions - 1, positions, channels)
            for place in range(positions):
                moved[:, place : place + taps, place] = kernel * sign
            flat = moved.reshape(-1, positions * channels).to(self.dtype)
            return Maxima(flat, taps, sign, tensor(f"{name}.bias"), after)

        self.first = norm(0)
        self.timbral = [maxima(number, BANDS) for number in (0, 1)]
        self.temporal = [maxima(number, STEPS) for number in (2, 3, 4)]
        self.middle = [
            (
                tensor(f"conv2d_{number}.kernel")[:, :, 0].permute(2, 1, 0).to(self.dtype),
                tensor(f"conv2d_{number}.bias").to(self.dtype),
                norm(number + 1),
            )
            for number in (5, 6, 7)
        ]
        last, kernel = norm(9), tensor("dense.kernel")
        self.dense = kernel * last.scale[:, None], tensor("dense.bias") + last.shift @ kernel
        # How much each channel changes what comes after: by its maximum or by its mean.
        self.weight_of_channels = self.dense[0].view(-1, 2 * EMBEDDING).norm(dim=1)
        self.penultimate = norm(10)
        self.tags = tensor("dense_1.kernel"), tensor("dense_1.bias")

    @torch.inference_mode()
    def __call__(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-mel features `(batch, frames, 96)` to what each patch of 3 s gives.

        Embeddings `(batch, patches, 200)`, probabilities of the tags `(batch, patches, 50)`, and
        the channels of all layers before they are pooled, `(batch, frames, 753)`. Patches start
        `HOP_FRAMES` apart, and the last ends with the input. All of the input goes through the
        convolutions at once, so that within three frames of an inner edge a patch sees its
        neighbours, not zeros.
        """
        maxima = self._maxima(self.first(features))  # (batch, frames, 561)
        layers = [maxima]
        for number, (kernel, bias, norm) in enumerate(self.middle):
            inputs = layers[-1].transpose(1, 2).to(self.dtype)
            hidden = norm(relu(conv1d(inputs, kernel, bias, padding=3).float().transpose(1, 2)))
            layers.append(hidden + layers[-1] if number else hidden)
        joined = torch.cat(layers, dim=-1)  # (batch, frames, 753)
        patches = [joined[:, start : start + PATCH_FRAMES] for start in _starts(joined.shape[1])]
        highest = torch.stack([patch.amax(dim=1) for patch in patches], dim=1)
        means = torch.stack([patch.mean(dim=1) for patch in patches], dim=1)
        pooled = torch.stack([highest, means], dim=-1).flatten(-2)  # (batch, patches, 1506)
        embeddings = self.penultimate(relu(pooled @ self.dense[0] + self.dense[1]))
        return embeddings, (embeddings @ self.tags[0] + self.tags[1]).sigmoid(), joined

    def _maxima(self, features: Tensor) -> Tensor:
        """Normalised features `(batch, frames, bins)` to `(batch, frames, 2 * 204 + 3 * 51)`."""
        return torch.cat(
            [
                *(self._timbral(features, layer) for layer in self.timbral),
                *(self._temporal(features, layer) for layer in self.temporal),
            ],
            dim=-1,
        )

    def _timbral(self, features: Tensor, layer: Maxima) -> Tensor:
        """Kernels of 7 frames and many bins, moved along both axes: `(batch, frames, 204)`."""
        batch, frames, bins = features.shape
        channels, reach = len(layer.sign), layer.taps + BANDS - 1
        places = bins - layer.taps + 1
        full, rest = divmod(places, BANDS)
        padded = pad(features, (0, BANDS, 3, 3)).to(self.dtype)
        groups = padded.unfold(2, reach, BANDS)[:, :, : full + bool(rest)].unfold(1, 7, 1)
        rows = groups.permute(0, 1, 2, 4, 3).reshape(batch * frames, -1, 7 * reach)
        largest = torch.empty(batch * frames, channels, dtype=self.dtype)
        for start in range(0, len(rows), ROWS):
            some = rows[start : start + ROWS]
            product = some[:, :full].reshape(-1, 7 * reach) @ layer.kernel
            found = _largest(product.view(len(some), full * BANDS, channels))
            if rest:  # the last group, as far as the bins go
                product = some[:, full] @ layer.kernel[:, : rest * channels]
                found = found.maximum(_largest(product.view(len(some), rest, channels)))
            largest[start : start + ROWS] = found
        return layer.finish(largest).view(batch, frames, channels)

    def _temporal(self, features: Tensor, layer: Maxima) -> Tensor:
        """Kernels of many frames and one bin, moved along both axes: `(batch, frames, 51)`."""
        batch, frames, bins = features.shape
        channels, taps = len(layer.sign), layer.taps
        blocks = math.ceil(frames / STEPS)
        before = (taps - 1) // 2  # TensorFlow's "same"
        after = taps - 1 - before + blocks * STEPS - frames
        padded = pad(features.transpose(1, 2), (before, after)).to(self.dtype)
        rows = padded.unfold(2, taps + STEPS - 1, STEPS).permute(0, 2, 1, 3)
        rows = rows.reshape(batch * blocks, bins, -1)
        some = torch.split(rows, max(1, ROWS // STEPS * 2))
        found = [_largest((of.flatten(0, 1) @ layer.kernel).view(len(of), bins, -1)) for of in some]
        largest = torch.cat(found).view(batch, blocks * STEPS, channels)
        return layer.finish(largest[:, :frames])


def _largest(values: Tensor) -> Tensor:
    """The maximum over the second axis; on a CPU three times as fast as `amax`."""
    while (count := values.shape[1]) > 1:
        half = count // 2
        found = values[:, :half].maximum(values[:, half : 2 * half])
        if count % 2:
            found[:, 0] = found[:, 0].maximum(values[:, -1])
        values = found
    return values[:, 0]


def _starts(frames: int) -> list[int]:
    last = frames - PATCH_FRAMES
    return sorted({*range(0, last, HOP_FRAMES), last})


class MusicnnTeacher:
    """What musicnn makes of sounds. Raises `TrainingError` as `Musicnn` does."""

    seconds = PATCH_FRAMES * Musicnn.front_end.hop_length / Musicnn.front_end.rate

    def __init__(self, path: Path) -> None:
        self.network = Musicnn(path)

    def __call__(self, waveforms: Tensor, segments: int) -> TeacherOutputs:
        """Waveforms `(n, samples)` at 16 kHz, at least 3 s long.

        `whole` is the mean and deviation of the embeddings over the patches, and the mean of the
        probabilities of the tags; a segment is the mean of each channel over its frames, weighted
        by how much the channel counts for the embedding.
        """
        embeddings, tags, channels = self.network(self._fbank(waveforms.shape[1])(waveforms))
        deviation = embeddings.std(dim=1, unbiased=False)
        whole = torch.cat([embeddings.mean(dim=1), deviation, tags.mean(dim=1)], dim=1)
        weighted = channels * self.network.weight_of_channels
        means = adaptive_avg_pool1d(weighted.transpose(1, 2), segments).transpose(1, 2)
        return TeacherOutputs(whole, means)

    @cache  # noqa: B019 - a teacher lives as long as its process
    def _fbank(self, samples: int) -> Fbank:
        """Computes the features of a whole sound, not of one patch."""
        frames = math.ceil(samples / Musicnn.front_end.hop_length)
        return Fbank(replace(Musicnn.front_end, frames=frames))
