"""Genres for tracks whose tags another program keeps: it says what they hold, and writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tagger.app.outcomes import not_predicted
from tagger.app.progress import Progress
from tagger.app.request import TagRequest
from tagger.app.results import results
from tagger.app.tag import find_models, for_models, predict_all
from tagger.app.tracks import RunTracks
from tagger.genres.policy import decide, rank_genres
from tagger.models.checkpoint import ModelInfo
from tagger.state.store import State, open_state
from tagger.types import Failure, Outcome, Prediction, PredictOptions, TagInfo, Track
from tagger.writing.writer import identify


def decide_given(
    given: Mapping[Path, TagInfo], request: TagRequest, progress: Progress
) -> Iterator[Outcome]:
    """What would be written to each file, whose tag is given instead of read; in their order.

    Of the request, the paths and all that is about writing are not used. Predictions come from the
    state and go there; no music file is changed. Raises the errors of models and state.
    """
    models = find_models(request, progress)
    with open_state(request.state, progress.say) as state, state.locked(progress.say):
        first = _GivenTracks(given, state, models[0], request.options)
        tracks = for_models(first, request, models, progress)
        predict_all(tracks, request, progress)
        for result in results(tracks, request.by, request.policy):
            tag = result.tag or TagInfo()
            if isinstance(result.item, Prediction):
                yield _decided(result.item, tag, request)
            else:
                yield not_predicted(result.item, tag, request, state)


def _decided(prediction: Prediction, tag: TagInfo, request: TagRequest) -> Outcome:
    decision = decide(prediction, tag, request.policy)
    return Outcome(
        prediction.track.path,
        decision.action,
        decision.reason,
        prediction,
        tag.genres,
        decision.genres,
        tuple(rank_genres(prediction, request.policy)),
    )


class _GivenTracks(RunTracks):
    """Tracks with the tags that are given for them."""

    def __init__(
        self,
        given: Mapping[Path, TagInfo],
        state: State,
        info: ModelInfo,
        options: PredictOptions,
    ) -> None:
        super().__init__(map(_identified, given), state, info, options)
        self._given = given

    def _tag(self, row: Any) -> TagInfo:
        return self._given[Path(os.fsdecode(row[1]))]


def _identified(path: Path) -> Track | Failure:
    try:
        return identify(path)
    except OSError as error:
        return Failure(path, (error.strerror or "cannot be read").lower(), lasting=False)
