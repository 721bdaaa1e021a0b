"""The length of a Musepack file: FFmpeg counts only whole packets."""

from __future__ import annotations

import struct

import pytest
from helpers import sounds
from helpers.containers import CORPUS

from tagger.audio.musepack import musepack_length
from tagger.audio.reader import read_windows
from tagger.audio.windows import WindowPlan

PLAN = WindowPlan(1_000, 16_000, 1)


@pytest.mark.parametrize("seconds", [0.3, 1.5, 8.0, 12.0])
def test_a_track_is_as_long_as_what_was_encoded(tmp_path, seconds):
    path = sounds.make("musepack", tmp_path, seconds)
    assert read_windows(path, PLAN).seconds == pytest.approx(seconds, abs=0.001)


@pytest.mark.parametrize("front", [b"", b"ID3\4\0\0\0\0\0\x0a" + bytes(10)])
def test_version_7_states_how_much_of_the_last_frame_counts(tmp_path, front):
    path = tmp_path / "x.mpc"
    gapless = 1 << 31 | 324 << 20
    for last, samples in ((gapless, 38 * 1152 + 324), (1 << 31, 39 * 1152), (0, 39 * 1152 - 481)):
        path.write_bytes(front + b"MP+\7" + struct.pack("<6I", 39, 0, 0, 0, last, 0))
        assert musepack_length(path) == samples


def test_version_8_states_samples_and_those_in_front(tmp_path):
    path = tmp_path / "x.mpc"
    other = b"RG\x0c" + bytes(9)
    path.write_bytes(b"MPCK" + other + b"SH\x0e" + bytes(4) + b"\x08\x95\xc4\x20\x81\x00\x1b\x0b")
    assert musepack_length(path) == 352_800 - 128


@pytest.mark.parametrize("data", [b"", b"MP+", b"MP+\7", b"MPCK", b"MPCKSH", b"MPCK" + b"\xff" * 99,
                                  b"MP+\7" + bytes(24), b"MPCKAA\0\0AA\0\0"])  # fmt: skip
def test_a_damaged_header_says_nothing(tmp_path, data):
    path = tmp_path / "x.mpc"
    path.write_bytes(data)
    assert musepack_length(path) is None


@pytest.mark.parametrize("name", ["empty.mpc", "full.mpc"])
def test_a_real_file_of_version_7_has_its_length(name):
    path = CORPUS / "mediafile" / name
    if not path.exists():
        pytest.skip("the corpus of real files is not here")
    assert read_windows(path, PLAN).seconds == 1
