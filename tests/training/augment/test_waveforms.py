"""Augmentation of waveforms: what each kind does to sounds whose answer is known."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.augment.waveforms import KINDS, ROWS, WaveformAugmenter, echo

RATE = 16_000
SINGLE = KINDS[:-1]
LONGEST = 30 * RATE
ALL = WaveformAugmenter(KINDS, RATE, probability=1.0)

DecodedClip = NDArray[np.float32]


def augment(kind: str, waveform: DecodedClip, samples: int, seed: int = 0) -> DecodedClip:
    return WaveformAugmenter([kind], RATE, 1.0)(waveform, samples, np.random.default_rng(seed))


def noise(samples: int, seed: int = 0) -> DecodedClip:
    loud = np.random.default_rng(seed).standard_normal(samples) * 0.1
    return loud.clip(-1, 1).astype(np.float32)


def tone(hertz: float, seconds: float) -> DecodedClip:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(seconds * RATE) / RATE)).astype(np.float32)


def decibels(loud: DecodedClip, beside: DecodedClip) -> float:
    return float(10 * np.log10(np.mean(loud**2) / np.mean(beside**2)))


def click_times(waveform: DecodedClip) -> NDArray[np.float64]:
    """Seconds of what is loud above 3 kHz."""
    spectrum = np.fft.rfft(waveform)
    spectrum[np.fft.rfftfreq(len(waveform), 1 / RATE) < 3000] = 0
    high = np.abs(np.fft.irfft(spectrum, len(waveform)))
    loud = np.flatnonzero(high > 0.3 * high.max()) / RATE
    return loud[np.diff(loud, prepend=-1) > 0.2]


@pytest.mark.parametrize(("kind", "least", "most"), [("faster", 1.6, 1.9), ("slower", 0.6, 0.8)])
@pytest.mark.parametrize("seed", range(4))
def test_another_tempo_keeps_the_pitch(kind: str, least: float, most: float, seed: int) -> None:
    sound = tone(440, 20)
    sound[RATE // 2 :: RATE] = 0.9  # a click each second
    changed = augment(kind, sound, 10 * RATE, seed)
    pitch = np.argmax(np.abs(np.fft.rfft(changed))) * RATE / len(changed)
    assert pitch == pytest.approx(440, rel=0.02)
    apart = np.diff(click_times(changed))
    assert len(apart) >= 4
    assert least * 0.98 <= 1 / np.median(apart) <= most * 1.02
    assert np.ptp(apart) < 0.02


@pytest.mark.parametrize("kind", ROWS[0])
def test_another_tempo_neither_starts_nor_ends_with_a_gap(kind: str) -> None:
    changed = augment(kind, noise(4 * RATE), 2 * RATE)
    for part in (changed[: RATE // 20], changed[-RATE // 20 :]):
        assert decibels(part, changed) > -4


@pytest.mark.parametrize(
    ("kind", "kept", "removed"), [("highpass", 4000, 100), ("lowpass", 100, 4000)]
)
@pytest.mark.parametrize("seed", range(4))
def test_a_filter_keeps_its_side_and_removes_the_other(
    kind: str, kept: int, removed: int, seed: int
) -> None:
    for hertz, least, most in ((kept, -1.0, 1.0), (removed, -np.inf, -20.0)):
        sound = tone(hertz, 1)
        settled = augment(kind, sound, RATE, seed)[RATE // 2 :]
        assert least < decibels(settled, sound[RATE // 2 :]) < most


@pytest.mark.parametrize(
    ("kind", "least", "most", "hertz"),
    [("highpass", 1400, 1600, (300, 700)), ("lowpass", 900, 1100, (2000, 4000))],
)
@pytest.mark.parametrize("seed", range(4))
def test_a_filter_is_a_butterworth_of_12_decibels_an_octave(
    kind: str, least: int, most: int, hertz: tuple[int, int], seed: int
) -> None:
    cutoffs = []
    for frequency in hertz:
        sound = tone(frequency, 1)
        loss = -decibels(augment(kind, sound, RATE, seed)[RATE // 2 :], sound[RATE // 2 :])
        # 10^(loss/10) = 1 + (tangent of one / tangent of the other)^4 by the bilinear transform
        times = (10 ** (loss / 10) - 1) ** (0.25 if kind == "highpass" else -0.25)
        cutoffs.append(np.arctan(np.tan(np.pi * frequency / RATE) * times) * RATE / np.pi)
    assert cutoffs[0] == pytest.approx(cutoffs[1], rel=0.01)
    assert least - 5 < cutoffs[0] < most + 5


@pytest.mark.parametrize("seed", range(20))
def test_an_echo_repeats_an_impulse_more_softly_each_time(seed: int) -> None:
    impulse = np.zeros(2 * RATE, np.float32)
    impulse[0] = 0.5
    result = augment("echo", impulse, len(impulse), seed)
    times = np.flatnonzero(result)
    assert 3 <= len(times) <= 5  # itself, and two to four repeats
    assert len(set(np.diff(times))) == 1
    assert 0.08 <= times[1] / RATE <= 0.35
    shares = result[times[1:]] / result[times[:-1]]
    assert shares.max() < 0.61
    np.testing.assert_allclose(shares, shares[0], rtol=1e-5)


@given(
    samples=st.integers(1, 300),
    delay=st.integers(1, 400),
    amplitudes=st.lists(st.floats(-1, 1, width=16), min_size=1, max_size=5),
)
def test_echo_is_a_convolution(samples: int, delay: int, amplitudes: list[float]) -> None:
    response = np.zeros(delay * len(amplitudes))
    response[::delay] = amplitudes
    expected = np.convolve(noise(samples), response)[:samples]
    result = echo(noise(samples), delay, amplitudes)
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_gain_is_a_constant_of_at_most_6_decibels() -> None:
    sound = noise(RATE)
    gains = []
    for seed in range(50):
        changed = augment("gain", sound, RATE, seed)
        gains.append(decibels(changed, sound))
        np.testing.assert_allclose(changed, sound * 10 ** (gains[-1] / 20), rtol=1e-4)
    assert -6.01 < min(gains) < -4
    assert 4 < max(gains) < 6.01


def test_a_peak_is_scaled_down_not_clipped() -> None:
    sound = tone(100, 1) * 3
    changed = [augment("gain", sound, RATE, seed) for seed in range(20)]
    assert max(np.abs(one).max() for one in changed) == 1
    for one in changed:
        np.testing.assert_allclose(one * sound.max(), sound * one.max(), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 2, 100, 41_200, LONGEST])
def test_each_kind_fills_any_length(kind: str, samples: int) -> None:
    augmenter = WaveformAugmenter([*SINGLE, "mix"] if kind == "mix" else [kind], RATE, 1.0)
    sound = noise(augmenter.needed(samples))
    changed = augmenter(sound, samples, np.random.default_rng(0))
    assert changed.shape == (samples,)
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 60_000), samples=st.integers(1, 60_000), seed=st.integers(0, 2**32 - 1)
)
@example(length=1, samples=LONGEST, seed=1)
@example(length=LONGEST, samples=1, seed=2)
def test_any_crop_of_any_sound_is_filled(length: int, samples: int, seed: int) -> None:
    sound = noise(length, seed) * np.float32(8)
    before = sound.clip(-1, 1)
    sound = before.copy()
    changed = ALL(sound, samples, np.random.default_rng(seed))
    assert changed.shape == (samples,)
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert np.abs(changed).max() <= 1
    np.testing.assert_array_equal(sound, before)


@settings(max_examples=30, deadline=None)
@given(samples=st.integers(1, 20_000), seed=st.integers(0, 2**32 - 1))
def test_no_sample_after_the_needed_ones_is_read(samples: int, seed: int) -> None:
    sound = noise(ALL.needed(samples))
    longer = np.concatenate([sound, np.full(100, np.nan, np.float32)])
    crops = [ALL(one, samples, np.random.default_rng(seed)) for one in (sound, longer)]
    np.testing.assert_array_equal(*crops)


def test_only_a_faster_tempo_needs_more_than_the_crop() -> None:
    assert ALL.needed(100) == 190
    assert WaveformAugmenter([kind for kind in KINDS if kind != "faster"], RATE).needed(100) == 100
    assert WaveformAugmenter(KINDS, RATE, probability=0.0).needed(100) == 100


@pytest.mark.parametrize("seed", range(20))
def test_silence_stays_silence(seed: int) -> None:
    assert not ALL(np.zeros(RATE, np.float32), RATE, np.random.default_rng(seed)).any()


def test_equal_generators_give_equal_bytes_in_another_process_too() -> None:
    code = (
        "import hashlib, sys, numpy as np\n"
        "from training.augment.waveforms import KINDS, WaveformAugmenter\n"
        "sound = np.sin(np.arange(20_000, dtype=np.float32) ** 1.1)\n"
        "draw = np.random.default_rng(3)\n"
        "augmenter = WaveformAugmenter(KINDS, 16_000, 1.0)\n"
        "crops = b''.join(augmenter(sound, 9_000, draw).tobytes() for _ in range(30))\n"
        "found = hashlib.sha256(crops).hexdigest()\n"
    )
    here: dict[str, str] = {}
    exec(code, here)
    there = subprocess.run(
        [sys.executable, "-c", f"{code}print(found)"], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here["found"]


def test_global_generators_are_neither_read_nor_advanced() -> None:
    def crops() -> list[bytes]:
        return [ALL(noise(RATE), 8000, np.random.default_rng(seed)).tobytes() for seed in range(40)]

    before = random.getstate(), pickle.dumps(np.random.get_state())
    first = crops()
    assert (random.getstate(), pickle.dumps(np.random.get_state())) == before
    state = random.getstate()
    random.random()
    assert crops() == first
    random.setstate(state)


def test_a_crop_does_not_depend_on_the_ones_before() -> None:
    ALL(noise(RATE), 8000, np.random.default_rng(1))
    again = ALL(noise(RATE), 8000, np.random.default_rng(2))
    copy = pickle.loads(pickle.dumps(ALL))  # as a DataLoader hands it to spawned workers
    for fresh in (WaveformAugmenter(KINDS, RATE, 1.0), copy):
        np.testing.assert_array_equal(fresh(noise(RATE), 8000, np.random.default_rng(2)), again)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_as_many_crops_change_as_the_probability_says(probability: float) -> None:
    augmenter = WaveformAugmenter(["gain"], RATE, probability)
    sound, draw = noise(100), np.random.default_rng(0)
    changed = [not np.array_equal(augmenter(sound, 100, draw), sound) for _ in range(1000)]
    assert np.mean(changed) == pytest.approx(probability, abs=0.05)


def test_without_kinds_crops_pass_unchanged() -> None:
    loud = noise(100) * np.float32(20)  # above 1: without a kind nothing is scaled down
    np.testing.assert_array_equal(
        WaveformAugmenter([], RATE, 1.0)(loud, 100, np.random.default_rng(0)), loud
    )


def test_a_mix_holds_only_the_kinds_that_are_on() -> None:
    impulse = np.zeros(RATE, np.float32)
    impulse[0] = 0.25
    augmenter = WaveformAugmenter(["mix", "echo", "gain"], RATE, 1.0)
    both = 0
    for seed in range(100):
        result = augmenter(impulse, RATE, np.random.default_rng(seed))
        assert len(np.flatnonzero(result)) <= 5  # neither smeared by a filter nor stretched
        both += len(np.flatnonzero(result)) > 1 and result[0] != impulse[0]
    assert 15 < both < 55  # a third of the crops


def test_a_mix_takes_two_or_three_that_go_together() -> None:
    augmenter = WaveformAugmenter(KINDS, RATE, 1.0)
    augmenter.kinds = ("mix",)
    draw = np.random.default_rng(0)
    mixes = [tuple(augmenter._draw_kinds(draw)) for _ in range(500)]
    assert {len(mix) for mix in mixes} == {2, 3}
    assert {kind for mix in mixes for kind in mix} == set(SINGLE)
    assert all(len(set(row) & set(mix)) <= 1 for row in ROWS for mix in mixes)


@pytest.mark.parametrize(
    ("kinds", "rate", "probability", "message"),
    [
        (["louder"], RATE, 0.5, "louder.*faster, slower, highpass, lowpass, echo, gain, mix"),
        (["mix"], RATE, 0.5, "two kinds"),
        (["mix", "faster", "slower"], RATE, 0.5, "two kinds"),
        (["gain"], RATE, 1.5, "1.5"),
        (["gain"], 3000, 0.5, "3000"),
    ],
)
def test_invalid_settings_are_refused(
    kinds: list[str], rate: int, probability: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        WaveformAugmenter(kinds, rate, probability)


@pytest.mark.parametrize(("length", "samples"), [(0, 10), (10, 0)])
def test_an_empty_waveform_or_crop_is_refused(length: int, samples: int) -> None:
    with pytest.raises(ValueError, match="cannot make"):
        ALL(np.zeros(length, np.float32), samples, np.random.default_rng(0))
