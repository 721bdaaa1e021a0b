"""Channels that cancel, and where samples sound."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.sounds import music
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tagger.audio.levels import MOMENT, Scan, cut, mono_of, sound_of

RATE = 16_000
PAIR = music(RATE).T.astype(np.float32)  # (2, n)
LEFT, RIGHT = PAIR
NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, (2, len(LEFT))).astype(np.float32)


def quarter(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same sound with every phase shifted by 90 degrees."""
    spectrum = np.fft.rfft(samples) * 1j
    spectrum[0] = 0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def delayed(samples: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
    return np.roll(samples, round(seconds * RATE))


# --- channels -------------------------------------------------------------------------------------

ORDINARY = {
    "two instruments": (LEFT, RIGHT),
    "the same": (LEFT, LEFT),
    "one louder": (LEFT, LEFT / 4),
    "one silent": (LEFT, 0 * LEFT),
    "the other silent": (0 * LEFT, LEFT),
    "both silent": (0 * LEFT, 0 * LEFT),
    "constants that cancel": (0 * LEFT + 0.25, 0 * LEFT - 0.25),
    "opposite constants": (LEFT + 0.5, LEFT - 0.5),
    "uncorrelated noise": (NOISE[0], NOISE[1]),
    "sides twice the middle": (LEFT + 2 * RIGHT, LEFT - 2 * RIGHT),
    "90 degrees": (LEFT, quarter(LEFT)),
    "opposite but much fainter": (LEFT, -LEFT / 4),
    **{f"{ms} ms later": (NOISE[0], delayed(NOISE[0], ms / 1000)) for ms in (1, 2, 5, 20, 40)},
    "opposite for a moment": (LEFT, np.where(np.arange(len(LEFT)) < 2_000, -LEFT, LEFT)),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_stereo_is_the_mean_of_its_channels_bit_for_bit(name):
    left, right = ORDINARY[name]
    mono, is_one_channel = mono_of(np.stack([left, right]).astype(np.float32))
    assert not is_one_channel
    assert np.array_equal(mono, (left + right).astype(np.float32) / np.float32(2))


CANCELLING = {
    "opposite": (LEFT, -LEFT),
    "nearly opposite": (-0.98 * LEFT, LEFT),
    "opposite and fainter": (LEFT, -0.6 * LEFT),
    "opposite and a constant": (LEFT + 0.3, -LEFT + 0.3),
    "opposite and noise": (LEFT, NOISE[0] / 20 - LEFT),
    "a little in the middle": (LEFT + RIGHT / 4, RIGHT / 4 - LEFT),
}


@pytest.mark.parametrize("name", CANCELLING)
def test_of_channels_that_cancel_the_louder_is_used(name):
    pair = np.stack(CANCELLING[name]).astype(np.float32)
    mono, is_one_channel = mono_of(pair)
    assert is_one_channel and np.array_equal(mono, pair[pair.std(axis=1).argmax()])


@pytest.mark.parametrize("start", [0, 5_000, 80_000])
@pytest.mark.parametrize("share", [-1, -0.98])
def test_of_a_part_whose_channels_cancel_the_louder_is_used(start, share):
    """A window that is half inverted holds no silence; where it is not, nothing changes."""
    part = slice(start, start + 60_000)
    left = np.concatenate([LEFT, LEFT])[:150_000]
    right = left.copy()
    right[part] *= share
    mono, is_one_channel = mono_of(np.stack([left, right]))
    assert is_one_channel
    same = np.abs(mono) == np.abs(left)  # the other channel is as good
    assert same[: max(0, start - MOMENT)].all() and same[part.stop + MOMENT :].all()
    assert same[start + MOMENT : part.stop - MOMENT].all() and np.mean(same) > 0.75


def test_a_constant_that_jumps_hides_no_channels_that_cancel():
    jumped = np.where(np.arange(len(LEFT)) < len(LEFT) // 2, 0, 0.2)
    mono, is_one_channel = mono_of(np.stack([LEFT + jumped, -LEFT]).astype(np.float32))
    assert is_one_channel
    assert np.std(mono[: len(mono) // 3]) == pytest.approx(np.std(LEFT[: len(LEFT) // 3]), rel=0.01)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 1))
def test_channels_cancel_if_their_mean_has_less_than_a_tenth_of_their_energy(other, own, level):
    pair = (level * np.stack([LEFT, other * LEFT + own * RIGHT])).astype(np.float32)
    share = pair.astype(float).mean(axis=0).var() / pair.astype(float).var(axis=1).mean()
    if abs(share - 0.1) > 1e-4:
        assert mono_of(pair)[1] == (share < 0.1)


def test_mono_stays_as_it_is():
    mono, is_one_channel = mono_of(PAIR[:1])
    assert not is_one_channel and np.array_equal(mono, LEFT)


# --- silence --------------------------------------------------------------------------------------


def silence(seconds: float, noise: float = 0) -> NDArray[np.float32]:
    size = round(seconds * RATE)
    return np.random.default_rng(7).uniform(-noise, noise, size).astype(np.float32)


def seconds(spans: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(start / RATE, end / RATE) for start, end in spans]


SONG = NOISE[0][: 6 * RATE]
HALF_BIT = 1 / 65_536


@pytest.mark.parametrize("gap", [0, HALF_BIT, 1e-4], ids=["zeros", "dither", "hiss at -70 dB"])
def test_silence_of_two_seconds_and_more_is_cut_out_and_shorter_pauses_are_not(gap):
    parts = [silence(3, gap), SONG, silence(1.9, gap), SONG, silence(2.1, gap), SONG]
    spans = seconds(sound_of(np.concatenate([*parts, silence(1, gap)]), RATE))
    assert spans == [(3, pytest.approx(16.9, abs=0.02)), (pytest.approx(19, abs=0.02), 26)]


def test_a_passage_at_50_db_below_the_rest_sounds():
    assert seconds(sound_of(np.concatenate([SONG, SONG * 10**-2.5]), RATE)) == [(0, 12)]


def test_a_constant_is_silence_and_does_not_hide_a_sound():
    assert sound_of(silence(5) + np.float32(0.7), RATE) == []
    parts = np.concatenate([silence(5), SONG, silence(5)]) + np.float32(0.25)
    assert seconds(sound_of(parts, RATE)) == [(5, 11)]


def test_a_click_is_no_sound_but_a_tenth_of_a_second_is():
    quiet = silence(30)
    quiet[100_000:100_040] = 0.9
    assert sound_of(quiet, RATE) == []
    quiet[100_000:101_920] = NOISE[0][:1_920]
    ((start, end),) = sound_of(quiet, RATE)
    assert start <= 100_000 and end >= 101_920 and end - start < 0.2 * RATE


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(1, 40_000), st.data())
def test_pieces_of_a_track_without_its_silence_are_what_is_left(lengths, count, data):
    track = np.arange(sum(lengths) * 3)
    edges = np.cumsum([0, *lengths])
    spans = [
        (int(edge) * 3 + 1, int(edge) * 3 + 1 + size)
        for edge, size in zip(edges[:-1], lengths, strict=True)
    ]
    left = np.concatenate([track[start:end] for start, end in spans])
    start = data.draw(st.integers(0, len(left) - 1))
    pieces = [track[first:end] for first, end in cut(spans, start, count)]
    assert np.array_equal(np.concatenate(pieces), left[start : start + count])


# --- full scale -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peak", "full"),
    [(1, 1), (3, 1), (99, 1), (101, 2**15), (2**15, 2**15), (40_000, 2**23), (2**31, 2**31)],
)
def test_integers_stored_as_floats_have_the_smallest_full_scale_that_holds_them(peak, full):
    scan = Scan(RATE)
    scan.add(SONG * np.float32(peak / np.abs(SONG).max()), 0, len(SONG), peak)
    assert scan.full_scale == full


def test_a_few_samples_far_beyond_full_scale_do_not_make_integers():
    scan, damaged = Scan(RATE), SONG.copy()
    damaged[5_000:5_200] *= 100_000
    scan.add(damaged, 0, len(damaged), 50_000)
    assert scan.full_scale == 1
