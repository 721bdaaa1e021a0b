"""What the state knows of one track, by the queries of a run: see `tagger.app.tracks`."""

from __future__ import annotations

from pathlib import Path

from tagger.app.tracks import RunTracks
from tagger.models.checkpoint import ModelInfo
from tagger.state.store import State
from tagger.types import Failure, FrontEnd, Prediction, PredictOptions, Track

OPTIONS = PredictOptions()
INFO = ModelInfo("small", Path("small"), ("jazz", "rock"), FrontEnd(), False, "fingerprint")
PLAN = INFO.plan(OPTIONS.windows).key


def recall(
    state: State, track: Track, info: ModelInfo = INFO, options: PredictOptions = OPTIONS
) -> Prediction | str | None:
    """What an earlier run predicted, or the reason why it could not; None if it is not known."""
    tracks = RunTracks([track], state, info, options)
    if tracks.count_tracks()[1]:
        return None
    ((item, _),) = tracks.items()
    assert not isinstance(item, Track)
    return item.reason if isinstance(item, Failure) else item


def decoders(state: State, options: PredictOptions = OPTIONS) -> str:
    """The key with which a failure of this program is stored."""
    return RunTracks([], state, INFO, options).decoders
