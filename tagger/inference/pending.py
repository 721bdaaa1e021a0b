"""A track on its way from the first chunk to the last score."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tagger.audio.reader import Placement
from tagger.types import Failure, Track


@dataclass(slots=True, eq=False)
class PendingTrack:
    """A track that is being predicted: its progress, and the scores of its windows."""

    index: int  # of the track, in the order in which the tracks were given
    track: Track
    placement: Placement | None = None  # known from its first chunk
    total: int = 0  # windows that the plan places in it
    seconds: float = 0  # decoded length of the track
    silent: int = 0  # windows without sound, which get no scores
    notes: dict[str, None] = field(default_factory=dict)  # of its chunks, each once, in order
    failure: Failure | None = None
    scores: list[NDArray[np.float32]] = field(default_factory=list)  # (labels,) of each window
    is_finished: bool = False
    decoded: int = 0  # chunks
    undecoded: int = 1  # chunks that are wanted or requested, but not decoded yet
    requested: int = 0  # of these
    unscored: int = 0  # windows that are decoded and have no scores yet
