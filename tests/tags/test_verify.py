"""A write changes the genre and nothing else, as TagLib, ffprobe and the digest of the audio show.

No generated file is damaged, so a write that is refused fails its test.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import mutagen
import pytest
from helpers import sounds
from helpers.containers import CORPUS, sound
from helpers.generated_files import Made, chunks, files, flac_blocks, id3_size
from helpers.generated_trailers import Ends, ape_tag, read_ape
from helpers.generated_values import GENRES
from helpers.properties import examples
from helpers.readers import (
    by_ffmpeg,
    by_ffprobe,
    by_taglib,
    changes,
    needs_ffprobe,
    other_than_genre,
    placed,
    seen_by_ffprobe,
    unexplained,
)
from hypothesis import given
from hypothesis import strategies as st
from mutagen import id3

from tagger.errors import TagError
from tagger.tags.genre_tag import read_fields, write_genres
from tagger.tags.verify import digest_packets

FEW, EACH, MANY = map(examples, (3, 30, 60))  # with ffprobe; of each kind; of one kind


# --- what others see ------------------------------------------------------------------------------


@EACH
@given(data=st.data(), genres=GENRES)
def test_taglib_sees_all_else_as_before(tmp_path, kind, data, genres):
    path = placed(tmp_path, data.draw(files(kind, "TagLib")))
    before = other_than_genre(by_taglib(path))
    write_genres(path, genres)
    assert not changes(before, other_than_genre(by_taglib(path)))


@needs_ffprobe
@FEW
@given(data=st.data(), genres=GENRES)
def test_ffprobe_sees_all_else_as_before(tmp_path, kind, data, genres):
    made = data.draw(files(kind, "FFmpeg"))
    path = placed(tmp_path, made)
    write_genres(path, genres)
    assert not seen_by_ffprobe(made, path)


@EACH
@given(data=st.data(), genres=GENRES)
def test_ffmpeg_sees_all_else_as_before(tmp_path, kind, data, genres):
    made = data.draw(files(kind, "FFmpeg"))
    path = placed(tmp_path, made)
    before = by_ffmpeg(path)
    write_genres(path, genres)
    assert not unexplained(made, changes(before, by_ffmpeg(path)))


# --- what the bytes say ---------------------------------------------------------------------------


@EACH
@given(data=st.data(), genres=GENRES)
def test_the_packets_of_the_audio_stay(tmp_path, kind, data, genres):
    path = placed(tmp_path, data.draw(files(kind)))
    before = digest_packets(path)
    write_genres(path, genres)
    assert digest_packets(path) == before is not None


@EACH
@given(data=st.data(), genres=GENRES)
@pytest.mark.parametrize("kind", ["mp3", "wavpack", "musepack"], indirect=True)
def test_the_bytes_of_the_audio_stay(tmp_path, kind, data, genres):
    made = data.draw(files(kind))
    path = placed(tmp_path, made)
    write_genres(path, genres)
    after = path.read_bytes()
    assert after[id3_size(after) :].startswith(made.audio)


@MANY
@given(made=files("flac"), genres=GENRES)
def test_the_frames_of_a_flac_keep_their_bytes(tmp_path, made, genres):
    path = placed(tmp_path, made)
    write_genres(path, genres)
    assert path.read_bytes().endswith(made.audio)


@MANY
@given(made=files("mp3"), genres=GENRES)
def test_an_mp3_keeps_the_version_of_its_id3(tmp_path, made, genres):
    path = placed(tmp_path, made)
    write_genres(path, genres)
    if made.front:
        assert path.read_bytes()[:4] == made.front[:4]


@EACH
@given(data=st.data(), genres=GENRES)
@pytest.mark.parametrize("kind", ["mp3", "wavpack"])
def test_only_the_genre_byte_of_an_id3v1_changes(tmp_path, kind, data, genres):
    made = data.draw(files(kind))
    path = placed(tmp_path, made)
    write_genres(path, genres)
    known = [ID3V1_NUMBERS[name.casefold()] for name in genres if name.casefold() in ID3V1_NUMBERS]
    block = Ends.of(made.end).block
    expected = block[:-1] + bytes(known[:1] or [255]) if block else b""
    assert Ends.of(path.read_bytes()).block == expected


# Winamp's list. Any of its names may be drawn: hypothesis also takes constants from the code.
ID3V1_NUMBERS = {name.casefold(): number for number, name in enumerate(id3.TCON.GENRES)}


def test_the_numbers_of_id3v1_are_those_of_the_list():
    some = {"blues": 0, "hip-hop": 7, "jazz": 8, "rock": 17, "drum & bass": 127, "psybient": 191}
    assert {name: ID3V1_NUMBERS[name] for name in some} == some


@MANY
@given(made=files("mp3"), genres=GENRES)
def test_an_mp3_keeps_its_ape_tag_but_for_a_genre_in_it(tmp_path, made, genres):
    path = placed(tmp_path, made)
    write_genres(path, genres)
    tag = Ends.of(path.read_bytes()[id3_size(path.read_bytes()) + len(made.audio) :]).ape
    items = read_ape(Ends.of(made.end).ape)
    stale = [name for name in items if name.casefold() == "genre"]
    others = {name: item for name, item in items.items() if name not in stale}
    found = read_ape(tag)
    new = found.pop("Genre", None)
    assert found == others
    # Without a genre before, it depends on the other items: see test_ape.
    is_new = new == (0, "\0".join(genres).encode())
    assert is_new or (new is None and not stale)
    assert items or new is None


@MANY
@given(made=files("mp3"), genres=GENRES)
def test_an_mp3_keeps_its_lyrics3(tmp_path, made, genres):
    path = placed(tmp_path, made)
    write_genres(path, genres)
    assert Ends.of(path.read_bytes()).words == Ends.of(made.end).words


@MANY
@given(made=files("flac"), genres=GENRES)
def test_every_other_block_of_a_flac_stays(tmp_path, made, genres):
    path = placed(tmp_path, made)
    write_genres(path, genres)
    comments, padding = 4, 1
    before, after = (
        [block for block in flac_blocks(content) if block[0] not in (comments, padding)]
        for content in (made.data, path.read_bytes())
    )
    assert after == before


@EACH
@given(data=st.data(), genres=GENRES)
@pytest.mark.parametrize(("kind", "layout"), [("wav", "<I"), ("aiff", ">I")])
def test_every_other_chunk_stays(tmp_path, kind, layout, data, genres):
    made = data.draw(files(kind))
    path = placed(tmp_path, made)
    write_genres(path, genres)
    before, after = (
        [part for part in chunks(content, layout) if part[0] not in (b"id3 ", b"ID3 ", b"LIST")]
        for content in (made.data, path.read_bytes())
    )
    assert after == before


# --- real files -----------------------------------------------------------------------------------

# Each lacks what a safe write needs; `test_genre_tag` shows that they stay unchanged.
REFUSED = {
    "alac_file.m4a", "corrupt_metadata.ogg", "detect_mp4_m4a.x", "detect_wav.x",
    "id3_header_with_a_zero_byte.wav", "no_audio_data_compressed.wav",
    "no_audio_data_uncompressed.wav", "zero_value_properties.aiff",
}  # fmt: skip
# What others show of these files changes for reasons of their own.
OTHERS = {
    "106-short-picture-block-size.flac": "neither reads it until mutagen has fixed its blocks",
    "invalid_block_sizes.flac": "neither reads it until mutagen has fixed its blocks",
    "empty.dsf": "it states no number of samples, and FFmpeg takes the length from the size",
    "multi_stream.ogv": "FFmpeg counts the comments of the video among its extradata",
    "wav_invalid_track_number.wav": "TagLib knows no INFO item DISC, and sees it in a TXXX",
}


def real_files() -> list[object]:
    found = []
    for path in sorted(path for path in CORPUS.rglob("*") if path.is_file()):
        if path.name in REFUSED | OTHERS.keys():
            continue
        try:
            read_fields(path)
        except TagError:
            continue
        found.append(pytest.param(path, id=path.name))
    return found or [pytest.param(None, id="none")]


@pytest.mark.parametrize("original", real_files())
def test_others_see_all_else_of_a_real_file_as_before(tmp_path, original):
    if original is None:
        pytest.skip(f"no corpus of real files at {CORPUS}")
    path = tmp_path / original.name
    path.write_bytes(original.read_bytes())
    before = seen(path)
    write_genres(path, ("Jazz", "Bebop"))
    assert not changes(before, seen(path))


def seen(path: Path) -> dict[str, object]:
    found = {"audio": digest_packets(path), **by_ffmpeg(path)}
    try:
        return found | other_than_genre(by_taglib(path))
    except OSError:  # TagLib does not know the format, or finds the file broken
        return found


# --- the digest of the audio ----------------------------------------------------------------------

V1 = b"TAG" + b"Title".ljust(30, b"\0") + b"Anna".ljust(94, b"\0") + b"\x11"
GENRE_ITEM = ape_tag({"Title": (0, b"Title"), "Genre": (0, b"Rock")}, has_header=False)
LYRICS = b"LYRICSBEGININD0000210LYR00005words000034LYRICS200"


@pytest.mark.parametrize("end", [GENRE_ITEM, LYRICS + V1], ids=["APEv2 without header", "Lyrics3"])
def test_the_digest_of_an_mp3_leaves_out_the_tags_at_its_end(tmp_path, end):
    path = placed(tmp_path, Made(".mp3", b"", "mpeg", end))
    before = digest_packets(path)
    write_genres(path, ["Jazz"])
    assert digest_packets(path) == before


MORE = struct.pack("<I", len(GENRE_ITEM) + 300)
LARGE = GENRE_ITEM[:-20] + MORE + GENRE_ITEM[-16:]


@pytest.mark.parametrize("end", [LARGE, LYRICS[:-11] + b"99LYRICS200" + V1], ids=["APE", "Lyrics3"])
def test_a_tag_that_claims_to_be_larger_hides_no_audio_from_the_digest(tmp_path, end):
    made = Made(".mp3", b"", "mpeg", end)
    path = placed(tmp_path, made)
    before = digest_packets(path)
    path.write_bytes(flipped(made.data, len(made.audio) - 20))
    assert digest_packets(path) != before


@EACH
@given(data=st.data())
@pytest.mark.parametrize("kind", ["mp3", "wavpack", "musepack"], indirect=True)
def test_the_digest_sees_any_change_of_the_audio(tmp_path, kind, data):
    made = data.draw(files(kind))
    path = placed(tmp_path, made)
    before = digest_packets(path)
    # FFmpeg takes LAME's info frame for a header, which it is.
    first = 800 if made.sound == "mpeg with Info" else 4
    at = len(made.front) + data.draw(st.integers(first, len(made.audio) - 1))
    path.write_bytes(flipped(made.data, at))
    assert digest_packets(path) != before


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


TAGGABLE = ("wav", "aiff", "flac", "ogg-flac", "alac", "wavpack", "tta", "vorbis", "opus", "wma")
TAGGABLE += ("aac in m4a", "mp3, variable", "mp3, constant, no Xing")


@pytest.mark.parametrize("kind", TAGGABLE)
def test_the_digest_does_not_depend_on_tags(kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    before = digest_packets(path)
    file = mutagen.File(path, easy=True)
    if file.tags is None:
        file.add_tags()
    if hasattr(file.tags, "RegisterTextKey") or kind in ("flac", "ogg-flac", "vorbis", "opus"):
        file.tags["genre"] = ["Jazz " * 500]
    elif kind in ("wav", "aiff", "tta"):
        file.tags.add(mutagen.id3.TCON(text=["Jazz " * 500]))
    else:
        file.tags["WM/Genre" if kind == "wma" else "Genre"] = ["Jazz " * 500]
    file.save()
    assert digest_packets(path) == before is not None


@pytest.mark.parametrize("kind", TAGGABLE)
def test_the_digest_sees_a_change_of_the_sound(kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    before = digest_packets(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8] = b"\x55" * 8
    path.write_bytes(data)
    assert digest_packets(path) != before


def test_what_pyav_does_not_know_has_no_digest(tmp_path):
    path = tmp_path / "x.mp3"
    path.write_text("no music")
    assert digest_packets(path) is None


def test_a_cut_file_has_a_digest(tmp_path):
    path = tmp_path / "sound.aiff"
    path.write_bytes(sound("aiff")[:-20_000])
    assert digest_packets(path) is not None


PIPES = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
EVERY = pytest.mark.parametrize("no_file", ["pipe", "folder", "device", "socket"], indirect=True)


@PIPES
@EVERY
def test_what_replaced_a_file_has_no_digest(no_file):
    assert digest_packets(no_file) is None


# --- one thing each, with the smallest file that shows it -----------------------------------------


def test_a_missing_ape_header_removes_no_audio(tmp_path):
    claimed = GENRE_ITEM[:-12] + b"\0\0\0\x80" + GENRE_ITEM[-8:]
    made = Made(".mp3", b"", "mpeg", claimed)
    path = placed(tmp_path, made)
    write_genres(path, ["Jazz"])
    assert path.read_bytes().startswith(made.audio + made.end[:20])


@needs_ffprobe
def test_a_small_wma_keeps_its_length(tmp_path):
    path, old = tmp_path / "sound.wma", tmp_path / "old.wma"
    for copy in (path, old):
        copy.write_bytes(sound("wma"))
    write_genres(path, ["Jazz"])
    assert not changes(*by_ffprobe(old, path))
