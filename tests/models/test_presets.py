"""The table of models that have a short name."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tagger.genres.labels import AUDIOSET_NAMES, is_discogs, parent_and_style
from tagger.models.find import find_model
from tagger.models.presets import PRESETS, Preset, find_preset, is_non_commercial, nearest_name
from tagger.types import DEFAULT_MODEL

PUBLIC = [preset for preset in PRESETS.values() if preset.repo]


def test_the_models_that_people_ask_for_have_a_name() -> None:
    names = "gtzan-small audioset audioset-distil discogs discogs-400 gtzan"
    assert list(PRESETS) == names.split()
    assert [name for name, preset in PRESETS.items() if not preset.repo] == [DEFAULT_MODEL]


@pytest.mark.parametrize("preset", PUBLIC, ids=lambda preset: preset.name)
def test_a_preset_says_all_that_is_to_know_before_a_download(preset: Preset) -> None:
    assert re.fullmatch(r"[\w-]+/[\w.-]+", preset.repo)
    assert preset.revision is None or re.fullmatch("[0-9a-f]{40}", preset.revision)
    assert preset.source.startswith("https://")
    assert preset.front_end in ("ast", "maest") and preset.weights in ("safetensors", "pickle")
    assert 100 < preset.megabytes < 400
    assert (preset.window == 30) == (preset.front_end == "maest") == preset.non_commercial
    assert preset.vocabulary and preset.accuracy and preset.labels in (10, 400, 519, 527)
    assert ("not for commercial use" in preset.suits) == preset.non_commercial


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_a_preset_knows_its_genres(preset: Preset) -> None:
    labels = preset.genre_labels
    assert len(set(labels)) == len(labels) == int(preset.offers.split()[0])
    assert len(labels) == preset.labels or preset.labels == 527
    assert len(preset.suits) <= 60


def test_the_styles_of_discogs_are_those_of_its_labels() -> None:
    many, few = (PRESETS[name].genre_labels for name in ("discogs", "discogs-400"))
    assert is_discogs(many) and is_discogs(few) and {*few} < {*many}
    twice = Counter(parent_and_style(label)[1] for label in many)
    assert sum(count > 1 for count in twice.values()) == 16  # as counted in their configs
    assert max(twice.values()) == 2


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("audioest", "audioset"), ("Audioset", "audioset"), ("discog", "discogs"),
        ("gtzan_small", "gtzan-small"), ("MIT/ast-finetuned-audioset-10-10-0.4592", "audioset"),
        ("mine", None), ("", None),
    ],
)  # fmt: skip
def test_a_misspelt_name_is_recognised(name: str, meant: str | None) -> None:
    assert nearest_name(name) == meant


def test_what_is_not_pinned_is_known() -> None:
    assert [preset.name for preset in PUBLIC if preset.revision is None] == ["discogs-400"]


def test_the_bundled_preset_is_the_bundled_model() -> None:
    info, preset = find_model("bundled"), PRESETS[DEFAULT_MODEL]
    assert info.name == DEFAULT_MODEL
    assert len(info.labels) == preset.labels
    assert info.plan(1).samples / info.front_end.rate == pytest.approx(preset.window)
    size = sum(path.stat().st_size for path in info.folder.glob("*.safetensors"))
    assert round(size / 1e6) == preset.megabytes


def test_the_number_of_genres_in_audioset_is_right() -> None:
    assert f"{len(AUDIOSET_NAMES)} of them are genres" in PRESETS["audioset"].vocabulary


def test_a_preset_is_found_by_its_name_and_by_its_hub_id() -> None:
    for preset in PUBLIC:
        assert find_preset(preset.name) is find_preset(preset.repo) is preset
        assert find_preset(preset.repo.upper()) is preset  # a hub takes it in any case
    assert find_preset("bundled") is PRESETS[DEFAULT_MODEL]  # as earlier versions called it
    assert find_preset("") is None
    assert find_preset("someone/else") is None


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC-BY-NC-SA-4.0", True), ("cc-by-nc-4.0", True), ("cc-by-nc", True), ("MIT", False),
        ("cc-by-4.0", False), ("NCSA", False), ("bsd-3-clause", False), ("x-ncl", False),
        ("", False),
    ],
)  # fmt: skip
def test_a_licence_for_non_commercial_use_is_known_by_its_name(
    licence: str, expected: bool
) -> None:
    assert is_non_commercial(licence) is expected
