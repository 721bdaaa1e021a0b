"""A FLAC's STREAMINFO is believed only where its frames agree; the flac program judges some."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from helpers import edited, sounds
from helpers.edited import APE, ID3, ID3V1, NOISE, stated_total, with_total
from hypothesis import example, given
from hypothesis import strategies as st

from tagger.audio import flac
from tagger.audio.flac import Kind, find_frames, flac_structure
from tagger.audio.structure import Structure

MOST = (1 << 36) - 1


@pytest.fixture(params=["small", "large"], autouse=True)
def size(request, monkeypatch) -> str:
    """Of a small file all frames are found, of a large one some."""
    monkeypatch.setattr(flac, "MOST_READ", 1 << 24 if request.param == "small" else 1000)
    return str(request.param)


def cut_in_a_frame(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


def cut_behind_a_frame(data: bytes) -> bytes:
    cut = cut_in_a_frame(data)
    start = cut.index(b"\xff\xf8")
    *_, last = find_frames(cut[start:], start, Kind(44_100, 2, 16))
    return cut[: last.offset]


GOOD = {
    "as encoded": lambda data: data,
    "tags around": lambda data: ID3 + data + APE + ID3V1,
    "zeros behind": lambda data: data + bytes(30_000),
}


@pytest.mark.parametrize("change", GOOD)
def test_a_right_total_is_believed(change, tmp_path):
    path = sounds.make("flac", tmp_path)
    path.write_bytes(GOOD[change](path.read_bytes()))
    assert flac_structure(path) == Structure()
    with soundfile.SoundFile(path) as file:
        assert file.frames / file.samplerate == edited.decoded_seconds(path) == sounds.SECONDS


BAD = {
    "unknown": lambda data: with_total(data, 0),
    "an eighth": lambda data: with_total(data, stated_total(data) // 8),
    "double": lambda data: with_total(data, stated_total(data) * 2),
    "one more": lambda data: with_total(data, stated_total(data) + 1),
    "the most": lambda data: with_total(data, MOST),
    "double, tags behind": lambda data: with_total(data, stated_total(data) * 2) + APE + ID3V1,
    "joined to itself": lambda data: data + data,
    "joined, and counted": lambda data: with_total(data + data, stated_total(data) * 2),
    "joined with tags": lambda data: ID3 + data + ID3V1 + ID3 + data,
    "three joined": lambda data: data + cut_in_a_frame(data) + data,
    "cut behind a frame": cut_behind_a_frame,
    "its start is missing": lambda data: data[:-1][: data.index(b"\xff\xf8")] + data[100_000:],
    "junk in front": lambda data: NOISE + data,
}


@pytest.mark.parametrize("change", BAD)
def test_a_wrong_total_is_a_fault(change, tmp_path):
    path = sounds.make("flac", tmp_path)
    path.write_bytes(BAD[change](path.read_bytes()))
    structure = flac_structure(path)
    assert structure.fault and not structure.is_truncated


CUT = {
    "cut": cut_in_a_frame,
    "zeros where the rest should be": lambda data: cut_in_a_frame(data).ljust(len(data), b"\0"),
    "cut, tags behind": lambda data: cut_in_a_frame(data) + APE + ID3V1,
}


@pytest.mark.parametrize("change", CUT)
def test_a_file_that_ends_in_a_frame_is_truncated(change, tmp_path):
    path = sounds.make("flac", tmp_path)
    path.write_bytes(CUT[change](path.read_bytes()))
    assert flac_structure(path) == Structure(is_truncated=True)


OTHERS = ("-ar 48000", "-ac 1", "-sample_fmt s32", "-ar 8000 -ac 1", "-ar 44100")


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("order", [1, -1])
def test_joined_files_of_any_kind_are_a_fault(other, order, tmp_path, monkeypatch):
    monkeypatch.setitem(sounds.FFMPEG, f"flac {other}", (".flac", f"-c:a flac {other} -t 3"))
    parts = [sounds.make(kind, tmp_path).read_bytes() for kind in ("flac", f"flac {other}")]
    path = tmp_path / "joined.flac"
    path.write_bytes(b"".join(parts[::order]))
    assert flac_structure(path).fault


@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_frames_of_another_kind_without_a_header_before_them_are_a_fault(rate, channels, tmp_path):
    parts = []
    for name, of in (("a", (8_000, 1)), ("b", (rate, channels))):
        noise = np.random.default_rng(1).uniform(-0.5, 0.5, (12_000, of[1]))
        soundfile.write(tmp_path / f"{name}.flac", noise, of[0])
        data = (tmp_path / f"{name}.flac").read_bytes()
        with (tmp_path / f"{name}.flac").open("rb") as file:
            parts.append(data[flac.skip_metadata(file, 0) if name == "b" else 0 :])
    path = tmp_path / "joined.flac"
    path.write_bytes(b"".join(parts))
    is_other = (rate, channels) != (8_000, 1)
    assert ("channels change" in str(flac_structure(path).fault)) == is_other


@pytest.mark.skipif(not shutil.which("flac"), reason="no flac to encode with")
@pytest.mark.parametrize(
    "form", ["-0", "-8", "-b 192", "-b 65535 --lax", "--no-padding", "-8 -b 1000 --lax"]
)
@pytest.mark.parametrize("rate", ["44100", "12345", "655350", "48000"])
def test_files_of_another_encoder_are_ordinary(form, rate, tmp_path):
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (70_000, 2))
    soundfile.write(tmp_path / "x.wav", noise, int(rate), subtype="PCM_24")
    command = ["flac", "-s", *form.split(), "--lax", tmp_path / "x.wav"]
    subprocess.run(command, check=True, cwd=tmp_path)
    assert flac_structure(tmp_path / "x.flac") == Structure()


@example(samples=12133, channels=5, bits=24)  # noise that looks like the header of a frame
@given(samples=st.integers(1, 20_000), channels=st.integers(1, 8), bits=st.sampled_from([16, 24]))
def test_files_of_libsndfile_are_ordinary(tmp_path_factory, samples, channels, bits):
    path = tmp_path_factory.mktemp("flac") / "x.flac"
    noise = np.random.default_rng(samples).uniform(-1, 1, (samples, channels))
    soundfile.write(path, noise, 8_000, subtype=f"PCM_{bits}")
    assert flac_structure(path) == Structure()


@pytest.mark.parametrize("data", [b"", b"fLaC", b"fLaC" + bytes(50), NOISE])
def test_what_has_no_frames_is_a_fault(data, tmp_path):
    path = tmp_path / "x.flac"
    path.write_bytes(data)
    assert flac_structure(path).fault


def test_little_of_a_large_file_is_read(tmp_path, monkeypatch):
    path, reads = sounds.make("flac", tmp_path), []
    read_at = flac.read_at

    def counted(file, at: int, count: int) -> bytes:
        reads.append(count)
        return read_at(file, at, count)

    monkeypatch.setattr(flac, "MOST_READ", 1000)
    monkeypatch.setattr(flac, "read_at", counted)
    flac_structure(path)
    assert sum(reads) < 100_000
    assert path.stat().st_size > 500_000
