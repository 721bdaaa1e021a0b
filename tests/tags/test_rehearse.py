"""A dry run promises what the real run does: both refuse the same files, for the same reason."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.containers import BORROWED, CORPUS, KINDS, make, sound
from helpers.tagged import ape_item, ape_of, frame, id3_tag, prepare, set_by_mutagen

from tagger.errors import TagError
from tagger.files.rehearsal import BLOCK, rehearsing
from tagger.tags.genre_tag import other_tags, read_fields, restore_fields, write_genres
from tagger.tags.rehearse import check_restore, check_write, compare
from tagger.tags.verify import digest_packets
from tagger.types import TagOptions

STARTS = ("no tag block", "no genre", "one genre", "several genres")
GENRES = ("Jazz", "Élan")


def reason(action: Callable[[], object]) -> str:
    """Why something is refused; "" if it is not."""
    try:
        action()
    except TagError as error:
        return str(error)
    return ""


def really(path: Path, copy: Path, genres: tuple[str, ...], *, with_audio: bool) -> None:
    """What a run does: edit a copy and compare it."""
    copy.write_bytes(path.read_bytes())
    before = other_tags(path)
    write_genres(copy, genres, "note")
    compare("tag", before, other_tags(copy), path)
    if with_audio:
        compare("audio", digest_packets(path), digest_packets(copy), path)


def assert_kept(path: Path, genres: tuple[str, ...] = GENRES, *, with_audio: bool = True) -> str:
    """The promise for a write and for its undo is what happens; returns the reason if refused."""
    data, copy = path.read_bytes(), path.with_name(f"copy{path.suffix}")
    promised = reason(lambda: check_write(path, genres, "note", TagOptions()))
    assert path.read_bytes() == data
    assert promised == reason(lambda: really(path, copy, genres, with_audio=with_audio))
    if not promised:
        fields = read_fields(path)
        assert reason(lambda: check_restore(copy, fields)) == reason(
            lambda: restore_fields(copy, fields)
        )
    return promised


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_file_is_promised_and_written(tmp_path, kind, start):
    path = make(kind, tmp_path)
    prepare(path, start)
    assert assert_kept(path) == ""


def wav(size: int) -> bytes:
    data = sound("wav")
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


def resized(data: bytes) -> bytes:
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def flac_with(kind: int, block: bytes, stated: int | None = None) -> bytes:
    data = sound("flac")
    size = len(block) if stated is None else stated
    return data[:42] + bytes([kind]) + size.to_bytes(3, "big") + block + data[42:]


PICTURE = struct.pack(">2I", 3, 9) + b"image/png" + struct.pack(">I", 1) + b"\xff" + bytes(20)
SOUND_PICTURE = PICTURE.replace(b"\xff", b"D")[:-4] + struct.pack(">I", 4) + b"DATA"
ODD = {
    "wav from a pipe": (".wav", wav(0xFFFFFFFF), "where the audio ends"),
    "wav without a size": (".wav", wav(0), "where the audio ends"),
    "wav cut off": (".wav", sound("wav")[:-100], "cut off"),
    "wav, misaligned": (".wav", resized(sound("wav") + b"junk\3\0\0\0oddLIST\4\0\0\0INFO"), "mis"),
    "wav, tags behind": (".wav", sound("wav") + b"LIST\4\0\0\0INFO", "after the end"),
    "wav, audio behind": (
        ".wav", resized(wav(20_000)[: 44 + 20_000]) + sound("wav")[44 + 20_000 :], "goes on after",
    ),
    "wav, INFO damaged": (
        ".wav", resized(sound("wav") + b"LIST\x10\0\0\0INFOIART\xff\0\0\0abcd"), "damaged",
    ),
    "dsf, dangling": (".dsf", sound("dsf")[:20] + b"\x63" + sound("dsf")[21:], "points at"),
    "flac with ID3 alone": (".flac", id3_tag(4, frame(b"TIT2", b"\3T")) + sound("flac"), "ID3v2"),
    "flac, odd picture": (".flac", flac_with(6, PICTURE), "FLAC block of type 6"),
    "flac, wrong size": (".flac", flac_with(6, SOUND_PICTURE, len(SOUND_PICTURE) - 2), "audio"),
    "mp3, odd APEv2": (
        ".mp3", sound("mp3") + ape_of([ape_item("Title", "T", flags=1)]), "lost or changed",
    ),
    "mp3, no audio": (".mp3", b"", "sync to MPEG"),
    "mp3, ID3 cut off": (".mp3", id3_tag(4, frame(b"TIT2", b"\3T") * 99)[:500], ""),
    "aac": (".aac", b"\xff\xf1\x50\x80\x01\x7f\xfc" * 50, ""),
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_file_is_refused_by_both(tmp_path, odd):
    suffix, data, expected = ODD[odd]
    path = tmp_path / f"sound{suffix}"
    path.write_bytes(data)
    refused = assert_kept(path)
    assert refused
    assert expected in refused


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("genre", ["17", "(4)", "RX", "a\nb", "", "Rock; Pop", "\ud800"])
def test_a_name_that_cannot_be_written_is_refused_by_both(tmp_path, kind, genre):
    assert_kept(make(kind, tmp_path), (genre,))


@pytest.mark.parametrize("kind", ["vorbis", "opus", "wma", "musepack", "m4a"])
def test_an_odd_value_is_refused_by_both(tmp_path, kind):
    path = make(kind, tmp_path)
    key = {"wma": "WM/Genre", "musepack": "Genre", "m4a": "©gen"}.get(kind, "GENRE")
    value = {"wma": [b"\xff\1"], "musepack": b"\xff\1"}.get(kind, ["\ufffd"])
    set_by_mutagen(path, {key: value})
    assert_kept(path)


MADE = [kind for kind in KINDS if kind not in BORROWED]


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_is_refused_by_both_or_by_none(tmp_path, seed):
    chance = random.Random(seed)
    path = make(
        chance.choice([kind for kind in KINDS if kind not in ("musepack", "ape")]), tmp_path
    )
    prepare(path, chance.choice(STARTS))
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 6)):
        data[chance.randrange(min(len(data), 3000))] = chance.randrange(256)
    path.write_bytes(data[: len(data) - chance.choice([0, 0, 1, 500])])
    assert_kept(path, with_audio=False)  # that is compared in the real run only


@pytest.mark.skipif(not CORPUS.exists(), reason="no corpus of real files")
def test_the_promise_is_kept_for_every_real_file(tmp_path):
    for source in sorted(path for path in CORPUS.rglob("*.*") if path.is_file()):
        path = tmp_path / f"sound{source.suffix}"
        path.write_bytes(source.read_bytes())
        assert_kept(path)


def test_edits_in_memory_are_those_of_a_file(tmp_path):
    """Random reads, writes, seeks and truncations, beside a real file."""
    source, real = tmp_path / "source", tmp_path / "real"
    chance = random.Random(1)
    data = chance.randbytes(3 * BLOCK + 77)
    source.write_bytes(data)
    real.write_bytes(data)
    with rehearsing(source) as copy, real.open("r+b") as file, copy.open() as other:
        for _ in range(400):
            place, length = chance.randrange(4 * BLOCK), chance.randrange(BLOCK * 2)
            part = chance.randbytes(length)
            for each in (file, other):
                each.seek(min(place, each.seek(0, 2)))
            match chance.randrange(4):
                case 0:
                    assert file.read(length) == other.read(length)
                case 1:
                    assert file.write(part) == other.write(part)
                case 2:
                    assert file.truncate() == other.truncate()
                case _:
                    assert file.tell() == other.tell()
        file.flush()
        assert copy.open().read() == real.read_bytes()
    assert source.read_bytes() == data
