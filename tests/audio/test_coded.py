"""A coded stream in PCM is recognised, and no music is ever taken for one."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import soundfile
from helpers import sounds, streams
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.audio.coded import find_code
from tagger.audio.reader import read_windows
from tagger.audio.windows import CHUNK_WINDOWS, WindowPlan, place_windows
from tagger.errors import AudioError

PLAN = WindowPlan(samples=32_000, rate=16_000, count=3)


def name_of(samples: np.ndarray) -> str | None:
    code = find_code(samples)
    return code and code.name


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", streams.KINDS)
def test_a_code_is_named_in_either_order_of_bytes(kind, order, channels):
    samples = streams.as_samples(streams.stream(kind), order, channels)
    part = samples[:, -streams.RATE * 2 :]
    assert name_of(samples) == name_of(part) == streams.called(kind)


@pytest.mark.parametrize("kind", streams.KINDS)
def test_a_code_behind_silence_is_named(kind):
    samples = streams.as_samples(streams.stream(kind))[:, : streams.RATE * 3]
    assert name_of(np.pad(samples, ((0, 0), (samples.shape[1], 0)))) == streams.called(kind)


def bursts(bits: int, kind: int, gap: int = 1920) -> np.ndarray:
    """Frames `gap` samples apart with SMPTE's preamble in words of this width."""
    words = np.random.default_rng(2).integers(-(1 << 19), 1 << 19, (60, 2 * gap)) << 4
    if bits == 16:
        words = words >> 8 << 8
    preamble = {16: (0xF87200, 0x4E1F00), 20: (0x6F8720, 0x54E1F0), 24: (0x96F872, 0xA54E1F)}
    words[:, :3] = [*preamble[bits], kind << 8]
    signed = (words + (1 << 23)) % (1 << 24) - (1 << 23)
    return np.ascontiguousarray((signed.reshape(-1, 2).T / (1 << 23)).astype(np.float32))


@pytest.mark.parametrize("bits", [16, 20, 24])
def test_dolby_e_is_named_in_words_of_any_width(bits):
    assert name_of(bursts(bits, 28)) == "Dolby E"


@pytest.mark.parametrize(("kind", "name"), [(17, "DTS-HD"), (22, "Dolby TrueHD"), (0, None)])
def test_bursts_of_other_codes(kind, name):
    assert name_of(bursts(16, kind)) == name


CONSTANTS = [0x0B77, 0x770B, 0x7FFE, -0x7FFF, 0x1FFF, -0x1800, -0x078E, 0x4E1F, 0x72F8, 0x6458]
NOISES = {
    "16 bits": lambda random, shape: random.integers(-32_768, 32_768, shape) / 32_768,
    "24 bits": lambda random, shape: random.integers(-(1 << 23), 1 << 23, shape) / (1 << 23),
    "floats": lambda random, shape: random.normal(0, 0.2, shape),
    "clipped": lambda random, shape: random.choice([32_766, -32_767], shape) / 32_768,
    "all sync words": lambda random, shape: random.choice(CONSTANTS, shape) / 32_768,
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", [name for name in NOISES if name != "all sync words"])
def test_noise_is_no_code(name, channels, seed):
    noise = NOISES[name](np.random.default_rng(seed), (channels, 400_000)).astype(np.float32)
    assert find_code(noise) is None


@pytest.mark.parametrize("period", [1, 2, 3, 50, 128, 441, 1000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_loop_of_any_samples_is_no_code(period, channels):
    """A coincidence in it comes again and again."""
    for seed in range(20):
        random = np.random.default_rng([period, seed])
        loop = random.integers(-32_768, 32_768, (channels, period)) / 32_768
        assert find_code(np.tile(loop, 60_000 // period).astype(np.float32)) is None


@pytest.mark.parametrize("value", CONSTANTS)
def test_a_sound_at_rest_is_no_code_and_takes_no_time(value):
    rest = np.full((2, 400_000), value / 32_768, np.float32)
    rest[:, ::2] *= -1
    started = time.perf_counter()
    assert find_code(rest) is None
    assert time.perf_counter() - started < 1


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2]), st.integers(0, 30_000), st.data())
def test_no_samples_are_an_error(seed, channels, length, data):
    noise = NOISES[data.draw(st.sampled_from([*NOISES]))]
    samples = noise(np.random.default_rng(seed), (channels, length)).astype(np.float32)
    find_code(samples * data.draw(st.sampled_from([1, 2, 1e30])))


@pytest.mark.parametrize("kind", sorted(sounds.LOSSLESS))
def test_music_is_no_code(kind, tmp_path):
    assert read_windows(sounds.make(kind, tmp_path), PLAN).seconds == sounds.SECONDS


def test_the_check_of_a_window_takes_far_less_than_a_millisecond():
    music = np.ascontiguousarray(sounds.music().T.astype(np.float32))
    times = []
    for _ in range(50):
        started = time.perf_counter()
        assert find_code(music) is None
        times.append(time.perf_counter() - started)
    assert median(times) < 0.0005


def test_what_no_decoder_understands_is_named(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, bursts(24, 28).T, 48_000, subtype="PCM_24")
    with pytest.raises(AudioError) as caught:
        read_windows(path, PLAN)
    assert str(caught.value) == "its samples are Dolby E, although it says that they are PCM"


# --- what the model gets of them ------------------------------------------------------------------

CARRIERS = {
    "wav": "-c:a pcm_s16le",
    "24.wav": "-c:a pcm_s24le",
    "float.wav": "-c:a pcm_f32le",
    "rf64.wav": "-c:a pcm_s16le -rf64 always",
    "w64": "-c:a pcm_s16le",
    "aiff": "-c:a pcm_s16be",
    "au": "-c:a pcm_s16be",
    "caf": "-c:a pcm_s16le",
    "flac": "-c:a flac",
    "24.flac": "-c:a flac -sample_fmt s32",
    "oga": "-c:a flac",
    "m4a": "-c:a alac",
    "mka": "-c:a flac",
    "wv": "-c:a wavpack",
    "tta": "-c:a tta",
    "mov": "-c:a pcm_s16le",
}


def carried(kind: str, name: str, folder: Path, order: str = "<") -> Path:
    """The stream as the samples of a stereo file, as a ripper stores it."""
    path = folder / f"x.{name}"
    form = f"{'s16le' if order == '<' else 's16be'} -ar {streams.RATE} -ac 2".split()
    command = ["ffmpeg", "-v", "error", "-f", *form, "-i", "pipe:0", *CARRIERS[name].split(), path]
    subprocess.run(command, input=streams.stream(kind), check=True)
    return path


def assert_is_heard(path: Path) -> None:
    read = read_windows(path, PLAN)
    assert read.seconds == pytest.approx(sounds.SECONDS, abs=0.05)
    sounds.assert_is_music(read, "lossy", PLAN)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", streams.KINDS)
def test_every_stream_is_decoded_as_what_it_is(kind, order, tmp_path):
    assert_is_heard(carried(kind, "flac", tmp_path, order))


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("kind", ["dts", "dts of 14 bits", "ac3 by spdif"])
def test_a_stream_is_decoded_in_every_lossless_container(kind, name, tmp_path):
    assert_is_heard(carried(kind, name, tmp_path))


@pytest.mark.parametrize("kind", ["dts", "eac3 by spdif"])
def test_a_stream_in_a_wav_of_a_wrong_size_is_decoded(kind, tmp_path):
    path = carried(kind, "wav", tmp_path)
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert_is_heard(path)


@pytest.mark.parametrize("name", ["wav", "flac"])
@pytest.mark.parametrize("kind", ["dts", "ac3 by spdif"])
def test_silence_may_precede_a_stream(kind, name, tmp_path, monkeypatch):
    data = bytes(4 * streams.RATE * 3) + streams.stream(kind)
    monkeypatch.setattr(streams, "stream", lambda _: data)
    assert_is_heard(carried(kind, name, tmp_path))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_later_chunks_continue_the_first(part, tmp_path):
    plan = WindowPlan(1_600, 16_000, None)
    path = carried("dts", "flac", tmp_path)
    read = read_windows(path, plan, part)
    start = place_windows(round(read.seconds * plan.rate), plan)[part * CHUNK_WINDOWS]
    late, likeness, _ = sounds.compare(read.windows.reshape(-1), start)
    assert abs(late) <= 0.05
    assert likeness > 0.98
