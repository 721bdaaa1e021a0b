"""Clips are decoded whole, and long ones reduced to segments of a minute in all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.clips import RATE, write_clips

from tagger.audio.windows import WindowPlan
from training.clips.clip import Clip
from training.clips.decode import DecodedClip, decode_clip, decode_clips
from training.clips.find import find_clips

SECOND = WindowPlan(RATE, RATE)


def write_noise(path: Path, seconds: float) -> np.ndarray:
    noise = np.random.default_rng(2).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)
    soundfile.write(path, noise, RATE, subtype="FLOAT")
    return noise


def test_unreadable_clips_are_reported_and_left_out(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", per_label=1)
    (data / "noise" / "noise.00054.wav").write_bytes(b"no audio")
    lines: list[str] = []
    decoded = decode_clips(find_clips(data), WindowPlan(8_000, RATE), lines.append)
    assert [of.clip.name for of in decoded] == ["noise.00000", "tone.00000"]
    assert len(lines) == 1 and "noise.00054.wav" in lines[0]


@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.7, 40.3, 60.0])
def test_a_clip_is_decoded_whole_and_a_short_one_is_repeated(
    tmp_path: Path, seconds: float
) -> None:
    noise = write_noise(tmp_path / "clip.wav", seconds)
    decoded = decode_clip(Clip(tmp_path / "clip.wav", "", "clip"), SECOND)
    assert decoded.seconds == decoded.kept_seconds == pytest.approx(seconds)
    assert decoded.starts == (0.0,) and len(decoded.segments) == 1
    np.testing.assert_array_equal(decoded.segments[0], np.resize(noise, max(RATE, len(noise))))


@pytest.mark.parametrize(
    ("window", "seconds", "segments"),
    [(1.0, 60.1, 20), (10.255, 61.0, 2), (10.255, 200.0, 2), (0.2, 90.0, 100), (25.0, 70.0, 1)],
)
def test_a_long_track_is_reduced_to_spread_segments_of_a_minute_in_all(
    tmp_path: Path, window: float, seconds: float, segments: int
) -> None:
    noise = write_noise(tmp_path / "clip.wav", seconds)
    plan = WindowPlan(round(window * RATE), RATE)
    decoded = decode_clip(Clip(tmp_path / "clip.wav", "", "clip"), plan)
    assert len(decoded.segments) == segments
    for start, segment in zip(decoded.starts, decoded.segments, strict=True):
        begin = round(start * RATE)
        assert len(segment) == min(3 * plan.samples, len(noise))
        np.testing.assert_array_equal(segment, noise[begin : begin + len(segment)])
    assert decoded.seconds == pytest.approx(seconds)
    assert decoded.kept_seconds <= min(seconds, 60 + 3 * window)


def test_other_rates_are_resampled_for_segments_too(tmp_path: Path) -> None:
    time = np.arange(70 * 22_050) / 22_050
    soundfile.write(tmp_path / "clip.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 22_050)
    decoded = decode_clip(Clip(tmp_path / "clip.wav", "", "clip"), SECOND)
    for start, segment in zip(decoded.starts, decoded.segments, strict=True):
        expected = 0.5 * np.sin(2 * np.pi * 440 * (start + np.arange(len(segment)) / RATE))
        np.testing.assert_allclose(segment, expected, atol=2e-3)


def test_a_decoded_clip_without_segments_is_refused() -> None:
    with pytest.raises(ValueError):
        DecodedClip(Clip(Path(), "", ""), (), (), 1.0, RATE)


def test_a_broken_link_is_left_out_as_unreadable(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", per_label=1)
    os.symlink("nowhere.wav", data / "tone" / "tone.00009.wav")
    lines: list[str] = []
    assert len(decode_clips(find_clips(data), SECOND, lines.append)) == 2 and len(lines) == 1


@pytest.mark.parametrize("seconds", [0.2, 20.0, 90.0])
@pytest.mark.parametrize("level", [0.0, 0.25, 1e-6])
def test_silent_clips_are_left_out_and_said(tmp_path: Path, seconds: float, level: float) -> None:
    path = tmp_path / "silence" / "1.wav"
    path.parent.mkdir()
    soundfile.write(path, np.full(round(seconds * RATE), level), RATE, subtype="FLOAT")
    said: list[str] = []
    assert decode_clips(find_clips(tmp_path), SECOND, said.append) == []
    assert said == [f"left out: {path}: it is silent"]


@pytest.mark.parametrize("before", [0, 30])
@pytest.mark.parametrize("after", [0, 20])
def test_silence_at_the_ends_of_a_clip_is_not_learned(
    tmp_path: Path, before: int, after: int
) -> None:
    (tmp_path / "noise").mkdir()
    noise = write_noise(tmp_path / "noise" / "1.wav", 5.0)
    padded = np.concatenate([np.zeros(before * RATE), noise, np.zeros(after * RATE)])
    soundfile.write(tmp_path / "noise" / "1.wav", padded, RATE)
    (decoded,) = decode_clips(find_clips(tmp_path), SECOND, pytest.fail)
    (kept,) = decoded.segments
    assert decoded.starts == (before,) and len(kept) == len(noise)
    np.testing.assert_allclose(kept, noise, atol=1e-4)


def test_silent_segments_of_a_long_track_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    noise = write_noise(tmp_path / "noise" / "1.wav", 60.0)
    padded = np.concatenate([noise, np.zeros(120 * RATE)])
    soundfile.write(tmp_path / "noise" / "1.wav", padded, RATE)
    (decoded,) = decode_clips(find_clips(tmp_path), SECOND, pytest.fail)
    assert all(np.ptp(segment) > 0.1 for segment in decoded.segments)


def test_samples_that_are_no_numbers_leave_a_clip_out(tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    noise = write_noise(tmp_path / "noise" / "1.wav", 5.0)
    noise[100:200] = np.nan
    soundfile.write(tmp_path / "noise" / "1.wav", noise, RATE, subtype="FLOAT")
    said: list[str] = []
    assert decode_clips(find_clips(tmp_path), SECOND, said.append) == [] and len(said) == 1


def noise_and_silence(path: Path, *seconds: float) -> np.ndarray:
    """A clip of noise and silence in turns, beginning with noise."""
    parts = [np.random.default_rng(2).uniform(-0.5, 0.5, round(each * RATE)) for each in seconds]
    parts[1::2] = [np.zeros_like(part) for part in parts[1::2]]
    samples = np.concatenate(parts).astype(np.float32)
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return samples


@pytest.mark.parametrize(
    "seconds", [(6, 4), (6, 24), (3, 5, 2), (1, 90, 20), (0, 4, 5), (0, 100, 5, 100), (70, 30)]
)
def test_silent_parts_of_a_clip_are_not_kept(tmp_path: Path, seconds: tuple[float, ...]) -> None:
    samples = noise_and_silence(tmp_path / "clip.wav", *seconds)
    decoded = decode_clip(Clip(tmp_path / "clip.wav", "", "clip"), SECOND)
    assert decoded.seconds == pytest.approx(sum(seconds))
    block = RATE // 50
    for start, segment in zip(decoded.starts, decoded.segments, strict=True):
        begin = round(start * RATE)
        np.testing.assert_array_equal(segment, samples[begin : begin + len(segment)])
        assert all(np.ptp(segment[place:][:block]) for place in range(block, len(segment), RATE))
    assert min(40, sum(seconds[::2])) <= decoded.kept_seconds <= min(64, sum(seconds[::2]) + 4)


def test_a_sound_shorter_than_a_window_is_repeated_without_the_silence(tmp_path: Path) -> None:
    samples = noise_and_silence(tmp_path / "clip.wav", 0.4, 4)
    decoded = decode_clip(Clip(tmp_path / "clip.wav", "", "clip"), SECOND)
    sound = samples[: round(0.4 * RATE)]
    np.testing.assert_array_equal(decoded.segments[0], np.resize(sound, RATE))


def test_silent_clips_are_reported_and_left_out(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", per_label=1)
    noise_and_silence(data / "noise" / "noise.00001.wav", 0, 12)
    noise_and_silence(data / "noise" / "noise.00002.wav", 0, 80)
    lines: list[str] = []
    decoded = decode_clips(find_clips(data), WindowPlan(8_000, RATE), lines.append)
    assert [of.clip.name for of in decoded] == ["noise.00000", "tone.00000"]
    assert len(lines) == 2 and all(line.endswith(".wav: it is silent") for line in lines)
