"""Labels of the data are matched with those of a model."""

from __future__ import annotations

import unicodedata

from helpers.clips import GENRES

from training.clips.labels import LabelMatch, match_labels


def test_a_single_label_model_chooses_among_all_its_labels() -> None:
    every = LabelMatch((0, 1, 2), ("a", "b", "c"), ())
    assert match_labels(["c", "a", "a"], ["a", "b", "c"], multi_label=False) == every
    assert match_labels(["c", "a"], ["a", "b", "c"], multi_label=True).names == ("a", "c")


def test_labels_are_matched_by_name_then_spelling_then_alias() -> None:
    audioset = ["Speech", "Music", "Pop music", "Hip hop music", "Heavy metal", "Metal", "Country"]
    data = ["hiphop", "metal", "pop", "country", "polka"]
    match = match_labels(data, audioset, multi_label=True)
    assert match.columns == (2, 3, 5, 6)
    assert match.names == ("pop", "hiphop", "metal", "country")
    assert match.unknown == ("polka",)
    match = match_labels(["Heavy-Metal", "R&B"], [*audioset, "Rhythm and blues"], multi_label=True)
    assert match.columns == (4, 7)


def test_every_genre_of_gtzan_is_known_to_an_audioset_model() -> None:
    names = {
        "Pop music": "pop", "Hip hop music": "hiphop", "Rock music": "rock", "Heavy metal": "metal",
        "Punk rock": "", "Rock and roll": "", "Psychedelic rock": "", "Reggae": "reggae",
        "Country": "country", "Jazz": "jazz", "Disco": "disco", "Classical music": "classical",
        "Opera": "", "Blues": "blues", "Speech": "", "Music": "",
    }  # fmt: skip
    match = match_labels(GENRES, list(names), multi_label=True)
    found = dict(zip(match.columns, match.names, strict=True))
    assert [found.get(column, "") for column in range(len(names))] == list(names.values())
    assert match.unknown == ()


def test_the_unicode_form_of_a_name_makes_no_difference() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Música") for form in ("NFC", "NFD"))
    match = match_labels([composed, "rock"], [decomposed, "Rock"], multi_label=False)
    assert match.names == (composed, "rock") and not match.unknown
