"""Vorbis comments and ASF: what mutagen would not keep is refused."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import mutagen
import pytest
from helpers.containers import make
from helpers.tagged import (
    GENRES,
    frame,
    id3_tag,
    tag_with_mutagen,
)
from mutagen.flac import FLAC, Picture

from tagger.errors import TagError
from tagger.tags.genre_tag import (
    other_tags,
    read_fields,
    read_genres,
    restore_fields,
    write_genres,
)


def test_the_size_that_an_asf_states_stays_correct(tmp_path):
    path = make("wma", tmp_path)
    fields = read_fields(path)
    assert stated_size(path) == path.stat().st_size
    write_genres(path, ["Jazz" * 500])
    assert stated_size(path) == path.stat().st_size
    restore_fields(path, fields)
    assert stated_size(path) == path.stat().st_size


def test_a_wrong_size_in_an_asf_is_left_alone(tmp_path):
    path = make("wma", tmp_path)
    size = struct.pack("<Q", stated_size(path))
    path.write_bytes(path.read_bytes().replace(size, struct.pack("<Q", 77)))
    write_genres(path, ["Jazz"])
    assert stated_size(path) == 77


def stated_size(path: Path) -> int:
    data = path.read_bytes()
    at = data.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")) + 40
    return int(struct.unpack("<Q", data[at : at + 8])[0])


def test_a_flac_keeps_its_pictures_and_an_id3_tag_in_front(tmp_path):
    path = make("flac", tmp_path)
    media = FLAC(path)
    picture = Picture()
    picture.data, picture.mime = bytes(range(256)), "image/png"
    media.add_picture(picture)
    media["title"] = "Title"
    media.save()
    front = id3_tag(4, frame(b"TIT2", b"\3Front") + bytes(30))
    path.write_bytes(front + path.read_bytes())
    before = other_tags(path)
    write_genres(path, GENRES)
    assert path.read_bytes().startswith(front)
    assert other_tags(path) == before
    assert FLAC(path).pictures[0].data == picture.data


def test_a_flac_picture_that_would_be_changed_is_refused(tmp_path):
    path = make("flac", tmp_path)
    media, picture = FLAC(path), Picture()
    picture.data, picture.mime, picture.desc = b"data", "image/png", "Fr*hling"
    media.add_picture(picture)
    media.save()
    data = path.read_bytes().replace(b"Fr*hling", b"Fr\xfchling")
    path.write_bytes(data)
    with pytest.raises(TagError, match="block of type 6"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == data


def test_vorbis_keys_in_any_case_are_the_same(tmp_path):
    path = make("vorbis", tmp_path)
    media = mutagen.File(path)
    media.tags.extend([("genre", "Rock"), ("Genre", "Jazz"), ("GENRE", "rock")])
    media.save()
    assert read_genres(path) == ("Rock", "Jazz")
    write_genres(path, ["Blues"])
    assert mutagen.File(path)["genre"] == ["Blues"]


def test_comments_that_mutagen_would_spoil_are_refused(tmp_path):
    path = make("flac", tmp_path)
    tag_with_mutagen(path, title=["Caf*"])
    path.write_bytes(path.read_bytes().replace(b"Caf*", b"Caf\xe9"))
    before = path.read_bytes()
    with pytest.raises(TagError, match="not UTF-8"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == before
    fixed = path.read_bytes().replace(b"Caf\xe9", b"Cafe")
    path.write_bytes(re.sub(b"title=", b"t\xc3\xa4tl=", fixed, flags=re.IGNORECASE))
    with pytest.raises(TagError, match="not ASCII"):
        write_genres(path, ["Jazz"])
