"""Irregular sound files in every container, and what the FFmpeg program decodes from each.

`CASES` is a table: container x irregularity. Most files hold 3 s of strings (Classical by the
bundled model) and then 9 s of drums (Hip-Hop), so that a part that is missed or read twice changes
length, content and genre.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, lfilter

from helpers.sounds import sound_at

Edit = Callable[[bytes], bytes]
RATE = 44_100

# name: (suffix, muxer, arguments of ffmpeg's encoder)
KINDS = {
    "mp3, constant": ("mp3", "mp3", "-c:a libmp3lame -b:a 128k"),
    "mp3, variable": ("mp3", "mp3", "-c:a libmp3lame -q:a 4"),
    "mp3, constant, no Xing": ("mp3", "mp3", "-c:a libmp3lame -b:a 128k -write_xing 0"),
    "mp3, variable, no Xing": ("mp3", "mp3", "-c:a libmp3lame -q:a 4 -write_xing 0"),
    "mp2": ("mp2", "mp2", "-c:a mp2 -b:a 160k"),
    "adts": ("aac", "adts", "-c:a aac -b:a 128k"),
    "ac3": ("ac3", "ac3", "-c:a ac3 -b:a 192k"),
    "eac3": ("eac3", "eac3", "-c:a eac3 -b:a 192k"),
    "dts": ("dts", "dts", "-c:a dca -strict -2 -b:a 768k"),
    "flac": ("flac", "flac", "-c:a flac"),
    "vorbis": ("ogg", "ogg", "-c:a libvorbis -q:a 3"),
    "opus": ("opus", "ogg", "-c:a libopus -b:a 96k"),
    "ogg-flac": ("oga", "ogg", "-c:a flac"),
    "speex": ("spx", "ogg", "-c:a libspeex -ar 16000"),
    "wav": ("wav", "wav", "-c:a pcm_s16le"),
    "wav of floats": ("wav", "wav", "-c:a pcm_f32le"),
    "rf64": ("wav", "wav", "-c:a pcm_s16le -rf64 always"),
    "w64": ("w64", "w64", "-c:a pcm_s16le"),
    "aiff": ("aiff", "aiff", "-c:a pcm_s16be"),
    "au": ("au", "au", "-c:a pcm_s16be"),
    "caf": ("caf", "caf", "-c:a pcm_s16be"),
    "alac in caf": ("caf", "caf", "-c:a alac"),
    "m4a": ("m4a", "ipod", "-c:a aac -b:a 128k"),
    "m4a, index first": ("m4a", "ipod", "-c:a aac -b:a 128k -movflags +faststart"),
    "m4b": ("m4b", "ipod", "-c:a aac -b:a 128k"),
    "alac": ("m4a", "ipod", "-c:a alac -movflags +faststart"),
    "mov": ("mov", "mov", "-c:a aac -b:a 128k -movflags +faststart"),
    "mp4, fragmented": (
        "mp4", "mp4", "-c:a aac -b:a 128k -movflags empty_moov+default_base_moof+frag_keyframe "
        "-frag_duration 500000"),
    "opus in mka": ("mka", "matroska", "-c:a libopus -b:a 96k -cluster_time_limit 1000"),
    "aac in mka": ("mka", "matroska", "-c:a aac -b:a 128k -cluster_time_limit 1000"),
    "vorbis in mka": ("mka", "matroska", "-c:a libvorbis -q:a 3 -cluster_time_limit 1000"),
    "flac in mka": ("mka", "matroska", "-c:a flac -cluster_time_limit 1000"),
    "mp3 in mka": ("mka", "matroska", "-c:a libmp3lame -b:a 128k -cluster_time_limit 1000"),
    "webm": ("webm", "webm", "-c:a libopus -b:a 96k -cluster_time_limit 1000"),
    "aac in mpegts": ("ts", "mpegts", "-c:a aac -b:a 128k"),
    "mp2 in mpegts": ("ts", "mpegts", "-c:a mp2 -b:a 160k"),
    "wma": ("wma", "asf", "-c:a wmav2 -b:a 128k"),
    "wavpack": ("wv", "wv", "-c:a wavpack"),
    "tta": ("tta", "tta", "-c:a tta"),
    "musepack": ("mpc", "", ""),
    "adpcm yamaha in wav": ("wav", "wav", "-c:a adpcm_yamaha"),
    "adpcm swf in wav": ("wav", "wav", "-c:a adpcm_swf"),
    "floats in w64": ("w64", "w64", "-c:a pcm_f32le"),
    "flac in caf": ("caf", "caf", "-c:a flac"),
    "wavpack in mka": ("mka", "matroska", "-c:a wavpack"),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One file, and what is right.

    That is what FFmpeg decodes from the file, or what it decodes from each of `parts`, where it
    loses samples at the joints or believes a header. If `is_cut`, "truncated" is right too.
    """

    suffix: str
    make: Callable[[], bytes]
    is_cut: bool = False
    parts: tuple[Callable[[], bytes], ...] = ()


# --- the music ---


@cache
def piece(name: str, seconds: float, rate: int = RATE) -> NDArray[np.float32]:
    """Stereo `(n, 2)`; a quiet melody that never repeats tells every place in it from others."""
    times = np.arange(round(seconds * rate)) / rate
    made = {"strings": _strings, "drums": _drums}[name](times)
    melody = sound_at(times + {"strings": 0, "drums": 3}[name])
    return (0.8 * made[:, None] + 0.06 * melody).astype(np.float32)


def _strings(times: NDArray[np.float64]) -> NDArray[np.float64]:
    sound = np.zeros(len(times))
    for start, pitch in zip(range(0, 10, 2), (220, 262, 330, 392, 440), strict=True):
        loudness = np.clip(np.minimum(times - start, start + 2.2 - times) / 0.4, 0, 1)
        for interval in (1, 1.25, 1.5, 2):
            turn = 2 * np.pi * pitch * interval * times
            turn += 0.5 * np.sin(2 * np.pi * 5 * times + interval)
            sound += loudness * sum(np.sin(n * turn) / n**1.5 for n in range(1, 7))
    return 0.1 * sound


def _drums(times: NDArray[np.float64]) -> NDArray[np.float64]:
    rng, rate = np.random.default_rng(1), round(1 / (times[1] - times[0]))
    sound = np.zeros(len(times))
    for beat in range(32):
        since = times - beat * 60 / 95 / 2
        hit = since >= 0
        since = np.clip(since, 0, None)
        if beat % 4 in (0, 3):
            fall = 50 * since + 2 * (1 - np.exp(-30 * since))
            sound += 0.9 * hit * np.exp(-8 * since) * np.sin(2 * np.pi * fall)
        if beat % 4 == 2:
            sound += 0.5 * hit * np.exp(-20 * since) * rng.normal(size=len(times))
        sound += 0.15 * hit * np.exp(-60 * since) * rng.normal(size=len(times))
        bass = (55, 55, 65, 49)[beat // 4 % 4]
        sound += 0.4 * hit * np.exp(-3 * since) * np.sin(2 * np.pi * bass * since)
    voice = np.sign(np.sin(2 * np.pi * 130 * times + 3 * np.sin(2 * np.pi * 3 * times)))
    voice = lfilter(*butter(2, [500, 2000], "band", fs=rate), voice)
    return 0.4 * (sound + 0.3 * voice * (np.sin(2 * np.pi * 4 * times) > 0))


PARTS = {
    "strings": (("strings", 3.0),),
    "drums": (("drums", 9.0),),
    "both": (("strings", 3.0), ("drums", 9.0)),
}


@cache
def encoded(kind: str, parts: str = "both", rate: int = RATE, more: str = "") -> bytes:
    """Music in this container; `more` are further arguments for ffmpeg's output."""
    sound = np.concatenate([piece(*part) for part in PARTS[parts]])
    if kind == "musepack":
        return _by_mpcenc(sound)
    _, muxer, arguments = KINDS[kind]
    source = ["-f", "f32le", "-ar", f"{RATE}", "-ac", "2", "-i", "pipe:0"]
    rates = [] if rate == RATE else ["-ar", f"{rate}"]
    return ffmpeg(source, [*arguments.split(), *rates, *more.split()], muxer, sound.tobytes())


def ffmpeg(source: list[str], arguments: list[str], muxer: str, sound: bytes = b"") -> bytes:
    """What ffmpeg makes; into a file, since some muxers seek."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg to encode with")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "sound"
        command = ["ffmpeg", "-v", "error", *source, "-fflags", "+bitexact", *arguments]
        subprocess.run([*command, "-f", muxer, "-y", target], input=sound, check=True)
        return target.read_bytes()


def piped(kind: str, more: str = "") -> bytes:
    """Music as ffmpeg writes it to a pipe, where no length can be filled in afterwards."""
    _, muxer, arguments = KINDS[kind]
    sound = np.concatenate([piece(*part) for part in PARTS["both"]])
    source = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", f"{RATE}", "-ac", "2", "-i", "pipe:0"]
    form = [*arguments.split(), *more.split(), "-f", muxer, "pipe:1"]
    return subprocess.run(
        [*source, *form], input=sound.tobytes(), check=True, capture_output=True
    ).stdout


def _by_mpcenc(sound: NDArray[np.float32]) -> bytes:
    if shutil.which("mpcenc") is None:
        required = os.environ.get("REQUIRE_PROGRAMS") == "1"
        (pytest.fail if required else pytest.skip)("no mpcenc to encode with")
    raw = ["-f", "f32le", "-ar", f"{RATE}", "-ac", "2", "-i", "pipe:0"]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "sound.wav", Path(folder) / "sound.mpc"
        source.write_bytes(ffmpeg(raw, [], "wav", sound.tobytes()))
        subprocess.run(["mpcenc", "--silent", source, target], capture_output=True, check=True)
        return target.read_bytes()


# --- what FFmpeg decodes ---


def decoded_by_ffmpeg(path: Path, rate: int = 16_000) -> NDArray[np.float32]:
    """The mean of two channels `(n,)` of the first audio stream at `rate`; empty if it fails."""
    command = ["ffmpeg", "-v", "quiet", "-i", path, "-map", "0:a:0", "-ac", "2", "-ar", f"{rate}"]
    done = subprocess.run([*command, "-f", "f32le", "pipe:1"], capture_output=True, check=False)
    return np.frombuffer(done.stdout, np.float32).reshape(-1, 2).mean(axis=1)


# --- edits of bytes ---


def at(data: bytes, place: int, form: str, change: Callable[[int], float]) -> bytes:
    """The data with a number at `place` changed."""
    size = struct.calcsize(form)
    (value,) = struct.unpack(form, data[place : place + size])
    return data[:place] + struct.pack(form, change(value)) + data[place + size :]


def after(mark: bytes, offset: int, form: str, change: Callable[[int], float]) -> Edit:
    """Change the number `offset` bytes behind the start of `mark`."""
    return lambda data: at(data, data.index(mark) + offset, form, change)


def all_of(*edits: Edit) -> Edit:
    def edit(data: bytes) -> bytes:
        for each in edits:
            data = each(data)
        return data

    return edit


def streaminfo(change: Callable[[int], int]) -> Edit:
    """Change the number of samples that a FLAC states."""

    def edit(data: bytes) -> bytes:
        place = data.index(b"fLaC") + 21
        (value,) = struct.unpack(">Q", b"\0\0\0" + data[place : place + 5])
        total = change(value & (1 << 36) - 1)
        return data[:place] + struct.pack(">Q", value >> 36 << 36 | total)[3:] + data[place + 5 :]

    return edit


def xing(change: Callable[[int], int], *offsets: int) -> Edit:
    """Change frames (8) and bytes (12) of a Xing or Info header."""
    mark = lambda data: b"Xing" if b"Xing" in data[:500] else b"Info"  # noqa: E731
    return lambda data: all_of(*(after(mark(data), n, ">I", change) for n in offsets))(data)


def mp4_durations(change: Callable[[int], int]) -> Edit:
    boxes = ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20))
    return all_of(*(after(name, offset, ">I", change) for name, offset in boxes))


def edit_list(change: Callable[[list[tuple[int, int]]], list[tuple[int, int]]]) -> Edit:
    """Change (duration in ms, first sample) of the one edit list of a file whose index is last."""

    def edit(data: bytes) -> bytes:
        place = data.index(b"elst") - 4
        size, count = struct.unpack_from(">I8xI", data, place)
        old = [struct.unpack_from(">Ii", data, place + 16 + 12 * n) for n in range(count)]
        new = [struct.pack(">IiI", *entry, 1 << 16) for entry in change(old)]
        box = struct.pack(">I4sII", 16 + 12 * len(new), b"elst", 0, len(new)) + b"".join(new)
        grown = len(box) - size
        data = data[:place] + box + data[place + size :]
        for name in (b"moov", b"trak", b"edts"):
            data = at(data, data.index(name) - 4, ">I", lambda value: value + grown)
        return data

    return edit


def clusters_anew(data: bytes) -> bytes:
    """Let the time stamps of a Matroska begin anew in its middle."""
    places = [data.index(b"\xe7", place + 5) for place in _all(data, b"\x1f\x43\xb6\x75")]
    middle = len(places) // 2
    values = [int.from_bytes(data[p + 2 : p + 2 + (data[p + 1] & 15)], "big") for p in places]
    for place, value in list(zip(places, values, strict=True))[middle:]:
        size = data[place + 1] & 15
        new = (value - values[middle]).to_bytes(size, "big")
        data = data[: place + 2] + new + data[place + 2 + size :]
    return data


def fragments_anew(data: bytes) -> bytes:
    """Let the decode times of a fragmented MP4 begin anew in its middle."""
    places = [*_all(data, b"tfdt")]
    middle = places[len(places) // 2]
    (base,) = struct.unpack_from(">Q", data, middle + 8)
    for place in places[len(places) // 2 :]:
        data = at(data, place + 8, ">Q", lambda value: value - base)
    return data


def _all(data: bytes, mark: bytes) -> Iterator[int]:
    place = data.find(mark)
    while place >= 0:
        yield place
        place = data.find(mark, place + 1)


def ogg_pages(data: bytes) -> list[bytes]:
    pages, place = [], 0
    while place < len(data):
        table = data[place + 27 : place + 27 + data[place + 26]]
        size = 27 + len(table) + sum(table)
        pages.append(data[place : place + size])
        place += size
    return pages


@cache
def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 1 << 31 else 0)) & 0xFFFFFFFF
        table.append(value)
    return table


def with_crc(page: bytes) -> bytes:
    page, value, table = page[:22] + bytes(4) + page[26:], 0, _crc_table()
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ table[value >> 24 ^ byte]
    return page[:22] + struct.pack("<I", value) + page[26:]


def later_granules(data: bytes, samples: int, first: int = 2) -> bytes:
    """Ogg whose positions begin late, as in a recording of a web radio."""
    pages = ogg_pages(data)
    for number, page in enumerate(pages):
        (position,) = struct.unpack_from("<q", page, 6)
        if number >= first and position >= 0:
            pages[number] = with_crc(page[:6] + struct.pack("<q", position + samples) + page[14:])
    return b"".join(pages)


def asf_times(change: Callable[[int], int]) -> Edit:
    guid = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")
    return all_of(*(after(guid, offset, "<Q", change) for offset in (64, 72)))


# --- the table ---

half: Callable[[int], int] = lambda value: value // 2  # noqa: E731
double: Callable[[int], int] = lambda value: value * 2  # noqa: E731
zero: Callable[[int], int] = lambda value: 0  # noqa: E731
eighth: Callable[[int], int] = lambda value: value // 8  # noqa: E731
full: Callable[[int], int] = lambda value: 0xFFFFFFFF  # noqa: E731


def riff(change: Callable[[int], int]) -> Edit:
    return all_of(after(b"RIFF", 4, "<I", change), after(b"data", 4, "<I", change))


def ds64(change: Callable[[int], int], *offsets: int) -> Edit:
    """Sizes of RIFF (8), data (16) and samples (24)."""
    return all_of(*(after(b"ds64", offset, "<Q", change) for offset in offsets))


W64_DATA = bytes.fromhex("64617461F3ACD3118CD100C04F8EDB8A")


def w64(change: Callable[[int], int]) -> Edit:
    return all_of(after(b"riff", 16, "<Q", change), after(W64_DATA, 16, "<Q", change))


def aiff(change: Callable[[int], int], *names: bytes) -> Edit:
    sizes = {b"FORM": (4, ">I"), b"SSND": (4, ">I"), b"COMM": (10, ">I")}
    return all_of(*(after(name, *sizes[name], change) for name in names))


def mka(change: Callable[[float], float]) -> Edit:
    return after(b"\x44\x89\x88", 3, ">d", change)


def _edits() -> Iterator[tuple[str, str, Edit, bool]]:
    """Container, irregularity, edit, and whether "truncated" is right."""
    yield "flac", "length unknown", streaminfo(zero), False
    yield "ogg-flac", "length unknown", lambda d: d, False
    for size, change in (("half", half), ("eighth", eighth)):
        yield "flac", f"header too small: {size}", streaminfo(change), False
    yield "flac", "header too large", streaminfo(double), False
    for kind in ("mp3, constant", "mp3, variable"):
        yield kind, "length unknown", xing(zero, 8, 12), False
        yield kind, "header too small: frames", xing(half, 8), False
        yield kind, "header too small: both", xing(half, 8, 12), False
        yield kind, "header too small: eighth", xing(eighth, 8), False
        yield kind, "header too large: frames", xing(double, 8), False
        yield kind, "header too large: both", xing(double, 8, 12), True
    for kind in ("wav", "wav of floats"):
        yield kind, "length unknown: 0", riff(zero), False
        yield kind, "length unknown: -1", riff(full), False
        yield kind, "header too small: RIFF", after(b"RIFF", 4, "<I", half), False
        yield kind, "header too small: data", after(b"data", 4, "<I", half), False
        yield kind, "header too small: both", riff(half), False
        yield kind, "header too large: data", after(b"data", 4, "<I", double), False
        yield kind, "header too large: both", riff(double), False
        yield kind, "length unknown: 0x7ffff000", riff(lambda v: 0x7FFFF024), False
    yield "rf64", "length unknown: 0", ds64(zero, 8, 16, 24), False
    yield "rf64", "length unknown: -1", ds64(lambda v: (1 << 64) - 1, 8, 16), False
    yield "rf64", "header too small", ds64(half, 8, 16, 24), False
    yield "rf64", "header too large", ds64(double, 8, 16), False
    yield "rf64", "header too large: samples too", ds64(double, 8, 16, 24), True
    yield "w64", "length unknown: 0", w64(zero), False
    yield "w64", "length unknown: -1", w64(lambda v: (1 << 64) - 1), False
    yield "w64", "header too small", w64(half), False
    yield "w64", "header too large", w64(double), False
    yield "aiff", "length unknown: 0", aiff(zero, b"FORM", b"SSND", b"COMM"), False
    yield "aiff", "length unknown: -1", aiff(full, b"FORM", b"SSND"), False
    yield "aiff", "header too small: FORM", aiff(half, b"FORM"), False
    yield "aiff", "header too small: SSND", aiff(half, b"SSND"), False
    yield "aiff", "header too small: COMM", aiff(half, b"COMM"), False
    yield "aiff", "header too small: all", aiff(half, b"FORM", b"SSND", b"COMM"), False
    yield "aiff", "header too large: SSND", aiff(double, b"FORM", b"SSND"), False
    yield "aiff", "header too large: all", aiff(double, b"FORM", b"SSND", b"COMM"), True
    yield "au", "length unknown: 0", after(b".snd", 8, ">I", zero), False
    yield "au", "length unknown: -1", after(b".snd", 8, ">I", full), False
    yield "au", "header too small", after(b".snd", 8, ">I", half), False
    yield "au", "header too large", after(b".snd", 8, ">I", double), False
    yield "caf", "length unknown: -1", after(b"data", 4, ">q", lambda v: -1), False
    yield "caf", "header too small", after(b"data", 4, ">q", half), False
    yield "caf", "header too large", after(b"data", 4, ">q", double), False
    for kind in ("m4a", "m4a, index first", "m4b", "alac", "mov"):
        yield kind, "length unknown", mp4_durations(zero), False
        yield kind, "header too small", mp4_durations(half), False
        yield kind, "header too large", mp4_durations(double), False
    for kind in ("m4a", "m4b"):
        skip = lambda old: [(old[0][0] - 2000, old[0][1] + 2 * RATE)]  # noqa: E731
        late = lambda old: [(2000, -1), *old]  # noqa: E731
        two = lambda old: [(1500, old[0][1]), (old[0][0] - 4000, old[0][1] + 4 * RATE)]  # noqa: E731
        short = lambda old: [(old[0][0] - 2000, old[0][1])]  # noqa: E731
        yield kind, "edit list: start skipped", edit_list(skip), False
        yield kind, "edit list: end left out", edit_list(short), False
        yield kind, "edit list: middle left out", edit_list(two), False
        yield kind, "late start", edit_list(late), False
    for kind in ("opus in mka", "aac in mka", "vorbis in mka", "flac in mka", "mp3 in mka"):
        yield kind, "header too small", mka(lambda v: v / 2), False
        yield kind, "header too large", mka(lambda v: v * 2), False
    for kind in ("opus in mka", "aac in mka", "flac in mka", "webm"):
        yield kind, "time stamps begin anew", clusters_anew, False
    yield "mp4, fragmented", "time stamps begin anew", fragments_anew, False
    yield "wma", "length unknown", asf_times(zero), False
    yield "wma", "header too small", asf_times(half), False
    yield "wma", "header too large", asf_times(double), False
    yield "tta", "header too small", after(b"TTA1", 14, "<I", half), False
    yield "tta", "header too large", after(b"TTA1", 14, "<I", double), False
    yield "wavpack", "length unknown", after(b"wvpk", 12, "<I", full), False
    yield "wavpack", "header too small", after(b"wvpk", 12, "<I", half), False
    # Its last block is whole, so nothing is missing.
    yield "wavpack", "header too large", after(b"wvpk", 12, "<I", double), False


# Files that play on where two of them are joined. In others, players stop after the first.
STREAMS = (
    "mp3, constant", "mp3, variable", "mp3, constant, no Xing", "mp3, variable, no Xing", "mp2",
    "adts", "ac3", "eac3", "dts", "flac", "vorbis", "opus", "ogg-flac", "speex", "aac in mpegts",
    "mp2 in mpegts", "wavpack",
)  # fmt: skip
JOINED = (
    *STREAMS, "wav", "aiff", "au", "caf", "w64", "m4a", "opus in mka", "webm",
    "flac in mka", "wma", "tta", "musepack", "mp4, fragmented",
)  # fmt: skip
OTHER = {"opus": 48_000, "speex": 8_000}
CUT = {
    "mp3, constant", "mp3, variable", "flac", "alac", "m4a, index first", "mov", "aiff", "rf64",
    "tta", "wma", "wavpack", "musepack", "alac in caf", "wav of floats", "opus in mka",
    "aac in mka", "vorbis in mka", "flac in mka", "mp3 in mka", "webm",
}  # fmt: skip
VIDEO = {
    "opus in mka": "-c:v mpeg4", "aac in mka": "-c:v mpeg4", "webm": "-c:v libvpx",
    "m4a, index first": "-c:v mpeg4", "mov": "-c:v mpeg4", "mp4, fragmented": "-c:v mpeg4",
    "aac in mpegts": "-c:v mpeg2video", "mp2 in mpegts": "-c:v mpeg2video", "wma": "-c:v wmv2",
    "vorbis": "-c:v libtheora",
}  # fmt: skip


def rate_of(kind: str) -> int:
    """Another rate than the usual one."""
    if kind in ("opus", "ac3", "eac3", "dts"):
        return 48_000  # of Opus, the only one
    return 8_000 if kind == "speex" else 22_050


def alternating(kind: str) -> list[Callable[[], bytes]]:
    other = rate_of(kind)
    return [
        partial(encoded, kind, "strings", other, "-ac 1"),
        partial(encoded, kind, "drums"),
        partial(encoded, kind, "strings", other),
        partial(encoded, kind, "drums", more="-ac 1"),
    ]


def with_video(kind: str, start: str = "") -> bytes:
    """The sound beside 20 s of pictures."""
    _, muxer, arguments = KINDS[kind]
    muxer = {"ipod": "mp4"}.get(muxer, muxer)
    sound = np.concatenate([piece(*part) for part in PARTS["both"]])
    source = ["-f", "lavfi", "-i", "color=s=64x64:r=10:d=20", *start.split(), "-f", "f32le"]
    source += ["-ar", f"{RATE}", "-ac", "2", "-i", "pipe:0"]
    maps = ["-map", "0:v", "-map", "1:a", *VIDEO[kind].split(), *arguments.split()]
    return ffmpeg(source, maps, muxer, sound.tobytes())


Parts = list[Callable[[], bytes]]


def _joins() -> Iterator[tuple[str, str, Parts]]:
    for kind in JOINED:
        strings, drums = (partial(encoded, kind, name) for name in ("strings", "drums"))
        yield kind, "joined", [strings, drums]
        yield kind, "joined with itself", [drums, drums]
        if kind not in STREAMS:
            continue
        rate = rate_of(kind)
        if kind != "opus":
            yield kind, "joined: other rate", [strings, partial(encoded, kind, "drums", rate)]
        for name, this in (("mono", RATE), ("other rate, mono", rate)):
            yield kind, f"joined: {name}", [strings, partial(encoded, kind, "drums", this, "-ac 1")]
        yield kind, "joined: alternating", alternating(kind)


# In these, a seek finds wrong samples, a length is wrong, or libsndfile misreads the header.
SELDOM = (
    "floats in w64",
    "adpcm yamaha in wav",
    "adpcm swf in wav",
    "flac in caf",
    "wavpack in mka",
)
LATE = (
    "opus in mka", "aac in mka", "vorbis in mka", "flac in mka", "mp3 in mka", "webm",
    "aac in mpegts", "mp2 in mpegts", "wma", "mp4, fragmented", "mov", "alac",
)  # fmt: skip
LATE_OGG = (("vorbis", RATE), ("opus", 48_000), ("ogg-flac", RATE), ("speex", 16_000))
PIPED = (
    "wav", "wav of floats", "rf64", "aiff", "au", "caf", "w64", "flac", "mp3, constant",
    "opus in mka", "webm", "flac in mka", "wma", "wavpack", "tta", "mp4, fragmented",
)  # fmt: skip


def _cases() -> Iterator[tuple[str, str, Callable[[], bytes], bool, Parts]]:
    for kind, fault, edit, is_cut in _edits():
        whole = partial(encoded, kind)
        parts = [] if "edit list" in fault else [whole]
        yield kind, fault, lambda whole=whole, edit=edit: edit(whole()), is_cut, parts
    for kind, fault, parts in _joins():
        # Where players stop after the first part, only that may be read.
        plays_on = kind in (*STREAMS, "webm", "mp4, fragmented") or "mka" in kind
        apart = parts if plays_on else parts[:1]
        yield kind, fault, lambda parts=parts: b"".join(part() for part in parts), False, apart
    for kind in KINDS:
        if kind in SELDOM or (kind.startswith(("m4a", "m4b")) and "index" not in kind):
            continue  # the index would be lost
        cut = lambda kind=kind: encoded(kind)[: len(encoded(kind)) * 6 // 10]  # noqa: E731
        yield kind, "cut at 60 %", cut, kind in CUT, []
    for kind in VIDEO:
        yield kind, "other stream longer", partial(with_video, kind), False, []
        if kind != "vorbis":
            late = partial(with_video, kind, "-itsoffset 2")
            yield kind, "other stream longer, late start", late, False, []
            late = partial(with_video, kind, "-itsoffset 30")
            yield kind, "other stream longer, very late start", late, False, []
    for kind in SELDOM:
        yield kind, "nothing wrong", partial(encoded, kind), False, []
    page = b"<html>" + 200 * b"<p>Not found</p>\n"
    junk = np.random.default_rng(1).bytes(200_000)
    for kind in ("speex", "vorbis", "opus", "ogg-flac"):
        yield kind, "other data behind", lambda kind=kind: encoded(kind) + junk, False, []
    for kind in ("aac in mpegts", "mp2 in mpegts"):
        yield kind, "a page behind", lambda kind=kind: encoded(kind) + page, False, []
    for kind in LATE:
        yield kind, "late start", partial(encoded, kind, more="-output_ts_offset 2"), False, []
    for kind, samples in LATE_OGG:
        late = lambda kind=kind, n=samples: later_granules(encoded(kind), 3600 * n)  # noqa: E731
        yield kind, "late start", late, False, []
    for kind in PIPED:
        yield kind, "written to a pipe", partial(piped, kind), False, [partial(encoded, kind)]


CASES = {
    f"{kind} | {fault}": Case(KINDS[kind][0], make, is_cut, tuple(parts))
    for kind, fault, make, is_cut, parts in _cases()
}
