"""Texts in old code pages keep their bytes, or are read as --charset says."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import containers
from helpers.containers import make
from helpers.properties import examples
from helpers.tagged import ape_tag, frame, id3_tag, prepare, with_front
from hypothesis import given
from hypothesis import strategies as st
from mutagen import apev2, id3

from tagger.errors import TagError
from tagger.tags.codepages import keeps_bytes, old_bytes, old_text, unicode_text
from tagger.tags.genre_tag import (
    other_tags,
    read_fields,
    read_genres,
    read_tag,
    restore_fields,
    write_genres,
)
from tagger.types import TagOptions

# What people have in their libraries: a genre, and an artist, in the code page of their computer.
OLD = {
    "cp1251": ("Рок", "Группа крови"),
    "koi8-r": ("Рок", "Группа крови"),
    "cp866": ("Рок", "Группа крови"),
    "cp1250": ("Česká", "Žlutý kůň"),
    "cp1252": ("Música", "Zoë \u2013 Élan\u2019s"),
    "cp1253": ("Λαϊκά", "Μάνος"),
    "cp1254": ("Türkçe", "Bar\u0131ş Manço"),
    "cp1255": ("רוק", "שלמה"),
    "shift_jis": ("ロック", "坂本龍一"),
    "cp932": ("ﾛｯｸ", "髙橋"),
    "euc_jp": ("ロック", "坂本龍一"),
    "gbk": ("摇滚", "王菲"),
    "big5": ("搖滾", "鄧麗君"),
    "cp949": ("록", "서태지"),
    "utf-8": ("Рок", "Zoë"),
}
every_code_page = pytest.mark.parametrize("charset", OLD)


def v1(charset: str, genre: int = 255) -> bytes:
    artist = OLD[charset][1].encode(charset)
    return (
        b"TAG"
        + b"Title".ljust(30, b"\0")
        + artist.ljust(64, b"\0")[:64]
        + bytes(30)
        + bytes([genre])
    )


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def wav(folder: Path, *, genre: bytes = b"", artist: bytes = b"") -> Path:
    items = {b"IART": artist, b"IGNR": genre}
    info = b"".join(chunk(key, text + b"\0") for key, text in items.items() if text)
    data = containers.sound("wav") + chunk(b"LIST", b"INFO" + info)
    path = folder / "sound.wav"
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    return path


def latin1_frames(path: Path) -> dict[str, bytes]:
    """The bytes of each text that says Latin-1, as a player in its own code page takes them."""
    tags = id3.ID3(path, translate=False, load_v1=False)
    return {
        name: "\0".join(value.text).encode("latin-1")
        for name, value in tags.items()
        if value.encoding == 0
    }


# --- texts that a new tag repeats -----------------------------------------------------------------


@every_code_page
@pytest.mark.parametrize("kind", ["mp3", "tta"])
def test_a_new_id3v2_keeps_the_bytes_of_an_id3v1(tmp_path, charset, kind):
    path = make(kind, tmp_path)
    prepare(path, "no tag block")
    path.write_bytes(path.read_bytes() + v1(charset))
    data, others, fields = path.read_bytes(), other_tags(path), read_fields(path)
    write_genres(path, ["Jazz"])
    artist = OLD[charset][1]
    if charset == "utf-8":  # which FFmpeg showed as it is
        assert str(id3.ID3(path, load_v1=False)["TPE1"]) == artist
    else:
        assert latin1_frames(path)["TPE1"] == artist.encode(charset)
    assert other_tags(path) == others
    restore_fields(path, fields)
    assert path.read_bytes() == data


@every_code_page
def test_a_new_id3_chunk_keeps_the_bytes_of_an_info_list(tmp_path, charset):
    artist = OLD[charset][1].encode(charset)
    path = wav(tmp_path, artist=artist)
    write_genres(path, ["Jazz"])
    if charset == "utf-8":
        assert str(id3.ID3(id3_chunk(path))["TPE1"]) == OLD[charset][1]
    else:
        assert frame(b"TPE1", b"\0" + artist) in path.read_bytes()


def id3_chunk(path: Path) -> Path:
    data = path.read_bytes()
    chunk = path.with_suffix(".id3")
    chunk.write_bytes(data[data.index(b"ID3\4") :])
    return chunk


@every_code_page
@pytest.mark.parametrize("kind", ["mp3", "tta", "wavpack", "musepack"])
def test_with_its_charset_a_new_tag_repeats_an_id3v1_in_unicode(tmp_path, charset, kind):
    path, options = make(kind, tmp_path), TagOptions(charset=charset)
    prepare(path, "no tag block")
    path.write_bytes(path.read_bytes() + v1(charset))
    data, fields = path.read_bytes(), read_fields(path)
    write_genres(path, ["Jazz"], options=options)
    is_ape = kind in ("wavpack", "musepack")
    tags = apev2.APEv2(path) if is_ape else id3.ID3(path, load_v1=False)
    assert str(tags["Artist" if is_ape else "TPE1"]) == OLD[charset][1]
    restore_fields(path, replace(fields, options=options))
    assert path.read_bytes() == data


@every_code_page
@pytest.mark.parametrize("kind", ["wavpack", "musepack", "ape"])
def test_without_a_charset_a_new_apev2_never_repeats_mojibake(tmp_path, charset, kind):
    path = make(kind, tmp_path)
    prepare(path, "no tag block")
    path.write_bytes(path.read_bytes() + v1(charset))
    data = path.read_bytes()
    if charset == "utf-8":
        write_genres(path, ["Jazz"])
        assert str(apev2.APEv2(path)["Artist"]) == OLD[charset][1]
        return
    for step in (other_tags, lambda path: write_genres(path, ["Jazz"])):
        with pytest.raises(TagError, match="--charset"):
            step(path)
    assert path.read_bytes() == data
    assert read_genres(path) == ()


def test_an_apev2_that_exists_hides_an_old_id3v1_anyway(tmp_path):
    path = make("wavpack", tmp_path)
    prepare(path, "no tag block")
    path.write_bytes(path.read_bytes() + ape_tag(Title="T") + v1("cp1251"))
    data, fields = path.read_bytes(), read_fields(path)
    write_genres(path, ["Jazz"])
    assert str(apev2.APEv2(path)["Genre"]) == "Jazz"
    restore_fields(path, fields)
    assert read_fields(path) == fields
    assert path.read_bytes().endswith(v1("cp1251"))
    assert len(path.read_bytes()) == len(data)


@every_code_page
def test_with_its_charset_an_info_list_is_read_and_repeated_in_unicode(tmp_path, charset):
    genre, artist = OLD[charset]
    path = wav(tmp_path, genre=genre.encode(charset), artist=artist.encode(charset))
    assert read_tag(path, TagOptions(charset=charset)).genres == (genre,)
    write_genres(path, [genre, "Jazz"], options=TagOptions(charset=charset))
    tags = id3.ID3(id3_chunk(path))
    assert tags["TCON"].text == [genre, "Jazz"]
    assert str(tags["TPE1"]) == artist


@pytest.mark.parametrize("charset", ["shift_jis", "gbk", "utf-8"])
def test_a_character_that_the_end_of_the_field_cuts_is_dropped(tmp_path, charset):
    artist = {"shift_jis": "ロ", "gbk": "王", "utf-8": "Я"}[charset] * 31
    title = (b"x" + artist.encode(charset))[:30]
    path = with_front(tmp_path, b"", b"TAG" + title + bytes(94) + b"\xff")
    write_genres(path, ["Jazz"], options=TagOptions(charset=charset))
    shown = str(id3.ID3(path, load_v1=False)["TIT2"])
    assert shown == "x" + artist[: len(shown) - 1]
    assert 29 - len(shown[1:].encode(charset)) < len(artist[0].encode(charset))


def test_a_latin_letter_at_the_end_of_a_full_field_is_kept(tmp_path):
    title = b"x" * 29 + b"\xe9"
    path = with_front(tmp_path, b"", b"TAG" + title + bytes(94) + b"\xff")
    write_genres(path, ["Jazz"])
    assert latin1_frames(path)["TIT2"] == title


# --- a genre that says Latin-1 --------------------------------------------------------------------


def tagged(folder: Path, major: int, charset: str, end: bytes = b"") -> Path:
    names = (b"TCO", b"TP1") if major == 2 else (b"TCON", b"TPE1")
    texts = (text.encode(charset) for text in OLD[charset])
    body = b"".join(frame(name, b"\0" + text) for name, text in zip(names, texts, strict=True))
    return with_front(folder, id3_tag(major, body + bytes(20)), end)


@every_code_page
@pytest.mark.parametrize("major", [2, 3, 4])
def test_append_keeps_the_bytes_of_the_old_genre(tmp_path, charset, major):
    path, genre = tagged(tmp_path, major, charset), OLD[charset][0].encode(charset)
    fields = read_fields(path)
    write_genres(path, [*read_genres(path), "Jazz"], "a note of ours: é")
    separator = b"\0" if major == 4 else b"; "
    assert latin1_frames(path)["TCON"] == genre + separator + b"Jazz"
    assert read_tag(path).note == "a note of ours: é"
    restore_fields(path, fields)
    assert read_fields(path) == fields


@every_code_page
def test_a_name_that_needs_unicode_is_not_put_beside_the_old_genre(tmp_path, charset):
    path = tagged(tmp_path, 3, charset)
    data = path.read_bytes()
    with pytest.raises(TagError, match="--charset"):
        write_genres(path, [*read_genres(path), "音楽"])
    assert path.read_bytes() == data


@every_code_page
@pytest.mark.parametrize("major", [2, 3, 4])
def test_with_its_charset_the_genre_is_read_and_written_in_unicode(tmp_path, charset, major):
    path, (genre, artist) = tagged(tmp_path, major, charset), OLD[charset]
    tag = read_tag(path, TagOptions(charset=charset))
    assert (tag.genres, tag.artist) == ((genre,), artist)
    write_genres(path, [genre, "音楽"], options=TagOptions(charset=charset))
    expected = [genre, "音楽"] if major == 4 else [f"{genre}; 音楽"]
    assert id3.ID3(path, translate=False)["TCON"].text == expected
    assert latin1_frames(path)["TPE1"] == artist.encode(charset)


@every_code_page
@pytest.mark.parametrize(
    "end", [ape_tag(Artist="A"), ape_tag(Artist="A", Genre="Rock")], ids=["artist", "genre"]
)
def test_an_apev2_beside_it_gets_no_mojibake(tmp_path, charset, end):
    path = tagged(tmp_path, 3, charset, end)
    data = path.read_bytes()
    with pytest.raises(TagError, match="--charset"):
        write_genres(path, [*read_genres(path), "Jazz"])
    assert path.read_bytes() == data
    write_genres(path, ["Blues"])
    assert read_genres(path) == ("Blues",)


@every_code_page
def test_append_keeps_the_bytes_of_an_info_list(tmp_path, charset):
    genre = OLD[charset][0].encode(charset)
    path = wav(tmp_path, genre=genre)
    fields = read_fields(path)
    write_genres(path, [*read_genres(path), "Jazz"])
    assert chunk(b"IGNR", genre + b"; Jazz\0") in path.read_bytes()
    if charset != "utf-8":
        assert genre + b"\0Jazz\0" in path.read_bytes()
    restore_fields(path, fields)
    assert read_fields(path) == fields


@every_code_page
def test_a_new_info_list_repeats_no_mojibake(tmp_path, charset):
    """FFmpeg and MPD read nothing but such a list; a text in an unknown code page keeps it away."""
    texts = [text.encode(charset) for text in OLD[charset]]
    names = (b"TCON", b"TPE1")
    body = b"".join(frame(name, b"\0" + raw) for name, raw in zip(names, texts, strict=True))
    data = containers.sound("wav") + chunk(b"id3 ", id3_tag(3, body))
    path = tmp_path / "sound.wav"
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    fields = read_fields(path)
    write_genres(path, ["Jazz"])
    assert b"INFO" not in path.read_bytes()
    restore_fields(path, fields)
    write_genres(path, [*read_genres(path), "Jazz"])
    assert b"INFO" not in path.read_bytes()
    restore_fields(path, fields)
    write_genres(path, ["Jazz"], options=TagOptions(charset=charset))
    artist = OLD[charset][1].encode() + b"\0"
    assert chunk(b"IART", artist) in path.read_bytes()


def test_a_text_that_is_not_in_the_charset_is_refused(tmp_path):
    path = tagged(tmp_path, 3, "cp1251")
    with pytest.raises(TagError, match="not in shift_jis"):
        read_tag(path, TagOptions(charset="shift_jis"))
    path = with_front(tmp_path, b"", v1("koi8-r"))
    with pytest.raises(TagError, match="not in ascii"):
        write_genres(path, ["Jazz"], options=TagOptions(charset="ascii"))


@pytest.mark.parametrize("major", [2, 3, 4])
@examples(150)
@given(raw=st.lists(st.sampled_from([*b"Ab -;/\\", *range(0x80, 0x100)]), min_size=1).map(bytes))
def test_append_keeps_any_bytes_or_refuses(tmp_path, major, raw):
    name = b"TCO" if major == 2 else b"TCON"
    path = with_front(tmp_path, id3_tag(major, frame(name, b"\0" + raw) + bytes(40)))
    before, fields = path.read_bytes(), read_fields(path)
    try:
        write_genres(path, [*read_genres(path), "Bebop"])
    except TagError:
        path.write_bytes(before)
        return
    words, blank = re.findall(rb"[\x80-\xff]+", raw), b"\x85\xa0"  # blanks in Latin-1
    kept = re.findall(rb"[\x80-\xff]+", latin1_frames(path)["TCON"])
    assert {word for word in words if word.strip(blank)} <= set(kept)
    restore_fields(path, fields)
    assert path.read_bytes() == before


# --- the texts alone ------------------------------------------------------------------------------


@every_code_page
def test_an_old_text_can_be_turned_back_into_its_bytes(charset):
    for text in OLD[charset]:
        raw = text.encode(charset)
        assert unicode_text(raw, charset) == text
        if charset != "utf-8":
            assert unicode_text(raw, None) is None
            assert old_bytes(old_text(raw, None)) == raw


def test_only_the_old_text_itself_keeps_its_bytes():
    old = [b"Jazz \xd0\xee\xea"]
    assert keeps_bytes(["Jazz", "Ðîê"], old)
    assert not keeps_bytes(["Jazz", "Rock"], old)
    assert not keeps_bytes(["Рок"], old)


@pytest.mark.parametrize("names", [["Ðîê", "Música"], ["Ðîê", "Рок"], ["Ðî"]])
def test_other_names_beside_it_and_parts_of_its_words_are_refused(names):
    with pytest.raises(TagError, match="--charset"):
        keeps_bytes(names, [b"Jazz \xd0\xee\xea"])
