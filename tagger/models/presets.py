"""Models with a short name, listed in `presets.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from tagger.errors import nearest
from tagger.genres.labels import AUDIOSET_NAMES, GTZAN_NAMES, PARENT_SEPARATOR
from tagger.genres.vocabulary import read_toml
from tagger.types import DEFAULT_MODEL

FOLDER = Path(__file__).parent
ALIASES = {"bundled": DEFAULT_MODEL}  # names that earlier versions gave


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known about a model before anything is downloaded."""

    name: str
    suits: str  # for whom it is, in at most 60 characters
    offers: str  # how many genres it distinguishes, in words
    licence: str  # as SPDX writes it
    megabytes: int  # of its weights, in units of 10^6 bytes
    weights: str  # "safetensors" or "pickle"
    labels: int
    window: float  # seconds of audio in one window
    cpu_seconds: float  # for a window on two cores
    front_end: str  # "ast" or "maest"
    known_labels: str  # a key of `_genre_labels`
    vocabulary: str  # what its labels are, and which of them are genres
    accuracy: str  # as published
    source: str  # of the accuracy
    repo: str = ""  # its id on the Hugging Face hub; "" for the bundled model
    revision: str | None = None  # the commit to download; None: that of `main`

    @property
    def genre_labels(self) -> tuple[str, ...]:
        """Its labels that are genres; for Discogs, all labels."""
        return _genre_labels()[self.known_labels]

    @property
    def non_commercial(self) -> bool:
        """Whether its licence is for non-commercial use only."""
        return is_non_commercial(self.licence)


def is_non_commercial(licence: str) -> bool:
    """Whether a licence has the part "NC", in any case: "CC-BY-NC-SA-4.0", "cc-by-nc"."""
    return re.search(r"-nc(-|$)", licence.lower()) is not None


def find_preset(name: str) -> Preset | None:
    """The preset for a short name, or for a hub id, whose case is ignored as on the hub."""
    by_repo = (preset for preset in PRESETS.values() if preset.repo.lower() == name.lower())
    return PRESETS.get(ALIASES.get(name, name)) or (next(by_repo, None) if name else None)


def is_short_name(name: str) -> bool:
    """Whether it names a preset, so that no folder of the same name is meant."""
    return name in PRESETS or name in ALIASES


def nearest_name(name: str) -> str | None:
    """The short name that is most like a name or hub id; None if none is."""
    known = {preset.repo: preset.name for preset in PRESETS.values() if preset.repo}
    known |= {short: short for short in PRESETS}
    found = nearest(name, known)
    return known[found] if found else None


@cache
def _genre_labels() -> Mapping[str, tuple[str, ...]]:
    starred = [
        f"{parent}{PARENT_SEPARATOR}{style.strip()}"
        for parent, styles in read_toml(FOLDER / "discogs.toml").items()
        for style in styles.replace("\n", " ").split(",")
    ]
    return {
        "gtzan": tuple(GTZAN_NAMES),
        "audioset": tuple(AUDIOSET_NAMES),
        "discogs-519": tuple(label.replace("*", "") for label in starred),
        "discogs-400": tuple(label for label in starred if "*" not in label),
    }


def _read() -> Mapping[str, Preset]:
    tables = read_toml(FOLDER / "presets.toml")
    return MappingProxyType({name: Preset(name, **table) for name, table in tables.items()})


PRESETS = _read()
