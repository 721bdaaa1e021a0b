"""Tracks whose genres a person decided: later runs leave them alone."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from tagger.app.pending import tag_if_any
from tagger.app.results import Result
from tagger.genres.policy import Policy, rank_genres
from tagger.state.decisions import Decided
from tagger.state.store import State
from tagger.tags.isolated import with_audio
from tagger.types import BY_HAND, Action, Outcome, Prediction, TagInfo, Track
from tagger.writing.moved import same_genres
from tagger.writing.writer import identify


class Kept(NamedTuple):
    """A track that stays as it is."""

    outcome: Outcome
    why: str  # when the decision was made, and by which run


def decided_by_hand(track: Track, tag: TagInfo | None, state: State) -> Decided | None:
    """The decision of a person about a track, even if its tags, path or time have changed since.

    A file at the same path with other audio is another track. A copy of a decided file counts as
    long as it has the genres that were decided.
    """
    for decided in state.decided(track):
        if decided.path == track.path:
            return decided
        if _is_gone(decided):
            state.follow(decided, track.path)
            return decided
        if same_genres(decided.genres, tag_if_any(track, tag, state).genres):
            return decided
    return None


def if_decided(result: Result, policy: Policy, state: State) -> Kept | None:
    """The outcome of a track that a person decided about; None for any other, and a failed one."""
    item = result.item
    track = item.track if isinstance(item, Prediction) else item
    if not isinstance(track, Track):
        return None
    decided = decided_by_hand(track, result.tag, state)
    if decided is None:
        return None
    existing = tag_if_any(track, result.tag, state).genres
    prediction = item if isinstance(item, Prediction) else None
    ranked = tuple(rank_genres(prediction, policy)) if prediction else ()
    outcome = Outcome(track.path, Action.KEPT, BY_HAND, prediction, existing, ranked=ranked)
    genres = "; ".join(decided.genres)
    return Kept(outcome, f"by hand: {genres} was chosen on {decided.when[:10]} (run {decided.run})")


def _is_gone(decided: Decided) -> bool:
    """Whether the file is no longer where it was decided about, or another is in its place."""
    with suppress(OSError):
        return with_audio(identify(decided.path)).audio != decided.audio
    return True
