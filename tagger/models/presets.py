"""Models with a short name, listed in `presets.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tagger.genres.vocabulary import read_toml
from tagger.types import DEFAULT_MODEL

ALIASES = {"bundled": DEFAULT_MODEL}  # names that earlier versions gave


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known about a model before anything is downloaded."""

    name: str
    licence: str  # as SPDX writes it
    megabytes: int  # of its weights, in units of 10^6 bytes
    weights: str  # "safetensors" or "pickle"
    labels: int
    window: float  # seconds of audio in one window
    front_end: str  # "ast" or "maest"
    vocabulary: str  # what its labels are, and which of them are genres
    accuracy: str  # as published
    source: str  # of the accuracy
    repo: str = ""  # its id on the Hugging Face hub; "" for the bundled model
    revision: str | None = None  # the commit to download; None: that of `main`

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


def _read() -> Mapping[str, Preset]:
    tables = read_toml(Path(__file__).with_suffix(".toml"))
    return MappingProxyType({name: Preset(name, **table) for name, table in tables.items()})


PRESETS = _read()
