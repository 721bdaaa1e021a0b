"""Sound files whose tags are never written: they are read, and the reason says what to do."""

from __future__ import annotations

import subprocess

import pytest
from helpers import sounds
from helpers.tagged import frame, id3_tag

from tagger.errors import TagError, UnsupportedFormat
from tagger.tags.genre_tag import read_fields, read_genres, read_tag, write_genres

# kind: (its name in the reason, the container that the reason names)
KINDS = {
    "aac in mka": ("Matroska and WebM", ".m4a"),
    "opus in webm": ("Matroska and WebM", ".opus"),
    "caf": ("CAF", ".aiff"),
    "au": ("AU", ".aiff"),
    "w64": ("Wave64", ".wav"),
    "adts": ("AAC", ".m4a"),
    "ac3": ("AC-3", ".m4a"),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
TAGGED = ("aac in mka", "opus in webm", "caf", "au")


def tagged(kind, folder):
    path = sounds.make(kind, folder, 1)
    new = path.with_stem("tagged")
    texts = ["genre=Jazz", "album=Album", "artist=Anna", "album_artist=Various"]
    options = [word for text in texts for word in ("-metadata", text)]
    command = ["ffmpeg", "-v", "error", "-i", path, "-c", "copy", *options, new]
    subprocess.run(command, check=True)
    return new


@pytest.mark.parametrize("kind", TAGGED)
def test_the_genre_that_players_show_is_read(tmp_path, kind):
    tag = read_tag(tagged(kind, tmp_path))
    assert tag.genres == ("Jazz",)
    if kind != "au":  # which holds a genre, but no album
        assert (tag.album, tag.album_artist, tag.artist) == ("Album", "Various", "Anna")


def test_the_genre_of_one_stream_is_read(tmp_path):
    sound, path = sounds.make("opus in webm", tmp_path, 1), tmp_path / "tagged.webm"
    command = ["ffmpeg", "-v", "error", "-i", sound, "-c", "copy"]
    subprocess.run([*command, "-metadata:s:a", "GENRE=Jazz", path], check=True)
    assert read_genres(path) == ("Jazz",)


def test_the_id3_tag_in_front_of_bare_aac_is_read(tmp_path):
    path = sounds.make("adts", tmp_path, 1)
    path.write_bytes(id3_tag(4, frame(b"TCON", b"\3Jazz")) + path.read_bytes())
    assert read_genres(path) == ("Jazz",)


@pytest.mark.parametrize("suffix", ["", ".mp3", ".m4a", ".ogg", ".wav", ".flac"])
@each_kind
def test_a_sound_file_is_not_called_damaged(tmp_path, kind, suffix):
    name, new = KINDS[kind]
    path = sounds.make(kind, tmp_path, 1)
    path = path.rename(path.with_suffix(suffix or path.suffix))
    before = path.read_bytes()
    assert read_genres(path) == ()
    for use in (read_fields, lambda path: write_genres(path, ["Ska"])):
        with pytest.raises(UnsupportedFormat) as caught:
            use(path)
        assert str(caught.value) == (
            f"tags of {name} files are read but not written; "
            f"convert it to have it tagged: ffmpeg -i OLD -c copy NEW{new}"
        )
    assert path.read_bytes() == before


@each_kind
def test_the_advice_gives_a_file_that_is_tagged(tmp_path, kind):
    path, new = sounds.make(kind, tmp_path, 1), tmp_path / f"new{KINDS[kind][1]}"
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-c", "copy", new], check=True)
    write_genres(new, ["Ska"])
    assert read_genres(new) == ("Ska",)


@pytest.mark.parametrize("suffix", [".mka", ".webm", ".caf", ".au", ".dts", ".mp3"])
@pytest.mark.parametrize("data", [b"", b"\x1aE\xdf\xa3", b"a text"])
def test_what_is_no_sound_is_called_so(tmp_path, suffix, data):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    # Of a suffix that it knows, mutagen says what it misses.
    reason = "empty, damaged, or not a sound file"
    if suffix == ".mp3" and not data.startswith(b"\x1aE"):
        reason = "can't sync to MPEG frame"
    with pytest.raises(TagError, match=reason):
        read_tag(path)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("mp3, constant", ".mpga"), ("mp3, constant", ".mpa"), ("mp2", ".mp1"), ("wav", ".bwf"),
        ("wav", ".wave"), ("musepack", ".mp+"), ("musepack", ".mpp"), ("vorbis", ".ogx"),
        ("aac in m4a", ".m4r"), ("aac in m4a", ".m4p"), ("aac in m4a", ".3ga"),
        ("aac in 3gp", ".3gp"), ("aac in 3gp", ".3g2"),
    ],
)  # fmt: skip
def test_other_suffixes_of_a_kind_are_tagged_too(tmp_path, kind, suffix):
    path = sounds.make(kind, tmp_path, 1)
    data = path.read_bytes()
    start = 10 + int.from_bytes(data[8:10], "big") if data.startswith(b"ID3") else 0
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data[start:])  # without the mark that an ID3 tag would be
    write_genres(path, ["Ska"])
    assert read_genres(path) == ("Ska",)


def test_an_mp3_without_a_mark_and_with_an_unknown_suffix_is_to_be_renamed(tmp_path):
    path = sounds.make("mp2", tmp_path, 1)
    path = path.rename(path.with_suffix(".x"))
    with pytest.raises(UnsupportedFormat, match=r"not match its content, mp3; rename it"):
        write_genres(path, ["Ska"])
