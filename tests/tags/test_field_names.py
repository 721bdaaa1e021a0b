"""What is read besides the genre: album, artists and compilation in every container."""

from __future__ import annotations

import pytest
from helpers.containers import make
from helpers.tagged import (
    album_keys,
    ape_tag,
    frame,
    id3_tag,
    prepare,
    set_by_mutagen,
    with_front,
)

from tagger.tags.genre_tag import (
    read_tag,
    write_genres,
)
from tagger.types import TagInfo

ALBUM = TagInfo(("Jazz",), "", "Blüte", "Various", "Anna", True)


def test_album_and_artists_are_read(sound):
    write_genres(sound, ["Jazz"])
    keys = album_keys(sound)
    yes = True if keys[3] in ("cpil", "WM/IsCompilation") else ["1"]
    values = dict(zip(keys, (["Blüte"], ["Various"], [" Anna ", "Bert"], yes), strict=True))
    set_by_mutagen(sound, values)
    assert read_tag(sound) == ALBUM


def test_missing_fields_are_empty(sound):
    write_genres(sound, ["Jazz"])
    assert read_tag(sound) == TagInfo(("Jazz",))


def test_without_a_tag_every_field_is_empty(sound):
    prepare(sound, "no tag block")
    assert read_tag(sound) == TagInfo()


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("0", False), ("", False)]
)
@pytest.mark.parametrize("kind", ["mp3", "flac", "wavpack", "wma"])
def test_a_compilation_is_marked_by_one_or_true(tmp_path, kind, text, value):
    path = make(kind, tmp_path)
    set_by_mutagen(path, {album_keys(path)[3]: [text]})
    assert read_tag(path).compilation is value


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("kind", ["m4a", "wma"])
def test_a_compilation_may_be_a_boolean(tmp_path, kind, value):
    path = make(kind, tmp_path)
    set_by_mutagen(path, {album_keys(path)[3]: value})
    assert read_tag(path).compilation is value


@pytest.mark.parametrize(
    ("kind", "key"),
    [("flac", "album artist"), ("opus", "Album Artist"), ("wavpack", "AlbumArtist")],
)
def test_an_album_artist_has_two_spellings(tmp_path, kind, key):
    path = make(kind, tmp_path)
    set_by_mutagen(path, {key: ["Various"]})
    assert read_tag(path).album_artist == "Various"


def test_an_album_of_id3v2_2_is_read(tmp_path):
    frames = [frame(b"TAL", b"\0A"), frame(b"TP2", b"\0B"), frame(b"TP1", b"\0C\0D")]
    path = with_front(tmp_path, id3_tag(2, b"".join(frames) + frame(b"TCP", b"\x001")))
    assert read_tag(path) == TagInfo((), "", "A", "B", "C", True)


def test_the_album_of_an_mp3_with_only_an_ape_tag_is_read_from_it(tmp_path):
    path = with_front(tmp_path, b"", ape_tag(Album="A", Artist="C", Genre="Rock", Compilation="1"))
    assert read_tag(path) == TagInfo(("Rock",), "", "A", "", "C", True)


@pytest.mark.parametrize("kind", ["wma", "wavpack"])
def test_an_album_that_is_not_text_is_empty(tmp_path, kind):
    path = make(kind, tmp_path)
    set_by_mutagen(path, {album_keys(path)[0]: b"\xff\1", album_keys(path)[2]: ["Anna"]})
    assert read_tag(path) == TagInfo(artist="Anna")
