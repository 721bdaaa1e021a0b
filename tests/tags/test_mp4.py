"""The tag list of an MP4: other items keep their bytes."""

from __future__ import annotations

import mutagen
import pytest
from helpers.containers import make
from helpers.mp4_files import with_places
from helpers.tagged import (
    GENRES,
    tag_with_mutagen,
)
from mutagen.mp4 import MP4

from tagger.errors import TagError
from tagger.tags.genre_tag import (
    read_fields,
    read_genres,
    read_tag,
    restore_fields,
    write_genres,
)
from tagger.tags.mp4 import GENRE, items
from tagger.tags.rehearse import check_restore
from tagger.types import GenreFields


def test_items_of_an_mp4_keep_their_bytes(tmp_path):
    path = make("m4a", tmp_path)
    media = mutagen.File(path)
    media["©nam"] = ["Title"]
    media["covr"] = [mutagen.mp4.MP4Cover(b"BM" + bytes(64), 13)]
    media["pgap"] = True
    media.save()
    # A type that mutagen does not know (BMP), and an item of its own making.
    odd = path.read_bytes().replace(b"\0\0\0\x0d\0\0\0\0BM", b"\0\0\0\x1b\0\0\0\0BM")
    path.write_bytes(odd)
    with path.open("rb") as file:
        before = list(items(file))
    assert any(b"\x1b\0\0\0\0BM" in data for _, data in before)
    write_genres(path, ["Jazz", "Bebop"])
    assert mutagen.File(path)["©gen"] == ["Jazz", "Bebop"]
    with path.open("rb") as file:
        assert [item for item in items(file) if item[0] not in GENRE] == before


@pytest.mark.parametrize("name", [b"moof", b"mfra"])
def test_a_fragmented_mp4_is_refused(tmp_path, name):
    path = make("m4a", tmp_path)
    data = path.read_bytes() + b"\0\0\0\x08" + name
    path.write_bytes(data)
    with pytest.raises(TagError, match="fragmented"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == data


def test_an_mp4_genre_that_cannot_be_read_is_not_lost(tmp_path):
    path = make("m4a", tmp_path)
    write_genres(path, ["Jazz"])
    path.write_bytes(path.read_bytes().replace(b"Jazz", b"J\xff\xffz"))
    before = path.read_bytes()
    with pytest.raises(TagError, match="cannot be read"):
        write_genres(path, ["Rock"])
    assert path.read_bytes() == before


def test_an_old_gnre_atom_is_read(tmp_path):
    path = make("m4a", tmp_path)
    tag_with_mutagen(path, genre=["xx"])
    data = path.read_bytes()
    at = data.index(b"\xa9gen")
    value = b"gnre" + data[at + 4 : at + 8] + b"data" + bytes(8) + b"\0\x12"  # 18 - 1: Rock
    path.write_bytes(data[:at] + value + data[at + len(value) :])
    assert read_genres(path) == ("Rock",)
    write_genres(path, GENRES)
    assert read_genres(path) == GENRES


def test_an_m4a_named_mp3_is_still_an_m4a(tmp_path):
    path = make("m4a", tmp_path).rename(tmp_path / "sound.mp3")
    write_genres(path, GENRES)
    assert tuple(MP4(path)["©gen"]) == GENRES


def test_an_entry_of_an_older_journal_is_restored(tmp_path):
    """It holds the texts of the list, not its bytes."""
    path = make("m4a", tmp_path)
    tag_with_mutagen(path, title=["Title"])
    write_genres(path, ["Ska"], "note")
    restore_fields(path, GenreFields({"©gen": ("Rock", "Jazz")}, has_tags=True))
    assert tuple(MP4(path)["©gen"]) == ("Rock", "Jazz")
    assert read_tag(path).note == ""
    restore_fields(path, GenreFields({}, has_tags=True))
    assert "©gen" not in MP4(path) and MP4(path)["©nam"] == ["Title"]


def test_a_list_that_an_earlier_version_made_is_removed(tmp_path):
    """It was made by mutagen, with padding."""
    path = tmp_path / "sound.m4a"
    path.write_bytes(with_places((b"", b"", b"")))
    before = read_fields(path)
    assert not before.has_tags
    media = MP4(path)
    media.add_tags()
    media["\u00a9gen"] = ["Rock"]
    media.save()
    check_restore(path, before)
    restore_fields(path, before)
    assert read_fields(path) == before
