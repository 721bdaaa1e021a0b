"""The fingerprint of the audio: other programs' edits leave it, other audio changes it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import av
import mutagen
import numpy as np
import pytest
import taglib
from helpers.containers import ENCODED, KINDS, SUFFIX, encode, make, sound
from helpers.tagged import ape_tag, id3_tag, id3v1, tag_with_mutagen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen.flac import Picture

from tagger.tags import audio_pages
from tagger.tags.fingerprint import SMALL, fingerprint
from tagger.tags.genre_tag import write_genres

RATE = 48_000
LONG = "x" * 70_000  # longer than an Ogg page, and than any padding


def by_mutagen(path: Path) -> None:
    tag_with_mutagen(path, title=[LONG], genre=["Jazz"])


def by_taglib(path: Path) -> None:
    with taglib.File(path, save_on_exit=True) as file:
        file.tags |= {"TITLE": ["a title"], "ALBUMARTIST": ["someone"], "COMMENT": [LONG]}


def by_us(path: Path) -> None:
    write_genres(path, ["Jazz", "Rock"])


def removed(path: Path) -> None:
    media = mutagen.File(path)
    if media.tags is not None:
        media.delete()


EDITS = (by_mutagen, by_taglib, by_us, removed, by_mutagen)


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_of_tags_leaves_it(kind, tmp_path):
    path = make(kind, tmp_path)
    before = fingerprint(path)
    assert before
    for edit in EDITS:
        content = path.read_bytes()
        edit(path)
        assert fingerprint(path) == before, edit.__name__
        assert path.read_bytes() != content or edit is removed


@pytest.mark.skipif(shutil.which("kid3-cli") is None, reason="Kid3 is not installed")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "vorbis"])  # it refuses ours
def test_kid3_leaves_it(kind, tmp_path):
    path = make(kind, tmp_path)
    before, content = fingerprint(path), path.read_bytes()
    edits = ["set title Other", "set rating 4", "set albumartist Someone", "set genre Rock"]
    words = [word for edit in edits for word in ("-c", edit)]
    subprocess.run(["kid3-cli", *words, path], check=False, capture_output=True)
    assert path.read_bytes() != content
    assert fingerprint(path) == before


COPIED = ["mp3", "mp2", "tta", "wav", "aiff", "wavpack", "flac", "ogg-flac", "vorbis", "opus"]
COPIED += ["speex", "m4a", "alac"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no system FFmpeg")
@pytest.mark.parametrize("kind", COPIED)
def test_a_copy_of_the_stream_by_ffmpeg_has_it(kind, tmp_path):
    path = make(kind, tmp_path)
    copy = tmp_path / f"copy{path.suffix}"
    options = ["-c", "copy", "-metadata", f"title={LONG[:30_000]}"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, *options, copy], check=True)
    assert fingerprint(copy) == fingerprint(path)


def test_matroska_has_it_too(tmp_path):
    path, copy = tmp_path / "a.mka", tmp_path / "b.mka"
    for target, title in ((path, "short"), (copy, LONG)):
        with (
            av.open(str(make("opus", tmp_path))) as source,
            av.open(str(target), "w", format="matroska") as out,
        ):
            out.metadata["title"] = title
            stream = out.add_stream_from_template(source.streams.audio[0])
            for packet in source.demux(source.streams.audio[0]):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    assert copy.stat().st_size > path.stat().st_size + len(LONG) // 2
    assert fingerprint(copy) == fingerprint(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert fingerprint(path) != fingerprint(copy)


# --- each container -------------------------------------------------------------------------------

FRONT_TAGS = [
    b"", id3_tag(3, b"\0" * 500), id3_tag(4, b"\0" * 50), id3_tag(3, b"\0" * 9) * 3,
    id3_tag(4, b"\0" * 99) + b"\0" * 700, b"\0" * 16 + id3_tag(3, b"\0" * 9), b"\r\n",
]  # fmt: skip
LYRICS = b"LYRICSBEGININD0000210"
END_TAGS = [
    b"", id3v1(17), ape_tag(Genre="Jazz"), ape_tag(Genre="Jazz") + id3v1(8), id3v1(8) * 2,
    id3v1(8) + ape_tag(Title="x" * 9000), LYRICS + b"%06dLYRICS200" % len(LYRICS) + id3v1(3),
    b"LYRICSBEGIN some text LYRICSEND" + id3v1(3), b"TAG+".ljust(227, b"\0") + id3v1(3),
    b"3DI\4\0\x10\0\0\0\x1e".rjust(50, b"\0"),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["mp3", "mp2", "tta", "flac", "wavpack", "ape", "musepack"])
def test_tags_around_a_stream_are_no_part_of_it(kind, tmp_path):
    path = make(kind, tmp_path)
    removed(path)
    audio, before = path.read_bytes(), fingerprint(path)
    for front in FRONT_TAGS if kind in ("mp3", "mp2") else FRONT_TAGS[:3]:
        for end in END_TAGS:
            path.write_bytes(front + audio + end)
            assert fingerprint(path) == before, (front[:20], end[:20])


def test_the_header_that_states_the_length_of_an_mp3_is_no_audio(tmp_path):
    path = make("mp3", tmp_path)
    removed(path)
    data, before = path.read_bytes(), fingerprint(path)
    at = data.index(b"Info") if b"Info" in data else data.index(b"Xing")
    following = data.index(data[:2], at)
    path.write_bytes(data[following:])
    assert fingerprint(path) == before


def test_pictures_and_blocks_of_a_flac_are_no_part_of_it(tmp_path):
    path = make("flac", tmp_path)
    before, media = fingerprint(path), mutagen.File(path)
    picture = Picture()
    picture.data = bytes(range(256)) * 4000
    media.add_picture(picture)
    media.save(padding=lambda info: 100_000)
    assert fingerprint(path) == before


@pytest.mark.parametrize("faststart", [False, True])
def test_an_mp4_may_have_its_index_anywhere(faststart, tmp_path):
    path, copy = make("m4a", tmp_path), tmp_path / "copy.m4a"
    options = {"movflags": "+faststart"} if faststart else {"movflags": "use_metadata_tags"}
    with av.open(str(path)) as source, av.open(str(copy), "w", "ipod", options=options) as out:
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    data = copy.read_bytes()
    assert (data.index(b"moov") < data.index(b"mdat")) is faststart
    assert fingerprint(copy) == fingerprint(path)
    path.write_bytes(data + (1000).to_bytes(4, "big") + b"free" + bytes(992))
    assert fingerprint(path) == fingerprint(copy)


def test_chunks_may_come_in_any_order(tmp_path):
    for kind, at, order in (("wav", 12, "little"), ("aiff", 12, "big"), ("dsdiff", 16, "big")):
        path = make(kind, tmp_path)
        before, data = fingerprint(path), path.read_bytes()
        width = 8 if kind == "dsdiff" else 4
        chunk = b"junk" + (100).to_bytes(width, order) + bytes(100)
        path.write_bytes(data[:at] + chunk + data[at:] + chunk)
        assert fingerprint(path) == before


# --- other audio ----------------------------------------------------------------------------------


def wave(seed: int, *, silence: float = 0.5, seconds: float = 3) -> np.ndarray:
    """Noise of its own after the same silence, in the same length, with the same end."""
    draw, size = np.random.default_rng(seed), round(seconds * RATE)
    noise = draw.integers(-9000, 9000, size).astype(np.int16)
    noise[: round(silence * RATE)] = 0
    noise[-RATE // 4 :] = 0
    return noise


@pytest.mark.parametrize("kind", ENCODED)
@pytest.mark.parametrize("seconds", [1, 12])
def test_tracks_of_the_same_length_with_the_same_silence_differ(kind, seconds, tmp_path):
    found = set()
    for seed in range(4):
        path = tmp_path / f"{seed}{SUFFIX[kind]}"
        path.write_bytes(encode(kind, wave(seed, seconds=seconds)))
        found.add(fingerprint(path))
    assert len(found) == 4 and b"" not in found


def test_a_short_sound_in_long_silence_is_seen(tmp_path):
    found = set()
    for place in range(2, 60, 3):
        samples = np.zeros(60 * RATE, np.int16)
        samples[place * RATE : (place + 1) * RATE] = wave(place, silence=0, seconds=1)
        path = tmp_path / "a.wav"
        path.write_bytes(encode("wav", samples))
        assert path.stat().st_size > SMALL
        found.add(fingerprint(path))
    assert len(found) == 20


def test_silence_of_another_length_differs_and_of_the_same_length_does_not(tmp_path):
    path, found = tmp_path / "a.flac", []
    for seconds in (5, 5, 6):
        path.write_bytes(encode("flac", np.zeros(seconds * RATE, np.int16)))
        found.append(fingerprint(path))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_audio_has_another(kind, tmp_path):
    path = make(kind, tmp_path)
    before = fingerprint(path)
    with av.open(str(path)) as media:
        found = [bytes(packet) for packet in media.demux(media.streams.audio[0])]
    packet = max(found, key=len)[:400]
    data = bytearray(path.read_bytes())
    data[data.index(packet[-20:]) + 10] ^= 1
    path.write_bytes(data)
    assert fingerprint(path) != before


# --- untrusted files ------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 10**6), cut=st.booleans())
def test_a_damaged_file_costs_little_and_raises_nothing(kind, seed, cut, tmp_path):
    draw, data = random.Random(seed), bytearray(sound(kind))
    for _ in range(draw.choice([1, 5, 50])):
        data[draw.randrange(min(len(data), draw.choice([200, len(data)])))] = draw.randrange(256)
    path = tmp_path / f"a{SUFFIX[kind]}"
    path.write_bytes(data[: draw.randrange(len(data))] if cut else data)
    started = time.process_time()
    fingerprint(path)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0", b"ID3", b"fLaC", b"OggS", b"\0" * (1 << 20), b"RIFF\0\0\0\0WAVE",
        (b"OggS" + bytes(23)) * 100_000, b"\0\0\0\x08free" * 200_000, id3v1(3) * 100_000,
        id3_tag(3, b"") * 100_000, b"\x1a\x45\xdf\xa3\x80" + b"\xa3\x80" * 500_000,
        b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 200_000, b"\0\0\0\x18ftypM4A " + b"\0" * 100,
        b"\xff\xe2\x10" * 300_000,
    ],
)  # fmt: skip
def test_a_hostile_file_costs_little_and_raises_nothing(content, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    started = time.process_time()
    fingerprint(path)
    assert time.process_time() - started < 2


def test_what_cannot_be_read_has_none(tmp_path):
    assert fingerprint(tmp_path) is fingerprint(tmp_path / "gone.mp3") is None
    (tmp_path / "empty.mp3").touch()
    assert fingerprint(tmp_path / "empty.mp3") == b""


def test_little_is_read_of_a_large_file(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    samples = wave(1, seconds=60)
    path.write_bytes(encode("wav", samples))
    read: list[int] = []
    counting(monkeypatch, read)
    assert fingerprint(path)
    assert path.stat().st_size > 5_000_000 and sum(read) < 500_000


def counting(monkeypatch: pytest.MonkeyPatch, read: list[int]) -> None:
    plain: Callable[..., object] = Path.open

    class Counted:
        def __init__(self, file: object) -> None:
            self.file = file

        def __enter__(self) -> Counted:
            return self

        def __exit__(self, *error: object) -> None:
            self.file.close()

        def seek(self, *arguments: int) -> int:
            return self.file.seek(*arguments)

        def read(self, *arguments: int) -> bytes:
            data = self.file.read(*arguments)
            read.append(len(data))
            return data

    monkeypatch.setattr(Path, "open", lambda self, *arguments: Counted(plain(self, *arguments)))


@pytest.mark.parametrize("most", [1000, 5000])
def test_of_ogg_only_the_start_and_the_length_count(most, tmp_path, monkeypatch):
    monkeypatch.setattr(audio_pages, "MOST_IN_PAGES", most)
    path = make("vorbis", tmp_path)
    before = fingerprint(path)
    by_mutagen(path)
    by_taglib(path)
    assert fingerprint(path) == before
    assert os.path.getsize(path) > most
