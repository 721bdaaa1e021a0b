"""What `tag-genres PATH...` does: the place where library, model, policy and state meet."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tagger.app.pending import (
    leave_out_skipped,
    leave_out_tagged,
    predict_unknown,
    reason_to_skip,
    tag_if_any,
)
from tagger.app.progress import Progress
from tagger.app.summary import Summary, clear_folders, shown, undoable
from tagger.app.tracks import RunTracks, TrackResult
from tagger.errors import LibraryError
from tagger.files.atomic import clear_scratch
from tagger.files.scan import NO_SUCH_PATH, find_tracks
from tagger.genres.albums import Albums
from tagger.genres.policy import Policy, decide
from tagger.inference.ensemble import combine, combined_labels
from tagger.models.checkpoint import ModelInfo
from tagger.models.find import DEFAULT_MODEL, find_model
from tagger.report.table import check_target, write_csv
from tagger.state.store import State, open_state
from tagger.types import (
    Action,
    Failure,
    Outcome,
    Prediction,
    PredictOptions,
    TagInfo,
    Track,
    WriteOptions,
)
from tagger.writing.writer import Writer, forget_unfinished, report_prediction, write_prediction


@dataclass(frozen=True, slots=True)
class TagRequest:
    """What `tag-genres PATH...` is asked to do."""

    paths: Sequence[Path]
    model: Sequence[str] = (DEFAULT_MODEL,)
    write_tags: bool = False
    dry_run: bool = False
    follow_links: bool = False  # also to what is outside of the paths
    by: str = "track"  # one of albums.BY
    only_missing: bool = False  # a track that has a genre is not heard
    skip: Sequence[str] = ()  # genres and suffixes; a track that has one is not heard
    csv: Path = Path("genres.csv")
    all_probabilities: bool = False
    state: Path | None = None
    policy: Policy = field(default_factory=Policy)
    options: PredictOptions = field(default_factory=PredictOptions)
    writing: WriteOptions = field(default_factory=WriteOptions)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one track gets what it gets."""

    outcome: Outcome  # of a dry run
    source: str = ""  # what its prediction is a mean of
    steps: tuple[str, ...] = ()  # each rule that was applied


def tag_library(request: TagRequest, progress: Progress) -> Summary:
    """Predict what is not known yet, write genres if asked, and report on every track.

    Raises `LibraryError` if there is no track, and whatever model and state raise.
    """
    check_target(request.csv)
    models = _find_models(request, progress)
    name = " + ".join(info.name for info in models)
    with open_state(request.state, progress.say) as state, state.locked(progress.say):
        forget_unfinished(state)
        heard = _find(request, state, models, progress)
        summary = Summary(state=request.state, models=models)
        writing = request.write_tags and not request.dry_run
        if writing:
            summary.run = state.begin_run("tag", name)
            clear_folders(heard[0].folders())
        clear_scratch(request.csv.absolute().parent)
        writer = Writer(state, summary.run, request.writing, models)
        outcomes = _outcomes(_judged(heard, request), request, writer)
        label = "writing" if writing else "reporting"
        rows = shown(outcomes, heard[0].count(), label, summary, progress)
        labels = combined_labels(models, request.policy) if request.all_probabilities else ()
        with undoable(summary, state, progress):
            write_csv(rows, request.csv, progress.say, model=name, labels=labels)
    return summary


def explain_library(request: TagRequest, progress: Progress) -> Iterator[Explanation]:
    """For each track, how the policy comes to what would be written; nothing is."""
    models = _find_models(request, progress)
    with open_state(request.state, progress.say) as state:
        heard = _find(request, state, models, progress)
        rehearsal = Writer(state, options=request.writing, models=models)
        for item, tag, source in _judged(heard, request):
            if not isinstance(item, Prediction):
                yield Explanation(_not_predicted(item, tag, request, state))
                continue
            if request.by != "track":
                source = source or "this track alone"
            steps = decide(item, tag_if_any(item.track, tag, state), request.policy).steps
            outcome = write_prediction(item, request.policy, rehearsal, tag)
            yield Explanation(outcome, source, steps)


def _find_models(request: TagRequest, progress: Progress) -> list[ModelInfo]:
    """What is to be heard with; a model that goes by two names is one."""
    found: dict[str, ModelInfo] = {}
    for info in (find_model(name, progress.say, quiet=progress.quiet) for name in request.model):
        found.setdefault(info.fingerprint, info)
    return list(found.values())


def _find(
    request: TagRequest, state: State, models: Sequence[ModelInfo], progress: Progress
) -> list[RunTracks]:
    """What is under the paths, by each model, all predicted but for what is to be left out."""
    paths = request.paths
    for path in paths:
        if path.suffix.lower() == ".csv" and path.is_file():
            raise LibraryError(
                f"{path} is a report, and no music; to write what you edited in it: "
                f"tag-genres apply {shlex.quote(str(path))}"
            )
    tracks = find_tracks(paths, follow_links=request.follow_links)
    found = RunTracks(progress.bar(tracks, 0, "scanning"), state, models[0], request.options)
    if found.failed_only_by(NO_SUCH_PATH):
        names = ", ".join(str(path) for path in paths)
        why = NO_SUCH_PATH if found.count() else "no audio file in it"
        raise LibraryError(f"{names}: {why}; name a folder that holds music, or a file")
    if request.skip:
        leave_out_skipped(found, request.skip, progress)
    heard = [found, *map(found.heard_by, models[1:])]
    for each in heard if request.only_missing else ():
        leave_out_tagged(each, progress)
    for each in heard:
        predict_unknown(each, request.policy, progress)
    return heard


def _judged(
    heard: Sequence[RunTracks], request: TagRequest
) -> Iterator[tuple[TrackResult, TagInfo | None, str]]:
    """For each item the prediction that counts, its tag if known, and what that is a mean of."""
    # In step, so that all models' rows of a track are read before the track is written.
    for judged in zip(*(_judged_by_one(each, request.by) for each in heard), strict=True):
        item, tag, source = judged[0]
        predictions = [item for item, _, _ in judged if isinstance(item, Prediction)]
        if len(predictions) == len(judged) > 1:
            item, differing = combine(predictions, [each.info for each in heard], request.policy)
            source = "; ".join(filter(None, (source, differing)))
        else:
            item = next((item for item, _, _ in judged if not isinstance(item, Prediction)), item)
        yield item, tag, source


def _judged_by_one(found: RunTracks, by: str) -> Iterator[tuple[TrackResult, TagInfo | None, str]]:
    """The same of one model."""
    albums = Albums(by)
    if by != "track":
        for item, tag in found.items():
            if isinstance(item, Prediction):
                albums.add(item, tag_if_any(item.track, tag, found.state))
    for item, tag in found.items():
        source = ""
        if by != "track" and isinstance(item, Prediction):
            item, source = albums.mean_for(item, tag_if_any(item.track, tag, found.state))
        yield item, tag, source


def _outcomes(
    judged: Iterable[tuple[TrackResult, TagInfo | None, str]], request: TagRequest, writer: Writer
) -> Iterator[Outcome]:
    """One outcome per track and failure, in order; genres are written on the way."""
    for item, tag, source in judged:
        if not isinstance(item, Prediction):
            yield _not_predicted(item, tag, request, writer.state)
        elif request.write_tags or request.dry_run:
            yield write_prediction(item, request.policy, writer, tag, source=source)
        else:
            yield report_prediction(item, request.policy, writer.state, tag)


def _not_predicted(
    item: Failure | Track, tag: TagInfo | None, request: TagRequest, state: State
) -> Outcome:
    if isinstance(item, Failure):
        return Outcome(item.path, Action.FAILED, item.reason)
    existing = tag_if_any(item, tag, state).genres
    if reason := reason_to_skip(item.path, existing, request.skip):
        reason += "; not heard (--skip)"
    else:
        reason = "it has a genre; not heard (--only-missing)"
    return Outcome(item.path, Action.KEPT, reason, existing=existing)
