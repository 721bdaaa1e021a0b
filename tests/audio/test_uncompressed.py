"""Of WAV, RF64, W64, AIFF, AU and CAF all samples are read, whatever sizes their headers state."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import sounds
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.audio.decoders import AvSource, PydubSource, SoundfileSource
from tagger.audio.reader import read_windows
from tagger.audio.uncompressed import find_samples
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError, Truncated

PLAN = WindowPlan(samples=8_000, rate=16_000, count=4)
FRAMES = 20_002
SAMPLES = np.random.default_rng(0).integers(-9_000, 9_000, (FRAMES, 2)).astype("<i2")
RIGHT = SAMPLES.T.astype(np.float32) / 32_768
SIZES: dict[str, Callable[[int], int]] = {
    "right": lambda size: size,
    "0": lambda size: 0,
    "2**32 - 1": lambda size: 0xFFFFFFFF,
    "2**31 - 1": lambda size: 0x7FFFFFFF,
    "2**31": lambda size: 0x80000000,
    "2**31 - 4096": lambda size: 0x7FFFF000,
    "doubled": lambda size: 2 * size,
    "an eighth": lambda size: size // 8,
    "a little less": lambda size: size - 4_000,
}
GUID = bytes.fromhex("f3acd3118cd100c04f8edb8a")
FORMAT = struct.pack("<HHIIHH", 1, 2, 44_100, 176_400, 4, 16)
TEXT = bytes(range(256)) * 50  # what may follow the samples


@dataclass(frozen=True)
class Stated:
    """What a header says of the whole file, the samples, and their number."""

    whole: str = "right"
    data: str = "right"
    count: str = "right"


def wav(says: Stated, tail: bytes = b"", samples: bytes = SAMPLES.tobytes()) -> bytes:
    body = b"WAVEfmt " + struct.pack("<I", 16) + FORMAT
    body += b"data" + struct.pack("<I", SIZES[says.data](len(samples))) + samples + tail
    return b"RIFF" + struct.pack("<I", SIZES[says.whole](len(body))) + body


def rf64(says: Stated, tail: bytes = b"", name: bytes = b"RF64") -> bytes:
    size, body = 4 * FRAMES, b"WAVEds64" + struct.pack("<I", 28)
    counted = SIZES[says.count](FRAMES)
    body += struct.pack("<QQQI", SIZES[says.whole](size + 72), SIZES[says.data](size), counted, 0)
    body += b"fmt " + struct.pack("<I", 16) + FORMAT
    return name + b"\xff" * 4 + body + b"data" + b"\xff" * 4 + SAMPLES.tobytes() + tail


def bw64(says: Stated, tail: bytes = b"") -> bytes:
    return rf64(says, tail, b"BW64")


def w64(says: Stated, tail: bytes = b"") -> bytes:
    body = b"wave" + GUID + b"fmt " + GUID + struct.pack("<Q", 40) + FORMAT
    body += (
        b"data" + GUID + struct.pack("<Q", SIZES[says.data](24 + 4 * FRAMES)) + SAMPLES.tobytes()
    )
    body += bytes(-len(body) % 8) + tail if tail else b""
    whole = struct.pack("<Q", SIZES[says.whole](len(body) + 24))
    return b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000") + whole + body


def aiff(says: Stated, tail: bytes = b"") -> bytes:
    count = SIZES[says.count](FRAMES)
    form = struct.pack(">HIH", 2, count, 16) + bytes.fromhex("400eac44000000000000")
    body = b"AIFFCOMM" + struct.pack(">I", 18) + form
    body += b"SSND" + struct.pack(">I", SIZES[says.data](4 * FRAMES + 8)) + bytes(8)
    body += SAMPLES.byteswap().tobytes() + tail
    return b"FORM" + struct.pack(">I", SIZES[says.whole](len(body))) + body


def caf(says: Stated, tail: bytes = b"") -> bytes:
    size = SIZES[says.data](4 * FRAMES + 4)
    form = struct.pack(">d4sIIIII", 44_100, b"lpcm", 0, 4, 1, 2, 16)
    data = struct.pack(">q", -1 if size == 0xFFFFFFFF else size) + bytes(4)
    desc = b"desc" + struct.pack(">q", 32) + form
    return b"caff\0\1\0\0" + desc + b"data" + data + SAMPLES.byteswap().tobytes() + tail


def au(says: Stated, tail: bytes = b"") -> bytes:
    head = struct.pack(">5I", 24, SIZES[says.data](4 * FRAMES), 3, 44_100, 2)
    return b".snd" + head + SAMPLES.byteswap().tobytes()


LIST = (
    b"LIST" + struct.pack("<I", 12 + len(TEXT)) + b"INFOICMT" + struct.pack("<I", len(TEXT)) + TEXT
)
ODD = b"id3 " + struct.pack("<I", 13) + b"ID3\4\0\0\0\0\0\0abc"  # without a byte that pads it
TAILS = {
    wav: {"": b"", "LIST": LIST, "LIST and odd id3": LIST + ODD},
    rf64: {"": b"", "LIST": LIST},
    bw64: {"": b"", "LIST": LIST},
    w64: {
        "": b"",
        "list": bytes.fromhex("6c6973742f91cf11a5d628db04c10000")
        + struct.pack("<Q", 24 + len(TEXT))
        + TEXT,
    },
    aiff: {"": b"", "ANNO": b"ANNO" + struct.pack(">I", 400) + TEXT[:400]},
    caf: {"": b"", "info": b"info" + struct.pack(">q", len(TEXT)) + TEXT},
    au: {"": b""},
}
CASES = [
    pytest.param(make, says, tail, id=f"{make.__name__}, {says.whole}, {says.data}, {name}")
    for make, tails in TAILS.items()
    for name, tail in tails.items()
    for data in SIZES
    for says in (Stated("right", data), Stated("0", data), Stated(data, data), Stated(data))
]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("opened", [SoundfileSource, AvSource])
@pytest.mark.parametrize(("make", "says", "tail"), CASES)
def test_all_samples_are_read_and_nothing_else(make, says, tail, opened, tmp_path):
    path = write(tmp_path / f"x.{make.__name__}", make(says, tail))
    if make is bw64 and opened is SoundfileSource and says.data == "right":
        with pytest.raises(soundfile.LibsndfileError, match="Format not recognised"):
            opened(path)
        return
    source = opened(path)
    assert source.length == FRAMES
    np.testing.assert_array_equal(source.read(0, FRAMES + 10_000), RIGHT)
    source.close()


@pytest.mark.parametrize("opened", [SoundfileSource, AvSource])
@pytest.mark.parametrize("size", [10, 11, 12, 17])  # bytes of the tag
@pytest.mark.parametrize("make", TAILS)
def test_a_tag_of_any_size_may_come_first(make, size, opened, tmp_path):
    tag = b"ID3\4\0\0\0\0\0" + bytes([size - 10]) + bytes(size - 10)
    for tail in TAILS[make].values():
        path = tmp_path / f"{size}.{make.__name__}"
        source = opened(write(path, tag + make(Stated(data="an eighth"), tail)))
        assert source.length == FRAMES
        np.testing.assert_array_equal(source.read(0, FRAMES + 10_000), RIGHT)
        source.close()


@pytest.mark.parametrize("opened", [SoundfileSource, AvSource])
@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("make", [aiff, rf64])
def test_a_count_that_contradicts_the_size_is_not_believed(make, count, opened, tmp_path):
    source = opened(write(tmp_path / f"x.{make.__name__}", make(Stated(count=count))))
    assert source.length == FRAMES
    np.testing.assert_array_equal(source.read(0, FRAMES + 10_000), RIGHT)
    source.close()


@pytest.mark.parametrize("opened", [SoundfileSource, AvSource])
@pytest.mark.parametrize("make", [aiff, rf64, bw64])
def test_a_file_is_cut_off_if_its_size_and_its_count_say_so(make, opened, tmp_path):
    path = write(tmp_path / f"x.{make.__name__}", make(Stated()))
    os.truncate(path, 2 * FRAMES)
    with pytest.raises(Truncated, match=r"^truncated: 9,9\d\d of the 20,002 samples that its"):
        opened(path)


@pytest.mark.parametrize("opened", [SoundfileSource, AvSource])
@pytest.mark.parametrize("make", [wav, w64, au, caf])
def test_a_file_that_states_only_bytes_is_read_to_its_end(make, opened, tmp_path):
    path = write(tmp_path / f"x.{make.__name__}", make(Stated()))
    os.truncate(path, 2 * FRAMES)
    source = opened(path)
    assert 9_900 < source.length < 10_001
    np.testing.assert_array_equal(source.read(0, FRAMES), RIGHT[:, : source.length])


@pytest.mark.parametrize("opened", [SoundfileSource, AvSource])
@pytest.mark.parametrize("data", ["right", "0", "doubled", "2**32 - 1"])
def test_samples_of_an_odd_size_need_no_byte_that_pads_them(data, opened, tmp_path):
    frames = FRAMES + 1
    form = struct.pack("<HHIIHH", 1, 1, 44_100, 44_100, 1, 8)
    size = struct.pack("<I", SIZES[data](frames))
    samples = bytes(100 + place % 50 for place in range(frames))
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + size + samples + LIST
    riff = b"RIFF" + struct.pack("<I", len(body)) + body
    source = opened(write(tmp_path / "x.wav", riff))
    assert source.length == frames
    assert source.read(0, 2 * frames).shape == (1, frames)
    source.close()


@pytest.mark.parametrize("opened", [SoundfileSource, AvSource])
@pytest.mark.parametrize("name", [b"id3 ", b"ID3 "])
def test_a_picture_of_megabytes_is_no_sound(name, opened, tmp_path):
    picture = np.random.default_rng(1).bytes(3_000_001)
    tail = LIST + name + struct.pack("<I", len(picture)) + picture
    source = opened(write(tmp_path / "x.wav", wav(Stated(data="2**32 - 1"), tail)))
    assert source.length == FRAMES
    source.close()


@pytest.mark.parametrize(
    "tail", [b"TAG" + bytes(125), b"ID3\4\0\0\0\0\1\0" + TEXT, bytes(5_000), TEXT[:900]]
)
def test_what_is_appended_without_a_chunk_is_no_sound(tail, tmp_path):
    source = SoundfileSource(write(tmp_path / "x.wav", wav(Stated(), tail)))
    assert source.length == FRAMES
    source.close()


@pytest.mark.parametrize("kind", ["wav", "wav of 24 bits", "wav of floats", "aiff", "au", "caf"])
def test_an_ordinary_file_is_left_to_libsndfile(kind, tmp_path):
    assert find_samples(sounds.make(kind, tmp_path)).is_as_stated


@pytest.mark.parametrize("gibibytes", [4, 5, 9])
@pytest.mark.parametrize("whole", ["wrapped", "0"])
@pytest.mark.parametrize("tail", [b"", LIST], ids=["", "LIST"])
def test_a_size_that_lost_its_upper_bits_is_completed(gibibytes, whole, tail, tmp_path):
    size, path = (gibibytes << 30) + 8_000, tmp_path / "x.wav"
    head = wav(Stated(), samples=b"")
    wrapped = [(size + extra) % (1 << 32) for extra in (36 + len(tail), 0)]
    whole_size = struct.pack("<I", wrapped[0] if whole == "wrapped" else 0)
    with path.open("wb") as file:
        file.write(head[:4] + whole_size + head[8:40] + struct.pack("<I", wrapped[1]))
        file.seek(44 + size - 8_000)
        file.write(SAMPLES[:2_000].tobytes() + tail)
    with pytest.raises(AudioError, match="more bytes than its header can state"):
        SoundfileSource(path)
    source = AvSource(path)
    assert source.length == size // 4
    last = source.read(source.length - 2_000, 4_000)
    np.testing.assert_array_equal(last, RIGHT[:, :2_000])
    source.close()


CODED = {
    "wav": "-c:a adpcm_ima_wav",
    "ms.wav": "-c:a adpcm_ms",
    "aifc": "-c:a adpcm_ima_qt -f aiff",
    "ima.caf": "-c:a adpcm_ima_qt",
    "alac.caf": "-c:a alac",
    "mulaw.wav": "-c:a pcm_mulaw",
    "s24.aiff": "-c:a pcm_s24be",
    "f64.wav": "-c:a pcm_f64le",
    "f32.aifc": "-c:a pcm_f32be -f aiff",
    "sowt.aifc": "-c:a pcm_s16le -f aiff",
    "six.wav": "-ac 6 -c:a pcm_s16le",
    "six.caf": "-ac 6 -c:a pcm_s24be",
}


@pytest.mark.parametrize("data", [*SIZES])
@pytest.mark.parametrize("name", CODED)
def test_other_codes_and_channels_have_their_length(name, data, tmp_path):
    source, path = sounds.make("wav", tmp_path), tmp_path / f"x.{name}"
    command = ["ffmpeg", "-v", "error", "-i", source, *CODED[name].split(), path]
    subprocess.run(command, check=True)
    content = bytearray(path.read_bytes())
    holder = b"SSND" if b"aif" in path.suffix.encode() else b"data"
    place, width = content.index(holder) + 4, 8 if path.suffix == ".caf" else 4
    order = "little" if path.suffix == ".wav" else "big"
    size = SIZES[data](int.from_bytes(content[place : place + width], order))
    content[place : place + width] = size.to_bytes(width, order)
    path.write_bytes(content)
    read = read_windows(path, PLAN)
    assert read.seconds == pytest.approx(sounds.SECONDS, abs=0.08 if "alac" in name else 0.05)
    if "six" not in name:  # these are mixed to two
        sounds.assert_is_music(read, "lossy", PLAN)


def test_pydub_refuses_what_it_would_read_wrongly(tmp_path):
    with pytest.raises(AudioError, match="its header states wrong sizes"):
        PydubSource(write(tmp_path / "x.aiff", aiff(Stated(data="an eighth"))))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*TAILS]), st.data())
def test_no_damaged_header_is_an_error_of_another_kind(tmp_path_factory, make, data):
    content = bytearray(make(replace(Stated(), data="right")))[:3_000]
    for place in data.draw(st.lists(st.integers(0, 80), max_size=12)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("x") / "x.wav"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    found = find_samples(path)
    assert found is None or 0 <= found.start <= found.stop <= path.stat().st_size
