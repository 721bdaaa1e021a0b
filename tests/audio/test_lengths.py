"""The length of the audio stream itself counts, not what the container or its headers say.

The FFmpeg program decodes each file as well; the samples must be the same at every place.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soxr
from helpers import sounds
from helpers.edits import with_edits, with_number

from tagger.audio import frames, joined
from tagger.audio.decoders import DECODERS, open_av
from tagger.audio.joined import joined_spans
from tagger.audio.mixing import to_mono
from tagger.audio.reader import read_windows
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError

RATE = 16_000
PLAN = WindowPlan(8_000, RATE, 4)
VIDEO = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=20"]
pytestmark = pytest.mark.skipif(not shutil.which("ffprobe"), reason="no ffmpeg to compare with")


def ffmpeg(*arguments: object) -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def reference(*paths: Path) -> np.ndarray:
    """What FFmpeg decodes of these files, one after the other, as mono of 16 kHz."""
    form = ["-ac", "1", "-ar", RATE, "-f", "f32le", "-"]
    parts = (ffmpeg("-i", path, "-map", "0:a:0", *form) for path in paths)
    return np.concatenate([np.frombuffer(part, np.float32) for part in parts])


def assert_same(path: Path, expected: np.ndarray) -> None:
    """The same seconds within 50 ms, and the same samples everywhere, in any order."""
    with closing(open_av(path)) as source:
        assert source.length / source.rate == pytest.approx(len(expected) / RATE, abs=0.05)
        for place in (0.7, 0.05, 0.3, 0.95, 0.55):
            start = int(place * source.length)
            read = to_mono(source.read(start, source.rate // 4))
            window = soxr.resample(read, source.rate, RATE)
            near = round(place * len(expected))
            around = np.pad(expected, (1_000, 6_000))[near : near + len(window) + 2_000]
            assert likeness(window, around) > 0.9


def likeness(window: np.ndarray, around: np.ndarray) -> float:
    """The best correlation of a window with what is around its place."""
    energies = np.convolve(around**2, np.ones(len(window)), "valid")
    products = np.correlate(around, window, "valid")
    return float((products / np.sqrt(energies * (window**2).sum() + 1e-12)).max())


@cache
def music(kind: str) -> bytes:
    return sounds._encoded(kind, sounds.SECONDS)


# --- MP4 ------------------------------------------------------------------------------------------

EDITS = {
    "a pause in front": [(2_000, -1), (12_000, 1_024)],
    "two pauses": [(1_000, -1), (1_000, -1), (12_000, 1_024)],
    "a part": [(5_000, 88_200)],
    "two parts": [(3_000, 1_024), (4_000, 264_600)],
    "two parts in another order": [(3_000, 264_600), (3_000, 44_100)],
    "a pause between two parts": [(3_000, 1_024), (2_000, -1), (3_000, 264_600)],
    "more than there is": [(30_000, 1_024)],
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_list_is_followed(name, tmp_path):
    path = tmp_path / "x.m4a"
    path.write_bytes(with_edits(music("aac in m4a"), EDITS[name]))
    assert_same(path, reference(path))


@pytest.mark.parametrize("number", [0, 1_000, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("box", [b"mvhd", b"mdhd", b"tkhd"])
def test_wrong_durations_of_an_m4a_do_not_matter(box, number, tmp_path):
    path = tmp_path / "x.m4a"
    offset = 20 if box == b"tkhd" else 16
    path.write_bytes(with_number(music("aac in m4a"), box, offset, number))
    assert_same(path, reference(path))


FRAGMENTED = {
    "empty moov": "frag_keyframe+empty_moov+default_base_moof",
    "first part in moov": "frag_keyframe",
    "dash": "dash+delay_moov",
}


@pytest.mark.parametrize("share", [1, 0.6])
@pytest.mark.parametrize("codec", ["aac", "flac"])
@pytest.mark.parametrize("name", FRAGMENTED)
def test_fragments_are_decoded_as_far_as_they_are_there(name, codec, share, tmp_path):
    path = tmp_path / "x.mp4"
    flags = ["-movflags", FRAGMENTED[name], "-frag_duration", "1000000", "-strict", "-2"]
    ffmpeg("-i", sounds.make("wav", tmp_path), "-c:a", codec, *flags, path)
    os.truncate(path, int(path.stat().st_size * share))
    assert_same(path, reference(path))


# --- other streams, and audio that starts late ----------------------------------------------------

WITH_VIDEO = {
    "mp4": "-c:a aac -c:v mpeg4", "mov": "-c:a alac -c:v mpeg4", "webm": "-c:a libopus -c:v libvpx",
    "mkv": "-c:a flac -c:v mpeg4", "ts": "-c:a aac -c:v mpeg2video",
    "mpg": "-c:a mp2 -c:v mpeg2video", "wmv": "-c:a wmav2 -c:v wmv2",
    "ogv": "-c:a libvorbis -c:v libtheora", "avi": "-c:a libmp3lame -c:v mpeg4",
    "flv": "-c:a aac -c:v flv",
}  # fmt: skip


@pytest.mark.parametrize("late", [0, 3])
@pytest.mark.parametrize("suffix", WITH_VIDEO)
def test_the_audio_of_a_longer_video_is_as_long_as_it_is(suffix, late, tmp_path):
    path, sound = tmp_path / f"x.{suffix}", sounds.make("wav", tmp_path)
    inputs = ["-itsoffset", late, "-i", sound, *VIDEO, "-map", "0:a", "-map", "1:v"]
    ffmpeg(*inputs, *WITH_VIDEO[suffix].split(), path)
    if suffix == "wmv":  # FFmpeg drops the first 4,096 samples of WMA, and counts them
        assert read_windows(path, PLAN).seconds == pytest.approx(12, abs=0.05)
    else:
        assert_same(path, reference(path))


def test_longer_subtitles_do_not_make_the_audio_longer(tmp_path):
    text, path = tmp_path / "x.srt", tmp_path / "x.mkv"
    text.write_text("1\n00:00:01,000 --> 00:00:40,000\nhello\n\n")
    ffmpeg("-i", sounds.make("wav", tmp_path), "-i", text, "-c:a", "libopus", path)
    assert_same(path, reference(path))


@pytest.mark.parametrize("milliseconds", [0, 3_000, 60_000, 1e12])
@pytest.mark.parametrize("kind", ["aac in mka", "opus in webm"])
def test_a_wrong_duration_of_a_matroska_does_not_matter(kind, milliseconds, tmp_path):
    path = sounds.make(kind, tmp_path)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", milliseconds)
    path.write_bytes(data)
    assert_same(path, reference(path))


def test_a_matroska_that_was_cut_off_is_truncated_though_its_video_goes_on(tmp_path):
    path = tmp_path / "x.mkv"
    inputs = ["-i", sounds.make("wav", tmp_path), *VIDEO, "-c:a", "flac", "-c:v", "mpeg4"]
    ffmpeg(*inputs, path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(AudioError, match=r"^truncated: nothing .* of the 12\.0 s"):
        read_windows(path, PLAN)


# --- joined files ---------------------------------------------------------------------------------

PARTS = {
    "ogg": "-c:a libvorbis", "opus": "-c:a libopus", "oga": "-c:a flac -f ogg",
    "spx": "-c:a libspeex -f ogg", "flac": "-c:a flac", "mka": "-c:a libopus",
    "webm": "-c:a libvorbis", "ts": "-c:a aac", "aac": "-c:a aac", "mp3": "-c:a libmp3lame",
    "ac3": "-c:a ac3", "mpg": "-c:a mp2", "wv": "-c:a wavpack",
}  # fmt: skip
# Of the codecs that do not know 22.05 kHz.
RATES = {"spx": 16_000, "opus": 24_000, "mka": 24_000, "ac3": 32_000, "mpg": 32_000}


@pytest.mark.parametrize("change", ["", "-ac 1", "rate"])
@pytest.mark.parametrize("suffix", PARTS)
def test_joined_files_are_decoded_one_after_the_other(suffix, change, tmp_path):
    sound, path = sounds.make("wav", tmp_path), tmp_path / f"x.{suffix}"
    parts = [tmp_path / f"{number}.{suffix}" for number in (1, 2)]
    first = ["-ar", RATES.get(suffix, 22_050)] if change == "rate" else change.split()
    encoder = PARTS[suffix].split()
    encoder += ["-ar", "32000"] if suffix == "spx" else []
    ffmpeg("-t", 5, "-i", sound, *encoder, *first, parts[0])
    ffmpeg("-ss", 5, "-i", sound, *encoder, parts[1])
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    # What LAME puts around the second of joined MP3s looks like sound.
    assert_same(path, reference(path) if suffix == "mp3" else reference(*parts))


@pytest.mark.parametrize("suffix", ["ogg", "flac", "mka"])
def test_a_joined_part_that_is_cut_in_its_header_is_left_out(suffix, tmp_path):
    path = tmp_path / f"x.{suffix}"
    ffmpeg("-i", sounds.make("wav", tmp_path), *PARTS[suffix].split(), path)
    expected, data = reference(path), path.read_bytes()
    path.write_bytes(data + data[:60])
    assert_same(path, expected)


@pytest.mark.parametrize("suffix", ["ogg", "flac", "mka", "webm"])
def test_an_ordinary_file_has_no_parts(suffix, tmp_path):
    path = tmp_path / f"x.{suffix}"
    ffmpeg("-i", sounds.make("wav", tmp_path), *PARTS[suffix].split(), path)
    assert len(joined_spans(path)) <= 1


@pytest.mark.parametrize("suffix", ["ts", "aac", "opus"])
def test_a_known_length_gives_the_same_samples(suffix, tmp_path):
    sound, path = sounds.make("wav", tmp_path), tmp_path / f"x.{suffix}"
    parts = [tmp_path / f"{number}.{suffix}" for number in (1, 2)]
    ffmpeg("-i", sound, *PARTS[suffix].split(), "-ac", 1, "-ar", 24_000, parts[0])
    ffmpeg("-i", sound, *PARTS[suffix].split(), parts[1])
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with closing(open_av(path)) as first, closing(open_av(path, first.length)) as later:
        assert (later.rate, later.length, later.is_stated) == (first.rate, first.length, False)
        start = first.length * 2 // 3
        np.testing.assert_array_equal(first.read(start, 5_000), later.read(start, 5_000))


def test_pydub_refuses_what_it_would_read_wrongly(tmp_path):
    path = tmp_path / "x.mkv"
    ffmpeg("-i", sounds.make("wav", tmp_path), *VIDEO, "-c:a", "flac", "-c:v", "mpeg4", path)
    with pytest.raises(AudioError, match="does not begin or end where FFmpeg says"):
        DECODERS["pydub"](path)


@pytest.mark.parametrize("suffix", ["ogg", "flac", "mka"])
def test_a_file_of_very_many_parts_is_refused(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"x.{suffix}"
    ffmpeg("-t", 1, "-i", sounds.make("wav", tmp_path), *PARTS[suffix].split(), path)
    path.write_bytes(path.read_bytes() * 6)
    monkeypatch.setattr(joined, "MOST_PARTS", 5)
    with pytest.raises(AudioError, match="it consists of more than 5 files"):
        open_av(path)


def test_what_lies_in_front_of_a_place_is_counted_and_not_mixed(tmp_path, monkeypatch):
    whole = sounds.make("mp3, constant", tmp_path, 2).read_bytes()
    path = tmp_path / "joined.mp3"
    path.write_bytes(whole * 5)
    mixed = []

    def join(name, parts):
        mixed.extend(part.samples for part in parts)
        return original(name, parts)

    original = frames._join
    with closing(open_av(path)) as source:
        monkeypatch.setattr(frames, "_join", join)
        source.read(source.length - source.rate, source.rate)
        assert source.rate <= sum(mixed) < 2 * source.rate
        assert source.length > 6 * source.rate
