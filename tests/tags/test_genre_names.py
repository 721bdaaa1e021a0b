"""Whether a file has its genre in every field where some program looks."""

from __future__ import annotations

import pytest
from helpers.containers import KINDS, make
from helpers.tagged import ape_tag, frame, id3_tag, id3v1, riff_info, tag_with_mutagen, with_front

from tagger.tags.genre_tag import read_tag, write_genres
from tagger.types import TagOptions

JAZZ = frame(b"TCON", b"\0Jazz")
TITLE = frame(b"TIT2", b"\0Title")
ENDS = {"nothing": b"", "APEv2": ape_tag(Artist="Somebody"), "ID3v1": id3v1(17)}


@pytest.mark.parametrize("genres", [["Jazz"], ["Jazz", "Bebop"], ["R&B/Soul", "Ünique"]], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_no_field_is_outdated_after_a_write(kind, genres, tmp_path):
    path = make(kind, tmp_path)
    write_genres(path, genres)
    tag = read_tag(path)
    assert (tag.genres, tag.outdated) == (tuple(genres), ())


@pytest.mark.parametrize("join", ["; ", "/", "\0"], ids=repr)
@pytest.mark.parametrize("major", [2, 3, 4])
@pytest.mark.parametrize("end", ENDS)
def test_no_field_beside_an_id3_tag_is_outdated_after_a_write(end, major, join, tmp_path):
    name = b"TCO" if major == 2 else b"TCON"
    path = with_front(tmp_path, id3_tag(major, frame(name, b"\0Other")), ENDS[end])
    options = TagOptions(id3v23_join=join)
    write_genres(path, ["Jazz", "Bebop"], options=options)
    assert read_tag(path, options).outdated == ()


@pytest.mark.parametrize(
    ("end", "outdated"),
    [
        (ape_tag(Artist="Somebody"), ("ape:Genre",)),
        (ape_tag(Artist="Somebody", Genre="Rock"), ("ape:Genre",)),
        (ape_tag(Artist="Somebody", Genre="Jazz"), ()),
        (ape_tag(REPLAYGAIN_TRACK_GAIN="-6 dB"), ()),
        (id3v1(17), ()),  # no program prefers it
    ],
)
def test_an_apev2_tag_that_some_programs_prefer_may_be_outdated(end, outdated, tmp_path):
    assert read_tag(with_front(tmp_path, id3_tag(3, JAZZ), end)).outdated == outdated


@pytest.mark.parametrize(("info", "outdated"), [("Rock", True), ("Jazz", False), (None, True)])
def test_the_info_list_of_a_wav_may_be_outdated(info, outdated, tmp_path):
    path = make("wav", tmp_path)
    tag_with_mutagen(path, genre=["Jazz"])
    if info is not None:
        data = path.read_bytes() + riff_info(info.encode())
        path.write_bytes(data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:])
    assert read_tag(path).outdated == (("riff:IGNR",) if outdated else ())


def test_a_wav_that_gets_no_info_list_is_never_outdated(tmp_path):
    path = make("wav", tmp_path)
    tag_with_mutagen(path, genre=["Jazz"])
    assert read_tag(path, TagOptions(wav_info=False)).outdated == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_a_genre_has_no_outdated_field(kind, tmp_path):
    assert read_tag(make(kind, tmp_path)).outdated == ()


@pytest.mark.parametrize(("front", "outdated"), [(b"", ()), (id3_tag(3, TITLE), ("TCON",))])
def test_an_id3v1_genre_is_outdated_only_if_an_id3v2_tag_hides_it(front, outdated, tmp_path):
    assert read_tag(with_front(tmp_path, front, id3v1(17))).outdated == outdated


def test_a_list_without_an_id3_tag_is_not_outdated(tmp_path):
    path = make("wav", tmp_path)
    data = path.read_bytes() + riff_info(b"Jazz")
    path.write_bytes(data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:])
    assert read_tag(path).outdated == ()
