"""What is read besides the genre: album, artists and compilation in every container."""

from __future__ import annotations

import struct
from pathlib import Path

import mutagen
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
from mutagen import id3

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


ALL = (
    ("mp3", "ID3"), ("wav", "ID3"), ("aiff", "ID3"), ("dsf", "ID3"), ("flac", "VComment"),
    ("opus", "VComment"), ("vorbis", "VComment"), ("wavpack", "APEv2"), ("m4a", "MP4Tags"),
    ("wma", "ASFTags"),
)  # fmt: skip
RELEASE = "0a1b2c3d-0000-4000-8000-000000000000"
SPELLED = {
    "ID3": {
        "album_artist": ["TXXX:ALBUM ARTIST", "TXXX:ALBUMARTIST", "TXXX:Album Artist"],
        "compilation": ["TXXX:COMPILATION", "TXXX:ITUNESCOMPILATION"],
        "release": ["TXXX:MusicBrainz Album Id", "TXXX:MUSICBRAINZ_ALBUMID"],
    },
    "VComment": {
        "album_artist": ["Album Artist", "album_artist"],
        "compilation": ["COMPILATION"],
        "release": ["MUSICBRAINZ_ALBUMID"],
    },
    "APEv2": {
        "album_artist": ["ALBUM ARTIST", "AlbumArtist", "album_artist"],
        "compilation": ["COMPILATION"],
        "release": ["MUSICBRAINZ_ALBUMID"],
    },
    "MP4Tags": {
        "album_artist": ["----:com.apple.iTunes:ALBUM ARTIST", "----:com.apple.iTunes:ALBUMARTIST"],
        "compilation": ["----:com.apple.iTunes:COMPILATION"],
        "release": ["----:com.apple.iTunes:MusicBrainz Album Id"],
    },
    "ASFTags": {
        "album": ["Album"],
        "artist": ["Artist"],
        "album_artist": ["ALBUM ARTIST"],
        "compilation": ["COMPILATION"],
        "release": ["MusicBrainz/Album Id"],
    },
}
CASES = [
    (kind, field, key) for kind, tag in ALL for field, keys in SPELLED[tag].items() for key in keys
]


def set_text(path: Path, key: str, text: str, version: int = 4) -> None:
    media = mutagen.File(path)
    if media.tags is None:
        media.add_tags()
    if key.startswith("TXXX:"):
        media.tags.add(id3.TXXX(encoding=1, desc=key[5:], text=[text]))
    else:
        media.tags[key] = [text.encode()] if key.startswith("----") else [text]
    media.save(**({"v2_version": version} if isinstance(media.tags, id3.ID3) else {}))


@pytest.mark.parametrize(("kind", "field", "key"), CASES)
def test_a_field_is_found_by_each_name_that_programs_give_it(tmp_path, kind, field, key):
    path = make(kind, tmp_path)
    text = {"compilation": "1", "release": RELEASE}.get(field, "Bl\u00fcte")
    set_text(path, key, text)
    assert getattr(read_tag(path), field) == (True if field == "compilation" else text)


@pytest.mark.parametrize("version", [3, 4])
def test_a_text_of_another_name_is_not_taken(tmp_path, version):
    path = make("mp3", tmp_path)
    set_text(path, "TXXX:ALBUMARTISTSORT", "x", version)
    set_text(path, "TXXX:MusicBrainz Album Artist Id", RELEASE, version)
    set_text(path, "TXXX:MusicBrainz Album Id", RELEASE.upper(), version)
    assert read_tag(path) == TagInfo(release=RELEASE.upper())


def test_an_own_text_of_id3v2_2_is_read(tmp_path):
    texts = frame(b"TXX", b"\0ALBUM ARTIST\0B") + frame(b"TXX", b"\0MusicBrainz Album Id\0r")
    path = with_front(tmp_path, id3_tag(2, frame(b"TAL", b"\0A") + texts))
    assert read_tag(path) == TagInfo(album="A", album_artist="B", release="r")


def test_what_the_main_tag_lacks_is_read_from_the_others(tmp_path):
    old = ape_tag(**{"Album": "APE", "Album Artist": "B", "Genre": "Rock"})
    path = with_front(tmp_path, id3_tag(4, frame(b"TPE1", b"\3C")), old)
    assert read_tag(path) == TagInfo(("Rock",), "", "APE", "B", "C", outdated=("TCON",))
    texts = b"".join(text.ljust(30, b"\0") for text in (b"T", b"Anna", b"Bl\xfcte"))
    path = with_front(tmp_path, b"", b"TAG" + texts + bytes(34) + b"\x11")
    assert read_tag(path) == TagInfo(("Rock",), "", "Bl\u00fcte", "", "Anna")


def test_the_album_of_a_wav_with_only_an_info_list_is_read(tmp_path):
    items = b"".join(
        key + struct.pack("<I", len(text)) + text
        for key, text in ((b"IPRD", b"Live"), (b"IART", b"Anna"))
    )
    path = make("wav", tmp_path)
    data = path.read_bytes() + b"LIST" + struct.pack("<I", 4 + len(items)) + b"INFO" + items
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    assert read_tag(path) == TagInfo(album="Live", artist="Anna")
