"""Decoded clips in a file are those that were decoded, once, and need no memory."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers.clips import RATE, write_clips

from tagger.audio.windows import WindowPlan
from training.clips import decoded_file
from training.clips.clip import Clip
from training.clips.decode import DecodedClip, decode_clips
from training.clips.decoded_file import DecodedFile, quantised, stored_clips
from training.clips.find import find_clips
from training.console import reason_of_the_disk

PLAN = WindowPlan(8_000, RATE)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Four readable clips, and one that is none."""
    data = write_clips(tmp_path / "data", per_label=2)
    (data / "noise" / "noise.00054.wav").write_bytes(b"no audio")
    return find_clips(data)


def decodings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are decoded from now on."""
    seen: list[Path] = []

    def noting(clips: list[Clip], *rest: Any) -> list[DecodedClip]:
        seen.extend(clip.path for clip in clips)
        return decode_clips(clips, *rest)

    monkeypatch.setattr(decoded_file, "decode_clips", noting)
    return seen


def test_clips_in_the_file_are_what_is_decoded(tmp_path: Path, clips: list[Clip]) -> None:
    lines, expected_lines = list[str](), list[str]()
    stored = stored_clips(tmp_path / "run" / "decoded.i16", clips, PLAN, lines.append)
    expected = decode_clips(clips, PLAN, expected_lines.append)
    assert lines == expected_lines and len(lines) == 1
    for one, other in zip(stored, expected, strict=True):
        assert (one.clip, one.starts, one.seconds) == (other.clip, other.starts, other.seconds)
        for samples, wanted in zip(one.segments, other.segments, strict=True):
            found = samples[:].astype(np.float32) * np.float32(one.scale)
            np.testing.assert_array_equal(found, wanted[:])  # the clips have 16 bits, too
            np.testing.assert_array_equal(samples[7:4000], samples[:][7:4000])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["decoded.i16"]


@pytest.mark.parametrize("peak", [1e-5, 0.1, 0.25, 0.5, 0.9, 1.0, 1.3, 4.0])
def test_a_sample_is_off_by_half_a_step_of_16_bits_of_the_peak_at_most(peak: float) -> None:
    noise = np.random.default_rng(0).uniform(-peak, peak, 4000).astype(np.float32)
    noise[7], noise[9] = peak, -peak
    (samples,), scale = quantised([noise])
    found = samples.astype(np.float32) * np.float32(scale)
    inside = noise < peak  # a peak that is a power of two is a whole step lower
    assert np.abs(found - noise)[inside].max() <= peak / 32767
    assert np.abs(found - noise).max() <= 2 * peak / 32767


def test_a_second_time_nothing_is_decoded_unless_something_changed(
    tmp_path: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lines = tmp_path / "decoded.i16", list[str]()
    seen = decodings(monkeypatch)

    def count(clips: list[Clip], plan: WindowPlan = PLAN) -> int:
        before, advanced = len(seen), list[int]()
        stored = stored_clips(path, clips, plan, lines.append, lambda: advanced.append(1))
        assert len(stored) == len(clips) - 1 and len(advanced) == len(clips)
        return len(seen) - before

    assert count(clips) == 5
    assert count(clips) == 0 and lines[0] == lines[1]  # what is left out is said again
    assert count(clips[1:]) == 4
    assert count(clips[1:], WindowPlan(4_000, RATE)) == 4
    soundfile.write(clips[-1].path, np.full(RATE, 0.1) * np.arange(RATE) % 0.3, RATE)
    assert count(clips[1:], WindowPlan(4_000, RATE)) == 4


@pytest.mark.parametrize("left", [0, 3, 16, 0.5, -1])
def test_a_file_that_is_not_complete_is_made_again(
    tmp_path: Path, clips: list[Clip], left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "decoded.i16"
    stored_clips(path, clips, PLAN, str)
    size = path.stat().st_size
    os.truncate(path, int(size * left) if isinstance(left, float) else left % size)
    seen = decodings(monkeypatch)
    assert len(stored_clips(path, clips, PLAN, str)) == 4 and len(seen) == 5


def test_a_process_that_gets_the_clips_opens_the_file_itself(
    tmp_path: Path, clips: list[Clip]
) -> None:
    stored = stored_clips(tmp_path / "decoded.i16", clips, PLAN, str)
    sent = pickle.dumps(stored)
    assert len(sent) < 4000
    for one, other in zip(pickle.loads(sent), stored, strict=True):
        np.testing.assert_array_equal(one.segments[0][:], other.segments[0][:])


def test_clips_of_which_none_can_be_decoded_are_none(tmp_path: Path, clips: list[Clip]) -> None:
    damaged = [clip for clip in clips if clip.path.name == "noise.00054.wav"]
    for _ in range(2):
        assert stored_clips(tmp_path / "decoded.i16", damaged, PLAN, str) == []
    assert len(DecodedFile(tmp_path / "decoded.i16").samples) == 0


def test_a_full_disk_gives_one_line_and_leaves_no_file(
    tmp_path: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Any, *_: Any) -> Any:
        file.write(b"some")
        yield {"notes": [], "segments": [], "bytes": 2_000_000}
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(decoded_file, "_rows", full)
    with pytest.raises(OSError, match="No space left") as caught:
        stored_clips(tmp_path / "run" / "decoded.i16", clips, PLAN, str)
    reason = reason_of_the_disk(caught.value)
    assert reason == (
        f"{tmp_path / 'run'}: No space left on device, and the decoded clips take about 10 MB"
    )
    assert not list((tmp_path / "run").iterdir())
