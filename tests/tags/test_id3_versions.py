"""The version of a new ID3v2 tag, the conversion of an old one, and the separator before 2.4."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from helpers.containers import make, packets
from helpers.readers import by_ffmpeg, by_taglib, changes, other_than_genre
from helpers.tagged import frame, id3_tag, id3v1, with_front
from mutagen import File, id3

from tagger.errors import TagError
from tagger.tags.genre_tag import (
    other_tags,
    read_fields,
    read_genres,
    read_tag,
    restore_fields,
    write_genres,
)
from tagger.types import TagOptions

Version = Literal["2.3", "2.4"]
GENRES = ["Rock", "Música", "Рок"]
ID3_KINDS = ["mp3", "tta", "wav", "aiff", "dsf", "dsdiff"]
TO_23, TO_24 = TagOptions(id3="2.3"), TagOptions(id3="2.4")

# Frames that both versions have, in every encoding of the newer one.
COMMON = [
    id3.TIT2(encoding=3, text=["Título"]),
    id3.TPE1(encoding=3, text=["Anna", "Бэлла"]),
    id3.TALB(encoding=2, text=["Альбом"]),
    id3.TPE2(encoding=1, text=["Ælfric"]),
    id3.TRCK(encoding=0, text=["3/12"]),
    id3.COMM(encoding=3, lang="eng", desc="désc", text=["Nice", "Two"]),
    id3.USLT(encoding=3, lang="rus", desc="", text="Слова"),
    id3.TXXX(encoding=3, desc="MOÖD", text=["Calm", "Ω"]),
    id3.WXXX(encoding=3, desc="Ö", url="https://example.org"),
    id3.APIC(encoding=3, mime="image/png", type=3, desc="Ö", data=b"\x89PNG\xff\xe0\xff\0" * 99),
    id3.PRIV(owner="me", data=b"\xff\xfb\xff\0\1"),
    id3.UFID(owner="http://musicbrainz.org", data=b"1234"),
    id3.POPM(email="me", rating=200, count=3),
    id3.CHAP(
        element_id="c", start_time=0, end_time=100, sub_frames=[id3.TIT2(encoding=3, text="Ö")]
    ),
]
NEW = [
    id3.TSOP(encoding=3, text=["Änna"]),
    id3.TMOO(encoding=0, text=["Calm"]),
    id3.TSST(encoding=0, text=["Side A"]),
    id3.RVA2(desc="track", channel=1, gain=-3.5, peak=0.5),
]
DATES = ["2004", "2004-05", "2004-05-06", "2004-05-06T10:20:00", "2004-05-06T10", "99"]


def tagged(path: Path, frames: list[id3.Frame], major: int, text: str = "Old") -> Path:
    media = File(path)
    if media.tags is None:
        media.add_tags()
    for each in [*frames, id3.TCON(encoding=3, text=[text])]:
        media.tags.add(each)
    if major == 3:
        media.tags.update_to_v23()
    media.save(v2_version=major)
    return path


def as_mutagen(path: Path) -> dict[str, object]:
    """The content of each frame but the genre, in 2.4's terms."""
    tags = File(path).tags
    found = {key: getattr(tag, "text", None) or repr(tag) for key, tag in tags.items()}
    return {
        key: "".join(part for part in value.split(", ") if "encoding" not in part)
        if isinstance(value, str)
        else [str(text) for text in value]
        for key, value in found.items()
        if key not in ("TCON", "CHAP:c")
    }


def by_taglib_alone(path: Path) -> dict[str, object]:
    """All but the genre, the type of a picture as 2.2 names it, and frames of 2.3 for a date."""
    seen = other_than_genre(by_taglib(path))
    pictures = [{**picture, "mimeType": ""} for picture in seen.pop("PICTURE", [])]
    unknown = [name for name in seen.pop("unsupported") if not name.startswith("UNKNOWN/T")]
    return {**seen, "pictures": pictures, "unknown": unknown}


def major_of(path: Path) -> int:
    tags = File(path).tags
    assert tags is not None
    return tags.version[1]


@pytest.mark.parametrize("kind", ID3_KINDS)
@pytest.mark.parametrize(("id3_version", "major"), [("2.3", 3), ("2.4", 4), ("keep", 4)])
def test_a_new_tag_has_the_version_that_was_asked_for(tmp_path, kind, id3_version, major):
    path = make(kind, tmp_path)
    File(path).delete() if File(path).tags is not None else None
    data, fields, options = path.read_bytes(), read_fields(path), TagOptions(id3=id3_version)
    others = other_tags(path, options)
    write_genres(path, GENRES, "note", options)
    assert major_of(path) == major
    assert read_genres(path) == tuple(GENRES)
    assert by_taglib(path)["tag:GENRE"] == (GENRES if major == 4 else ["; ".join(GENRES)])
    assert other_tags(path, options) == others
    restore_fields(path, fields)
    assert path.read_bytes() == data


@pytest.mark.parametrize("kind", ID3_KINDS)
@pytest.mark.parametrize(("old", "options"), [(4, TO_23), (3, TO_24), (3, TO_23), (4, TO_24)])
def test_a_conversion_keeps_what_every_reader_shows(tmp_path, kind, old, options):
    path = tagged(make(kind, tmp_path), [*COMMON, id3.TDRC(encoding=0, text=["2004-05-06"])], old)
    shown, ffmpeg, view, audio = (
        by_taglib_alone(path),
        by_ffmpeg(path),
        as_mutagen(path),
        packets(path),
    )
    others = other_tags(path, options)
    write_genres(path, GENRES, "", options)
    assert f"2.{major_of(path)}" == options.id3
    assert as_mutagen(path) == view
    assert by_taglib_alone(path) == shown
    assert changes(ffmpeg, by_ffmpeg(path)) == {}
    assert [str(part) for part in File(path).tags["CHAP:c"].sub_frames["TIT2"].text] == ["Ö"]
    assert other_tags(path, options) == others
    assert packets(path) == audio
    assert read_genres(path) == tuple(GENRES)


def test_only_encodings_of_the_version_are_used(tmp_path):
    path = tagged(make("mp3", tmp_path), COMMON, 4)
    write_genres(path, GENRES, "", TO_23)
    tags = id3.ID3(path, translate=False)
    assert {tag.encoding for tag in tags.values() if hasattr(tag, "encoding")} <= {0, 1}
    sizes = path.read_bytes()
    at = sizes.index(b"APIC") + 4
    assert int.from_bytes(sizes[at : at + 4], "big") > 127 * 6  # not synchsafe


@pytest.mark.parametrize("there_and_back", [False, True])
@pytest.mark.parametrize("date", DATES)
def test_no_part_of_a_date_is_lost(tmp_path, date, there_and_back):
    frames = [id3.TDRC(encoding=0, text=[date]), id3.TDOR(encoding=3, text=[date])]
    path = tagged(make("mp3", tmp_path), frames, 4)
    before = as_mutagen(path)
    write_genres(path, ["Jazz"], "", TO_23)
    raw = id3.ID3(path, translate=False)
    if date != "99":
        assert (str(raw["TYER"]), str(raw["TORY"])) == ("2004", "2004")
    if "-06" in date:
        assert str(raw["TDAT"]) == "0605"
    if "T10:20" in date:
        assert str(raw["TIME"]) == "1020"
    if there_and_back:
        write_genres(path, ["Jazz"], "", TO_24)
        assert "TYER" not in id3.ID3(path, translate=False)
    assert as_mutagen(path) == before


@pytest.mark.parametrize("year", ["2004", "04", "2004 (remaster)"])
def test_no_odd_year_is_lost(tmp_path, year):
    body = frame(b"TYER", b"\0" + year.encode()) + frame(b"TDAT", b"\x000605")
    path = with_front(tmp_path, id3_tag(3, body))
    write_genres(path, ["Jazz"], "", TO_24)
    raw = id3.ID3(path, translate=False)
    assert str(raw["TDRC"] if year == "2004" else raw["TYER"]).startswith(year)


def test_people_stay_apart(tmp_path):
    frames = [
        id3.TIPL(encoding=3, people=[["producer", "Änna"]]),
        id3.TMCL(encoding=3, people=[["violin", "Bert"]]),
    ]
    path = tagged(make("mp3", tmp_path), frames, 4)
    write_genres(path, ["Jazz"], "", TO_23)
    raw = id3.ID3(path, translate=False)
    assert [list(pair) for pair in raw["IPLS"].people] == [["producer", "Änna"], ["violin", "Bert"]]
    write_genres(path, ["Jazz"], "", TO_24)
    raw = id3.ID3(path, translate=False)
    assert [list(pair) for pair in raw["TIPL"].people] == [["producer", "Änna"]]
    assert [list(pair) for pair in raw["TMCL"].people] == [["violin", "Bert"]]


def test_frames_that_2_3_lacks_are_kept(tmp_path):
    path = tagged(make("mp3", tmp_path), NEW, 4)
    before, shown = as_mutagen(path), by_taglib_alone(path)
    write_genres(path, ["Jazz"], "", TO_23)
    assert major_of(path) == 3
    assert as_mutagen(path) == before
    assert by_taglib_alone(path) == shown


@pytest.mark.parametrize("major", [3, 4])
def test_an_id3v2_2_tag_is_converted(tmp_path, major):
    picture = frame(b"PIC", b"\0PNG\3cover\0\x89PNG")
    body = frame(b"TT2", b"\0Title") + frame(b"TYE", b"\x002004") + picture
    body += frame(b"COM", b"\0eng\0Nice") + frame(b"TCO", b"\0(17)")
    path = with_front(tmp_path, id3_tag(2, body))
    before, shown = as_mutagen(path), by_taglib_alone(path)
    write_genres(path, GENRES, "", TagOptions(id3=f"2.{major}"))
    assert major_of(path) == major
    assert as_mutagen(path) == before
    assert by_taglib_alone(path) == shown


def synchsafe(number: int) -> bytes:
    return bytes(number >> 7 * i & 0x7F for i in (3, 2, 1, 0))


TEXT = "Ünïcode, ÿ and \xff".encode("utf-16")
PLAIN = b"\1" + TEXT
ODD_23 = {
    "compressed": frame(b"TIT2", struct.pack(">I", len(PLAIN)) + zlib.compress(PLAIN), 0x80),
    "read-only": frame(b"TIT2", PLAIN, 0x2000),
}
ODD_24 = {
    "compressed": frame(b"TIT2", synchsafe(len(PLAIN)) + zlib.compress(PLAIN), 0x09),
    "read-only": frame(b"TIT2", PLAIN, 0x1000),
    "unsynchronised": frame(b"TIT2", PLAIN.replace(b"\xff", b"\xff\0"), 0x02),
    "with its length": frame(b"TIT2", synchsafe(len(PLAIN)) + PLAIN, 0x01),
}


@pytest.mark.parametrize("odd", ODD_23)
def test_flags_of_2_3_are_understood(tmp_path, odd):
    path = with_front(tmp_path, id3_tag(3, ODD_23[odd]))
    write_genres(path, ["Jazz"], "", TO_24)
    assert str(id3.ID3(path)["TIT2"]) == PLAIN[1:].decode("utf-16")


@pytest.mark.parametrize("odd", ODD_24)
def test_flags_of_2_4_are_understood(tmp_path, odd):
    path = with_front(tmp_path, id3_tag(4, ODD_24[odd]))
    write_genres(path, ["Jazz"], "", TO_23)
    assert str(id3.ID3(path)["TIT2"]) == PLAIN[1:].decode("utf-16")


@pytest.mark.parametrize(("old", "options", "flag"), [(3, TO_24, 0x40), (4, TO_23, 0x20)])
def test_a_frame_stays_in_its_group(tmp_path, old, options, flag):
    """mutagen does not read the byte that names the group."""
    path = with_front(tmp_path, id3_tag(old, frame(b"TIT2", b"\7" + PLAIN, 0x60 - flag)))
    write_genres(path, ["Jazz"], "", options)
    assert frame(b"TIT2", b"\7" + PLAIN, flag) in path.read_bytes()


def test_an_unsynchronised_tag_is_understood(tmp_path):
    body = frame(b"TIT2", PLAIN).replace(b"\xff", b"\xff\0")
    path = with_front(tmp_path, id3_tag(3, body, 0x80))
    write_genres(path, ["Jazz"], "", TO_24)
    assert str(id3.ID3(path)["TIT2"]) == PLAIN[1:].decode("utf-16")


REFUSED = {
    "encrypted": (3, frame(b"TIT2", b"\x80" + PLAIN, 0x40), TO_24),
    "encrypted, 2.4": (4, frame(b"TIT2", b"\x80" + PLAIN, 0x04), TO_23),
    "a place in the file": (4, frame(b"SEEK", b"\0\0\1\0"), TO_23),
    "damaged": (3, frame(b"TIT2", struct.pack(">I", 9) + b"not zlib", 0x80), TO_24),
    "unknown in 2.2": (2, frame(b"XYZ", b"\0what"), TO_24),
    "a cut-off rest": (3, frame(b"TIT2", PLAIN) + b"TALB\0\0\1\0\0\0\0cut", TO_24),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_frame_that_would_be_lost_is_refused(tmp_path, why):
    major, body, options = REFUSED[why]
    path = with_front(tmp_path, id3_tag(major, body))
    data = path.read_bytes()
    with pytest.raises(TagError):
        write_genres(path, ["Jazz"], "", options)
    assert path.read_bytes() == data
    write_genres(path, ["Jazz"])  # in its own version, it stays as it is
    assert read_genres(path) == ("Jazz",)


def test_a_new_tag_in_2_3_repeats_the_id3v1(tmp_path):
    path = with_front(tmp_path, b"", id3v1(17))
    data, fields, others = path.read_bytes(), read_fields(path), other_tags(path, TO_23)
    write_genres(path, GENRES, "", TO_23)
    assert major_of(path) == 3
    assert str(id3.ID3(path, load_v1=False)["TIT2"]) == "Only here"
    assert other_tags(path, TO_23) == others
    restore_fields(path, fields)
    assert path.read_bytes() == data


@pytest.mark.parametrize("join", ["; ", "/", " / ", "\0", ";", ", "])
@pytest.mark.parametrize("major", [2, 3])
def test_the_separator_is_written_and_read(tmp_path, join, major):
    title = frame(b"TT2" if major == 2 else b"TIT2", b"\0Title")
    path = with_front(tmp_path, id3_tag(major, title))
    write_genres(path, GENRES, "", TagOptions(id3v23_join=join))
    expected = GENRES if join == "\0" else [join.join(GENRES)]
    assert id3.ID3(path, translate=False)["TCON"].text == expected
    assert by_taglib(path)["tag:GENRE"] == expected
    assert read_tag(path, TagOptions(id3v23_join=join)).genres == tuple(GENRES)
    if join in ("; ", "\0"):
        assert read_genres(path) == tuple(GENRES)


def test_a_name_that_holds_the_separator_stays_whole(tmp_path):
    path = with_front(tmp_path, id3_tag(3, frame(b"TIT2", b"\0Title")))
    write_genres(path, ["R&B/Soul", "Jazz"], "", TagOptions(id3v23_join="/"))
    assert read_genres(path) == ("R&B/Soul", "Jazz")
    write_genres(path, ["R&B/Soul"], "", TagOptions(id3v23_join="/"))
    assert read_genres(path) == ("R&B/Soul",)


@pytest.mark.parametrize("kind", ID3_KINDS)
@pytest.mark.parametrize(("old", "options"), [(4, TO_23), (3, TO_24)])
def test_undo_after_another_edit_restores_the_genre_in_the_new_version(
    tmp_path, kind, old, options
):
    path = tagged(make(kind, tmp_path), [id3.TIT2(encoding=3, text=["Título"])], old, "Älter")
    fields = replace(read_fields(path), options=options)
    write_genres(path, GENRES, "note", options)
    media = File(path)
    media.tags.add(id3.POPM(email="me", rating=200, count=3))
    media.tags.update_to_v23() if options == TO_23 else None
    media.save(v2_version=int(options.id3[-1]))
    others = other_tags(path, options)
    restore_fields(path, fields)
    assert f"2.{major_of(path)}" == options.id3
    assert (read_tag(path).genres, read_tag(path).note) == (("Älter",), "")
    assert other_tags(path, options) == others
