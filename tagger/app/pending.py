"""Predict the tracks that have no prediction yet, except those that are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.app.progress import Progress
from tagger.app.tracks import RunTracks
from tagger.errors import TagError
from tagger.genres.policy import Policy, rank_genres, why_no_music
from tagger.models.checkpoint import ModelInfo
from tagger.models.folders import weight_files
from tagger.models.model import load_model
from tagger.state.store import State
from tagger.tags.isolated import with_audio
from tagger.types import NO_SOUND, Action, Failure, Outcome, Prediction, TagInfo, Track
from tagger.writing.writer import tag_of

if TYPE_CHECKING:
    from tagger.inference.predict import Pace

Finished = Callable[[Prediction | Failure], None] | None


def leave_out_tagged(tracks: RunTracks, policy: Policy, progress: Progress) -> None:
    """Leave out unknown tracks that have a genre; this reads the tag of each unknown track."""
    unknown = tracks.count_tracks().unknown
    for row, track, tag in progress.bar(tracks.unknown(), unknown, "reading tags"):
        progress.now(track.path)
        if policy.without_placeholders(tag_if_any(track, tag, tracks.state).genres):
            tracks.leave_out(row, "--only-missing")


def leave_out_skipped(
    tracks: RunTracks, skip: Sequence[str], policy: Policy, progress: Progress
) -> None:
    """Leave out every track with a `reason_to_skip`, whether it is known or not."""
    total = tracks.count_tracks().tracks
    by_genre = not all(map(_is_suffix, skip))  # else no tag is read
    for row, track, tag in progress.bar(tracks.tracks(), total, "reading tags"):
        progress.now(track.path)
        genres = tag_if_any(track, tag, tracks.state).genres if by_genre else ()
        if reason_to_skip(track.path, genres, skip, policy):
            tracks.leave_out(row, "--skip")


def reason_to_skip(path: Path, genres: Sequence[str], skip: Sequence[str], policy: Policy) -> str:
    """Why to skip a track with these genres, or "".

    `skip` holds genres, and suffixes of files, which begin with a dot.
    """
    for text in skip:
        if _is_suffix(text):
            if path.suffix.casefold() == text.casefold():
                return f"its name ends with {text}"
        elif policy.has(genres, text):
            return f"it has {text}"
    return ""


def _is_suffix(text: str) -> bool:
    return text.startswith(".")


def tag_if_any(track: Track, tag: TagInfo | None, state: State) -> TagInfo:
    """The tag of a track, read if it is not given; an empty one where it cannot be read."""
    try:
        return tag or tag_of(track, state)
    except TagError:
        return TagInfo()


def recognise(tracks: RunTracks, progress: Progress) -> None:
    """Find what is known about tracks whose path, size or time has changed, by their audio."""
    count = tracks.count_unrecognised()
    for row, track in progress.bar(tracks.unrecognised(), count, "recognising") if count else ():
        progress.now(track.path)
        tracks.recognise(row, track if track.audio else with_audio(track))
    tracks.state.settle_recognised()


def predict_again(tracks: Sequence[RunTracks], progress: Progress) -> None:
    """Let every track be predicted again; `tracks` has them for each model.

    If an earlier run that was to do so has ended early, only those that it had left are.
    """
    if left := sum(by_model.count_again() for by_model in tracks):
        progress.say(
            f"an earlier --predict-again ended early; {left:,} track{'s' * (left != 1)} left"
        )
    for by_model in tracks:
        if not left:
            by_model.mark_again()
        by_model.again = True


def predict_unknown(
    tracks: RunTracks, policy: Policy, progress: Progress, finished: Finished = None
) -> None:
    """Predict the unknown tracks; each prediction is stored and shown as soon as it is known.

    Then `finished` is called with it.
    """
    info, options = tracks.info, tracks.options
    what = f"{info.name} ({'bundled, ' if info.is_bundled else ''}{len(info.labels)} labels)"
    unknown = tracks.count_tracks().unknown
    if not unknown:
        progress.say(f"{what} · {_counted(tracks)}")
        for line in _precisions(tracks):
            progress.say(line)
        return
    with ExitStack() as ends:
        with progress.busy(f"loading {_sized(info)}"):
            import pandas  # noqa: F401  # for the report, for the same reason as below

            from tagger.audio.pool import DecoderPool
            from tagger.inference.predict import Pace, choose_workers, predict_tracks
            from tagger.inference.workload import Workload

            workers = choose_workers(options.workers, unknown)
            # It starts while the model loads.
            pool = ends.enter_context(DecoderPool(workers, options.decode_timeout))
            model = load_model(info, options, progress.say)
        progress.say(f"{what} on {model.device}, {model.precision} · {_counted(tracks)}")
        for line in _precisions(tracks, model.precision):
            progress.say(line)
        started: dict[int, tuple[int, Track]] = {}  # row and track by index, until predicted
        workload = Workload(tracks.plan)
        workload.expect_all(tracks.unknown_sizes())
        pace = Pace(workload=workload)
        results = predict_tracks(_started(tracks, started), model, tracks.plan, pool, pace)
        shown = progress.bar(
            results, unknown, "predicting", lambda result: _predicted(result[1], policy), workload
        )
        for index, result in shown:
            row, track = started.pop(index)
            tracks.save(row, track, result)
            if isinstance(result, Prediction):
                tag_if_any(track, None, tracks.state)  # so that nobody waits for it at the end
            if finished is not None:
                finished(result)
    if line := _limit(pace, str(model.device)):
        progress.say(line)


def _limit(pace: Pace, device: str) -> str:
    """Whether decoding was what took the time, in words; "" if not."""
    # If the model runs on the CPU, the decoders share it, so neither waits for the other.
    if device == "cpu" or pace.waited <= pace.total / 2:
        return ""
    return (
        f"decoding was the limit: {device} waited for it {pace.waited / pace.total:.0%} "
        "of the time; more cores would help"
    )


def _sized(info: ModelInfo) -> str:
    """The name of a model, and how much is read to load it."""
    size = sum(file.stat().st_size for file in weight_files(info.folder, info.name))
    return f"{info.short_name} ({size / 1e6:,.0f} MB)"


def _counted(tracks: RunTracks) -> str:
    counts = tracks.count_tracks()
    counted = f"{counts.tracks:,} track{'s' * (counts.tracks != 1)}"
    if known := tracks.count_known():
        counted += f", {known:,} known from earlier runs"
    if counts.left_out:
        options = " and ".join(sorted(tracks.left_out_by, reverse=True))
        counted += f", {counts.left_out:,} left out by {options}"
    return counted


def _precisions(tracks: RunTracks, own: str = "") -> Iterator[str]:
    """The lines about the precision of earlier predictions; `own` is that of this run."""
    known = tracks.precisions()
    asked = tracks.options.precision
    others = {name: count for name, count in known.items() if name != (own or asked)}
    if not others or (not own and len(others) == 1):
        return
    listed = ", ".join(
        f"{count:,} {f'in {name}' if name else 'of unknown precision'}"
        for name, count in others.items()
    )
    again = "" if asked == "auto" else f"; predicted again in {asked}"
    yield f"earlier predictions: {listed}{again}"
    if not again:
        return
    if "" in others:
        yield "earlier versions did not store the precision; without --precision, theirs are reused"


def _started(tracks: RunTracks, started: dict[int, tuple[int, Track]]) -> Iterator[Track]:
    """The unknown tracks; each is put into `started` when it is requested."""
    for index, (row, found, _) in enumerate(tracks.unknown()):
        track = found if found.audio else with_audio(found)
        started[index] = row, track
        yield track


def of_failure(failure: Failure) -> Outcome:
    """The outcome of a track that has no prediction; a silent video is no failure of anything."""
    action = Action.NO_MUSIC if failure.reason == NO_SOUND else Action.FAILED
    return Outcome(failure.path, action, failure.reason)


def _predicted(result: Prediction | Failure, policy: Policy) -> Outcome:
    if isinstance(result, Failure):
        return of_failure(result)
    if reason := why_no_music(result, policy):
        return Outcome(result.track.path, Action.NO_MUSIC, reason, result)
    ranked = () if result.is_silent else tuple(rank_genres(result, policy))
    return Outcome(result.track.path, Action.PREDICTED, "", result, ranked=ranked)
