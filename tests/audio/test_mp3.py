"""An MP3's header is believed only where the data agree; FFmpeg's decoding is the reference."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import soundfile
from helpers import edited, sounds
from helpers.edited import APE, ID3, ID3V1, LYRICS, NOISE, with_xing

from tagger.audio import mp3
from tagger.audio.examine import examine
from tagger.audio.mp3 import mp3_structure
from tagger.audio.reader import read_windows
from tagger.audio.structure import Structure
from tagger.audio.windows import WindowPlan

KINDS = ("mp3, constant", "mp3, variable")
BOTH = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(params=["small", "large"], autouse=True)
def size(request, monkeypatch) -> str:
    """Of a small file all frames are counted, of a large one some are looked at."""
    monkeypatch.setattr(mp3, "MOST_READ", 1 << 18 if request.param == "small" else 1000)
    return str(request.param)


def frames_of(data: bytes) -> bytes:
    """An MP3 without the tag that FFmpeg writes in front."""
    return data[10 + int("".join(f"{byte:07b}" for byte in data[6:10]), 2) :]


def half(data: bytes) -> int:
    return len(data) // 2


GOOD = {
    "as encoded": lambda data: data,
    "tags around": lambda data: ID3 + ID3 + data + LYRICS + APE + ID3V1,
    "zeros in front": lambda data: ID3 + bytes(3_000) + data,
    "zeros behind": lambda data: data + bytes(30_000),
    "no size": lambda data: with_xing(data, size=None),
    "half the size": lambda data: with_xing(data, size=0.5),
    "double size": lambda data: with_xing(data, size=2),
    "one frame more": lambda data: with_xing(data, frames=1.002),
}


@BOTH
@pytest.mark.parametrize("change", GOOD)
def test_a_right_count_of_frames_is_believed(kind, change, tmp_path):
    path = sounds.make(kind, tmp_path)
    path.write_bytes(GOOD[change](path.read_bytes()))
    assert mp3_structure(path) == Structure()
    with soundfile.SoundFile(path) as file:
        seconds = file.frames / file.samplerate
    assert seconds == pytest.approx(edited.decoded_seconds(path), abs=0.05)


BAD = {
    "an eighth of the frames": lambda data: with_xing(data, frames=1 / 8),
    "an eighth of both": lambda data: with_xing(data, frames=1 / 8, size=1 / 8),
    "double frames": lambda data: with_xing(data, frames=2),
    "double frames, no size": lambda data: with_xing(data, frames=2, size=None),
    "no frames": lambda data: with_xing(data, frames=None),
    "joined to itself": lambda data: data + data,
    "joined, tags between": lambda data: data + LYRICS + APE + ID3V1 + ID3 + data + ID3V1,
    "grown": lambda data: data + frames_of(data)[half(data) :],
    "cut, no size": lambda data: with_xing(data, size=None)[: half(data)],
}


@BOTH
@pytest.mark.parametrize("change", BAD)
def test_a_wrong_count_of_frames_is_a_fault(kind, change, tmp_path):
    path = sounds.make(kind, tmp_path)
    path.write_bytes(BAD[change](path.read_bytes()))
    structure = mp3_structure(path)
    assert structure.fault and not structure.is_truncated


def test_other_data_between_frames_are_a_fault_where_all_are_read(size, tmp_path):
    path = sounds.make("mp3, constant", tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: half(data)] + NOISE + data[half(data) :])
    assert mp3_structure(path).fault and mp3_structure(path).is_irregular


@BOTH
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_file_that_was_cut_off_is_truncated(kind, part, tmp_path):
    path = sounds.make(kind, tmp_path)
    os.truncate(path, round(path.stat().st_size * part))
    assert mp3_structure(path) == Structure(is_truncated=True)


@pytest.mark.parametrize("other", ["-ar 24000", "-ar 48000", "-ac 1", "-ar 8000 -ac 1"])
@pytest.mark.parametrize("order", [1, -1])
def test_other_frames_in_mid_stream_are_a_fault(other, order, tmp_path, monkeypatch):
    """Even if the header counts them all, as that of FFmpeg's concat does."""
    monkeypatch.setitem(
        sounds.FFMPEG, f"mp3 {other}", (".mp3", f"-c:a libmp3lame -b:a 64k {other}")
    )
    parts = [
        frames_of(sounds.make(kind, tmp_path).read_bytes()) for kind in (KINDS[0], f"mp3 {other}")
    ]
    first, second = parts[::order]
    path = tmp_path / "joined.mp3"
    counted = sum(count_of(part) for part in parts) / count_of(first)
    both = (len(first) + len(second)) / len(first)
    path.write_bytes(with_xing(first, frames=counted, size=both) + second)
    fault = "an MP3 whose sample rate, channels or version change"
    assert mp3_structure(path) == Structure(fault, is_irregular=True)
    path.write_bytes(with_xing(path.read_bytes(), frames=None))
    assert mp3_structure(path).is_irregular


def count_of(data: bytes) -> int:
    """The frames that a Xing header counts."""
    at = max(data.find(b"Xing"), data.find(b"Info")) + 8
    return int.from_bytes(data[at : at + 4], "big")


@pytest.mark.parametrize("kind", ["mp3, constant, no Xing", "mp3, variable, no Xing", "mp2"])
def test_without_a_header_there_is_nothing_to_believe(kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    assert mp3_structure(path) == Structure(mp3.UNSTATED)


@pytest.mark.parametrize("data", [b"", b"x", NOISE, ID3, b"\xff\xfb\x90\x44"])
def test_what_has_no_frames_is_a_fault(data, tmp_path):
    path = tmp_path / "x.mp3"
    path.write_bytes(data)
    assert mp3_structure(path).fault


def test_frames_of_free_format_are_left_to_libsndfile(tmp_path):
    """All are of one size, which none of them states."""
    path = sounds.make("mp3, constant, no Xing", tmp_path)
    data, at, free = frames_of(path.read_bytes()), 0, bytearray()
    while frame := mp3.frame_at(data, at):
        piece = bytearray(data[at : at + frame.size])
        piece[2] &= 0x0F  # the bit rate
        free += piece
        at += frame.size
    path.write_bytes(free)
    assert mp3_structure(path) == Structure()
    with soundfile.SoundFile(path) as file:
        assert file.frames / file.samplerate == pytest.approx(sounds.SECONDS, abs=0.1)


def test_little_of_a_large_file_is_read(tmp_path, monkeypatch):
    path, reads = sounds.make("mp3, constant", tmp_path), []
    read_at = mp3.read_at

    def counted(file, at: int, count: int) -> bytes:
        reads.append(count)
        return read_at(file, at, count)

    monkeypatch.setattr(mp3, "MOST_READ", 1000)
    monkeypatch.setattr(mp3, "read_at", counted)
    monkeypatch.setattr(mp3, "walk", None)
    mp3_structure(path)
    assert sum(reads) < 40_000
    assert Path(path).stat().st_size > 200_000


PIECES = {
    "joined": lambda data: data * 3,
    "joined, tags between": lambda data: (data + LYRICS + APE + ID3V1 + ID3) * 2,
    "junk in front": lambda data: NOISE * 30 + data,
    "junk between": lambda data: data[: half(data)] + NOISE + data[half(data) :],
}


@BOTH
@pytest.mark.parametrize("change", PIECES)
def test_irregular_files_are_as_long_as_ffmpeg_decodes_them(kind, change, size, tmp_path):
    path = sounds.make(kind, tmp_path)
    path.write_bytes(PIECES[change](path.read_bytes()))
    read = read_windows(path, WindowPlan(8_000, 16_000, 4))
    assert read.seconds == pytest.approx(edited.decoded_seconds(path), abs=0.05)


@pytest.mark.parametrize("kind", [*KINDS, "mp3, constant, no Xing", "flac", "vorbis", "adts"])
def test_a_terabyte_of_zeros_behind_the_audio_is_not_searched(kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    try:
        os.truncate(path, 1 << 40)
    except OSError as error:
        pytest.skip(f"no file of a terabyte here: {error}")
    names = {".flac": "flac", ".ogg": "ogg", ".aac": "aac"}
    started = time.perf_counter()
    examine(path, names.get(path.suffix, "mp3"))
    assert time.perf_counter() - started < 5
