"""Our own field, the note, in the tag of every container."""

from __future__ import annotations

import struct
from pathlib import Path

import mutagen
import pytest
from helpers.containers import make
from helpers.properties import examples
from helpers.tagged import frame, id3_tag, with_front
from hypothesis import given
from hypothesis import strategies as st
from mutagen import apev2, id3
from mutagen.asf import ASFByteArrayAttribute
from mutagen.mp4 import MP4, MP4FreeForm

from tagger.errors import TagError
from tagger.genres.provenance import FIELD, is_own, make_note
from tagger.state.stored_fields import fields_from_text, fields_to_text
from tagger.tags.genre_tag import (
    other_tags,
    read_fields,
    read_genres,
    read_tag,
    restore_fields,
    write_genres,
)
from tagger.tags.mp4 import items as items_of

GENRES = ("Drum & Bass", "Tiếng Việt")
NOTE = make_note(GENRES, model="gtzan-small", fingerprint="0123abcd", confidence=0.83)
OTHER_NOTE = make_note(["Jazz"], model="mine", fingerprint="ff", confidence=1)
MP4_KEY = f"----:com.apple.iTunes:{FIELD}"


def note_by_mutagen(path: Path) -> list[str]:
    """Every value of our field by mutagen's own interface, not ours."""
    media = mutagen.File(path)
    tags = media.tags if media.tags is not None else {}
    if isinstance(tags, id3.ID3):
        return [text for frame in tags.getall(f"TXXX:{FIELD}") for text in frame.text]
    if isinstance(media, MP4):
        return [bytes(value).decode() for value in tags.get(MP4_KEY, [])]
    return [str(value) for value in tags.get(FIELD, [])]


def set_note_by_mutagen(path: Path, values: list[str]) -> None:
    media = mutagen.File(path)
    if media.tags is None:
        media.add_tags()
    if isinstance(media.tags, id3.ID3):
        media.tags.add(id3.TXXX(encoding=1, desc=FIELD, text=values))
    elif isinstance(media, MP4):
        media[MP4_KEY] = [value.encode() for value in values]
    else:
        media[FIELD] = values
    media.save()


# --- the note in a tag ----------------------------------------------------------------------------


def test_another_program_reads_the_note(sound):
    write_genres(sound, GENRES, NOTE)
    assert note_by_mutagen(sound) == [NOTE]


def test_written_genres_are_our_own(sound):
    write_genres(sound, GENRES, NOTE)
    assert read_tag(sound).note == NOTE
    assert is_own(read_tag(sound))


def test_genres_that_a_person_changed_are_not_our_own(sound):
    write_genres(sound, GENRES, NOTE)
    write_genres(sound, [GENRES[0]], NOTE)
    assert not is_own(read_tag(sound))


def test_a_second_note_replaces_the_first(sound):
    write_genres(sound, GENRES, NOTE)
    write_genres(sound, ["Jazz"], OTHER_NOTE)
    assert note_by_mutagen(sound) == [OTHER_NOTE]


def test_an_empty_note_removes_the_field(sound):
    write_genres(sound, GENRES, NOTE)
    write_genres(sound, GENRES)
    assert note_by_mutagen(sound) == []
    assert FIELD.encode() not in sound.read_bytes()
    assert FIELD.encode("utf-16-le") not in sound.read_bytes()


@pytest.mark.parametrize("before", [[], ["a foreign note"], ["two", "Giá trị"]])
@pytest.mark.parametrize("after", ["", NOTE])
def test_undo_puts_the_raw_note_back(sound, before, after):
    write_genres(sound, ["Rock"])
    if before:
        set_note_by_mutagen(sound, before)
    fields = read_fields(sound)
    write_genres(sound, GENRES, after)
    restore_fields(sound, fields_from_text(fields_to_text(fields)))  # as the journal keeps them
    assert note_by_mutagen(sound) == before
    assert read_fields(sound) == fields


@pytest.mark.parametrize("note", ["", NOTE])
def test_undo_gives_back_the_bytes_of_what_we_wrote(sound, note):
    write_genres(sound, GENRES, NOTE + " " * 99)  # room for what follows
    write_genres(sound, GENRES, note)
    before, fields = sound.read_bytes(), read_fields(sound)
    write_genres(sound, ["Jazz"], OTHER_NOTE)
    restore_fields(sound, fields)
    assert sound.read_bytes() == before


@pytest.mark.parametrize("kind", ["mp3", "wav", "aiff", "dsf", "dsdiff", "tta", "wavpack"])
def test_undo_removes_a_tag_that_was_added_with_a_note(tmp_path, kind):
    path = make(kind, tmp_path)
    if mutagen.File(path).tags is not None:
        mutagen.File(path).delete()
    before, fields = path.read_bytes(), read_fields(path)
    write_genres(path, GENRES, NOTE)
    restore_fields(path, fields)
    assert path.read_bytes() == before


def test_the_note_does_not_count_as_another_tag(sound):
    write_genres(sound, ["Rock"])
    before = other_tags(sound)
    for note in (NOTE, OTHER_NOTE, ""):
        write_genres(sound, GENRES, note)
        assert other_tags(sound) == before


def test_a_note_from_another_program_does_not_count_as_another_tag(sound):
    write_genres(sound, ["Rock"])
    set_note_by_mutagen(sound, ["x"])
    before = other_tags(sound)
    write_genres(sound, GENRES, NOTE)
    assert other_tags(sound) == before


def test_a_note_that_does_not_read_back_is_refused(tmp_path):
    with pytest.raises(TagError, match=FIELD):
        write_genres(make("mp3", tmp_path), ["Jazz"], "a\0b")


NOTES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


@pytest.mark.parametrize("kind", ["mp3", "flac", "m4a", "wma", "wavpack"])
@examples(20)
@given(note=NOTES)
def test_any_note_survives(tmp_path, kind, note):
    path = make(kind, tmp_path)
    write_genres(path, ["Jazz"], note)
    assert read_tag(path).note == note


# --- ID3 ------------------------------------------------------------------------------------------


def with_frames(folder: Path, major: int, frames: list[bytes], flags: int = 0) -> Path:
    return with_front(folder, id3_tag(major, b"".join(frames) + bytes(300), flags))


@pytest.mark.parametrize("major", [2, 3, 4])
@pytest.mark.parametrize("note", [NOTE, OTHER_NOTE])
def test_the_other_frames_keep_their_bytes_and_order(tmp_path, major, note):
    title, free = (b"TT2", b"TXX") if major == 2 else (b"TIT2", b"TXXX")
    before = [frame(free, b"\0TAG_GENRE\0a"), frame(title, b"\0Title")]
    after = [frame(free, b"\0TAG_GENRES2\0b"), frame(free, b"\0tag_genres\0c"), frame(free, b"")]
    old = frame(free, b"\0TAG_GENRES\0old")
    path = with_frames(tmp_path, major, [*before, old, *after])
    others = other_tags(path)
    write_genres(path, GENRES, note)
    assert b"".join([*before, *after]) in path.read_bytes()
    assert path.read_bytes()[3] == major
    assert note_by_mutagen(path) == [note]
    assert other_tags(path) == others


@pytest.mark.parametrize("lost", [b"\0TAG_GENRE\0x", b"\0TAG_GENRES2\0x", b"\0tag_genres\0x"])
def test_the_loss_of_a_frame_with_a_similar_name_is_noticed(tmp_path, lost):
    kept = with_frames(tmp_path, 4, [frame(b"TXXX", lost), frame(b"TIT2", b"\0T")])
    before = other_tags(kept)
    assert other_tags(with_frames(tmp_path, 4, [frame(b"TIT2", b"\0T")])) != before


@pytest.mark.parametrize(
    ("major", "data"),
    [
        (2, b"\1\xff\xfe" + f"{FIELD}\0old".encode("utf-16-le")),
        (3, b"\1\xff\xfe" + f"{FIELD}\0".encode("utf-16-le") + "old".encode("utf-16")),
        (4, b"\1\xfe\xff" + f"{FIELD}\0\ufeffold".encode("utf-16-be")),
        (4, b"\2" + f"{FIELD}\0old".encode("utf-16-be")),
        (4, f"\3{FIELD}\0old".encode()),
    ],
)
def test_an_old_note_is_found_in_any_encoding(tmp_path, major, data):
    path = with_frames(tmp_path, major, [frame(b"TXX" if major == 2 else b"TXXX", data)])
    assert read_tag(path).note == "old"
    before = other_tags(path)
    write_genres(path, ["Jazz"], NOTE)
    assert note_by_mutagen(path) == [NOTE]
    assert other_tags(path) == before


@pytest.mark.parametrize("major", [3, 4])
def test_a_note_in_an_unsynchronised_tag_is_replaced(tmp_path, major):
    old = b"\1\xff\0\xfe" + f"{FIELD}\0old".encode("utf-16-le")
    # The size of a frame is counted before unsynchronisation in 2.3, and after it in 2.4.
    unit = b"TXXX" + struct.pack(">IH", len(old) - (major == 3), 0) + old
    path = with_frames(tmp_path, major, [unit, frame(b"TIT2", b"\0Title")], flags=0x80)
    assert read_tag(path).note == "old"
    before = other_tags(path)
    write_genres(path, GENRES, NOTE)
    assert note_by_mutagen(path) == [NOTE]
    assert str(id3.ID3(path)["TIT2"]) == "Title"
    assert other_tags(path) == before


# --- tags at the end ------------------------------------------------------------------------------


def only_ape(folder: Path, **items: str) -> Path:
    path = make("mp3", folder)
    mutagen.File(path).delete()
    tags = apev2.APEv2()
    for key, value in items.items():
        tags[key] = value
    tags.save(path)
    return path


def test_an_mp3_with_only_an_ape_tag_gets_its_note_there(tmp_path):
    path = only_ape(tmp_path, Title="T", Genre="Rock")
    before, fields = path.read_bytes(), read_fields(path)
    write_genres(path, GENRES, NOTE)
    assert not path.read_bytes().startswith(b"ID3")
    assert str(apev2.APEv2(path)[FIELD]) == NOTE
    assert is_own(read_tag(path))
    restore_fields(path, fields)
    assert path.read_bytes() == before


def test_a_note_outside_the_main_tag_is_neither_read_nor_changed(tmp_path):
    path = only_ape(tmp_path, Title="T", Tag_Genres=NOTE)
    assert read_tag(path).note == NOTE
    tags = id3.ID3()
    tags.add(id3.TIT2(encoding=3, text="T"))
    tags.save(path)
    assert read_tag(path).note == ""
    write_genres(path, ["Jazz"], OTHER_NOTE)
    assert note_by_mutagen(path) == [OTHER_NOTE]
    assert str(apev2.APEv2(path)[FIELD]) == NOTE


def test_neither_id3v1_nor_riff_info_gets_the_note(tmp_path):
    path = make("wav", tmp_path)
    item = b"ISFT\x07\0\0\0Lavf60\0\0"
    data = path.read_bytes() + b"LIST" + struct.pack("<I", 4 + len(item)) + b"INFO" + item
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    write_genres(path, ["Jazz"], NOTE)
    assert path.read_bytes().count(FIELD.encode()) == 1
    assert note_by_mutagen(path) == [NOTE]


# --- other containers -----------------------------------------------------------------------------


def test_other_freeform_items_keep_their_bytes(tmp_path):
    path = make("m4a", tmp_path)
    media = MP4(path)
    media[f"----:org.example:{FIELD}"] = [b"another mean"]
    media["----:com.apple.iTunes:TAG_GENRES2"] = [MP4FreeForm(b"\1\2", 21)]
    media["----:com.apple.iTunes:tag_genres"] = [b"a", b"b"]
    media[MP4_KEY] = [b"old", b"older"]
    media.save()
    with path.open("rb") as file:
        items = [data for _, data in items_of(file) if b"old" not in data]
    before = other_tags(path)
    write_genres(path, ["Jazz"], NOTE)
    assert note_by_mutagen(path) == [NOTE]
    with path.open("rb") as file:
        assert [data for _, data in items_of(file) if data in items] == items
    assert other_tags(path) == before


@pytest.mark.parametrize("key", [f"----:org.example:{FIELD}", "----:com.apple.iTunes:TAG_GENRES2"])
def test_the_loss_of_a_freeform_item_is_noticed(tmp_path, key):
    path = make("m4a", tmp_path)
    media = MP4(path)
    before = other_tags(path)
    media[key] = [b"x"]
    media.save()
    assert other_tags(path) != before


@pytest.mark.parametrize("kind", ["flac", "vorbis", "opus"])
def test_a_vorbis_name_is_found_in_any_case(tmp_path, kind):
    path = make(kind, tmp_path)
    media = mutagen.File(path)
    media.tags.append(("tag_Genres", "old"))
    media.save()
    before = other_tags(path)
    assert read_tag(path).note == "old"
    write_genres(path, ["Jazz"], NOTE)
    assert note_by_mutagen(path) == [NOTE]
    assert other_tags(path) == before


@pytest.mark.parametrize("kind", ["wma", "wavpack"])
def test_a_note_that_is_not_text_is_ignored(tmp_path, kind):
    path = make(kind, tmp_path)
    media = mutagen.File(path)
    if media.tags is None:
        media.add_tags()
    media[FIELD] = ASFByteArrayAttribute(b"\1\2") if kind == "wma" else b"\xff\1"
    media.save()
    assert read_tag(path).note == ""
    write_genres(path, ["Jazz"], NOTE)
    assert note_by_mutagen(path) == [NOTE]


def test_reading_the_genre_does_not_need_a_note(sound):
    write_genres(sound, GENRES, "not JSON")
    assert read_genres(sound) == GENRES
    assert not is_own(read_tag(sound))
