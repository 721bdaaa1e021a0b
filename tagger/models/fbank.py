"""Log-mel filter banks in torch, in batches, on the device that the waveforms are on.

There are two kinds. AST's values equal those of transformers' `ASTFeatureExtractor`, which follows
Kaldi's `compute-fbank-feats` (https://kaldi-asr.org/doc/feat.html) without its scaling to 16 bits.
MAEST's (Alonso-Jiménez et al. 2023, https://arxiv.org/abs/2309.16418) equal those of its authors'
extractor, with the mel bands of Slaney's Auditory Toolbox.
"""

from __future__ import annotations

import math

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


def emphasise(frames: Tensor) -> Tensor:
    """Frames without their mean and with preemphasis, as Kaldi does it; the same shape."""
    frames = frames - frames.mean(dim=-1, keepdim=True)  # (batch, frames, 400)
    # The first sample is its own predecessor, as in Kaldi.
    previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    return frames - PREEMPHASIS * previous


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

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """Features of each waveform; `samples` must fill at least one frame. Without gradients."""
        front_end = self.front_end
        features = self._log(self._power(waveforms.float()) @ self.filters)
        return (features - front_end.mean) / (2 * front_end.std)  # (batch, frames, mel_bins)

    def _power(self, waveforms: Tensor) -> Tensor:
        """`(batch, frames, fft_size // 2 + 1)`."""
        length, hop = self.front_end.frame_length, self.front_end.hop_length
        if self.is_maest:
            frames = pad(waveforms, (length // 2, length // 2)).unfold(-1, length, hop)
        else:
            frames = emphasise(waveforms.unfold(-1, length, hop))
        spectrum: Tensor = torch.fft.rfft(frames * self.window, n=self.front_end.fft_size)
        return spectrum.real.square() + spectrum.imag.square()

    def _log(self, energies: Tensor) -> Tensor:
        """The same shape."""
        logs: Tensor
        if self.is_maest:
            logs = (COMPRESSION * energies).log1p() / math.log(10)
        else:
            logs = energies.clamp_min(LOG_FLOOR).log()
        return logs
