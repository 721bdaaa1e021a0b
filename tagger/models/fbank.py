"""Log-mel filter banks in torch, in batches, on the device that the waveforms are on.

There are two kinds. AST's values equal those of transformers' `ASTFeatureExtractor`, which follows
Kaldi's `compute-fbank-feats` (https://kaldi-asr.org/doc/feat.html) without its scaling to 16 bits.
MAEST's (Alonso-Jiménez et al. 2023, https://arxiv.org/abs/2309.16418) equal those of its authors'
extractor, with the mel bands of Slaney's Auditory Toolbox.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from tagger.types import FrontEnd

PREEMPHASIS = 0.97
LOG_FLOOR = 1.192092955078125e-07  # smallest energy that AST's logarithm sees: float32's epsilon
LOWEST = 20.0  # Hz, where AST's filters start; MAEST's start at 0
COMPRESSION = 10_000.0  # MAEST takes the logarithm of 1 + COMPRESSION * energy
# Slaney's mel scale: a mel is 200/3 Hz up to 1 kHz (15 mel); above, 27 mel are a factor of 6.4.
LINEAR, BREAK, STEP = 200 / 3, 15.0, math.log(6.4) / 27


def kaldi_mel(hertz: Tensor) -> Tensor:
    """Kaldi's mel scale: 1127 ln(1 + f / 700), f in Hz."""
    return 1127.0 * torch.log1p(hertz / 700.0)


def slaney_mel(hertz: Tensor) -> Tensor:
    """Slaney's mel scale, f in Hz."""
    mels = hertz / LINEAR
    return torch.where(mels < BREAK, mels, BREAK + (mels / BREAK).clamp_min(1).log() / STEP)


def slaney_hertz(mels: Tensor) -> Tensor:
    """The inverse of `slaney_mel`, in Hz."""
    return LINEAR * torch.where(mels < BREAK, mels, BREAK * ((mels - BREAK) * STEP).exp())


def mel_filters(front_end: FrontEnd) -> Tensor:
    """Triangular filters `(fft_size // 2 + 1, mel_bins)`, float32; computed in float64.

    They overlap by half, equally far apart in mel, and end at half the rate. AST's are linear in
    mel and each peaks at 1; MAEST's are linear in Hz and each has an area of 1.
    """
    maest = front_end.kind == "maest"
    bins = torch.arange(front_end.fft_size // 2 + 1, dtype=torch.float64)
    frequencies = bins * front_end.rate / front_end.fft_size  # (257,)
    limits = torch.tensor([0.0 if maest else LOWEST, front_end.rate / 2], dtype=torch.float64)
    low, high = (slaney_mel if maest else kaldi_mel)(limits).tolist()
    points = torch.linspace(low, high, front_end.mel_bins + 2, dtype=torch.float64)
    if not maest:
        return triangles(kaldi_mel(frequencies), points).float()  # (257, 128)
    points = slaney_hertz(points)
    return (triangles(frequencies, points) * 2 / (points[2:] - points[:-2])).float()  # (257, 96)


def triangles(places: Tensor, points: Tensor) -> Tensor:
    """`(places, points - 2)`: each rises from 0 at a point to 1 at the next, and falls to 0."""
    left, centre, right = points[:-2], points[1:-1], points[2:]
    rising = (places[:, None] - left) / (centre - left)
    falling = (right - places[:, None]) / (right - centre)
    return torch.minimum(rising, falling).clamp_min(0)


class Fbank(nn.Module):
    """Waveforms `(batch, samples)` in [-1, 1] to normalised features `(batch, frames, mel_bins)`.

    AST's frames lose their mean and get preemphasis, which raises high frequencies; MAEST's stay as
    they are, centred on multiples of the hop, with zeros around the waveform. The power spectrum
    goes through the mel filters and a logarithm, ln x for AST or log10(1 + 10,000 x) for MAEST;
    `(x - mean) / (2 std)` is the scaling that the model was trained with. Always float32: the
    logarithm of small energies does not survive bfloat16.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        self.front_end = front_end
        self.is_maest = front_end.kind == "maest"
        length = front_end.frame_length
        window = torch.hann_window(length, periodic=self.is_maest, dtype=torch.float64)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("filters", mel_filters(front_end), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Features of each waveform; `samples` must fill at least one frame. Without gradients."""
        return self._by_window(lambda some: self.features(self._energies(some)), waveforms)

    def energies(self, waveforms: Tensor) -> Tensor:
        """Energy in each mel band, `(batch, frames, mel_bins)`. Without gradients."""
        return self._by_window(self._energies, waveforms)

    @torch.no_grad()
    def features(self, energies: Tensor) -> Tensor:
        """The scaled logarithm of energies, in their place; the same shape."""
        if self.is_maest:
            logs = energies.mul_(COMPRESSION).log1p_().div_(math.log(10))
        else:
            logs = energies.clamp_min_(LOG_FLOOR).log_()
        return logs.sub_(self.front_end.mean).div_(2 * self.front_end.std)

    @torch.no_grad()
    def _by_window(self, compute: Callable[[Tensor], Tensor], waveforms: Tensor) -> Tensor:
        # What lies between the waveform and the energies of one window fits in a CPU's cache: a
        # batch of 32 takes a quarter of the time. Nor can a result depend on the batch then.
        waveforms = waveforms.float()
        if waveforms.device.type != "cpu" or len(waveforms) < 2:
            return compute(waveforms)
        return torch.cat([compute(some) for some in torch.split(waveforms, 1)])

    def _energies(self, waveforms: Tensor) -> Tensor:
        # Not one product with the whole chain as a matrix, although it is linear: that took twice
        # as long as the FFT on a CPU, and TF32 would spoil it on a GPU. Of TF32 in the product
        # below, 0.0001 is left behind the logarithm: all of its terms are positive.
        spectrum = torch.view_as_real(torch.fft.rfft(self._frames(waveforms))).square_()
        powers = spectrum[..., 0] + spectrum[..., 1]  # (batch, frames, fft_size // 2 + 1)
        return powers @ self.filters  # (batch, frames, mel_bins)

    def _frames(self, waveforms: Tensor) -> Tensor:
        """Windowed frames, with zeros behind them, `(batch, frames, fft_size)`."""
        length, hop = self.front_end.frame_length, self.front_end.hop_length
        if self.is_maest:
            waveforms = pad(waveforms, (length // 2, length // 2))
        else:
            # Preemphasis of the waveform is that of the frames, except for the first sample, which
            # is its own predecessor in Kaldi: the window makes it zero.
            means = frame_means(waveforms, length, hop)  # (batch, frames, 1)
            waveforms = pad(waveforms[..., 1:] - PREEMPHASIS * waveforms[..., :-1], (1, 0))
        frames = waveforms.unfold(-1, length, hop)  # (batch, frames, length)
        padded = frames.new_zeros(*frames.shape[:-1], self.front_end.fft_size)
        windowed = padded[..., :length]
        if self.is_maest:
            torch.mul(frames, self.window, out=windowed)
        else:
            torch.sub(frames, (1 - PREEMPHASIS) * means, out=windowed).mul_(self.window)
        return padded


def frame_means(waveforms: Tensor, length: int, hop: int) -> Tensor:
    """Mean of each frame, `(batch, frames, 1)`; what frames share is added up only once."""
    block = math.gcd(length, hop)
    used = length + (waveforms.shape[-1] - length) // hop * hop
    sums = waveforms[:, :used].reshape(len(waveforms), -1, block).sum(dim=-1)  # (batch, blocks)
    means: Tensor = sums.unfold(-1, length // block, hop // block).mean(dim=-1, keepdim=True)
    return means / block
