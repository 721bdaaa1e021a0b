"""ID3v2 tags: other frames keep their bytes, versions stay, damage is refused."""

from __future__ import annotations

import struct

import mutagen
import pytest
from helpers.containers import make
from helpers.tagged import (
    GENRES,
    frame,
    id3_tag,
    id3v1,
    tag_with_mutagen,
    with_front,
)
from mutagen import id3

from tagger.errors import TagError
from tagger.tags.genre_tag import (
    other_tags,
    read_fields,
    read_genres,
    read_tag,
    restore_fields,
    write_genres,
)
from tagger.types import TagInfo


def test_id3_numbers_are_read_as_names(tmp_path):
    path = make("mp3", tmp_path)
    tag_with_mutagen(path, genre=["17", "(4)Eurodisco", "RX", "rock", " "])
    assert read_genres(path) == ("Rock", "Disco", "Eurodisco", "Remix")


CHAPTER = b"c1\0" + struct.pack(">4I", 0, 9, 2**32 - 1, 2**32 - 1) + frame(b"TIT2", b"\0One\0")
ODD_FRAMES = [
    frame(b"TIT2", b"\0Title"),
    frame(b"TPE1", b"\0Anna\0Bert\0"),
    frame(b"TYER", b"\0001999"),
    frame(b"TDRC", b"\x002001-02-03"),
    frame(b"TSOP", b"\0Sorted"),
    frame(b"TMOO", b"\0Calm"),
    frame(b"RVA2", b"track\0\1\xff\x80\0"),
    frame(b"RVAD", b"\0\x10\0\1\0\1"),
    frame(b"CHAP", CHAPTER),
    frame(b"CTOC", b"toc\0\3\1c1\0"),
    frame(b"XYZZ", b"unknown", 0x2000),
    frame(b"TALB", b"\1\xff\xfeA"),  # half a character: mutagen drops it
    frame(b"APIC", b"\0PNG\0\3\0" + bytes(range(100))),
    frame(b"TXXX", b"", 0),
    frame(b"TP1\0", b"\0a 2.2 name"),
]


@pytest.mark.parametrize("major", [3, 4])
@pytest.mark.parametrize("genre", [b"", frame(b"TCON", b"\0(17)")])
def test_every_other_frame_keeps_its_bytes(tmp_path, major, genre):
    path = with_front(tmp_path, id3_tag(major, b"".join(ODD_FRAMES) + genre))
    write_genres(path, GENRES)
    data = path.read_bytes()
    assert data[3] == major
    assert b"".join(ODD_FRAMES) in data


def test_id3v2_3_gets_one_joined_value(tmp_path):
    path = with_front(tmp_path, id3_tag(3, b"".join(ODD_FRAMES)))
    write_genres(path, ["Rock", "Jazz"])
    assert id3.ID3(path, translate=False)["TCON"].text == ["Rock; Jazz"]
    assert read_genres(path) == ("Rock", "Jazz")


def test_only_id3v2_3_is_split(tmp_path):
    path = with_front(tmp_path, id3_tag(4, frame(b"TCON", b"\3Rock; Jazz")))
    assert read_genres(path) == ("Rock; Jazz",)


def test_id3v2_2_stays_2_2(tmp_path):
    title = b"TT2\0\0\6\0Title"
    path = with_front(tmp_path, id3_tag(2, title + b"TCO\0\0\5\0(17)" + b"XXX\0\0\1?"))
    assert read_genres(path) == ("Rock",)
    write_genres(path, ["Jazz", "Élan"])
    assert path.read_bytes()[3] == 2
    assert title + b"XXX\0\0\1?" in path.read_bytes()
    assert id3.ID3(path)["TCON"].text == ["Jazz; Élan"]


def test_unsynchronised_tag_keeps_its_picture(tmp_path):
    picture = frame(b"APIC", b"\0image/png\0\3\0" + b"\xff\xe0\xff\0" * 9 + b"end")
    coded = picture.replace(b"\xff\0", b"\xff\0\0").replace(b"\xff\xe0", b"\xff\0\xe0")
    path = with_front(tmp_path, id3_tag(3, coded, flags=0x80))
    before = id3.ID3(path)["APIC:"].data
    write_genres(path, GENRES)
    assert id3.ID3(path)["APIC:"].data == before


def test_plain_frame_sizes_of_itunes_are_understood(tmp_path):
    picture = frame(b"APIC", b"\0image/png\0\3\0" + bytes(300))
    path = with_front(tmp_path, id3_tag(4, picture + frame(b"TCON", b"\3Rock") + bytes(50)))
    write_genres(path, ["x" * 200])
    assert picture in path.read_bytes()
    assert read_genres(path) == ("x" * 200,)


def test_bytes_after_the_frames_stay(tmp_path):
    path = with_front(tmp_path, id3_tag(4, frame(b"TIT2", b"\3T") + b"\0\0not a frame\0"))
    write_genres(path, GENRES)
    assert b"\0\0not a frame\0" in path.read_bytes()


@pytest.mark.parametrize("tag", [id3_tag(5, bytes(99)), b"ID3\4\0\0\x7f\x7f\x7f\x7f"])
def test_an_unreadable_id3v2_is_refused(tmp_path, tag):
    path = with_front(tmp_path, tag, id3v1(17))
    before = path.read_bytes()
    for step in (read_genres, read_fields, other_tags, lambda path: write_genres(path, ["Rock"])):
        with pytest.raises(TagError):
            step(path)
    assert path.read_bytes() == before


def footer_flagged(major: int) -> bytes:
    """A tag with the footer flag, and with a footer if its version has one."""
    tag = id3_tag(major, frame(b"TT2" if major == 2 else b"TIT2", b"\0T"), 0x10)
    return tag + b"3DI" + tag[3:10] if major == 4 else tag


@pytest.mark.parametrize("major", [2, 4])
def test_the_footer_flag_removes_no_audio(tmp_path, major):
    path, tag = with_front(tmp_path, footer_flagged(major)), footer_flagged(major)
    audio, fields = path.read_bytes()[len(tag) :], read_fields(path)
    assert read_tag(path) == TagInfo()
    write_genres(path, GENRES)
    assert read_genres(path) == GENRES
    assert path.read_bytes().endswith(b"\0" + audio)
    restore_fields(path, fields)
    assert path.read_bytes().endswith(b"\0" + audio)
    assert str(id3.ID3(path)["TIT2"]) == "T"


@pytest.mark.parametrize("follows", [b"", b"\xff\xfb\x90\0", bytes(10)])
def test_an_id3v2_4_tag_that_lacks_its_footer_is_refused(tmp_path, follows):
    """Where the audio starts is in doubt: with the tag, its first ten bytes would be replaced."""
    path = with_front(tmp_path, footer_flagged(4)[:-10] + follows)
    before = path.read_bytes()
    for step in (read_tag, read_fields, lambda path: write_genres(path, ["Rock"])):
        with pytest.raises(TagError, match="claims a footer that it lacks"):
            step(path)
    assert path.read_bytes() == before


def test_an_id3v2_3_tag_with_the_footer_flag_is_refused(tmp_path):
    path = with_front(tmp_path, footer_flagged(3))  # 2.3 leaves this flag undefined
    before = path.read_bytes()
    for step in (read_tag, read_fields, lambda path: write_genres(path, ["Rock"])):
        with pytest.raises(TagError, match="unknown version"):
            step(path)
    assert path.read_bytes() == before


def test_undo_leaves_the_file_as_it_was(tmp_path):
    padded = id3_tag(3, frame(b"TCON", b"\0Rock\0") + frame(b"TIT2", b"\0Title") + bytes(500))
    path = with_front(tmp_path, padded)
    before, fields = path.read_bytes(), read_fields(path)
    write_genres(path, GENRES)
    restore_fields(path, fields)
    assert path.read_bytes() == before


ENTITLED = frame(b"TIT2", b"\0T\xff\0\xe0x") + frame(b"TPE1", b"\0Artist")
EXTRA = b"\0\0\0\x0a" + bytes(6)  # ID3v2.3 leaves the size itself out; some writers count it
DAMAGED = {
    "extended header that counts itself": id3_tag(3, EXTRA + ENTITLED + bytes(99), 0x40),
    "extended header up to the padding": id3_tag(
        3, b"\0\0\0\x50" + bytes(6) + ENTITLED + bytes(99), 0x40
    ),
    "sizes after unsynchronisation": id3_tag(3, ENTITLED + bytes(99), 0x80),
    "the same, and much padding": id3_tag(3, ENTITLED + bytes(4000), 0x80),
    "2.4, extended header too small": id3_tag(
        4, b"\0\0\0\6\1\0" + bytes(4) + ENTITLED + bytes(99), 0x40
    ),
}


@pytest.mark.parametrize("tag", DAMAGED.values(), ids=DAMAGED)
def test_an_id3v2_tag_with_inconsistent_sizes_is_refused(tmp_path, tag):
    path = with_front(tmp_path, tag)
    before = path.read_bytes()
    with pytest.raises(TagError, match="is damaged"):
        write_genres(path, ["Rock"])
    assert path.read_bytes() == before


def test_a_valid_extended_header_is_dropped_without_a_frame(tmp_path):
    title = frame(b"TIT2", b"\0Title")
    path = with_front(tmp_path, id3_tag(3, b"\0\0\0\6" + bytes(6) + title + bytes(99), 0x40))
    write_genres(path, ["Rock"])
    assert title in path.read_bytes()


@pytest.mark.parametrize("major", [2, 3, 4])
def test_frames_named_like_the_genre_survive(tmp_path, major):
    names = (b"TCM", b"TCR", b"TCP") if major == 2 else (b"TCOM", b"TCOP", b"TCMP")
    body = b"".join(frame(name, b"\0x") for name in names)
    path = with_front(tmp_path, id3_tag(major, body))
    write_genres(path, ["Jazz"])
    tags = mutagen.id3.ID3(path, translate=False)
    assert [str(tags[name]) for name in ("TCOM", "TCOP", "TCON")] == ["x", "x", "Jazz"]
    assert "TCMP" in tags
