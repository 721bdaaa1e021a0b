"""Files that are hardly music each have one outcome: false lengths, pipes, sparse files, silence.

Such a file costs a line of the report, and neither much time nor memory.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import sounds
from helpers.containers import dsf

from tagger.audio import reader
from tagger.audio.decoders import DECODERS
from tagger.audio.reader import read_windows
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError

PLAN = WindowPlan(samples=8_000, rate=16_000, count=4)
ALL = WindowPlan(samples=8_000, rate=16_000, count=None)
PIPES = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.5, 0.5, 16_000)


def wav_header(size: int, rate: int = 44_100) -> bytes:
    """The header of mono 16-bit sound of this many bytes."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    size = min(size, 0xFFFFFFFF)  # what programs write that do not know
    riff = struct.pack("<4sI4s", b"RIFF", min(36 + size, 0xFFFFFFFF), b"WAVE")
    return riff + form + struct.pack("<4sI", b"data", size)


def sparse(path: Path, size: int, content: dict[int, bytes]) -> Path:
    """A file that takes room only for its content, by offset; skips the test where none can be."""
    with path.open("wb") as file:
        for offset, data in content.items():
            file.seek(offset)
            file.write(data)
    try:
        os.truncate(path, size)
    except OSError as error:
        pytest.skip(f"no file of {size:,} bytes here: {error}")
    return path


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32_767).astype("<i2").tobytes()


def reason(path: Path, plan: WindowPlan = PLAN) -> str:
    """Why the file cannot be read, as one line."""
    with pytest.raises(AudioError) as caught:
        read_windows(path, plan)
    assert "\n" not in str(caught.value)
    assert caught.value.path == path
    return str(caught.value)


# --- numbers that lie -----------------------------------------------------------------------------


def au(path: Path, rate: int, channels: int) -> Path:
    """A small file that every decoder knows."""
    head = struct.pack(">4s5I", b".snd", 24, 0xFFFFFFFF, 3, rate, channels)
    path.write_bytes(head + bytes(range(256)) * 1600)
    return path


@pytest.fixture(params=DECODERS)
def one_decoder(request, monkeypatch) -> str:
    if request.param == "pydub" and not shutil.which("ffprobe"):
        pytest.skip("pydub needs ffmpeg and ffprobe")
    monkeypatch.setattr(reader, "DECODERS", {request.param: DECODERS[request.param]})
    return request.param


@pytest.mark.parametrize(
    ("rate", "message"), [(1, "1 Hz"), (999, "999 Hz"), (6_000_001, "6,000,001")]
)
def test_a_rate_that_no_music_has_is_named(rate, message, one_decoder, tmp_path):
    path = au(tmp_path / "x.au", rate, 2)
    assert reason(path).startswith(f"it declares a sample rate of {message}")


def test_a_count_of_channels_that_no_music_has_is_named(one_decoder, tmp_path):
    assert reason(au(tmp_path / "x.au", 44_100, 65)) == "it declares 65 channels"


@pytest.mark.parametrize("rate", [0, 4_000_000_000])
@pytest.mark.parametrize("channels", [0, 2, 65_535])
def test_numbers_that_no_decoder_takes_are_refused(rate, channels, tmp_path):
    assert reason(au(tmp_path / "x.au", rate, channels))


@pytest.mark.parametrize("rate", [1_000, 6_000_000])
def test_the_lowest_and_the_highest_rate_are_decoded(rate, one_decoder, tmp_path):
    assert len(read_windows(au(tmp_path / "x.au", rate, 2), PLAN).windows) >= 1


def test_64_channels_are_decoded(tmp_path):
    assert len(read_windows(au(tmp_path / "x.au", 44_100, 64), PLAN).windows) == 1


def test_dsd512_is_decoded(tmp_path):
    path, data = tmp_path / "x.dsf", dsf()
    path.write_bytes(data.replace(struct.pack("<I", 2_822_400), struct.pack("<I", 22_579_200)))
    assert read_windows(path, PLAN).windows.shape == (1, PLAN.samples)


def many_samples(flac: Path) -> None:
    """Let its header declare as many samples as its 36 bits can."""
    data = bytearray(flac.read_bytes())
    data[21:26] = bytes([data[21] | 0x0F, *b"\xff\xff\xff\xff"])
    flac.write_bytes(data)


def many_ticks(m4a: Path) -> None:
    """Let it declare 13 hours in each field that states its length."""
    data = bytearray(m4a.read_bytes())
    for name, offset in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        place = data.index(name) + offset
        data[place : place + 4] = b"\x7f\xff\xff\xff"
    m4a.write_bytes(data)


def many_bytes(wav: Path) -> None:
    data = bytearray(wav.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = b"\0\0\xff\x7f"
    wav.write_bytes(data)


LIES = {
    "flac": many_samples, "wav": many_bytes, "alac": many_ticks, "aac in m4a": many_ticks,
}  # fmt: skip


@pytest.mark.parametrize("plan", [PLAN, ALL], ids=["4", "all"])
@pytest.mark.parametrize("kind", LIES)
def test_a_file_is_as_long_as_its_packets_despite_its_header(kind, plan, tmp_path):
    path = sounds.make(kind, tmp_path, 0.25)
    LIES[kind](path)
    assert read_windows(path, plan).seconds == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("plan", [PLAN, ALL], ids=["4", "all"])
def test_more_hours_than_any_music_has_are_named(plan, tmp_path, noise):
    path = tmp_path / "x.flac"
    soundfile.write(path, noise, 8_000)
    many_samples(path)
    os.truncate(path, path.stat().st_size - 100)  # in its last frame
    assert reason(path, plan) == "it declares 2,386 hours"


# --- what is no file, or hardly one ---------------------------------------------------------------

EVERY = pytest.mark.parametrize("no_file", ["pipe", "folder", "device", "socket"], indirect=True)


@PIPES
@EVERY
def test_what_replaced_a_file_is_an_error_that_may_pass(no_file):
    with pytest.raises(OSError, match="no longer a regular file"):
        read_windows(no_file, PLAN)


TAG = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)


@pytest.mark.parametrize("head", [b"", TAG], ids=["", "behind a tag"])
@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".flac", ".m4a", ".ogg", ".dsf", ".aac"])
def test_a_terabyte_of_zeros_is_refused_at_once(suffix, head, tmp_path):
    path = sparse(tmp_path / f"x{suffix}", 1 << 40, {0: head})
    assert reason(path) == "it begins with nothing but zeros, as an unfinished download does"


def test_a_few_zeros_in_front_of_an_mp3_do_not_matter(tmp_path):
    path = sounds.make("mp3, constant, no Xing", tmp_path)
    path.write_bytes(bytes(5_000) + path.read_bytes())
    assert read_windows(path, PLAN).seconds == pytest.approx(sounds.SECONDS, abs=0.1)


def test_a_hundred_gigabytes_are_sought_in(tmp_path, noise):
    size = 100 << 30
    path = sparse(tmp_path / "x.wav", size, {0: wav_header(size), size // 4: pcm(noise)})
    assert read_windows(path, PLAN).is_silent


def test_a_million_tags_in_front_of_nothing_are_not_all_read(tmp_path):
    path = tmp_path / "x.mp3"
    path.write_bytes(b"ID3\4\0\0\0\0\0\0" * 1_000_000)
    assert reason(path) == "it begins with more than 100 ID3 tags"


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".flac", ".m4a", ".ogg", ".dsf", ".wma"])
@pytest.mark.parametrize("content", [b"x", b"RIFF", b"ID3", b"fLaC", b"OggS", b"\xff\xfb\x90\x44"])
def test_the_reason_for_a_few_bytes_is_not_that_they_are_not_a_file(suffix, content, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    message = reason(path)
    assert message.startswith(("no decoder can read it (", "it holds no audio samples"))
    assert "regular file" not in message


# --- samples that are no music --------------------------------------------------------------------


@pytest.mark.parametrize("value", [1e38, -1e38, 1.1e6])
@pytest.mark.parametrize("suffix", [".wav", ".au"])
def test_samples_far_beyond_full_scale_are_refused(value, suffix, tmp_path, noise):
    noise[8_000] = value
    soundfile.write(tmp_path / f"x{suffix}", np.stack([noise, noise], 1), 16_000, subtype="FLOAT")
    message = reason(tmp_path / f"x{suffix}")
    assert message == "it holds samples more than a million times full scale"


@pytest.mark.parametrize("value", [1e300, 3.4e38])
@pytest.mark.parametrize("decoder", ["soundfile", "PyAV"])
def test_samples_beyond_what_a_float_holds_are_not_finite(
    value, decoder, tmp_path, noise, monkeypatch
):
    monkeypatch.setattr(reader, "DECODERS", {decoder: DECODERS[decoder]})
    noise[8_000] = value
    path = tmp_path / "x.au"
    soundfile.write(path, np.stack([noise, noise], 1), 16_000, subtype="DOUBLE")
    assert reason(path) == "it holds samples that are not finite numbers"


@pytest.mark.parametrize("times", [2, 8, 150])
def test_samples_some_way_beyond_full_scale_stay_as_they_are(times, tmp_path, noise):
    samples = np.float32(noise * times)
    soundfile.write(tmp_path / "x.wav", samples, 16_000, subtype="FLOAT")
    read = read_windows(tmp_path / "x.wav", WindowPlan(8_000, 16_000, None))
    assert np.array_equal(read.windows.reshape(-1), samples) and not read.notes


SILENCES = {
    "zeros": np.zeros(88_200),
    "one constant": np.full(88_200, 0.25),
    "half a window of a constant": np.full(3_000, -0.9),
    "one bit of noise": np.random.default_rng(4).integers(0, 2, 88_200) / 32_768,
    "noise above what is left": np.tile([3, -3], 44_100) / 32_768,
}


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
@pytest.mark.parametrize("name", SILENCES)
def test_silence_is_reported(name, suffix, tmp_path):
    soundfile.write(tmp_path / f"x{suffix}", SILENCES[name], 44_100)
    assert read_windows(tmp_path / f"x{suffix}", PLAN).is_silent


def test_silence_has_no_genre_and_is_not_written(run, tmp_path, tiny_model):
    path = tmp_path / "x.flac"
    soundfile.write(path, SILENCES["zeros"], 44_100)
    before = path.read_bytes()
    done = run(path, "--model", tiny_model, "--write-tags", "--csv", "-", "--min-confidence", 0.01)
    assert done.returncode == 0 and path.read_bytes() == before
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert (row["action"], row["genre"], row["confidence"]) == ("unsure", "", "")
    assert row["reason"] == "it is silent; no genre was predicted"
    assert "predicted genres:" not in done.stderr


@pytest.mark.parametrize("kind", ["mp3, constant", "aac in m4a", "vorbis", "opus"])
def test_silence_stays_silence_in_lossy_containers(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "music", lambda seconds: np.zeros((88_200, 2)))
    # Other tests get what is encoded from the cache, and must not get silence.
    monkeypatch.setattr(sounds, "_encoded", sounds._encoded.__wrapped__)
    assert read_windows(sounds.make(kind, tmp_path, 2), PLAN).is_silent


def test_the_faintest_sound_is_decoded(tmp_path):
    sound = 4 * np.sin(np.arange(88_200) / 50) / 32_768
    soundfile.write(tmp_path / "x.wav", sound, 44_100, subtype="FLOAT")
    assert not read_windows(tmp_path / "x.wav", PLAN).is_silent


def test_one_window_that_sounds_is_enough(tmp_path, noise):
    soundfile.write(tmp_path / "x.wav", np.pad(noise, (0, 112_000)), 16_000)
    read = read_windows(tmp_path / "x.wav", WindowPlan(16_000, 16_000, 8))
    np.testing.assert_allclose(read.windows, noise[None], atol=1e-4)
    assert (read.total, read.silent, read.is_silent) == (1, 0, False)


def test_a_track_whose_first_chunk_is_silent_is_decoded(tmp_path, noise):
    soundfile.write(tmp_path / "x.wav", np.pad(noise, (40 * 8_000, 0)), 16_000)
    read = read_windows(tmp_path / "x.wav", ALL)
    np.testing.assert_allclose(read.windows.reshape(-1), noise, atol=1e-4)
    assert (read.total, read.seconds) == (2, 21)


def test_an_instant_of_sound_in_a_silent_track_is_decoded(tmp_path, noise):
    samples = np.zeros(42 * 8_000)
    samples[109_500:111_500] = noise[:2_000]  # near an end, a pause up to there would stay
    soundfile.write(tmp_path / "x.wav", samples, 16_000)
    (window,) = read_windows(tmp_path / "x.wav", ALL).windows
    block = 320  # silence is left out in whole blocks
    start = 109_500 % block
    np.testing.assert_allclose(window[start : start + 2_000], noise[:2_000], atol=1e-4)
    assert np.array_equal(window, np.resize(window[: 7 * block], ALL.samples))


def test_a_long_track_of_silence_is_known_after_its_first_chunk(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(42 * 8_000), 16_000)
    assert read_windows(tmp_path / "x.wav", ALL).is_silent


# --- hours, and a tenth of a second ---------------------------------------------------------------


@pytest.mark.parametrize("kind", sounds.FFMPEG)
def test_a_jingle_of_a_tenth_of_a_second_is_decoded(kind, tmp_path):
    read = read_windows(sounds.make(kind, tmp_path, 0.1), PLAN)
    assert read.windows.shape == (1, PLAN.samples)
    assert np.abs(read.windows).max() > 0.1
    assert 0.09 < read.seconds < 0.25


PEAK = """
import resource, sys
from pathlib import Path
from tagger.audio.reader import read_windows
from tagger.audio.windows import WindowPlan
seconds = read_windows(Path(sys.argv[1]), WindowPlan(164_080, 16_000, 8)).seconds
print(round(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(path: Path) -> tuple[int, int]:
    """Seconds decoded and peak memory (bytes) of a process that reads one file."""
    run = subprocess.run(
        [sys.executable, "-c", PEAK, path], check=True, capture_output=True, text=True
    )
    seconds, most = map(int, run.stdout.split())
    return seconds, most * (1 if sys.platform == "darwin" else 1024)


def repeated(path: Path, encoder: str, minutes: int) -> Path:
    """A minute of a tone over and over, encoded only once."""
    minute, tone = path.with_stem("minute"), ["-f", "lavfi", "-i", "sine=440:r=8000:d=60"]
    quiet = ["ffmpeg", "-v", "error", "-y"]
    xing = ["-write_xing", "0"] if path.suffix == ".mp3" else []
    subprocess.run([*quiet, *tone, *encoder.split(), *xing, minute], check=True)
    long = ["-stream_loop", "-1", "-i", minute, "-t", str(60 * minutes), "-c", "copy", *xing]
    subprocess.run([*quiet, *long, path], check=True)
    return path


LONG = {
    ".mp3": "-c:a libmp3lame -b:a 8k",
    ".m4a": "-c:a aac -b:a 16k",
    ".opus": "-c:a libopus -b:a 8k -frame_duration 60",
}


@pytest.mark.skipif(sys.platform == "win32", reason="no peak of memory is reported here")
@pytest.mark.parametrize(
    ("suffix", "hours"),
    [
        (".wav", 10),
        *((suffix, 1) for suffix in LONG),
        *(pytest.param(suffix, 10, marks=pytest.mark.slow) for suffix in LONG),
    ],
)
def test_hours_take_little_more_memory_than_three_minutes(suffix, hours, tmp_path, noise):
    """Each would be 230 MB as floats of the model's rate."""
    if suffix != ".wav" and not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg to encode with")
    measured = []
    for minutes in (3, 60 * hours):
        path, size = tmp_path / f"{minutes}{suffix}", minutes * 60 * 88_200
        if suffix == ".wav":
            sparse(path, 44 + size, {0: wav_header(size), size // 16: pcm(noise)})
        else:
            repeated(path, LONG[suffix], minutes)
        measured.append(peak(path))
        path.unlink()  # pytest would keep it for the next runs
    decoded = [round(seconds / 60) for seconds, _ in measured]
    assert decoded == [3, {(".mp3", 10): 601}.get((suffix, hours), 60 * hours)]
    assert measured[1][1] - measured[0][1] < 100e6


def test_many_channels_at_a_high_rate_take_little_memory(tmp_path):
    """Ten seconds of them would be 250 MB as floats."""
    plain, wide = au(tmp_path / "plain.au", 16_000, 1), au(tmp_path / "wide.au", 96_000, 64)
    os.truncate(wide, 24 + 96_000 * 64 * 2 * 10)
    assert peak(wide)[1] - peak(plain)[1] < 100e6


# --- what decoders raise --------------------------------------------------------------------------


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no")


RAISED = [
    (MemoryError(), "it needs too much memory"),
    (RecursionError("too deep"), "too deep"),
    (Unspeakable(), "Unspeakable"),
    (KeyError("x"), "'x'"),
    (StopIteration(), "StopIteration"),
    (OSError(5, "Input/output error"), "Input/output error"),
    (RuntimeWarning("over\nflow"), "over flow"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "'utf-8' codec can't decode"),
    (AudioError("it is odd.", Path("/x")), "it is odd"),
]


@pytest.mark.parametrize(
    ("error", "message"), RAISED, ids=[type(row[0]).__name__ for row in RAISED]
)
@pytest.mark.parametrize("where", ["open", "read", "close"])
def test_whatever_a_decoder_raises_is_an_audio_error(where, error, message, tmp_path, monkeypatch):
    def fail(here: str) -> None:
        if here == where:
            raise error

    class Broken:
        rate, channels, length, is_stated = 16_000, 1, 16_000, True

        def __init__(self, path: Path, length: int | None = None) -> None:
            fail("open")

        def read(self, start: int, count: int) -> np.ndarray:
            fail("read")
            return np.linspace(0, 1, count, dtype=np.float32)[None]

        def close(self) -> None:
            fail("close")

    monkeypatch.setattr(reader, "DECODERS", {"broken": Broken})
    path = tmp_path / "x.mp3"
    path.write_bytes(b"x")
    assert reason(path).startswith(f"no decoder can read it (broken: {message}")
