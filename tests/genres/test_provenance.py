"""The note that marks genres as written by this program."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.properties import examples
from hypothesis import given
from hypothesis import strategies as st

from tagger.genres.provenance import is_own, make_note
from tagger.types import TagInfo

GENRES = ("Drum & Bass", "Tiếng Việt")
NOTE = make_note(GENRES, model="gtzan-small", fingerprint="0123abcd", confidence=0.83)

NAMES = st.lists(st.text(max_size=20), max_size=4)


@examples(100)
@given(genres=NAMES, model=st.text(), confidence=st.floats(0, 1))
def test_a_note_is_own_beside_the_genres_it_names(genres, model, confidence):
    genres = [genre.encode(errors="replace").decode() for genre in genres]
    note = make_note(genres, model=model, fingerprint="ff", confidence=confidence)
    assert is_own(TagInfo(genres=tuple(genres), note=note))


@examples(100)
@given(written=NAMES, found=NAMES)
def test_a_note_is_not_own_beside_other_genres(written, found):
    note = make_note(written, model="m", fingerprint="ff", confidence=1)
    tag = TagInfo(genres=(*found, "by hand"), note=note)
    assert is_own(tag) == (written == [*found, "by hand"])


@examples(100)
@given(note=st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_a_foreign_note_is_not_own(note):
    assert not is_own(TagInfo(genres=("Rock",), note=note))


@pytest.mark.parametrize("note", ["", "null", "[" * 100_000, '{"genres": "Rock"}', NOTE[:-1]])
def test_a_damaged_note_is_not_own(note):
    assert not is_own(TagInfo(genres=GENRES, note=note))


def test_another_case_or_order_is_not_our_own():
    tag = TagInfo(genres=GENRES, note=NOTE)
    assert is_own(tag)
    assert not is_own(replace(tag, genres=GENRES[::-1]))
    assert not is_own(replace(tag, genres=("drum & bass", GENRES[1])))


def test_a_note_is_compact_readable_json_on_one_line():
    note = make_note(["Việt\n"], model="gtzan-small", fingerprint="ab", confidence=0.123456)
    assert note == (
        '{"genres": ["Việt\\n"], "model": "gtzan-small", "fingerprint": "ab", "confidence": 0.1235}'
    )


@examples(100)
@given(model=st.text(st.characters()))
def test_a_note_is_text_that_a_tag_can_hold(model):
    note = make_note([], model=model, fingerprint="", confidence=0)
    assert note.encode().decode() == note
    assert not {"\0", "\n", "\r"} & set(note)
