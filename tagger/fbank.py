"""Log-mel filter banks in torch: batched, and on whatever device the waveforms are on.

The numbers are those of transformers' `ASTFeatureExtractor` (the oracle of the tests), which
follows Kaldi's `compute-fbank-feats` (https://kaldi-asr.org/doc/feat.html) without its scaling to
16 bits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tagger.types import FrontEnd

PREEMPHASIS = 0.97
LOG_FLOOR = 1.192092955078125e-07  # smallest energy that the logarithm sees: float32's epsilon


def mel_scale(hertz: Tensor) -> Tensor:
    """Kaldi's mel scale: 1127 ln(1 + f / 700), f in Hz."""
    return 1127.0 * torch.log1p(hertz / 700.0)


def mel_filters(front_end: FrontEnd) -> Tensor:
    """Triangular filters `(fft_size // 2 + 1, mel_bins)`, linear on the mel scale, float32.

    They span `low_frequency` to half the rate, and each triangle peaks at 1. Worked out in float64.
    """
    bins = torch.arange(front_end.fft_size // 2 + 1, dtype=torch.float64)
    frequencies = mel_scale(bins * front_end.rate / front_end.fft_size)[:, None]  # (257, 1)
    limits = torch.tensor([front_end.low_frequency, front_end.rate / 2], dtype=torch.float64)
    low, high = mel_scale(limits).tolist()
    points = torch.linspace(low, high, front_end.mel_bins + 2, dtype=torch.float64)
    left, centre, right = points[:-2], points[1:-1], points[2:]  # (128,) each
    rising = (frequencies - left) / (centre - left)
    falling = (right - frequencies) / (right - centre)
    return torch.minimum(rising, falling).clamp_min(0).float()  # (257, 128)


class Fbank(nn.Module):
    """Waveforms `(batch, samples)` in [-1, 1] to normalised features `(batch, frames, mel_bins)`.

    A frame is 25 ms long and they start 10 ms apart. From each, the mean is taken off, high
    frequencies are raised (preemphasis), and the power spectrum goes through the mel filters and
    the logarithm; `(x - mean) / (2 std)` is the scaling the model was trained with. Always
    float32: the logarithm of small energies does not survive bfloat16.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        self.front_end = front_end
        window = torch.hann_window(front_end.frame_length, periodic=False, dtype=torch.float64)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("filters", mel_filters(front_end), persistent=False)

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """Features of each waveform; `samples` must fill at least one frame."""
        front_end = self.front_end
        frames = waveforms.float().unfold(-1, front_end.frame_length, front_end.hop_length)
        frames = frames - frames.mean(dim=-1, keepdim=True)  # (batch, frames, 400)
        # The first sample has none before it and stands in for its own predecessor, as in Kaldi.
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        emphasised = (frames - PREEMPHASIS * previous) * self.window  # (batch, frames, 400)
        spectrum = torch.fft.rfft(emphasised, n=front_end.fft_size)  # (batch, frames, 257)
        power = spectrum.real.square() + spectrum.imag.square()
        energies = power @ self.filters  # (batch, frames, 128)
        features: Tensor = energies.clamp_min(LOG_FLOOR).log()
        return (features - front_end.mean) / (2 * front_end.std)
