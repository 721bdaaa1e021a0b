"""Crops become waveforms on the device: their speed, their scale, and one by one or together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.loop.waveforms import play


def crops(lengths: list[int], longest: int, seed: int = 0) -> torch.Tensor:
    """Samples `(batch, longest)`, int16, with zeros from each length on."""
    draw = np.random.default_rng(seed)
    samples = draw.integers(-32768, 32768, (len(lengths), longest)).astype(np.int16)
    samples[np.arange(longest) >= np.array(lengths)[:, None]] = 0
    return torch.from_numpy(samples)


@given(
    samples=st.integers(2, 300),
    shares=st.lists(st.floats(0.8, 1.2), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_a_crop_is_what_numpy_interpolates(samples: int, shares: list[float], seed: int) -> None:
    lengths = [max(1, round(samples * share)) for share in shares]
    inputs = crops(lengths, int(samples * 1.2) + 2, seed)
    scale = torch.linspace(0.5, 1, len(lengths)) / 32768
    waveforms = play(inputs, torch.tensor(lengths), scale, samples).numpy()
    for row, length, factor, waveform in zip(inputs, lengths, scale, waveforms, strict=True):
        places = np.linspace(0, length - 1, samples)
        expected = np.interp(places, np.arange(length), row[:length].numpy()) * factor.item()
        np.testing.assert_allclose(waveform, expected, atol=2e-4)


@pytest.mark.parametrize("share", [0.85, 0.999, 1.001, 1.15])
def test_the_places_in_a_long_crop_are_exact(share: float) -> None:
    samples = 164_080
    taken = round(samples * share)
    ramp = torch.arange(int(samples * 1.15) + 2, dtype=torch.float32)[None]
    (waveform,) = play(ramp, torch.tensor([taken]), torch.ones(1), samples)
    expected = np.linspace(0, taken - 1, samples)
    # A float32 near 164,080 is off by 0.008 at most.
    np.testing.assert_allclose(waveform.numpy(), expected, atol=0.02)


def test_a_crop_at_its_own_speed_keeps_its_samples() -> None:
    inputs = crops([50, 50], 61)
    waveforms = play(inputs, torch.tensor([50, 50]), torch.full((2,), 2.0**-15), 50)
    torch.testing.assert_close(waveforms, inputs[:, :50] / 32768, rtol=0, atol=0)


def test_each_crop_of_a_batch_is_what_it_is_alone_and_stays_as_it_was() -> None:
    lengths = [40, 50, 57]
    for inputs in (crops(lengths, 61), crops(lengths, 61).float()):
        before = inputs.clone()
        given = (inputs, torch.tensor(lengths), torch.full((3,), 1e-4))
        together = play(*given, 50)
        alone = [play(*(of[row : row + 1] for of in given), 50) for row in range(3)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=0)
        assert torch.equal(inputs, before)
