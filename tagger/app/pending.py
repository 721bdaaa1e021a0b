"""Predict the tracks of which nothing is known yet, but for those that are to be left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from tagger.app.progress import Progress
from tagger.app.tracks import RunTracks
from tagger.errors import TagError
from tagger.genres.labels import name_key
from tagger.genres.policy import Policy, rank_genres, why_no_music
from tagger.models.model import load_model
from tagger.state.store import State
from tagger.types import Action, Failure, Outcome, Prediction, TagInfo, Track
from tagger.writing.writer import tag_of


def leave_out_tagged(found: RunTracks, progress: Progress) -> None:
    """Leave out those unknown ones that have a genre; the tags of all are read."""
    _, unknown, _ = found.count_tracks()
    for number, track, tag in progress.bar(found.unknown(), unknown, "reading tags"):
        if tag_if_any(track, tag, found.state).genres:
            found.leave_out(number)


def leave_out_skipped(found: RunTracks, skip: Sequence[str], progress: Progress) -> None:
    """Leave out what `reason_to_skip` has a reason for, known or not."""
    tracks, _, _ = found.count_tracks()
    by_genre = not all(map(_is_suffix, skip))  # else no tag need be read
    for number, track, tag in progress.bar(found.tracks(), tracks, "reading tags"):
        genres = tag_if_any(track, tag, found.state).genres if by_genre else ()
        if reason_to_skip(track.path, genres, skip):
            found.leave_out(number)


def reason_to_skip(path: Path, genres: Sequence[str], skip: Sequence[str]) -> str:
    """Why a track is to be skipped that has these genres, or "".

    What is to be skipped is a genre, or with a dot in front a suffix of files.
    """
    for text in skip:
        if _is_suffix(text):
            if path.suffix.casefold() == text.casefold():
                return f"its name ends with {text}"
        elif name_key(text) in map(name_key, genres):
            return f"it has {text}"
    return ""


def _is_suffix(text: str) -> bool:
    return text.startswith(".")


def tag_if_any(track: Track, tag: TagInfo | None, state: State) -> TagInfo:
    """What the tag of a track holds, read if it is not given; nothing, where none can be read."""
    try:
        return tag or tag_of(track, state)
    except TagError:
        return TagInfo()


def predict_unknown(found: RunTracks, policy: Policy, progress: Progress) -> None:
    """Predict them one after another; each is kept, and shown, as it comes."""
    info, options = found.info, found.options
    found.state.add_model(info.fingerprint, info.name, info.labels, multi_label=info.multi_label)
    what = f"{info.name} ({'bundled, ' if info.is_bundled else ''}{len(info.labels)} labels)"
    _, unknown, _ = found.count_tracks()
    if not unknown:
        progress.say(f"{what} · {_counted(found)}")
        return
    from tagger.inference.batches import Readers
    from tagger.inference.predict import Pace, choose_workers, predict_tracks

    workers = choose_workers(options.workers, unknown)
    with Readers(workers, options.decode_timeout) as readers:  # they begin while the model loads
        model = load_model(info, options, progress.say)
        progress.say(f"{what} on {model.device}, {model.precision} · {_counted(found)}")
        begun: deque[tuple[int, Track]] = deque()
        pace, tracks = Pace(), _begun(found, begun)
        results = predict_tracks(tracks, model, found.plan, readers, pace)
        shown = progress.bar(results, unknown, "predicting", lambda result: _heard(result, policy))
        for result in shown:
            found.save(*begun.popleft(), result)
    # Where one processor decodes and computes, neither waits for the other.
    if model.device.type != "cpu" and pace.waited > pace.total / 2:
        progress.say(
            f"decoding was the limit: {model.device} waited for it {pace.waited / pace.total:.0%} "
            "of the time; more cores would help"
        )


def _counted(found: RunTracks) -> str:
    tracks, unknown, left_out = found.count_tracks()
    counted = f"{tracks:,} track{'s' * (tracks != 1)}"
    if earlier := tracks - unknown - left_out:
        counted += f", {earlier:,} known from earlier runs"
    if left_out:
        counted += f", {left_out:,} left out"
    return counted


def _begun(found: RunTracks, begun: deque[tuple[int, Track]]) -> Iterator[Track]:
    """The unknown tracks, each kept in `begun` with its number until its prediction comes."""
    for number, track, _ in found.unknown():
        begun.append((number, track))
        yield track


def _heard(result: Prediction | Failure, policy: Policy) -> Outcome:
    if isinstance(result, Failure):
        return Outcome(result.path, Action.FAILED, result.reason)
    if reason := why_no_music(result, policy):
        return Outcome(result.track.path, Action.NO_MUSIC, reason, result)
    ranked = () if result.is_silent else tuple(rank_genres(result, policy))
    return Outcome(result.track.path, Action.PREDICTED, "", result, ranked=ranked)
