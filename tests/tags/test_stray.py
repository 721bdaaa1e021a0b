"""An ID3v2 tag where only some readers look: its genre is known, and nothing hides its title."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import mutagen
import pytest
from helpers.containers import KINDS, SUFFIX, make, sound
from helpers.generated_files import mpeg
from helpers.programs import shown_by
from helpers.readers import by_ffmpeg, by_taglib
from helpers.tagged import ape_tag, frame, id3_tag, id3v1, prepare, set_by_mutagen

from tagger.errors import TagError
from tagger.tags.genre_tag import read_fields, read_genres, restore_fields, write_genres

JAZZ = id3_tag(3, frame(b"TIT2", b"\0Title") + frame(b"TCON", b"\0Jazz") + bytes(50))
FIRST = id3_tag(3, frame(b"TIT2", b"\0First") + bytes(50))
EMPTY = id3_tag(3, bytes(50))
BODY = frame(b"TIT2", b"\0Title") + frame(b"TCON", b"\0Jazz")
APPENDED = id3_tag(4, BODY, 0x10) + b"3DI" + id3_tag(4, BODY, 0x10)[3:10]
APE = ape_tag(Artist="Anna")
V1 = b"TAG" + b"Title".ljust(30, b"\0") + b"Anna".ljust(94, b"\0") + b"\x08"
AUDIO = mpeg(with_info=True) * 6

JUNK = {
    "zeros": bytes(16),
    "many zeros": bytes(300_000),
    "line end": b"\r\n",
    "byte-order mark": b"\xef\xbb\xbf",
    "a web page": b"<html>" + b"not found " * 300,
    "half a frame": b"\xff\xfb\x90\x64" + bytes(20),
    "sync bytes": b"\xff" * 7,
    "APEv2": ape_tag(Title="T"),
}
PLACES = {
    **{f"behind {name}": junk + JAZZ + AUDIO for name, junk in JUNK.items()},
    "second": FIRST + JAZZ + AUDIO,
    "second, the first empty": EMPTY + JAZZ + AUDIO,
    "second, after zeros": FIRST + bytes(30) + JAZZ + AUDIO,
    "at the end": AUDIO + APPENDED,
    "at the end, after another": FIRST + AUDIO + APPENDED,
    "before an ID3v1": AUDIO + APPENDED + id3v1(255),
    "before an APEv2": AUDIO + APPENDED + APE,
    "after an APEv2": AUDIO + APE + APPENDED,
}


def placed(folder: Path, data: bytes, suffix: str = ".mp3") -> Path:
    path = folder / f"sound{suffix}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", PLACES.values(), ids=PLACES)
def test_its_genre_is_known_and_the_file_left_alone(tmp_path, data):
    path = placed(tmp_path, data)
    assert read_genres(path) == ("Jazz",)
    with pytest.raises(TagError, match=r"remove|ID3 tag"):
        write_genres(path, ["Blues"])
    assert path.read_bytes() == data


def as_shown(path: Path) -> set[tuple[str, str]]:
    """Title and artist as TagLib, FFmpeg and mutagen show them."""
    shown = {(f"TagLib {key}", str(value)) for key, value in by_taglib(path).items()}
    shown |= {(f"FFmpeg {key}", str(value)) for key, value in by_ffmpeg(path).items()}
    with suppress(mutagen.MutagenError):  # it cannot open it at all
        tags = mutagen.File(path, easy=True).tags or {}
        shown |= {(f"mutagen {key}", str(value)) for key, value in tags.items()}
    return {row for row in shown if "title" in row[0].lower() or "artist" in row[0].lower()}


def chunked(kind: str, tags: list[bytes]) -> bytes:
    layout, name = {"wav": ("<I", b"id3 "), "aiff": (">I", b"ID3 ")}[kind]
    data = sound(kind)
    for tag in tags:
        data += name + struct.pack(layout, len(tag)) + tag + b"\0" * (len(tag) % 2)
    return data[:4] + struct.pack(layout, len(data) - 8) + data[8:]


@pytest.mark.parametrize("kind", ["wav", "aiff"])
@pytest.mark.parametrize("first", [FIRST, EMPTY], ids=["full", "empty"])
def test_the_genre_of_a_second_chunk_is_known_and_the_file_left_alone(tmp_path, kind, first):
    path = placed(tmp_path, chunked(kind, [first, JAZZ]), SUFFIX[kind])
    assert read_genres(path) == ("Jazz",)
    with pytest.raises(TagError, match="several ID3 chunks"):
        write_genres(path, ["Blues"])


@pytest.mark.parametrize("kind", ["wav", "aiff"])
def test_an_empty_second_chunk_stops_no_write(tmp_path, kind):
    path = placed(tmp_path, chunked(kind, [FIRST, EMPTY]), SUFFIX[kind])
    write_genres(path, ["Blues"])
    assert read_genres(path) == ("Blues",)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tags", [JAZZ, FIRST + JAZZ], ids=["one", "two"])
def test_a_tag_in_front_of_any_container_hides_nothing(tmp_path, kind, tags):
    path = make(kind, tmp_path)
    path.write_bytes(tags + path.read_bytes())
    before = as_shown(path) if kind in ("mp3", "mp2", "tta", "flac") else None
    data = path.read_bytes()
    try:
        assert read_genres(path) == ("Jazz",)
        write_genres(path, ["Blues"])
    except TagError:
        assert path.read_bytes() == data
    else:
        assert before is not None, "a tag that most players do not see was changed"
        assert before <= as_shown(path)


@pytest.mark.parametrize("title", [[], ["Title"]])
@pytest.mark.parametrize(("front", "end"), [(JAZZ, b""), (b"", id3v1(8))], ids=["ID3v2", "ID3v1"])
def test_a_flac_with_other_tags_keeps_its_title(tmp_path, title, front, end):
    path = make("flac", tmp_path)
    set_by_mutagen(path, {"TITLE": title})
    path.write_bytes(front + path.read_bytes() + end)
    before, data, fields = as_shown(path), path.read_bytes(), read_fields(path)
    assert read_genres(path) == ("Jazz",)
    try:
        write_genres(path, ["Blues"])
    except TagError:
        # Of a FLAC, GStreamer and exiftool show the genre of the ID3v2 tag beside the new one.
        assert front or not title
        assert path.read_bytes() == data
        return
    assert title and not front
    assert read_genres(path) == ("Blues",)
    assert before <= as_shown(path)
    restore_fields(path, fields)
    assert read_fields(path) == fields


def test_a_flac_with_an_id3_tag_without_a_genre_is_written(tmp_path):
    path = make("flac", tmp_path)
    set_by_mutagen(path, {"TITLE": ["Title"]})
    path.write_bytes(FIRST + path.read_bytes())
    write_genres(path, ["Blues"])
    assert path.read_bytes().startswith(FIRST)
    assert shown_by("GStreamer", path)[0].genres == ("Blues",)


def test_the_advice_for_a_flac_with_two_genres_works(tmp_path):
    path = make("flac", tmp_path)
    set_by_mutagen(path, {"TITLE": ["Title"], "GENRE": ["Rock"]})
    path.write_bytes(JAZZ + path.read_bytes())
    assert "Jazz" in shown_by("exiftool", path)[0].genres
    with pytest.raises(TagError, match=rf"remove that tag: tail -c \+{len(JAZZ) + 1} "):
        write_genres(path, ["Blues"])
    path.write_bytes(path.read_bytes()[len(JAZZ) :])
    write_genres(path, ["Blues"])
    assert shown_by("exiftool", path)[0].genres == ("Blues",)


ENDS = {
    "ID3v1": V1,
    "APEv2": ape_tag(Title="Title", Artist="Anna", Genre="Jazz"),
    "ID3v2": APPENDED,
}
ITS_OWN = ("mp3", "mp2", "tta", "wavpack", "musepack", "ape")  # those that may end with such a tag


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ITS_OWN])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_tag_at_the_end_of_any_container_is_known_and_hidden_by_nothing(tmp_path, kind, end):
    """MPD shows it if the container's own tag has nothing."""
    path = make(kind, tmp_path)
    prepare(path, "no tag block")
    path.write_bytes(path.read_bytes() + end)
    data = path.read_bytes()
    assert read_genres(path) == ("Jazz",)
    with pytest.raises(TagError, match="at its end"):
        write_genres(path, ["Blues"])
    assert path.read_bytes() == data


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ITS_OWN])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_tag_at_the_end_stops_no_write_if_the_own_tag_has_a_title(tmp_path, kind, end):
    path = make(kind, tmp_path)
    prepare(path, "no genre")
    path.write_bytes(path.read_bytes() + end)
    data, before = path.read_bytes(), titles_and_artists(path)
    try:
        write_genres(path, ["Blues"])
    except TagError:
        assert kind == "wav", "MPD reads no ID3 chunk there, so the end counts"
        assert path.read_bytes() == data
        return
    assert read_genres(path) == ("Blues",)
    assert titles_and_artists(path) == before


def titles_and_artists(path: Path) -> list[tuple[str, ...]]:
    return [shown_by(name, path)[0][1:] for name in ("MPD", "TagLib", "FFmpeg")]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (*ITS_OWN, "wav")])
def test_a_tag_at_the_end_that_a_genre_hides_already_stops_no_write(tmp_path, kind):
    path = make(kind, tmp_path)
    prepare(path, "no tag block")
    write_genres(path, ["Rock"])
    path.write_bytes(path.read_bytes() + V1)
    write_genres(path, ["Blues"])
    assert read_genres(path) == ("Blues",)


@pytest.mark.parametrize("kind", ["wav", "vorbis", "opus", "m4a"])
def test_mpd_shows_a_tag_at_the_end_of_any_container(tmp_path, kind):
    """The reason for the refusal."""
    path = make(kind, tmp_path)
    prepare(path, "no tag block")
    path.write_bytes(path.read_bytes() + V1)
    assert shown_by("MPD", path)[0] == (("Jazz",), "Title", "Anna")


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_without_a_tag_stops_no_write(tmp_path, junk):
    path = placed(tmp_path, junk + AUDIO + id3v1(17))
    before = as_shown(path)
    write_genres(path, ["Blues"])
    assert read_genres(path) == ("Blues",)
    assert before <= as_shown(path)


def test_a_tag_that_only_looks_like_one_stops_no_write(tmp_path):
    path = placed(tmp_path, b"ID\0 ID3\xff ID3\3\0\0\xff\xff\xff\xff" + bytes(9) + AUDIO)
    write_genres(path, ["Blues"])
    assert read_genres(path) == ("Blues",)
