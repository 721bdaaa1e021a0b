"""A WavPack file is as long as its blocks, whatever number of samples it states."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import sounds

from tagger.audio.reader import read_windows
from tagger.audio.wavpack import wavpack_structure
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError

PLAN = WindowPlan(samples=8_000, rate=16_000, count=4)
SAMPLES = round(sounds.SECONDS * sounds.RATE)


def stating(samples: int, folder: Path, *, in_all: bool) -> Path:
    """The number of samples in the first block, or in all."""
    path = sounds.make("wavpack", folder)
    data, at = bytearray(path.read_bytes()), 0
    while (at := data.find(b"wvpk", at)) >= 0:
        data[at + 12 : at + 16] = samples.to_bytes(4, "little")
        at += 4 if in_all else len(data)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("in_all", [False, True])
@pytest.mark.parametrize("samples", [SAMPLES, 2 * SAMPLES, SAMPLES // 8, 0, 0xFFFFFFFF])
def test_a_wrong_number_of_samples_is_not_believed(samples, in_all, tmp_path):
    read = read_windows(stating(samples, tmp_path, in_all=in_all), PLAN)
    assert read.seconds == sounds.SECONDS
    sounds.assert_is_music(read, "wavpack", PLAN)


@pytest.mark.parametrize("copies", [2, 3, 4, 10])
def test_joined_files_are_read_to_the_end(copies, tmp_path):
    path = sounds.make("wavpack", tmp_path)
    path.write_bytes(path.read_bytes() * copies)
    assert read_windows(path, PLAN).seconds == pytest.approx(copies * sounds.SECONDS, abs=0.05)


@pytest.mark.parametrize("tail", [b"", b"TAG" + bytes(125)])
def test_an_ordinary_file_has_no_fault(tail, tmp_path):
    path = sounds.make("wavpack", tmp_path)
    path.write_bytes(path.read_bytes() + tail)
    assert wavpack_structure(path).fault is None


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_was_cut_off_fails(share, tmp_path):
    path = sounds.make("wavpack", tmp_path)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(AudioError, match=r"truncated|Invalid data"):
        read_windows(path, PLAN)
