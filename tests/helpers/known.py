"""A library whose predictions a test chose, so that no model is needed; and a message recorder."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from helpers.containers import ENCODED, encode, make
from tagger.models.checkpoint import ModelInfo
from tagger.models.find import find_model
from tagger.state.store import State
from tagger.tags.genre_tag import write_genres
from tagger.types import DEFAULT_MODEL, Outcome, Prediction, PredictOptions, Track

Shares = Mapping[str, float]
ROCK: Shares = {"rock": 0.6, "metal": 0.35, "pop": 0.05}
JAZZ: Shares = {"jazz": 0.8, "blues": 0.2}


class Recorder:
    """A `Progress` that keeps what it is shown."""

    quiet = True

    def __init__(self) -> None:
        self.said: list[str] = []
        self.outcomes: list[Outcome] = []
        self.new: list[Outcome] = []
        self.bars: list[tuple[str, int]] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def news(self, outcome: Outcome) -> None:
        self.new.append(outcome)

    def bar(
        self, items: Iterable[Any], total: int, label: str, outcome: Any = None, work: Any = None
    ) -> Iterable[Any]:
        self.bars.append((label, total))
        return items

    def now(self, path: Path) -> None:
        pass

    def busy(self, label: str) -> AbstractContextManager[object]:
        return nullcontext()

    def paused(self) -> AbstractContextManager[object]:
        return nullcontext()


@cache
def bundled() -> ModelInfo:
    return find_model(DEFAULT_MODEL)


def state_of(home: Path) -> Path:
    """Where the console script keeps its state when it runs in this home."""
    return home / "state" / "tag-genres" / "state.sqlite3"


def know(home: Path, paths: Iterable[Path], shares: Shares = ROCK, note: str = "") -> None:
    """Store predictions by the bundled model: these labels for these files, 0 for all others."""
    info = bundled()
    plan = info.plan(PredictOptions().windows).key
    probabilities = tuple(shares.get(label, 0.0) for label in info.labels)
    with State(state_of(home)) as state:
        for path in paths:
            track = Track.of(path, path.stat())
            prediction = Prediction(track, info.labels, probabilities, 0.75, 8, 30.0, note=note)
            state.save_prediction(prediction, info.fingerprint, plan)


def song(path: Path, *genres: str, kind: str = "flac") -> Path:
    """A short file of this kind, with these genres, at this place; each has a sound of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind in ENCODED:
        draw = np.random.default_rng(list(os.fsencode(path.name)))
        path.write_bytes(encode(kind, draw.integers(-3000, 3000, 24_000).astype(np.int16)))
        made = path
    else:
        made = make(kind, path.parent).rename(path)
    if genres:
        write_genres(made, genres)
    return made


def rows_of(text: str) -> dict[str, dict[str, str]]:
    """Rows of a report by file name."""
    return {
        Path(row["path"]).name: row
        for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    }
