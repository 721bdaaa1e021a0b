"""The outcome of each track of a run, one per path, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tagger.app.asking import NOT_ASKED, Answered
from tagger.app.decided import if_decided
from tagger.app.pending import Finished, of_failure, reason_to_skip, tag_if_any
from tagger.app.request import TagRequest
from tagger.app.results import Result
from tagger.app.tracks import RunTracks
from tagger.state.store import State
from tagger.types import Action, Failure, Outcome, Prediction, TagInfo, Track
from tagger.writing.writer import Writer, report_prediction, write_prediction


def decided_outcomes(
    results: Iterable[Result], request: TagRequest, writer: Writer, answers: Answered | None = None
) -> Iterator[Outcome]:
    """One outcome per path, in order; each genre is written before its outcome is returned.

    If there are `answers`, they have been written, and nothing else is. What a person decided, now
    or in an earlier run, stays as it is.
    """
    if answers is not None:
        writer = replace(writer, run=None)
    for result in results:
        outcome = answers.outcome(result) if answers else None
        if outcome is None:
            kept = if_decided(result, request.policy, writer.state)
            outcome = kept.outcome if kept else _outcome(result, request, writer)
        if answers is not None and outcome.action is Action.WOULD_WRITE:
            # Another program has taken its genre away since the questions.
            outcome = replace(outcome, action=Action.KEPT, reason=NOT_ASKED, genres=())
        yield outcome


def _outcome(result: Result, request: TagRequest, writer: Writer) -> Outcome:
    item, tag = result.item, result.tag
    if not isinstance(item, Prediction):
        return not_predicted(item, tag, request, writer.state)
    if request.write_tags or request.dry_run:
        return write_prediction(item, request.policy, writer, tag, source=result.source)
    return report_prediction(item, request.policy, writer.state, tag)


def as_predicted(tracks: Sequence[RunTracks], request: TagRequest) -> Finished:
    """A function that gives a track's line once it is predicted; None if its outcome may change."""
    lines, writer = request.lines, Writer(tracks[0].state)
    changes = request.write_tags or request.dry_run
    if lines is None or changes or request.by != "track" or len(tracks) > 1:
        return None

    def finished(result: Prediction | Failure) -> None:
        for outcome in decided_outcomes([Result(result, None)], request, writer):
            lines.early(outcome)

    return finished


def not_predicted(
    item: Failure | Track, tag: TagInfo | None, request: TagRequest, state: State
) -> Outcome:
    """The outcome of a track that failed or was left out."""
    if isinstance(item, Failure):
        return of_failure(item)
    existing = tag_if_any(item, tag, state).genres
    if reason := reason_to_skip(item.path, existing, request.skip, request.policy):
        reason += "; not predicted (--skip)"
    else:
        reason = "it already has a genre; not predicted (--only-missing)"
    return Outcome(item.path, Action.KEPT, reason, existing=existing)
