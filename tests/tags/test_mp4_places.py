"""Every place of an MP4 where a reader finds a genre is read, kept in step and put back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import pytest
from helpers.mp4_files import (
    GEN,
    PLACES,
    box,
    freeform,
    full,
    gpp,
    handler,
    item,
    keyed,
    listed,
    quicktime,
    udta,
    with_places,
)
from helpers.programs import shown_by
from helpers.properties import examples
from helpers.tagged import frame, id3_tag
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import TagError
from tagger.tags.genre_tag import other_tags, read_genres, read_tag, restore_fields, write_genres
from tagger.tags.genre_tag import read_fields as fields_of
from tagger.tags.verify import digest_packets

NEW = ("Drum & Bass", "Tiếng Việt")
READERS = ("FFmpeg", "MediaInfo", "exiftool", "GStreamer", "TagLib", "mutagen")
each_place = pytest.mark.parametrize("place", PLACES)


def file_of(folder: Path, data: bytes) -> Path:
    path = folder / "sound.m4a"
    path.write_bytes(data)
    return path


def all_packets(path: Path) -> str:
    """Of all streams, so that chapters count too; read by FFmpeg."""
    digest = hashlib.sha256()
    with av.open(str(path), metadata_errors="replace") as media:
        for packet in media.demux():
            digest.update(bytes(packet))
    return digest.hexdigest()


@each_place
def test_a_genre_is_read(tmp_path, place):
    assert read_genres(file_of(tmp_path, with_places(PLACES[place]))) == ("Jazz",)


@pytest.mark.parametrize("layout", ["moov last", "moov first", "moov first, offsets of 64 bits"])
@each_place
def test_a_write_keeps_all_else_and_undo_gives_every_byte_back(tmp_path, place, layout):
    made = with_places(PLACES[place], moov_first="first" in layout, wide="64" in layout)
    path = file_of(tmp_path, made)
    fields, others = fields_of(path), other_tags(path)
    sound, packets = all_packets(path), digest_packets(path)
    write_genres(path, NEW, "note")
    assert read_genres(path) == NEW and read_tag(path).note == "note"
    assert (other_tags(path), all_packets(path), digest_packets(path)) == (others, sound, packets)
    restore_fields(path, fields)
    assert path.read_bytes() == made


@pytest.mark.parametrize("reader", READERS)
@each_place
def test_no_reader_shows_the_old_genre(tmp_path, place, reader):
    if reader == "mutagen" and "closing zeros" in place:
        return  # it cannot read such a file
    path = file_of(tmp_path, with_places(PLACES[place]))
    before = shown_by(reader, path)[0]
    write_genres(path, ["Ska"])
    after = shown_by(reader, path)[0]
    assert set(after.genres) <= {"Ska"}
    assert after.genres or not before.genres
    assert after.title == before.title or not before.title


@each_place
def test_players_find_the_new_genre(tmp_path, place):
    path = file_of(tmp_path, with_places(PLACES[place]))
    write_genres(path, NEW)
    if "closing zeros" not in place:  # neither TagLib nor mutagen can read such a file
        assert shown_by("TagLib", path)[0].genres == NEW
    if "without handler" not in place:  # FFmpeg ignores such a list
        # FFmpeg shows one value, of whichever place comes last.
        assert shown_by("FFmpeg", path)[0].genres[0] in (NEW[0], "; ".join(NEW))


@each_place
def test_the_list_of_itunes_counts_first(tmp_path, place):
    rock = udta(listed(item(GEN, "Rock"))), b"", b""
    path = file_of(tmp_path, with_places(rock, PLACES[place]))
    before, fields = path.read_bytes(), fields_of(path)
    assert read_genres(path) == ("Rock",)
    write_genres(path, NEW)
    assert b"Jazz" not in path.read_bytes()
    restore_fields(path, fields)
    assert path.read_bytes() == before


@examples(40)
@given(
    chosen=st.lists(st.sampled_from(sorted(PLACES)), min_size=1, max_size=4),
    genres=st.lists(st.sampled_from(["Ska", "Été", "日本", "Folk, World, & Country"]), min_size=1,
                    max_size=3, unique=True),
    moov_first=st.booleans(),
)  # fmt: skip
def test_undo_gives_back_any_places_byte_for_byte(tmp_path, chosen, genres, moov_first):
    path = file_of(tmp_path, with_places(*map(PLACES.get, chosen), moov_first=moov_first))
    before, fields, sound = path.read_bytes(), fields_of(path), all_packets(path)
    write_genres(path, genres)
    assert (read_genres(path), all_packets(path)) == (tuple(genres), sound)
    restore_fields(path, fields)
    assert path.read_bytes() == before


# --- single texts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("atom", "genres"),
    [
        (
            quicktime(GEN, "Musique française", language=0, codec="mac-roman"),
            ("Musique française",),
        ),
        (quicktime(GEN, "Été", language=0x15C7), ("Été",)),
        (quicktime(GEN, "Jazz", "Bebop"), ("Jazz", "Bebop")),
        (quicktime(GEN, "Jazz") + quicktime(GEN, "Bebop"), ("Jazz", "Bebop")),
        (quicktime(GEN, ""), ()),
        (gpp(b"gnre", "\ufeff日本", "utf-16-le"), ("日本",)),
        (gpp(b"gnre", ""), ()),
    ],
)
def test_texts_of_user_data(tmp_path, atom, genres):
    path = file_of(tmp_path, with_places((udta(atom), b"", b"")))
    before, fields = path.read_bytes(), fields_of(path)
    assert read_genres(path) == genres
    write_genres(path, ["日本", "Ska"])
    assert shown_by("exiftool", path)[0].genres[-1] in ("日本; Ska", "Ska")
    restore_fields(path, fields)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "atom",
    [
        quicktime(GEN, "Été", codec="latin-1"),
        gpp(b"gnre", "Été", "latin-1"),
        listed(box(GEN, box(b"data", bytes(8), b"\xff\xfe\xfd"))),
        listed(box(GEN, box(b"data", b"\0\0\0\x0d", bytes(4), b"JFIF"))),
    ],
)
def test_a_genre_that_is_not_text_is_not_overwritten(tmp_path, atom):
    path = file_of(tmp_path, with_places((udta(atom), b"", b"")))
    before = path.read_bytes()
    with pytest.raises(TagError, match="cannot be read and would be lost; remove it first"):
        write_genres(path, ["Ska"])
    assert path.read_bytes() == before


def test_an_id3_tag_inside_is_read_and_not_overwritten(tmp_path):
    tag = id3_tag(4, frame(b"TCON", b"\3Jazz"))
    meta = full(b"meta", handler(b"ID32"), full(b"ID32", b"\x15\xc7", tag))
    path = file_of(tmp_path, with_places((meta, b"", b"")))
    before = path.read_bytes()
    assert read_genres(path) == ("Jazz",) == shown_by("GStreamer", path)[0].genres
    with pytest.raises(TagError, match=r"ID32.*ffmpeg -i OLD"):
        write_genres(path, ["Ska"])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "movie",
    [
        udta(listed(item(b"\xa9alb", "Album"), item(b"aART", "Various"), item(b"\xa9ART", "Anna"))),
        udta(quicktime(b"\xa9alb", "Album"), quicktime(b"aART", "Various"),
             quicktime(b"\xa9ART", "Anna")),
        keyed(com_apple_quicktime_album="Album", album_artist="Various", artist="Anna"),
        udta(keyed(album="Album", albumartist="Various", artist="Anna")),
        udta(gpp(b"albm", "Album"), gpp(b"perf", "Anna"), quicktime(b"aART", "Various")),
    ],
)  # fmt: skip
def test_album_and_artists_are_read_where_genres_are(tmp_path, movie):
    tag = read_tag(file_of(tmp_path, with_places((movie, b"", b""))))
    assert (tag.album, tag.album_artist, tag.artist) == ("Album", "Various", "Anna")


# --- what must not change -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Title", b"Tidal"),
        (b"com.apple.quicktime.genre", b"com.apple.quicktime.gonre"),
        (b"SoundHandler", b"SoundHandles"),
        (b"One", b"Owe"),  # in Nero's chapters, and the text track
        (b"\0\0\0\x01\0\0", b"\0\0\0\x02\0\0"),
    ],
)
def test_a_change_of_anything_else_is_noticed(tmp_path, old, new):
    extra = udta(TITLE_ITEM, keyed(com_apple_quicktime_genre="Jazz")), b"", b""
    made = with_places(extra)
    path = file_of(tmp_path, made)
    before = other_tags(path)
    assert old in made
    path.write_bytes(made.replace(old, new))
    assert other_tags(path) != before


TITLE_ITEM = quicktime(b"\xa9nam", "Title")


@pytest.mark.parametrize("wide", [False, True])
def test_an_offset_that_leads_elsewhere_is_noticed(tmp_path, wide):
    made = with_places(PLACES["user data"], moov_first=True, wide=wide)
    path = file_of(tmp_path, made)
    before = other_tags(path)
    at = made.index(b"co64" if wide else b"stco") + (19 if wide else 15)
    path.write_bytes(made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :])
    assert other_tags(path) != before


def test_the_same_genre_of_other_names_stays(tmp_path):
    kept = [freeform(b"SUBGENRE", "Jazz"), freeform(b"GENRES", "Jazz"), item(b"\xa9grp", "Jazz")]
    path = file_of(tmp_path, with_places((udta(listed(*kept)), b"", b"")))
    assert read_genres(path) == ()
    write_genres(path, ["Ska"])
    assert all(atom in path.read_bytes() for atom in kept)


@pytest.mark.parametrize("name", [b"iloc", b"saio"])
def test_offsets_that_are_not_corrected_are_a_reason(tmp_path, name):
    path = file_of(tmp_path, with_places((full(b"meta", full(name)), b"", b"")))
    before = path.read_bytes()
    with pytest.raises(TagError, match="would become wrong; make a plain one with: ffmpeg"):
        write_genres(path, ["Ska"])
    assert path.read_bytes() == before


def test_a_list_that_is_cut_off_is_a_reason(tmp_path):
    path = file_of(tmp_path, with_places(PLACES["list"])[:-3])
    before = path.read_bytes()
    with pytest.raises(TagError, match="cut off, or its size is wrong; make a sound one"):
        write_genres(path, ["Ska"])
    assert path.read_bytes() == before
