"""Tags at the end of a file: ID3v1, Lyrics3 and APEv2."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.containers import make
from helpers.tagged import (
    ape_item,
    ape_of,
    ape_tag,
    frame,
    id3_tag,
    id3v1,
    prepare,
    set_by_mutagen,
    with_front,
)
from mutagen import apev2, id3

from tagger.errors import TagError
from tagger.tags.genre_tag import (
    other_tags,
    read_fields,
    read_genres,
    restore_fields,
    write_genres,
)
from tagger.types import TagOptions


def test_an_ape_genre_that_is_not_text_is_not_lost(tmp_path):
    path = make("wavpack", tmp_path)
    set_by_mutagen(path, {"Genre": b"\xff\1"})
    before = path.read_bytes()
    with pytest.raises(TagError, match="not text"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == before


LYRICS = b"LYRICSBEGININD0000210LYR00005words000036LYRICS200"
LYRICS = LYRICS[:-15] + b"%06d" % (len(LYRICS) - 15) + b"LYRICS200"
ENHANCED = b"TAG+" + bytes(223)


@pytest.mark.parametrize("kind", ["mp3", "tta", "wavpack", "musepack", "ape"])
@pytest.mark.parametrize("end", [b"", LYRICS, ENHANCED, b"LYRICSBEGINwordsLYRICSEND"])
@pytest.mark.parametrize(("genre", "number"), [("Jazz", 8), ("jazz", 8), ("Nothing known", 255)])
def test_only_the_genre_byte_of_id3v1_changes(tmp_path, kind, end, genre, number):
    path = make(kind, tmp_path)
    prepare(path, "no genre")
    path.write_bytes(path.read_bytes() + end + id3v1(17))
    before, fields = other_tags(path), read_fields(path)
    assert read_genres(path) == ("Rock",)
    write_genres(path, [genre])
    assert path.read_bytes().endswith(end + id3v1(number))
    assert other_tags(path) == before
    restore_fields(path, fields)
    assert path.read_bytes().endswith(end + id3v1(17))
    assert read_genres(path) == ("Rock",)


def test_a_new_id3v2_tag_repeats_the_id3v1_block(tmp_path):
    block = b"TAG" + b"Title".ljust(30, b"\0") + "Zoë".encode("latin-1").ljust(60, b"\0")
    block += b"1999" + b"Nice".ljust(28, b"\0") + b"\0\7" + b"\x11"
    path = with_front(tmp_path, b"", block)
    data, before, fields = path.read_bytes(), other_tags(path), read_fields(path)
    write_genres(path, ["Jazz"])
    tag = id3.ID3(path, load_v1=False)
    assert {key: str(value) for key, value in tag.items()} == {
        "TIT2": "Title", "TPE1": "Zoë", "TDRC": "1999", "TRCK": "7", "COMM::eng": "Nice",
        "TCON": "Jazz",
    }  # fmt: skip
    assert other_tags(path) == before
    restore_fields(path, fields)
    assert path.read_bytes() == data


@pytest.mark.parametrize("kind", ["mp3", "tta", "wavpack"])
def test_id3v1_is_not_added(tmp_path, kind):
    path = make(kind, tmp_path)
    write_genres(path, ["Jazz"])
    assert path.read_bytes()[-128:-125] != b"TAG"
    assert "id3v1" not in read_fields(path).values


@pytest.mark.parametrize("end", [b"", id3v1(17), LYRICS + id3v1(17)])
def test_an_ape_genre_on_an_mp3_is_updated(tmp_path, end):
    path = with_front(tmp_path, b"", ape_tag(Artist="Anna", Genre="Rock") + end)
    fields = read_fields(path)
    assert fields.values["ape:Genre"] == ("Rock",)
    assert read_genres(path) == ("Rock",)
    write_genres(path, ["Jazz", "Bebop"])
    assert read_fields(path).values["ape:Genre"] == ("Jazz", "Bebop")
    restore_fields(path, fields)
    assert read_fields(path) == fields


@pytest.mark.parametrize("end", [b"", id3v1(17)])
def test_an_ape_tag_without_a_genre_keeps_its_bytes(tmp_path, end):
    tag = ape_tag(MP3GAIN_MINMAX="1,2")
    path = with_front(tmp_path, id3_tag(4, frame(b"TIT2", b"\0Title")), tag + end)
    write_genres(path, ["Jazz"])
    assert path.read_bytes().endswith(tag + end[:-1] + (b"\x08" if end else b""))


def test_an_mp3_with_only_an_ape_tag_gets_its_genre_there(tmp_path):
    path = with_front(tmp_path, b"", ape_tag(Title="A long title that ID3v1 cuts") + id3v1(17))
    fields, others = read_fields(path), other_tags(path)
    write_genres(path, ["Jazz"])
    assert not path.read_bytes().startswith(b"ID3")
    assert read_fields(path).values == {"ape:Genre": ("Jazz",), "id3v1": ("8",)}
    assert other_tags(path) == others
    restore_fields(path, fields)
    assert read_fields(path) == fields


def test_an_ape_header_at_the_place_of_an_id3v1_is_not_an_id3v1(tmp_path):
    # Header and footer take 64 bytes, the item 14 and its value; "TAG" is 3 bytes after the start.
    value = "x" * (128 + 3 - 64 - 14)
    path = make("wavpack", tmp_path)
    write_genres(path, [value])
    assert path.read_bytes()[-128:].startswith(b"TAG")
    assert read_fields(path).values == {"ape:Genre": (value,)}


# "TAG" is 128 bytes before the end of each, in the value of an item.
INSIDE = {"Comment": ("TAG" + "x" * 125)[: 128 - 32 - 14], "Title": ""}


@pytest.mark.parametrize("kind", ["mp3", "wavpack", "musepack"])
def test_a_word_in_an_ape_item_is_not_an_id3v1(tmp_path, kind):
    path = with_ape_alone(tmp_path, kind)
    assert path.read_bytes()[-128:].startswith(b"TAG")
    write_genres(path, ["Jazz"])
    assert read_fields(path).values == {"ape:Genre": ("Jazz",)}


def test_a_change_in_an_ape_item_that_looks_like_an_id3v1_is_noticed(tmp_path):
    path = with_ape_alone(tmp_path, "wavpack")
    before, data = other_tags(path), path.read_bytes()
    path.write_bytes(data.replace(b"xxxxxx", b"xxyxxx", 1))
    assert other_tags(path) != before


ODD_APES = {
    "more items than stated": ape_of([ape_item("Title", "T"), ape_item("Mood", "Calm")], 1),
    "a name twice": ape_of([ape_item("Title", "One"), ape_item("TITLE", "Two")]),
    "read-only": ape_of([ape_item("Title", "T", flags=1)]),
    "zeros after the items": ape_of([ape_item("Title", "T"), bytes(9)], 1),
}


@pytest.mark.parametrize("kind", ["mp3", "wavpack"])
@pytest.mark.parametrize("tag", ODD_APES.values(), ids=ODD_APES)
def test_an_ape_tag_that_would_lose_something_is_refused(tmp_path, kind, tag):
    path = with_front(tmp_path, b"") if kind == "mp3" else make(kind, tmp_path)
    data = path.read_bytes() + tag
    path.write_bytes(data)
    with pytest.raises(TagError, match="lost or changed"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == data


@pytest.mark.parametrize("tag", ODD_APES.values(), ids=ODD_APES)
def test_an_odd_ape_tag_beside_an_id3v2_keeps_its_bytes(tmp_path, tag):
    path = with_front(tmp_path, id3_tag(3, frame(b"TIT2", b"\0Title")), tag)
    write_genres(path, ["Jazz"])
    assert path.read_bytes().endswith(tag)


AS_MUTAGEN_READS = [
    ([ape_item("Title", "T"), ape_item("Mood", "Sad")], "T"),
    ([ape_item("Title", "T"), ape_item("Title", "U")], "U"),
    ([ape_item("Title", "T", flags=1)], "T"),
    ([ape_item("Title", "T"), b"\0"], "T"),
]


@pytest.mark.parametrize(("items", "title"), AS_MUTAGEN_READS, ids=ODD_APES)
def test_the_comparison_sees_ape_items_that_mutagen_skips(tmp_path, items, title):
    path = with_front(tmp_path, b"")
    audio = path.read_bytes()
    path.write_bytes(audio + ape_of(items, unstated=len(items) - 1 if title == "T" else 0))
    before = other_tags(path)
    path.write_bytes(audio + ape_tag(Title=title))
    assert other_tags(path) != before


def with_ape_alone(folder: Path, kind: str) -> Path:
    path = make(kind, folder)
    if kind == "mp3":
        return with_front(folder, b"", ape_tag(**INSIDE))
    prepare(path, "no tag block")
    path.write_bytes(path.read_bytes() + ape_tag(**INSIDE))
    return path


@pytest.mark.parametrize("kind", ["wavpack", "musepack"])
def test_a_new_ape_tag_repeats_the_id3v1_block(tmp_path, kind):
    path = make(kind, tmp_path)
    prepare(path, "no tag block")
    block = b"TAG" + b"Title".ljust(30, b"\0") + "Zoë".encode("latin-1").ljust(60, b"\0")
    block += b"1999" + b"Nice".ljust(28, b"\0") + b"\0\7" + b"\x11"
    path.write_bytes(path.read_bytes() + block)
    options = TagOptions(charset="cp1252")
    data, before, fields = path.read_bytes(), other_tags(path, options), read_fields(path)
    write_genres(path, ["Jazz"], options=options)
    assert {key: str(value) for key, value in apev2.APEv2(path).items()} == {
        "Title": "Title", "Artist": "Zoë", "Year": "1999", "Track": "7", "Comment": "Nice",
        "Genre": "Jazz",
    }  # fmt: skip
    assert other_tags(path, options) == before
    restore_fields(path, replace(fields, options=options))
    assert path.read_bytes() == data


def test_a_no_break_space_of_id3v1_is_repeated(tmp_path):
    block = b"TAG" + b"\xa0Title\xa0 ".ljust(94, b" ") + b" " * 30 + b"\x11"
    path = with_front(tmp_path, b"", block)
    write_genres(path, ["Jazz"])
    assert id3.ID3(path, load_v1=False)["TIT2"].text == ["\xa0Title\xa0"]


def test_id3v2_counts_before_ape_and_ape_before_id3v1(tmp_path):
    end = ape_tag(Genre="Ape") + id3v1(17)
    path = with_front(tmp_path, id3_tag(4, frame(b"TCON", b"\3Two")), end)
    assert read_genres(path) == ("Two",)
    assert read_genres(with_front(tmp_path, id3_tag(4, frame(b"TIT2", b"\3T")), end)) == ("Ape",)
