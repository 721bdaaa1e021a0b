"""A model that predicts from the names of tracks, without decoding them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import pytest

from helpers.known import JAZZ, ROCK, bundled
from tagger.app import pending
from tagger.inference import predict as inference
from tagger.types import Failure, Prediction, Track


def predicted(one: Track, shares: tuple[float, ...] | None = None) -> Prediction:
    labels = bundled().labels
    return Prediction(one, labels, shares or (0.5, *[0.0] * (len(labels) - 1)), 0.75, 8, 30.0)


class Model:
    """Predicts without decoding, from the name of a track, and remembers which it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        self.given: list[str] = []
        stub = SimpleNamespace(device=torch.device("cpu"), precision="float32")
        monkeypatch.setattr(pending, "load_model", lambda *arguments: stub)
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
        return predicted(one, tuple(shares.get(label, 0.0) for label in bundled().labels))
