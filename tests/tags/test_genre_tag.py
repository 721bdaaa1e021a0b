"""The genre is written and read in every container, and nothing else changes."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import av
import mutagen
import pytest
from helpers import containers
from helpers.containers import CORPUS, KINDS, make, packets
from helpers.generated_files import INFO_KEYS, Made, files
from helpers.generated_id3 import frame, synchsafe
from helpers.generated_trailers import ape_tag
from helpers.generated_values import GENRES as ANY_GENRES
from helpers.properties import examples
from helpers.readers import (
    as_shown,
    by_taglib,
    changes,
    needs_ffprobe,
    other_than_genre,
    placed,
    seen_by_ffprobe,
)
from helpers.tagged import GENRES, prepare, tag_with_mutagen
from hypothesis import given
from hypothesis import strategies as st
from mutagen import id3

from tagger.errors import TagError
from tagger.state.stored_fields import fields_from_text, fields_to_text
from tagger.tags.genre_tag import (
    field_genres,
    other_tags,
    read_fields,
    read_genres,
    read_tag,
    restore_fields,
    write_genres,
)

STARTS = ("no tag block", "no genre", "one genre", "several genres")


@pytest.mark.parametrize("start", STARTS)
def test_written_genres_are_read_back(sound, start):
    assert read_genres(sound) in (prepare(sound, start), ())
    assert read_genres(sound) == prepare(sound, start)
    write_genres(sound, GENRES)
    assert read_genres(sound) == GENRES


@pytest.mark.parametrize("number", ["9" * 5000, f"({'9' * 5000})", "\u00b2", f"1{'0' * 30}"])
def test_a_number_that_no_program_reads_is_a_name(tmp_path, number):
    path = make("mp3", tmp_path)
    tags = id3.ID3()
    tags.add(id3.TCON(encoding=3, text=[number]))
    tags.save(path)
    assert read_genres(path) == field_genres(read_fields(path)) == (number,)


@pytest.mark.parametrize("start", STARTS)
def test_nothing_but_the_genre_changes(sound, start):
    prepare(sound, start)
    before, audio = other_tags(sound), packets_or_none(sound)
    fields = read_fields(sound)
    write_genres(sound, GENRES)
    assert other_tags(sound) == before
    assert packets_or_none(sound) == audio
    restore_fields(sound, fields)
    assert other_tags(sound) == before
    assert packets_or_none(sound) == audio


@pytest.mark.parametrize("start", STARTS)
def test_restore_gives_back_the_fields(sound, start):
    genres = prepare(sound, start)
    before = read_fields(sound)
    write_genres(sound, GENRES)
    assert read_fields(sound) != before
    restore_fields(sound, fields_from_text(fields_to_text(before)))  # as the journal keeps them
    assert read_fields(sound) == before
    assert read_genres(sound) == genres


def test_a_second_write_replaces_the_first(sound):
    write_genres(sound, GENRES)
    write_genres(sound, ["Ambient"])
    assert read_genres(sound) == ("Ambient",)


def packets_or_none(path: Path) -> str:
    if path.suffix == ".dff" or (path.suffix == ".ape"):
        with_tag = path.read_bytes()  # FFmpeg reads no DSDIFF; the corpus' APE is cut
        return str(bytes(range(256)) * 16 in with_tag)
    return packets(path)


def test_ffprobe_sees_the_first_genre(sound):
    if shutil.which("ffprobe") is None:
        pytest.skip("no ffprobe")
    if sound.suffix == ".dff":
        pytest.skip("ffprobe reads no DSDIFF")
    write_genres(sound, ["Jazz", "Bebop"])
    command = ["ffprobe", "-v", "quiet", "-of", "json", "-show_format", "-show_streams", sound]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    tags = {k.lower(): v for part in (*shown["streams"], shown["format"])
            for k, v in part.get("tags", {}).items()}  # fmt: skip
    assert tags["genre"].split(";")[0].split("\0")[0] == "Jazz"


def test_taglib_sees_every_genre(sound):
    taglib = pytest.importorskip("taglib", reason="pytaglib is not installed")
    write_genres(sound, GENRES)
    try:
        with taglib.File(sound) as media:
            seen = media.tags["GENRE"]
    except OSError:
        pytest.skip("this TagLib does not know the container")
    if sound.suffix == ".wma":  # mutagen puts the first value elsewhere, and TagLib reads it last
        seen = [seen[-1], *seen[:-1]]
    assert tuple(seen) == GENRES


def test_mutagen_sees_every_genre(sound):
    write_genres(sound, GENRES)
    tags = mutagen.File(sound).tags
    names = {"MP4Tags": "©gen", "ASFTags": "WM/Genre"}
    field = "TCON" if isinstance(tags, id3.ID3) else names.get(type(tags).__name__, "Genre")
    values = tags[field].text if field == "TCON" else tags[field]
    assert tuple(map(str, values)) == GENRES


NAMES = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="("), min_size=1, max_size=40
).filter(lambda name: name.strip() not in ("", "RX", "CR") and not name.strip().isdecimal())


@pytest.mark.parametrize("kind", ["mp3", "flac", "m4a", "wma", "wavpack"])
@examples(25)
@given(genres=st.lists(NAMES, min_size=1, max_size=5))
def test_any_names_survive(tmp_path, kind, genres):
    path = make(kind, tmp_path)
    first = {genre.strip().casefold(): genre.strip() for genre in reversed(genres)}
    expected = {genre.strip().casefold(): None for genre in genres}
    write_genres(path, genres)
    assert read_genres(path) == tuple(first[key] for key in expected)


@pytest.mark.parametrize(
    "name", ["17", "(4)Eurodisco", "(", "", " ", "a\0b", "a\nb", "RX", "\ud800"]
)
def test_a_name_that_would_be_misread_is_refused(sound, name):
    before = sound.read_bytes()
    with pytest.raises(TagError):
        write_genres(sound, [name])
    assert sound.read_bytes() == before


@pytest.mark.parametrize("kind", ["mp3", "wav", "aiff", "dsf", "dsdiff", "tta", "wavpack"])
def test_undo_removes_a_tag_that_the_write_added(tmp_path, kind):
    path = make(kind, tmp_path)
    prepare(path, "no tag block")
    before, fields = path.read_bytes(), read_fields(path)
    assert not fields.has_tags
    write_genres(path, GENRES)
    restore_fields(path, fields)
    assert path.read_bytes() == before


def test_a_missing_file_is_a_tag_error(tmp_path):
    with pytest.raises(TagError, match="No such file") as caught:
        read_genres(tmp_path / "none.mp3")
    assert caught.value.path == tmp_path / "none.mp3"


@pytest.mark.parametrize("kind", KINDS)
@examples(20)
@given(data=st.data())
def test_damage_raises_nothing_but_a_tag_error(tmp_path, kind, data):
    path = make(kind, tmp_path)
    tag_with_mutagen(path, title=["Title"], genre=["Rock"])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, min(len(content), 900) - 1))] = data.draw(
            st.integers(0, 255)
        )
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        write_genres(path, ["Jazz"], "note")
        tag = read_tag(path)
        assert (tag.genres, tag.note) == (("Jazz",), "note")
    except TagError:
        pass


REAL = sorted(path for path in CORPUS.rglob("*") if path.is_file()) or [None]


@pytest.mark.parametrize("original", REAL, ids=lambda path: path and path.name)
def test_real_files_are_refused_unchanged_or_written_and_undone(tmp_path, original):
    if original is None:
        pytest.skip(f"no corpus of real files at {CORPUS}")
    path = tmp_path / original.name
    path.write_bytes(original.read_bytes())
    try:
        genres, fields, others = read_genres(path), read_fields(path), other_tags(path)
        write_genres(path, GENRES, "note")
    except TagError as error:
        assert error.path == path
        assert path.read_bytes() == original.read_bytes()
        return
    assert (read_tag(path).genres, read_tag(path).note) == (GENRES, "note")
    assert other_tags(path) == others
    assert sound_of(original) in (sound_of(path), None)  # a save may fix what FFmpeg cannot read
    restore_fields(path, fields)
    assert (read_genres(path), read_fields(path), other_tags(path)) == (genres, fields, others)
    assert sound_of(original) in (sound_of(path), None)


def sound_of(path: Path) -> str | None:
    try:
        return containers.packets(path)
    except (av.FFmpegError, IndexError):
        return None


# --- any tag that a format allows -----------------------------------------------------------------

FEW, EACH = map(examples, (3, 30))  # with ffprobe; of each kind


@EACH
@given(data=st.data(), genres=ANY_GENRES)
def test_taglib_sees_the_new_genres(tmp_path, kind, data, genres):
    made = data.draw(files(kind, "TagLib"))
    path = placed(tmp_path, made)
    write_genres(path, genres)
    assert by_taglib(path)["tag:GENRE"] == as_shown(made, genres)


@EACH
@given(data=st.data(), genres=ANY_GENRES)
def test_a_second_write_changes_nothing(tmp_path, kind, data, genres):
    path = placed(tmp_path, data.draw(files(kind, "TagLib")))
    write_genres(path, genres)
    once, fields = by_taglib(path), read_fields(path)
    write_genres(path, genres)
    assert (by_taglib(path), read_fields(path)) == (once, fields)


@EACH
@given(data=st.data(), genres=ANY_GENRES)
def test_undo_gives_back_the_fields(tmp_path, kind, data, genres):
    path = placed(tmp_path, data.draw(files(kind)))
    fields = read_fields(path)
    write_genres(path, genres)
    restore_fields(path, fields)
    assert read_fields(path) == fields


@EACH
@given(data=st.data(), genres=ANY_GENRES)
def test_undo_shows_taglib_what_was_there(tmp_path, kind, data, genres):
    path = placed(tmp_path, data.draw(files(kind, "TagLib")))
    before, fields = by_taglib(path), read_fields(path)
    write_genres(path, genres)
    restore_fields(path, fields)
    assert not changes(before, by_taglib(path))


@needs_ffprobe
@FEW
@given(data=st.data(), genres=ANY_GENRES)
def test_undo_shows_ffprobe_what_was_there(tmp_path, kind, data, genres):
    made = data.draw(files(kind, "FFmpeg"))
    path = placed(tmp_path, made)
    fields = read_fields(path)
    write_genres(path, genres)
    restore_fields(path, fields)
    if path.read_bytes() != made.data:
        assert not seen_by_ffprobe(made, path)


FRONT = b"ID3\4\0\0" + synchsafe(17) + frame(4, "TIT2", b"\0Title\0")


def test_a_flac_whose_tag_is_an_id3v2_is_refused(tmp_path):
    made = Made(".flac", FRONT, "flac", b"")
    path = placed(tmp_path, made)
    with pytest.raises(TagError, match="ffmpeg"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == made.data


# --- what an older tag says -----------------------------------------------------------------------

V1 = b"TAG" + b"Title".ljust(30, b"\0") + b"Anna".ljust(94, b"\0") + b"\x11"
GENRE_ITEM = ape_tag({"Title": (0, b"Title"), "Genre": (0, b"Rock")}, has_header=False)
EMPTY_ID3 = b"ID3\4\0\0" + synchsafe(100) + bytes(100)
NO_TITLE = ape_tag({"Comment": (0, b"Only here")}, has_header=True)
HIDDEN = {
    "ID3v1 by an empty ID3v2": Made(".mp3", EMPTY_ID3, "mpeg", V1),
    "APEv2 by an empty ID3v2": Made(".mp3", EMPTY_ID3, "mpeg", GENRE_ITEM),
    "APEv2 without a title by a new ID3v2": Made(".mp3", b"", "mpeg", NO_TITLE),
    "ID3v1 by a new APEv2": Made(".wv", b"", "wavpack", V1),
    "ID3v1 by an empty APEv2": Made(".wv", b"", "wavpack", ape_tag({}, has_header=True) + V1),
}


@pytest.mark.parametrize("made", HIDDEN.values(), ids=HIDDEN)
def test_the_genre_hides_no_older_tag(tmp_path, made):
    path = placed(tmp_path, made)
    before = other_than_genre(by_taglib(path))
    write_genres(path, ["Jazz"])
    assert not changes(before, other_than_genre(by_taglib(path)))


@pytest.mark.parametrize("made", HIDDEN.values(), ids=HIDDEN)
def test_undo_removes_the_repeated_texts_of_an_older_tag(tmp_path, made):
    path = placed(tmp_path, made)
    fields = read_fields(path)
    write_genres(path, ["Jazz"])
    restore_fields(path, fields)
    assert path.read_bytes().count(b"Title") == made.data.count(b"Title")


def wav_with_info(folder: Path, key: str, text: bytes) -> Path:
    info = b"INFO" + key.encode() + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
    data = containers.sound("wav") + b"LIST" + struct.pack("<I", len(info)) + info
    path = folder / "sound.wav"
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    return path


@pytest.mark.parametrize("key", INFO_KEYS)
def test_a_new_id3_chunk_hides_no_riff_info(tmp_path, key):
    path = wav_with_info(tmp_path, key, b"abc\0")
    before = other_than_genre(by_taglib(path))
    write_genres(path, ["Jazz"])
    assert not changes(before, other_than_genre(by_taglib(path)))


# TagLib does not show these in the INFO list, but other readers do.
@pytest.mark.parametrize(("key", "shown"), [("ITRK", "TRACKNUMBER"), ("IKEY", "IKEY")])
def test_riff_info_that_taglib_does_not_know_is_repeated_too(tmp_path, key, shown):
    path = wav_with_info(tmp_path, key, b"abc\0")
    write_genres(path, ["Jazz"])
    assert by_taglib(path)[f"tag:{shown}"] == ["abc"]
