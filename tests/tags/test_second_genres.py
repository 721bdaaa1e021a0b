"""A genre in a second place of a tag is read; it is kept in step, or a reason not to write."""

from __future__ import annotations

import struct

import mutagen
import pytest
from helpers.containers import make
from helpers.programs import shown_by
from helpers.tagged import riff_info, set_by_mutagen
from mutagen import id3
from mutagen.asf import ASF

from tagger.errors import TagError
from tagger.tags.genre_tag import (
    other_tags,
    read_fields,
    read_genres,
    restore_fields,
    write_genres,
)

ID3_KINDS = ["mp3", "mp2", "tta", "wav", "aiff", "dsf", "dsdiff"]


def with_frame(kind, folder, description, encoding, genre=""):
    path = make(kind, folder)
    media = mutagen.File(path)
    if media.tags is None:
        media.add_tags()
    media.tags.add(id3.TIT2(encoding=3, text=["Title"]))
    media.tags.add(id3.TXXX(encoding=encoding, desc=description, text=["Jazz"]))
    if genre:
        media.tags.add(id3.TCON(encoding=3, text=[genre]))
    media.save()
    return path


@pytest.mark.parametrize("encoding", [0, 1, 3])
@pytest.mark.parametrize("description", ["GENRE", "Genre", "genre"])
@pytest.mark.parametrize("kind", ID3_KINDS)
def test_a_genre_in_an_id3_frame_of_its_own_is_read_and_not_overwritten(
    tmp_path, kind, description, encoding
):
    path = with_frame(kind, tmp_path, description, encoding)
    before = path.read_bytes()
    assert read_genres(path) == ("Jazz",)
    with pytest.raises(TagError, match=r"TXXX:GENRE.*first move its text to the genre"):
        write_genres(path, ["Ska"])
    assert path.read_bytes() == before


def test_taglib_shows_both_genres_of_an_id3_tag(tmp_path):
    path = with_frame("mp3", tmp_path, "GENRE", 3, "Rock")
    assert shown_by("TagLib", path)[0].genres == ("Rock", "Jazz")
    assert read_genres(path) == ("Rock",)
    with pytest.raises(TagError, match="TXXX:GENRE"):
        write_genres(path, ["Ska"])


@pytest.mark.parametrize("description", ["SUBGENRE", "GENRES", "STYLE", "My genre"])
def test_other_frames_of_a_user_are_no_genre(tmp_path, description):
    path = with_frame("mp3", tmp_path, description, 3)
    assert read_genres(path) == ()
    write_genres(path, ["Ska"])
    assert mutagen.File(path)[f"TXXX:{description}"].text == ["Jazz"]


@pytest.mark.parametrize("reader", ["FFmpeg", "MediaInfo", "exiftool", "TagLib"])
@pytest.mark.parametrize("name", ["Genre", "genre", "GENRE"])
def test_attributes_of_an_asf_are_kept_in_step(tmp_path, name, reader):
    path = make("wma", tmp_path)
    set_by_mutagen(path, {"Title": ["Title"], name: ["Jazz"]})
    before, others = read_fields(path), other_tags(path)
    assert read_genres(path) == ("Jazz",)
    write_genres(path, ["Ska"])
    assert read_genres(path) == ("Ska",)
    shown = shown_by(reader, path)[0].genres
    assert {part for text in shown for part in text.split(" / ")} == {"Ska"}  # as MediaInfo joins
    assert [str(value) for value in ASF(path)[name]] == ["Ska"]
    assert other_tags(path) == others
    restore_fields(path, before)
    assert read_fields(path) == before
    assert [str(value) for value in ASF(path)[name]] == ["Jazz"]


def test_wm_genre_counts_before_another_attribute(tmp_path):
    path = make("wma", tmp_path)
    set_by_mutagen(path, {"Genre": ["Jazz"], "WM/Genre": ["Rock"]})
    assert read_genres(path) == ("Rock",)


def test_a_second_info_list_is_read_and_not_hidden(tmp_path):
    path = make("wav", tmp_path)
    title = b"INAM" + struct.pack("<I", 6) + b"Title\0"
    first = b"LIST" + struct.pack("<I", 4 + len(title)) + b"INFO" + title
    data = path.read_bytes() + first + riff_info(b"Jazz\0")
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    before = path.read_bytes()
    assert read_genres(path) == ("Jazz",) == shown_by("FFmpeg", path)[0].genres
    with pytest.raises(TagError, match=r"second RIFF INFO list.*Kid3"):
        write_genres(path, ["Ska"])
    assert path.read_bytes() == before
