"""Genre fields survive the journal's text, and texts of earlier versions are understood."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tagger.state.stored_fields import fields_from_text, fields_to_text
from tagger.types import GenreFields, TagOptions

TEXT = st.text(max_size=5)
FRAMES = st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=9)), min_size=1, max_size=3)
FIELDS = st.builds(
    GenreFields,
    st.dictionaries(TEXT, st.lists(TEXT, max_size=3).map(tuple), max_size=3),
    st.booleans(),
    st.integers(2, 4),
    st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=9)), min_size=1, max_size=3).map(
        tuple
    ),
    TEXT,
    st.builds(TagOptions, charset=st.none() | TEXT, wav_info=st.booleans()),
)


@given(FIELDS)
def test_fields_come_back_from_their_text(fields):
    found = fields_from_text(fields_to_text(fields))
    assert (found, found.patch, found.options) == (fields, fields.patch, fields.options)


def test_the_text_of_an_earlier_version_is_understood():
    text = '{"values": {"TCON": ["(17)Rock", "Jazz"], "id3v1": ["17"]}, "has_tags": true}'
    values = {"TCON": ("(17)Rock", "Jazz"), "id3v1": ("17",)}
    assert fields_from_text(text) == GenreFields(values, has_tags=True)
