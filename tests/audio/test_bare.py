"""Frames of bare streams are found one after the other, and a change among them is seen."""

from __future__ import annotations

import subprocess
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest
from helpers.edited import ID3, ID3V1, NOISE

from tagger.audio import bare
from tagger.audio.bare import STREAMS, bare_structure, frames
from tagger.audio.structure import Structure

ENCODERS = {
    "aac": "aac -f adts",
    "loas": "aac -f latm",
    "ac3": "ac3 -f ac3",
    "eac3": "eac3 -f eac3",
    "dts": "dca -strict -2 -f dts",
}
SOUNDS = ("-ar 48000 -ac 2", "-ar 44100 -ac 2", "-ar 48000 -ac 1", "-ar 48000 -ac 6")
JOINS = [*permutations(SOUNDS, 2)]


@pytest.fixture(params=["small", "large"], autouse=True)
def size(request, monkeypatch) -> str:
    """Of a small file all frames are looked at, of a large one some."""
    monkeypatch.setattr(bare, "MOST_READ", 1 << 24 if request.param == "small" else 1000)
    return str(request.param)


@cache
def encoded(kind: str, sound: str) -> bytes:
    """Eight seconds of noise."""
    noise = "-f lavfi -i anoisesrc=duration=8:seed=4:amplitude=0.3"
    command = f"ffmpeg -v error {noise} {sound} -c:a {ENCODERS[kind]} -"
    return subprocess.run(command.split(), capture_output=True, check=True).stdout


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("kind", STREAMS)
def test_the_frames_fill_a_stream(kind, sound):
    data = encoded(kind, sound)
    found = [*frames(data, *STREAMS[kind])]
    assert sum(frame.size for frame in found) > 0.97 * len(data)
    assert len({frame.kind for frame in found if frame.kind}) == 1


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("kind", STREAMS)
def test_one_stream_is_ordinary(kind, sound, tmp_path):
    path = tmp_path / "x"
    for data in (encoded(kind, sound), encoded(kind, sound) * 2):
        path.write_bytes(ID3 + data + ID3V1)
        assert bare_structure(path, kind) == Structure()


@pytest.mark.parametrize("sounds", JOINS, ids=[" then ".join(sounds) for sounds in JOINS])
@pytest.mark.parametrize("kind", STREAMS)
def test_a_change_is_a_fault(kind, sounds, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"".join(encoded(kind, sound) for sound in sounds))
    fault = "a stream whose sample rate or channels change"
    assert bare_structure(path, kind) == Structure(fault, is_irregular=True)


@pytest.mark.parametrize("kind", STREAMS)
def test_a_dependent_frame_and_a_damaged_one_change_nothing(kind, tmp_path):
    data, path = bytearray(encoded(kind, SOUNDS[0])), tmp_path / "x"
    data[len(data) // 2 : len(data) // 2 + 3_000] = NOISE[:3_000]
    if kind == "eac3":  # every other frame adds channels to the one before
        for number, frame in enumerate(frames(bytes(data), *STREAMS[kind])):
            at = frame.size * number
            if number % 2 and at < len(data) // 2 - frame.size:
                data[at + 2] |= 1 << 6
                data[at + 4] |= 0x0E
    path.write_bytes(data)
    assert bare_structure(path, kind) == Structure()


@pytest.mark.parametrize("data", [b"", b"x", NOISE, ID3, b"\x0b\x77", b"\x7f\xfe\x80\x01"])
@pytest.mark.parametrize("kind", STREAMS)
def test_what_has_no_frames_is_left_to_the_decoder(kind, data, tmp_path: Path):
    path = tmp_path / "x"
    path.write_bytes(data)
    assert bare_structure(path, kind) == Structure()
