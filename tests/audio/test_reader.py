from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import sounds

from tagger.audio import decoders, reader, windows
from tagger.audio.decoders import DECODERS, SoundfileSource
from tagger.audio.pyav import AvSource
from tagger.audio.reader import read_windows
from tagger.audio.windows import CHUNK_WINDOWS, WindowPlan, place_windows
from tagger.errors import AudioError

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "tag-corpus"
PLAN = WindowPlan(samples=8_000, rate=16_000, count=4)
LENGTH_IN_HEADER = (
    "flac", "alac", "wavpack", "tta", "aac in m4a", "aac in m4b", "aac in mka", "mp3, constant",
    "mp3, variable", "wav of floats", "aiff", "wma",
)  # fmt: skip
AS_LONG_AS_THE_FILE = (
    "wav", "wav of 24 bits", "au", "w64", "caf", "ogg-flac", "vorbis", "opus", "adts", "ac3", "mp2",
    "mp3, constant, no Xing", "mp3, variable, no Xing",
)  # fmt: skip


@pytest.fixture(params=sounds.FFMPEG)
def kind(request):
    return request.param


# --- what is decoded ------------------------------------------------------------------------------


def test_windows_of_every_container_are_the_music(kind, tmp_path):
    read = read_windows(sounds.make(kind, tmp_path), PLAN)
    assert read.windows.shape == (4, 8_000)
    assert read.windows.dtype == np.float32
    sounds.assert_is_music(read, kind, PLAN)


def test_every_container_has_its_full_length(kind, tmp_path):
    plan = WindowPlan(1_000, 16_000, 1)
    seconds = read_windows(sounds.make(kind, tmp_path), plan).seconds
    padding = 0 if kind in sounds.LOSSLESS | {"vorbis", "opus"} else 0.06
    assert 0 <= seconds - sounds.SECONDS <= padding


@pytest.mark.parametrize("name", ["empty.ape", "empty.mpc", "full.dsf"])
def test_containers_that_nothing_here_can_make_are_read(name):
    path = CORPUS / "mediafile" / name
    if not path.exists():
        pytest.skip("the corpus of odd files is not here")
    read = read_windows(path, PLAN)
    assert np.isfinite(read.windows).all()
    assert 0 < read.seconds < 1.1


def test_all_windows_put_together_are_the_whole_track(tmp_path):
    plan = WindowPlan(samples=10_000, rate=16_000, count=None)
    for kind in ("flac", "aac in m4a", "mp3, variable, no Xing"):
        read = read_windows(sounds.make(kind, tmp_path), plan)
        whole = read.windows[:-1].reshape(-1)
        late, likeness, _ = sounds.compare(whole, 0)
        assert abs(late) <= 0.05
        assert likeness > 0.99


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 48_000, 96_000])
def test_no_rate_shifts_a_window(rate, tmp_path):
    path = tmp_path / "music.wav"
    soundfile.write(path, sounds.music(rate), rate, subtype="FLOAT")
    plan = WindowPlan(samples=16_000, rate=16_000, count=7)
    read = read_windows(path, plan)
    for window, start in zip(read.windows, place_windows(192_000, plan), strict=True):
        late, likeness, _ = sounds.compare(window, start)
        assert late == 0
        assert likeness > 0.9999


def test_stereo_is_as_loud_as_the_mean_of_its_channels(tmp_path):
    tone = 0.5 * np.sin(np.arange(32_000) / 5)
    both, left = tmp_path / "both.wav", tmp_path / "left.wav"
    soundfile.write(both, np.stack([tone, tone], axis=1), 16_000)
    soundfile.write(left, np.stack([tone, 0 * tone], axis=1), 16_000)
    plan = WindowPlan(16_000, 16_000, 1)
    np.testing.assert_allclose(read_windows(both, plan).windows[0], tone[8_000:24_000], atol=1e-4)
    np.testing.assert_allclose(
        read_windows(left, plan).windows[0], tone[8_000:24_000] / 2, atol=1e-4
    )


def test_a_short_track_is_repeated_until_it_fills_a_window(tmp_path):
    path, short = tmp_path / "short.wav", np.linspace(-0.5, 0.5, 700)
    soundfile.write(path, short, 16_000, subtype="FLOAT")
    read = read_windows(path, PLAN)
    expected = np.tile(short, 12)[None, : PLAN.samples]
    np.testing.assert_allclose(read.windows, expected, atol=1e-6)
    assert read.seconds == 700 / 16_000


# --- MP3 without a length -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp3, variable", "mp3, variable, no Xing"])
def test_two_id3_tags_do_not_hide_the_first_frame(kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    tag = b"ID3\4\0\0" + bytes([0, 0, 39, 16]) + bytes(5008)
    path.write_bytes(tag + tag + path.read_bytes())
    sounds.assert_is_music(read_windows(path, PLAN), kind, PLAN)


# --- what cannot be read --------------------------------------------------------------------------


def test_the_error_says_what_it_means_and_then_the_reason_of_every_decoder(tmp_path):
    path = tmp_path / "x.mp3"
    path.write_text("no music at all " * 1000)
    with pytest.raises(AudioError, match=r"^no decoder can read it \(") as caught:
        read_windows(path, PLAN)
    assert [name for name in DECODERS if f"{name}: " not in str(caught.value)] == []
    assert caught.value.path == path
    assert "\n" not in str(caught.value)


def test_a_decoder_that_fails_hands_over_to_the_next(tmp_path, monkeypatch):
    def broken(path: Path) -> decoders.Source:
        raise RuntimeError("a C library failed")

    monkeypatch.setattr(reader, "DECODERS", {"broken": broken, "PyAV": AvSource})
    sounds.assert_is_music(read_windows(sounds.make("flac", tmp_path), PLAN), "flac", PLAN)


def test_a_decoder_that_fails_in_the_middle_hands_over_too(tmp_path, monkeypatch):
    def read(self, start: int, count: int) -> np.ndarray:
        raise RuntimeError("a C library failed")

    monkeypatch.setattr(SoundfileSource, "read", read)
    sounds.assert_is_music(read_windows(sounds.make("flac", tmp_path), PLAN), "flac", PLAN)


@pytest.mark.parametrize("kind", LENGTH_IN_HEADER)
def test_a_file_that_was_cut_off_fails_with_that_reason(kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    os.truncate(path, path.stat().st_size * 6 // 10)
    with pytest.raises(AudioError, match=r"truncated|PyAV: Invalid data"):
        read_windows(path, PLAN)


@pytest.mark.parametrize("kind", AS_LONG_AS_THE_FILE)
def test_a_file_whose_header_states_no_length_is_decoded_to_its_end(kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    os.truncate(path, path.stat().st_size * 6 // 10)
    read = read_windows(path, PLAN)
    assert 5.9 < read.seconds < 7.4
    sounds.assert_is_music(read, "lossy" if kind == "ogg-flac" else kind, PLAN)


@pytest.mark.parametrize("kind", ["flac", "aac in m4b", "mp3, constant", "wma"])
def test_a_track_that_lacks_its_last_instants_is_decoded(kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    os.truncate(path, path.stat().st_size * 98 // 100)
    plan = WindowPlan(16_000, 16_000, None)
    read = read_windows(path, plan)
    assert 11.4 < read.seconds <= 12
    sounds.assert_is_music(read, "lossy", plan)


def test_an_empty_file_fails(tmp_path):
    path = tmp_path / "empty.flac"
    path.touch()
    with pytest.raises(AudioError, match="the file is empty"):
        read_windows(path, PLAN)


def test_a_file_without_samples_says_so(tmp_path):
    path = tmp_path / "none.wav"
    soundfile.write(path, np.zeros((0, 2)), 44_100)
    with pytest.raises(AudioError, match=r"^it holds no audio samples"):
        read_windows(path, PLAN)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_windows(tmp_path / "gone.mp3", PLAN)


@pytest.mark.parametrize("name", ["list.mp3", "list.flac", "list.wav"])
@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:12\n#EXTINF:12,\nfile:{target}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:12,\n{target.name}\n",
        "ffconcat version 1.0\nfile {target.name}\nduration 12\n",
    ],
)
def test_a_playlist_under_another_name_is_not_followed(name, text, tmp_path):
    target = sounds.make("wav", tmp_path)
    path = tmp_path / name
    path.write_text(text.format(target=target))
    with pytest.raises(AudioError):
        read_windows(path, PLAN)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("suffix", [".wav", ".au"])
def test_samples_that_are_no_numbers_fail(value, suffix, tmp_path):
    path, samples = tmp_path / f"x{suffix}", np.full(32_000, 0.1, np.float32)
    samples[16_000] = value
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        read_windows(path, PLAN)


@pytest.mark.parametrize("kind", ["flac", "aac in m4a", "mp3, variable, no Xing"])
@pytest.mark.parametrize("name", [b"\xff", b"new\nline", b"-i %s 'x' \"y\"", b"a:b", "ü".encode()])
def test_names_may_hold_anything(kind, name, tmp_path):
    path = sounds.make(kind, tmp_path)
    path = path.rename(tmp_path / (os.fsdecode(name) + path.suffix))
    sounds.assert_is_music(read_windows(path, PLAN), kind, PLAN)


def test_an_unreadable_name_ends_in_an_error_that_can_be_printed(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.mp3")
    path.write_text("no music")
    with pytest.raises(AudioError) as caught:
        read_windows(path, PLAN)
    str(caught.value).encode("utf-8")


def test_a_track_shorter_than_declared_repeats_no_window(tmp_path, monkeypatch):
    """Its windows are spread, and later chunks must continue the placement of the first."""

    class Short:
        rate, channels, is_stated = 1000, 1, True
        length, there = 200_000, 194_000

        def __init__(self, path, length=None):
            self.length, self.is_stated = length or self.length, length is None

        def read(self, start: int, count: int) -> np.ndarray:
            end = max(start, min(start + count, self.there))
            return np.arange(start, end, dtype=np.float32)[None] / 2**14

        def close(self):
            pass

    monkeypatch.setattr(reader, "DECODERS", {"stub": Short})
    path = tmp_path / "short.wav"
    path.write_bytes(b"music")
    plan = WindowPlan(10_240, 1000, "auto")
    places, placement = [], None
    for part in range(len(windows.window_chunks(len(place_windows(Short.length, plan)), plan))):
        read = read_windows(path, plan, part, placement)
        placement = placement or read.placement
        places += [int(window[0] * 2**14) for window in read.windows]
    assert len(set(places)) == len(places) == 18
    assert max(places) + 10_240 <= Short.there


@pytest.mark.parametrize("rate", [1000, 3000])
def test_a_decoder_of_another_rate_takes_over_a_later_chunk(rate, tmp_path, monkeypatch):
    """libsndfile decodes an Opus at 16 kHz that FFmpeg decodes at 48 kHz, and may fail to seek."""

    class Whole:
        rate, channels, is_stated = 1000, 1, True

        def __init__(self, path, length=None):
            self.length = length or 200 * self.rate

        def read(self, start: int, count: int) -> np.ndarray:
            times = np.arange(start, min(start + count, self.length)) / self.rate
            return np.sin(times * 30).astype(np.float32)[None]

        def close(self):
            pass

    class First(Whole):
        def __init__(self, path, length=None):
            if length is not None:
                raise RuntimeError("it fails to seek")
            super().__init__(path)

    Second = type("Second", (Whole,), {"rate": rate})
    path = tmp_path / "x.wav"
    path.write_bytes(b"music")
    plan = WindowPlan(4_000, 1000, None)
    read = {}
    for name, opened in (("whole", {"a": Whole}), ("failing", {"a": First, "b": Second})):
        monkeypatch.setattr(reader, "DECODERS", opened)
        first = read_windows(path, plan)
        read[name] = [first, read_windows(path, plan, 1, first.placement)]
    assert read["failing"][1].starts == read["whole"][1].starts
    for some, others in zip(read["failing"], read["whole"], strict=True):
        np.testing.assert_allclose(some.windows, others.windows, atol=0.05)


# --- what a decoder keeps -------------------------------------------------------------------------


# --- how much is read -----------------------------------------------------------------------------


def test_parts_of_a_long_track_are_those_of_the_whole(tmp_path, monkeypatch):
    path = sounds.make("aac in m4a", tmp_path)
    plan = WindowPlan(1_600, 16_000, None)
    total = read_windows(path, plan).total
    assert total == 120
    parts = [read_windows(path, plan, part).windows for part in range(-(-total // CHUNK_WINDOWS))]
    monkeypatch.setattr(windows, "CHUNK_WINDOWS", 1000)
    whole = read_windows(path, plan).windows
    assert [len(part) for part in parts] == [32, 32, 32, 24]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_an_empty_last_part_is_not_a_failure(tmp_path, monkeypatch):
    path = sounds.make("mp3, constant", tmp_path)
    os.truncate(path, path.stat().st_size * 98 // 100)
    monkeypatch.setattr(windows, "CHUNK_WINDOWS", 59)
    plan = WindowPlan(1_600, 16_000, None)
    assert read_windows(path, plan, 0).total == 120
    assert read_windows(path, plan, 2).windows.shape == (0, 1_600)


# --- the digest of what is stored -----------------------------------------------------------------


def test_a_wav_from_a_pipe_promises_nothing(tmp_path):
    path = tmp_path / "pipe.wav"
    soundfile.write(path, np.sin(np.arange(80_000) / 20) / 2, 16_000)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert read_windows(path, WindowPlan(8_000, 16_000)).seconds == 5


def test_audio_that_starts_late_is_as_long_as_it_is(tmp_path):
    """Matroska states where the audio ends, and this starts at 2 s."""
    sound, path = sounds.make("opus in webm", tmp_path), tmp_path / "late.mka"
    command = ["ffmpeg", "-v", "error", "-itsoffset", "2", "-i", sound, "-c", "copy", path]
    subprocess.run(command, check=True)
    read = read_windows(path, PLAN)
    assert read.seconds == pytest.approx(sounds.SECONDS, abs=0.05)
    sounds.assert_is_music(read, "opus in webm", PLAN)
