"""libsndfile decodes only what is needed, and pydub decodes through a system FFmpeg."""

from __future__ import annotations

import os
import shutil
import struct

import numpy as np
import pytest
from helpers import sounds

from tagger.audio import reader
from tagger.audio.decoders import DECODERS, PydubSource, SoundfileSource
from tagger.audio.reader import read_windows
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError, Crashed

PLAN = WindowPlan(samples=8_000, rate=16_000, count=4)


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="pydub needs ffmpeg and ffprobe")
@pytest.mark.parametrize("kind", ["flac", "aac in m4a"])
def test_pydub_alone_decodes_the_same(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "DECODERS", {"pydub": DECODERS["pydub"]})
    plan = WindowPlan(16_000, 16_000, 2)
    sounds.assert_is_music(read_windows(sounds.make(kind, tmp_path), plan), kind, plan)


def test_a_vbri_header_is_not_taken_for_a_length_that_libsndfile_knows(tmp_path):
    plain = sounds.make("mp3, variable, no Xing", tmp_path).read_bytes()
    frames = round(sounds.SECONDS * sounds.RATE / 1152)
    vbri = struct.pack(">4sHHHIIHHHH", b"VBRI", 1, 0, 75, len(plain), frames, 0, 1, 2, 1)
    header = bytes([0xFF, 0xFB, 0x90, 0x44])  # MPEG 1, layer 3, 128 kbit/s, 44.1 kHz: 417 bytes
    path = tmp_path / "vbri.mp3"
    path.write_bytes((header + bytes(32) + vbri).ljust(417, b"\0") + plain)
    assert read_windows(path, PLAN).seconds == pytest.approx(sounds.SECONDS, abs=0.1)


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="pydub needs ffmpeg and ffprobe")
@pytest.mark.parametrize(
    ("program", "script"),
    [("ffprobe", "kill -9 $$"), ("ffmpeg", "kill -9 $$"), ("ffprobe", "exit 127")],
)
def test_a_program_that_is_killed_says_nothing_about_the_file(
    program, script, tmp_path, monkeypatch
):
    path = sounds.make("flac", tmp_path)
    replace_program(program, script, tmp_path, monkeypatch)
    monkeypatch.setattr(reader, "DECODERS", {"pydub": DECODERS["pydub"]})
    with pytest.raises(Crashed, match=program) as caught:
        read_windows(path, PLAN)
    assert not caught.value.lasting  # so that the next run tries again


def replace_program(name, script, folder, monkeypatch):
    """Put a shell script in the place of a program."""
    (fake := folder / "bin" / name).parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="pydub needs ffmpeg and ffprobe")
@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("echo '{'; echo 'first' >&2; echo 'no codec' >&2; exit 1", "no codec"),  # of FFmpeg 5.1
        ("exit 1", "status 1"),
        ("printf '{ \"streams\": ['; exit 187", "status 187"),
        ("kill -11 $$", "status -11"),  # as ffmpeg: a file that it crashes on is not tried again
    ],
)
def test_ffprobe_that_fails_says_that_the_file_cannot_be_read(
    output, reason, tmp_path, monkeypatch
):
    path = sounds.make("flac", tmp_path)
    replace_program("ffprobe", output, tmp_path, monkeypatch)
    with pytest.raises(AudioError, match=reason):
        PydubSource(path)


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="pydub needs ffmpeg and ffprobe")
def test_pydub_reads_names_that_are_not_utf8(tmp_path):
    path = sounds.make("opus", tmp_path).rename(tmp_path / os.fsdecode(b"\xff.opus"))
    assert PydubSource(path).read(48_000, 4_800).shape == (2, 4_800)


def test_soundfile_reads_only_the_planned_windows(tmp_path, monkeypatch):
    counts = []
    read = SoundfileSource.read

    def counted(self, start: int, count: int) -> np.ndarray:
        counts.append(count)
        return read(self, start, count)

    monkeypatch.setattr(SoundfileSource, "read", counted)
    read_windows(sounds.make("flac", tmp_path), WindowPlan(16_000, 16_000, 2))
    assert len(counts) == 3  # and a look at the end of the file
    assert sum(counts) < 2 * 1.1 * sounds.RATE


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="pydub needs ffmpeg and ffprobe")
@pytest.mark.parametrize("kind", ["mp3, variable", "flac", "vorbis", "opus"])
def test_neither_libsndfile_nor_pydub_reads_joined_files(kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    path.write_bytes(path.read_bytes() * 2)
    for name in ("soundfile", "pydub"):
        with pytest.raises(AudioError, match=r"an (MP3|Ogg)|a FLAC"):
            DECODERS[name](path)
    read = read_windows(path, PLAN)
    assert read.seconds == pytest.approx(2 * sounds.SECONDS, abs=0.1)
    assert read.placement.decoder == "PyAV"
