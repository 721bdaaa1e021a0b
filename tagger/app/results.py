"""What a run knows about each path before it decides on genres."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagger.app.pending import tag_if_any
from tagger.app.tracks import RunTracks, TrackResult
from tagger.genres.albums import Albums, Key, group_key
from tagger.genres.policy import Policy
from tagger.inference.ensemble import combine
from tagger.types import Prediction, TagInfo


@dataclass(frozen=True, slots=True)
class Result:
    """What a run knows about one path before it decides on genres."""

    item: TrackResult
    tag: TagInfo | None  # None if it has not been read
    source: str = ""  # which predictions were averaged, if not just the track's own

    @property
    def path(self) -> Path:
        """The file."""
        return self.item.track.path if isinstance(self.item, Prediction) else self.item.path

    group: Key | None = None  # the same for all tracks of an album whose mean it is


def results(tracks: Sequence[RunTracks], by: str, policy: Policy) -> Iterator[Result]:
    """For each path the prediction of all models together, or why there is none.

    `by` is one of `albums.BY`.
    """
    infos = [by_model.info for by_model in tracks]
    # In parallel, so that every model's row of a track is read before the track is written.
    by_model = (_of_one_model(each, by) for each in tracks)
    for of_path in zip(*by_model, strict=True):
        first = of_path[0]
        predictions = [it.item for it in of_path if isinstance(it.item, Prediction)]
        if len(predictions) < len(of_path):
            failed = next(it.item for it in of_path if not isinstance(it.item, Prediction))
            yield Result(failed, first.tag)
        elif len(of_path) == 1:
            yield first
        else:
            mean, differing = combine(predictions, infos, policy)
            source = "; ".join(filter(None, (first.source, differing)))
            yield Result(mean, first.tag, source, first.group)


def _of_one_model(tracks: RunTracks, by: str) -> Iterator[Result]:
    albums = Albums(by)
    if by != "track":
        for item, tag in tracks.items():
            if isinstance(item, Prediction):
                albums.add(item, tag_if_any(item.track, tag, tracks.state))
    for item, tag in tracks.items():
        source, group = "", None
        if by != "track" and isinstance(item, Prediction):
            present = tag_if_any(item.track, tag, tracks.state)
            item, source = albums.mean_for(item, present)
            group = group_key(item.track.path, present, by) if source else None
        yield Result(item, tag, source, group)
