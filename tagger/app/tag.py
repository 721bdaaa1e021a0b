"""`tag-genres PATH...`: scan, predict unknown tracks, choose genres, write, report."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tagger.app.asking import Asking
from tagger.app.confirm import Person
from tagger.app.decided import if_decided
from tagger.app.news import News
from tagger.app.outcomes import as_predicted, decided_outcomes, not_predicted
from tagger.app.pending import (
    leave_out_skipped,
    leave_out_tagged,
    predict_again,
    predict_unknown,
    recognise,
    tag_if_any,
)
from tagger.app.progress import Progress, naming
from tagger.app.request import TagRequest
from tagger.app.results import results
from tagger.app.summary import Summary, clear_folders, shown, undoable
from tagger.app.tracks import RunTracks
from tagger.errors import LibraryError
from tagger.files.atomic import clear_scratch
from tagger.files.ignore import LeftOut
from tagger.files.listed import read_paths
from tagger.files.media import skipped_line
from tagger.files.scan import NO_SUCH_PATH, find_tracks
from tagger.genres.policy import decide
from tagger.inference.ensemble import combined_labels
from tagger.models.checkpoint import ModelInfo
from tagger.models.find import find_model
from tagger.report.playlists import check_folder, in_playlists
from tagger.report.table import write_csv
from tagger.report.target import check_target, refuse_reports
from tagger.report.workbook import check_rows, check_workbook, in_workbook
from tagger.state.store import State, open_state
from tagger.types import Outcome, Prediction
from tagger.writing.writer import Writer, forget_unfinished, write_prediction


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one track gets its genre."""

    outcome: Outcome  # of a dry run
    source: str = ""  # which predictions were averaged, if not just the track's own
    steps: tuple[str, ...] = ()  # each rule that was applied


def tag_library(request: TagRequest, progress: Progress, person: Person | None = None) -> Summary:
    """Predict unknown tracks, write genres if asked, and report on every track.

    If there is a `person`, what would be written is theirs to decide, track by track.
    Raises `LibraryError` if there is no track, and the errors of models and state.
    """
    request = _with_listed(request)
    if request.csv:
        check_target(request.csv)
    if request.xlsx:
        check_workbook(request.xlsx)
    if request.playlists and not request.dry_run:
        check_folder(request.playlists)
    models, left_out = find_models(request, progress), LeftOut()
    if request.lines:
        request.lines.begin(models, request.reports, request.policy)
    with open_state(request.state, progress.say) as state, state.locked(progress.say):
        forget_unfinished(state)
        state.use_charset(request.writing.tags.charset)
        tracks = _scan(request, state, models, progress, left_out)
        if request.xlsx:
            check_rows(request.xlsx, tracks[0].count())
        predict_all(tracks, request, progress)
        summary = Summary(
            state=request.state, models=models, other_media=skipped_line(left_out.suffixes),
            write_tags=request.write_tags, dry_run=request.dry_run, by=request.by,
            policy=request.policy, lines=request.lines,
        )  # fmt: skip
        summary.news = news = News(state, remembers=not request.dry_run)
        writing = request.write_tags and not request.dry_run
        if writing:
            name = " + ".join(info.name for info in models)
            summary.run = state.begin_run("tag", name, _folders(request.paths))
            clear_folders(tracks[0].folders())
        for report in request.reports:
            clear_scratch(report.absolute().parent)
        writer = Writer(state, summary.run, request.writing, models)
        label = "writing" if writing and not person else "reporting"
        with undoable(summary, state, progress):  # each tag is written just before its row
            asking = Asking(tracks, request.by, request.policy, writer, progress)
            answers = asking.ask(person) if person else None
            found = naming(
                results(tracks, request.by, request.policy), lambda it: it.path, progress
            )
            outcomes = decided_outcomes(found, request, writer, answers)
            rows = shown(outcomes, tracks[0].count(), label, summary, progress)
            _report(_in_playlists(rows, request, progress), request, models, progress)
        news.forget_others(decides=request.write_tags)
    return summary


def explain_library(request: TagRequest, progress: Progress) -> Iterator[Explanation]:
    """For each track, how the policy decides what would be written; nothing is written."""
    request = _with_listed(request)
    models = find_models(request, progress)
    with open_state(request.state, progress.say) as state:
        state.use_charset(request.writing.tags.charset)
        tracks = _scan(request, state, models, progress, LeftOut())
        predict_all(tracks, request, progress)
        dry_run = Writer(state, options=request.writing, models=models)
        for result in results(tracks, request.by, request.policy):
            item = result.item
            if kept := if_decided(result, request.policy, state):
                yield Explanation(kept.outcome, result.source, (kept.why,))
                continue
            if not isinstance(item, Prediction):
                yield Explanation(not_predicted(item, result.tag, request, state))
                continue
            source = result.source
            if request.by != "track":
                source = source or "this track alone"
            steps = decide(item, tag_if_any(item.track, result.tag, state), request.policy).steps
            outcome = write_prediction(item, request.policy, dry_run, result.tag)
            yield Explanation(outcome, source, steps)


def _report(
    rows: Iterator[Outcome], request: TagRequest, models: Sequence[ModelInfo], progress: Progress
) -> None:
    """Write the reports that the request asks for, which takes the rows."""
    name = " + ".join(info.name for info in models)
    labels = combined_labels(models, request.policy) if request.all_probabilities else ()
    if request.xlsx:
        rows = in_workbook(rows, request.xlsx, progress.say, model=name, labels=labels)
    if request.csv:
        write_csv(rows, request.csv, progress.say, model=name, labels=labels)
    else:
        deque(rows, maxlen=0)


def _in_playlists(
    outcomes: Iterator[Outcome], request: TagRequest, progress: Progress
) -> Iterator[Outcome]:
    """The outcomes, which become playlists on their way if the request asks for those."""
    if request.playlists is None:
        return outcomes
    if request.dry_run:
        progress.say("a dry run leaves the playlists as they are")
        return outcomes
    about = [real for path in request.paths for real in (path.absolute(), path.resolve())]
    return in_playlists(outcomes, request.playlists, request.policy, about, progress.say)


def find_models(request: TagRequest, progress: Progress) -> list[ModelInfo]:
    """The models to predict with; a model that is named twice counts once."""
    found: dict[str, ModelInfo] = {}
    labels = request.labels
    for info in (
        find_model(name, progress.say, quiet=progress.quiet, labels=labels)
        for name in request.model
    ):
        found.setdefault(info.fingerprint, info)
    return list(found.values())


def _scan(
    request: TagRequest,
    state: State,
    models: Sequence[ModelInfo],
    progress: Progress,
    left_out: LeftOut,
) -> list[RunTracks]:
    """The tracks under the paths, once for each model, without those that the request skips."""
    paths, scan = request.paths, request.scan
    refuse_reports(paths)
    found = find_tracks(
        paths, follow_links=scan.follow_links, exclude=scan.exclude, suffixes=scan.suffixes,
        left_out=left_out,
    )  # fmt: skip
    counted = progress.bar(found, 0, "scanning")
    counted = naming(counted, lambda item: item.path.parent, progress)
    first = RunTracks(counted, state, models[0], request.options)
    if left_out.line:
        progress.say(left_out.line)
    # In a list of many paths, a missing one is a row of the report, as are all of them.
    if first.failed_only_by(NO_SUCH_PATH) and not (scan.from_file and first.count()):
        names = ", ".join([str(path) for path in paths[:3]] + ["…"] * (len(paths) > 3))
        reason = NO_SUCH_PATH if first.count() else "no audio file in it"
        if (others := skipped_line(left_out.suffixes)) and not first.count():
            reason += f" ({others})"
        raise LibraryError(f"{names}: {reason}; name a folder that holds music, or a file")
    return for_models(first, request, models, progress)


def for_models(
    first: RunTracks, request: TagRequest, models: Sequence[ModelInfo], progress: Progress
) -> list[RunTracks]:
    """The tracks of the first model once for each model, without those that the request skips."""
    if request.skip:
        leave_out_skipped(first, request.skip, request.policy, progress)
    tracks = [first, *map(first.with_model, models[1:])]
    for by_model in tracks:
        recognise(by_model, progress)
    if request.predict_again:
        predict_again(tracks, progress)
    for by_model in tracks if request.only_missing else ():
        leave_out_tagged(by_model, request.policy, progress)
    return tracks


def _folders(paths: Iterable[Path]) -> list[Path]:
    real = (path.resolve() for path in paths)
    return list(dict.fromkeys(path if path.is_dir() else path.parent for path in real))


def _with_listed(request: TagRequest) -> TagRequest:
    """The request with the paths of its list among its own."""
    scan = request.scan
    if scan.from_file is None:
        return request
    listed = read_paths(scan.from_file, null=scan.null)
    return replace(request, paths=[*request.paths, *listed])


def predict_all(tracks: Sequence[RunTracks], request: TagRequest, progress: Progress) -> None:
    """Predict with each model what it does not know yet."""
    finished = as_predicted(tracks, request)
    for by_model in tracks:
        predict_unknown(by_model, request.policy, progress, finished)
