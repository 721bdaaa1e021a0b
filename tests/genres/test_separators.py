"""Several genres in one value of a tag: what is split, and what is one name."""

from __future__ import annotations

import time

import mutagen.id3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.genres.labels import AUDIOSET_NAMES, GTZAN_NAMES
from tagger.genres.separators import KNOWN, SEPARATORS, VARIANTS, check_separators, split_value

GENRES = st.sampled_from(["Rock", "Hip-Hop", "R&B", "Folk", "Drum & Bass", "Élan", "音楽", "80s"])


def split(value: str, separators: str = SEPARATORS, *own: str) -> list[str]:
    return list(split_value(value, separators, own))


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("Audiobook, Fantasy", ["Audiobook", "Fantasy"]),  # lastgenre
        ("Rock; Pop", ["Rock", "Pop"]),  # MusicBee, foobar2000, MediaMonkey
        ("Funk/Soul", ["Funk", "Soul"]),
        ("Rock / Pop", ["Rock", "Pop"]),  # Kodi
        (r"Rock\\Pop", ["Rock", "Pop"]),  # Mp3tag shows several values so
        ("Rock | Pop", ["Rock", "Pop"]),
        ("Rock,Pop;Jazz/Folk", ["Rock", "Pop", "Jazz", "Folk"]),
        (" Rock ;; Pop ; ", ["Rock", "Pop"]),
        ("Pop/Rock", ["Pop", "Rock"]),
        ("Rock&Pop;Jazz", ["Rock&Pop", "Jazz"]),  # no HTML entity
        ("ロック\uff1bポップ、ジャズ", ["ロック", "ポップ", "ジャズ"]),
    ],
)
def test_a_value_is_split_at_its_separators(value, parts):
    assert split(value) == parts


@pytest.mark.parametrize(
    "name",
    [
        "Folk, World, & Country", "folk, world & country", "Funk / Soul", "R&B/Soul", "R&B / Soul",
        "r&b/soul", "Hip-Hop/Rap", "Hip Hop/Rap", "Singer/Songwriter", "RnB/Swing", "Cut-up/DJ",
        "Children's/Spoken Word", "Children\u2019s/Spoken Word", "Jungle/Drum'n'bass", "AC/DC",
        "AC/DC style", "N/A", "24/7", "R&amp;B", "Children&#39;s", "Rock & Roll", "Hip-Hop",
        "17th-Century (Vocal)", ";", "",
    ],
)  # fmt: skip
def test_a_name_that_contains_a_separator_stays_whole(name):
    assert split(name) == [name]


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("join", ["; ", ", ", "/", " / ", "|", "\\\\"])
@pytest.mark.parametrize("name", KNOWN[:20])
def test_a_known_name_stays_whole_among_others(name, join, place):
    genres = ["Polka", "Zydeco"]
    genres.insert(place, name)
    assert split(join.join(genres)) == genres


def test_the_longest_known_name_counts():
    assert split("Alternative/Indie Rock/Metal") == ["Alternative/Indie Rock", "Metal"]
    assert split("Contemporary Singer/Songwriter/Pop")[0] == "Contemporary Singer/Songwriter"
    assert split("Folk, World, & Country Rock") == ["Folk", "World", "& Country Rock"]


@pytest.mark.parametrize("genre", [g for g in mutagen.id3.TCON.GENRES if set(g) & set(SEPARATORS)])
def test_a_name_of_id3v1_is_one_genre(genre):
    assert split(genre) == [genre]


@pytest.mark.parametrize("genre", [*GTZAN_NAMES.values(), *AUDIOSET_NAMES.values()])
def test_a_name_that_we_write_is_one_genre_at_any_separator(genre):
    for mark in "&'-":
        assert split(genre, SEPARATORS + mark) == [genre]


@pytest.mark.parametrize("own", ["Rock/Pop", "Rock / Pop", "rock/pop"])
@pytest.mark.parametrize("value", ["Rock/Pop", "Rock / Pop"])
def test_a_name_of_the_user_is_one_genre_with_any_spaces(own, value):
    assert split(value, SEPARATORS, own) == [value]
    assert split(f"Jazz, {value}", SEPARATORS, own) == ["Jazz", value]


@pytest.mark.parametrize(
    ("separators", "parts"),
    [
        (";", ["Ska", "Dub, Oi/Emo | Bop + Fado"]),
        (",/", ["Ska; Dub", "Oi", "Emo | Bop + Fado"]),
        ("+", ["Ska; Dub, Oi/Emo | Bop", "Fado"]),
        ("", ["Ska; Dub, Oi/Emo | Bop + Fado"]),
    ],
)
def test_only_the_chosen_separators_count(separators, parts):
    assert split("Ska; Dub, Oi/Emo | Bop + Fado", separators) == parts


def test_separators_are_typed_with_or_without_spaces_and_are_no_letters():
    assert check_separators("; , ") == ";,"
    for wrong in ("and", ";x", "1"):
        with pytest.raises(ValueError, match="letters or digits"):
            check_separators(wrong)


@given(st.lists(GENRES, min_size=1), st.sampled_from(SEPARATORS), st.sampled_from(["", " "]))
def test_what_is_joined_is_split_again(genres, mark, space):
    for char in (mark, *VARIANTS[mark]):
        assert split(f"{char}{space}".join(genres)) == genres


@given(st.text(), st.text(st.sampled_from(SEPARATORS)))
def test_every_part_comes_from_the_value_and_none_is_empty(value, separators):
    value = f" {value}".strip()
    parts = split(value, separators)
    assert parts and (all(parts) or parts == [value])
    for part in parts:
        assert [part] == split(part, separators)


@pytest.mark.parametrize(
    "value",
    [
        "Funk, " * 200_000, "Funk" + " " * 1_000_000 + "/ Soul", " " * 1_000_000 + "/x",
        "/" * 1_000_000,
        "a/" * 500_000, "folk" + ",world" * 200_000, "&" * 1_000_000, "&a" * 500_000 + ";",
    ],
    ids=range(8),
)  # fmt: skip
def test_a_value_of_a_megabyte_is_split_in_seconds(value):
    start = time.process_time()
    assert split(value)
    assert time.process_time() - start < 10
