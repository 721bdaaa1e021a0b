"""An APEv2 tag with an ID3v2 tag, or instead of one: which of the two gets the genre."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import pytest
from helpers.containers import make
from helpers.readers import by_taglib
from helpers.tagged import ape_item, ape_of, frame, id3_tag, id3v1, with_front
from mutagen import apev2, id3

from tagger.genres.provenance import FIELD
from tagger.tags.genre_tag import (
    other_tags,
    read_fields,
    read_genres,
    restore_fields,
    write_genres,
)

MEASURED = [
    ["REPLAYGAIN_TRACK_GAIN", "REPLAYGAIN_TRACK_PEAK", "MP3GAIN_MINMAX", "MP3GAIN_UNDO"],
    ["replaygain_album_gain"],
    ["R128_TRACK_GAIN", "R128_ALBUM_GAIN"],
    ["Encoder", "Encoder Settings", "EncodedBy"],
    ["Tool Name", "Tool Version"],
    ["BPM", "INITIALKEY", "Rating", "Play Count"],
    ["MUSICBRAINZ_TRACKID", "ACOUSTID_FINGERPRINT"],
]
MEASURED_IDS = [names[0] for names in MEASURED]
# MPD 0.23 shows an APEv2 tag with one of these in place of the ID3v2 tag.
SHOWN = ["Artist", "TITLE", "Year", "Album Artist", "Comment", "MUSICBRAINZ_ALBUMID"]
TITLE = frame(b"TIT2", b"\0Title")


def ape(*names: str, header: bool = True) -> bytes:
    """A tag with these items, not in the order in which mutagen saves them."""
    items = [ape_item(name, "-6.1 dB"[: 7 - i]) for i, name in enumerate(names)]
    tag = ape_of(items)
    if not header:
        return tag
    flags = struct.pack("<I", 1 << 31)
    return b"".join(
        [tag[-32:-12], struct.pack("<I", 5 << 29), bytes(8), tag[:-12], flags, bytes(8)]
    )


def untagged(folder: Path, kind: str, end: bytes = b"") -> Path:
    path = make(kind, folder)
    data = path.read_bytes()
    if data.startswith(b"ID3"):
        data = data[10 + int("".join(f"{byte:07b}" for byte in data[6:10]), 2) :]
    path.write_bytes(data + end)
    return path


def shown_by_ffmpeg(path: Path) -> str | None:
    with av.open(str(path)) as media:
        return {key.casefold(): value for key, value in media.metadata.items()}.get("genre")


@pytest.mark.parametrize("kind", ["mp3", "tta"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("v1", [b"", id3v1(17)], ids=["", "with ID3v1"])
@pytest.mark.parametrize("names", MEASURED, ids=MEASURED_IDS)
def test_a_tag_of_an_analyser_does_not_count_as_the_tag_of_the_file(
    tmp_path, kind, header, v1, names
):
    path = untagged(tmp_path, kind, ape(*names, header=header) + v1)
    data, fields, others = path.read_bytes(), read_fields(path), other_tags(path)
    write_genres(path, ["Jazz", "Bebop"])
    assert id3.ID3(path, load_v1=False)["TCON"].text == ["Jazz", "Bebop"]
    if kind == "mp3" or not v1:
        assert shown_by_ffmpeg(path).startswith("Jazz")
    assert by_taglib(path)["tag:GENRE"] == ["Jazz", "Bebop"]
    assert read_genres(path) == ("Jazz", "Bebop")
    assert [key for key in apev2.APEv2(path) if key != "Genre"] == names
    if v1:
        assert str(id3.ID3(path, load_v1=False)["TIT2"]) == "Only here"
    assert other_tags(path) == others
    restore_fields(path, fields)
    assert path.read_bytes() == data


@pytest.mark.parametrize("kind", ["mp3", "tta"])
@pytest.mark.parametrize("major", [2, 3, 4])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("name", SHOWN)
def test_a_tag_that_is_shown_in_place_of_the_id3v2_gets_the_genre_too(
    tmp_path, kind, major, header, name
):
    title = frame(b"TT2", b"\0Title") if major == 2 else TITLE
    names = ("Encoder", name, "REPLAYGAIN_TRACK_GAIN")
    path = untagged(tmp_path, kind, ape(*names, header=header) + id3v1(17))
    path.write_bytes(id3_tag(major, title) + path.read_bytes())
    data, fields, others = path.read_bytes(), read_fields(path), other_tags(path)
    write_genres(path, ["Jazz", "Bebop"])
    assert list(apev2.APEv2(path)["Genre"]) == ["Jazz", "Bebop"]
    assert read_genres(path) == ("Jazz", "Bebop")
    assert other_tags(path) == others
    restore_fields(path, fields)
    end = ape(*names, header=header) + id3v1(17)
    assert path.read_bytes().endswith(end)
    assert len(data) <= path.stat().st_size  # the ID3v2 tag may keep its padding
    assert read_fields(path) == fields


@pytest.mark.parametrize("names", [*MEASURED[:-1], ["Lyrics"], ["Publisher"], ["Mood"]])
def test_a_tag_that_is_not_shown_in_place_of_the_id3v2_keeps_its_bytes(tmp_path, names):
    """With a genre in it, MPD would show it and hide the title in the ID3v2 tag."""
    tag = ape(*names)
    path = with_front(tmp_path, id3_tag(4, TITLE), tag)
    write_genres(path, ["Jazz"])
    assert path.read_bytes().endswith(tag)


@pytest.mark.parametrize("name", [*SHOWN[:-1], "Lyrics", "Cover Art (Front)", "Publisher"])
def test_a_new_id3v2_tag_hides_no_text_of_a_person(tmp_path, name):
    path = untagged(tmp_path, "mp3", ape("MP3GAIN_UNDO", name))
    data, fields = path.read_bytes(), read_fields(path)
    write_genres(path, ["Jazz"], "note")
    assert not path.read_bytes().startswith(b"ID3")
    assert read_fields(path).values == {"ape:Genre": ("Jazz",), "note": ("note",)}
    restore_fields(path, fields)
    assert path.read_bytes() == data


@pytest.mark.parametrize("own", [[], [FIELD]], ids=["", "with our note"])
def test_a_genre_in_the_tag_of_an_analyser_is_kept_in_step(tmp_path, own):
    path = untagged(tmp_path, "mp3", ape("MP3GAIN_UNDO", "GENRE", "Encoder", *own))
    data, fields = path.read_bytes(), read_fields(path)
    write_genres(path, ["Jazz"], "note" if own else "")
    assert list(apev2.APEv2(path)["Genre"]) == ["Jazz"]
    assert path.read_bytes().startswith(b"ID3") is not bool(own)
    restore_fields(path, fields)
    assert path.read_bytes().lower() == data.lower()  # the name is spelled "Genre" now
