"""A genre in a second place of a tag is read; it is kept in step, or a reason not to write."""

from __future__ import annotations

import struct

import mutagen
import pytest
from helpers.containers import make
from helpers.mp4_files import box
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


def with_chunk(path, name, content):
    content += b"\0" * (len(content) % 2)
    data = path.read_bytes() + name + struct.pack("<I", len(content)) + content
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


@pytest.mark.parametrize(
    ("key", "reader"), [(b"ignr", "GStreamer"), (b"ignr", "FFmpeg"), (b"GENR", "exiftool")]
)
def test_another_key_of_an_info_list_that_readers_show_is_replaced(tmp_path, key, reader):
    path = make("wav", tmp_path)
    title = b"INAM" + struct.pack("<I", 6) + b"Title\0"
    with_chunk(path, b"LIST", b"INFO" + title + key + struct.pack("<I", 6) + b"Jazz\0\0")
    assert shown_by(reader, path)[0].genres == ("Jazz",) == read_genres(path)
    before = read_fields(path)
    write_genres(path, ["Ska"])
    assert set(shown_by(reader, path)[0].genres) == {"Ska"} == set(read_genres(path))
    assert b"Jazz" not in path.read_bytes()
    assert shown_by("TagLib", path)[0].title == "Title"
    restore_fields(path, before)
    assert read_genres(path) == ("Jazz",)


XMP = b"<x:xmpmeta><rdf:Description %b</rdf:Description></x:xmpmeta>"
AS_ELEMENT = XMP % b"><xmpDM:genre>Rock &amp; Roll</xmpDM:genre>"
AS_ATTRIBUTE = XMP % b'xmpDM:genre="Rock &amp; Roll">'
XMP_ATOM = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
XMP_PLACES = ["m4a", "wav chunk", "wav", "aiff", "mp3", "tta"]


def with_xmp(place, folder, packet):
    path = make(place.split()[0], folder)
    if place == "m4a":
        path.write_bytes(path.read_bytes() + box(b"uuid", XMP_ATOM, packet))
    elif place == "wav chunk":
        with_chunk(path, b"_PMX", packet)
    else:
        media = mutagen.File(path)
        if media.tags is None:
            media.add_tags()
        media.tags.delall("TCON")
        media.tags.add(id3.PRIV(owner="XMP", data=packet))
        media.save()
    return path


@pytest.mark.parametrize("packet", [AS_ELEMENT, AS_ATTRIBUTE], ids=["element", "attribute"])
@pytest.mark.parametrize("place", XMP_PLACES)
def test_a_genre_in_xmp_is_read_and_not_contradicted(tmp_path, place, packet):
    path = with_xmp(place, tmp_path, packet)
    before = path.read_bytes()
    assert shown_by("exiftool", path)[0].genres == ("Rock & Roll",) == read_genres(path)
    with pytest.raises(TagError, match="XMP"):
        write_genres(path, ["Ska"])
    assert path.read_bytes() == before


@pytest.mark.parametrize("place", XMP_PLACES)
def test_xmp_without_a_genre_stops_no_write(tmp_path, place):
    path = with_xmp(place, tmp_path, XMP % b"><xmpDM:artist>Anna</xmpDM:artist>")
    write_genres(path, ["Ska"])
    assert read_genres(path) == ("Ska",)


def test_a_genre_that_windows_keeps_in_an_mp4_is_read_and_not_contradicted(tmp_path):
    path = make("m4a", tmp_path)
    text = "Jazz\0".encode("utf-16-le")
    entry = struct.pack(">I", 8) + b"WM/Genre" + struct.pack(">IIH", 1, 6 + len(text), 8) + text
    xtra = box(b"Xtra", struct.pack(">I", 4 + len(entry)) + entry)
    path.write_bytes(path.read_bytes() + box(b"moov", box(b"udta", xtra)))
    before = path.read_bytes()
    assert shown_by("exiftool", path)[0].genres == ("Jazz",) == read_genres(path)
    with pytest.raises(TagError, match="Xtra"):
        write_genres(path, ["Ska"])
    assert path.read_bytes() == before
