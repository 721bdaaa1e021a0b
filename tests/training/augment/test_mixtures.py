"""Mixtures of clips."""

from __future__ import annotations

import numpy as np
import pytest

from training.augment.mixtures import MOST, Mixer, Pools, filtered, response, with_noise

RATE, SAMPLES = 16_000, 48_000


def tone(seconds: float, hertz: float) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * hertz * times) * 8000).astype(np.int16)


@pytest.fixture
def mixer() -> Mixer:
    clips = [tone(10, 200), tone(1, 400), tone(3, 800), tone(20, 1600)]
    pools = Pools([(0.5, [0, 1]), (0.5, [2, 3]), (0.7, [])], [len(clip) for clip in clips])
    return Mixer(clips, pools, SAMPLES, RATE)


def test_a_mixture_is_decided_by_its_generator(mixer: Mixer) -> None:
    for seed in range(8):
        one, same, other = (mixer(np.random.default_rng(of)) for of in (seed, seed, seed + 100))
        for name in ("waveform", "clips", "shares"):
            np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert not np.array_equal(one.waveform, other.waveform)


def test_mixtures_of_short_and_long_clips_fill_the_window(mixer: Mixer) -> None:
    counts = set()
    for seed in range(40):
        mixture = mixer(np.random.default_rng(seed))
        assert mixture.waveform.shape == (SAMPLES,)
        assert mixture.waveform.dtype == np.float32
        assert np.isfinite(mixture.waveform).all()
        used = mixture.clips >= 0
        assert mixture.shares[used].sum() == pytest.approx(1, abs=1e-5)
        assert not mixture.shares[~used].any()
        # No second of it is silent: a short clip is repeated.
        assert np.abs(mixture.waveform).reshape(3, -1).max(axis=1).min() > 1e-3
        counts.add(int(used.sum()))
    assert counts == set(range(1, MOST + 1))


def test_the_clips_of_a_mixture_are_in_it(mixer: Mixer) -> None:
    """The spectrum has the tones of the clips that are named, at about their speed."""
    tones = np.array([200, 400, 800, 1600])
    for seed in range(20):
        mixture = mixer(np.random.default_rng(seed))
        power = np.abs(np.fft.rfft(mixture.waveform * np.hanning(SAMPLES))) ** 2
        hertz = np.fft.rfftfreq(SAMPLES, 1 / RATE)
        for clip, share in zip(mixture.clips, mixture.shares, strict=True):
            if share > 0.1:
                near = np.abs(np.log2(np.maximum(hertz, 1) / tones[clip])) < 0.55
                assert power[near].sum() > 0.02 * power.sum()


def test_pools_draw_groups_by_weight_and_clips_by_the_root_of_their_length() -> None:
    pools = Pools([(0.25, [0]), (0.75, [1, 2])], [5, 100, 400])
    draw = np.random.default_rng(0)
    counts = np.bincount([pools.draw(draw) for _ in range(4000)]) / 4000
    np.testing.assert_allclose(counts, [0.25, 0.25, 0.5], atol=0.03)


def test_noise_is_added_at_the_drawn_level() -> None:
    waveform = tone(3, 300).astype(np.float32) / 32768
    for seed in range(10):
        added = with_noise(waveform, np.random.default_rng(seed)) - waveform
        ratio = 10 * np.log10(np.square(waveform).mean() / np.square(added).mean())
        # The clicks count as noise.
        assert 4.5 < ratio < 30.5


def test_responses_have_low_and_high_passes() -> None:
    every = [response(np.random.default_rng(of), RATE) for of in range(50)]
    frequencies = every[0][0]
    assert (frequencies[0], frequencies[-1]) == (0, RATE / 2)
    decibels = np.stack([of for _, of in every])
    assert np.isfinite(decibels).all()
    middle = decibels[:, 40]  # 1250 Hz
    assert (decibels[:, -1] < middle - 30).any()
    assert (decibels[:, 0] < middle - 20).any()


@pytest.mark.parametrize("samples", [SAMPLES, 49_999])
def test_a_filter_changes_each_frequency_by_its_gain(samples: int) -> None:
    times = np.arange(samples) / RATE
    tones = [(200, 0.1), (1600, 0.2), (6400, 0.05)]
    sound = sum(size * np.sin(2 * np.pi * hertz * times) for hertz, size in tones)
    assert not isinstance(sound, int)
    for seed in range(10):
        found = filtered(sound.astype(np.float32), np.random.default_rng(seed), RATE)
        assert found.dtype == np.float32
        frequencies, decibels = response(np.random.default_rng(seed), RATE)
        for hertz, size in tones:
            wave = np.exp(-2j * np.pi * hertz * times) * np.hanning(samples)
            measured = 4 * abs(np.dot(found, wave)) / samples / size
            wanted = np.interp(hertz, frequencies, decibels)
            if wanted > -30:
                assert 20 * np.log10(measured) == pytest.approx(wanted, abs=0.5)
