"""A model that predicts from the names of tracks, without decoding them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from helpers.known import JAZZ, ROCK, bundled
from tagger.app import pending
from tagger.inference import predict as inference
from tagger.models.checkpoint import ModelInfo
from tagger.types import Failure, Prediction, PredictOptions, Track

NAMES = ["1 jazz.flac", "2 polka.flac", "3 polka.flac", "4 broken.mp3"]  # tracks of a small library


def predicted(one: Track, shares: tuple[float, ...] | None = None) -> Prediction:
    labels = bundled().labels
    return Prediction(one, labels, shares or (0.5, *[0.0] * (len(labels) - 1)), 0.75, 8, 30.0)


class Model:
    """Predicts without decoding, from the name of a track, and remembers which it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        self.given: list[str] = []
        self.precision = "float32"  # that "auto" chooses

        def load(info: ModelInfo, options: PredictOptions, *_: object) -> SimpleNamespace:
            if options.precision != "auto":
                self.precision = options.precision
            return SimpleNamespace(device=torch.device("cpu"), precision=self.precision)

        monkeypatch.setattr(pending, "load_model", load)
        monkeypatch.setattr(inference, "predict_tracks", self.predict)

    def predict(
        self, tracks: Iterable[Track], *_: object
    ) -> Iterator[tuple[int, Prediction | Failure]]:
        """Each track after the one that follows it, as if it took longer."""
        before: tuple[int, Track] | None = None
        for index, one in enumerate(tracks):
            self.given.append(one.path.name)
            if before is None:
                before = index, one
                continue
            yield index, self.result(one)
            yield before[0], self.result(before[1])
            before = None
        if before:
            yield before[0], self.result(before[1])

    def result(self, one: Track) -> Prediction | Failure:
        if "broken" in one.path.name:
            return Failure(one.path, "broken")
        shares = JAZZ if "jazz" in one.path.name else ROCK
        made = predicted(one, tuple(shares.get(label, 0.0) for label in bundled().labels))
        return replace(made, precision=self.precision)
