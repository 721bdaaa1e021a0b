"""The text that is printed: for a track, a diff, an explanation, the end of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagger.app.doubts import LOW
from tagger.report.escape import printable
from tagger.types import DEFAULT_MODEL, Action, Outcome

if TYPE_CHECKING:
    from tagger.app.summary import Summary
    from tagger.app.tag import Explanation
    from tagger.state.journal import Run

SHOWN_NOTES, SHOWN_GENRES = 5, 3
SHOWN_SCORES, LEAST_SCORE = 10, 0.005  # in an explanation
STRONGER = "audioset"  # the preset to try next: its licence suits everybody, it has more genres
LONG = 1000  # characters of genres and reasons, in a line for one track


def outcome_line(outcome: Outcome) -> str:
    """The result for one track."""
    best = outcome.ranked[0][0] if outcome.ranked else ""
    note = outcome.prediction.note if outcome.prediction else ""
    named = "; ".join(outcome.genres) or (best if outcome.reason == note else "")
    detail = named or outcome.reason or best or "(no genre)"
    if named and outcome.reason:
        detail += f" ({outcome.reason})"
    path, detail = printable(str(outcome.path)), printable(detail, LONG)
    return f"{outcome.action.value}: {path}: {detail}"


def predicted_line(outcome: Outcome) -> str:
    """A prediction that was made just now."""
    best = _scores(outcome.ranked[:1]) or outcome.reason or "no genre"
    return f"new prediction: {printable(str(outcome.path))}: {printable(best, LONG)}"


def diff_lines(outcome: Outcome) -> Iterator[str]:
    """One track as a diff: path, genres before, genres after with confidence and reason."""
    yield click.style(printable(str(outcome.path)), bold=True)
    before = printable("; ".join(outcome.existing), LONG)
    if outcome.action is not Action.WOULD_WRITE:
        result = printable(f"{outcome.action.value}: {outcome.reason}", LONG)
        line = "   ".join(filter(None, (before, result)))
        yield click.style(f"  {line}", fg="yellow" if outcome.action is Action.FAILED else None)
        return
    if before:
        yield click.style(f"- {before}", fg="red")
    after = printable("; ".join(outcome.genres), LONG) or "(no genre)"
    confidence = f"{outcome.ranked[0][1]:.2f}" if outcome.ranked else ""
    details = "  ".join(filter(None, (confidence, printable(outcome.reason, LONG))))
    yield click.style(f"+ {after}", fg="green") + (f"   {details}" if details else "")


def explanation_lines(track: Explanation) -> Iterator[str]:
    """What was predicted for one track, each rule that was applied, and what would be written."""
    yield click.style(printable(str(track.outcome.path)), bold=True)
    for line in _explanation(track):
        yield printable(f"  {line}", LONG)


def _explanation(track: Explanation) -> Iterator[str]:
    outcome = track.outcome
    if outcome.prediction is not None:
        of = f" ({track.source})" if track.source else ""
        yield f"tag:    {'; '.join(outcome.existing) or '(no genre)'}"
        yield f"labels: {_scores(outcome.prediction.ranked)}{of}"
        yield f"genres: {_scores(outcome.ranked) or 'none'}"
        if outcome.prediction.note:
            yield f"note:   {outcome.prediction.note}"
    for step in track.steps:
        yield f"rule:   {step}"
    if outcome.action is Action.WOULD_WRITE:
        yield f"result: would write {'; '.join(outcome.genres)}"
    else:
        yield f"result: {outcome.action.value}: {outcome.reason}"


def _scores(ranked: Iterable[tuple[str, float]]) -> str:
    scores = (f"{name} {score:.2f}" for name, score in ranked if score >= LEAST_SCORE)
    return " · ".join(islice(scores, SHOWN_SCORES))


def summary_lines(summary: Summary, *reports: Path) -> Iterator[str]:
    """The closing lines of a run that wrote these reports."""
    yield count_line(summary)
    yield from genre_lines(summary)
    yield from model_lines(summary)
    yield from failure_lines(summary, where_failures_are(reports))
    yield from last_lines(summary, reports)


def where_failures_are(reports: Sequence[Path]) -> str:
    """Where to find the failures that are not shown."""
    if not reports:
        return "--verbose shows them"
    return f"see `reason` in {next(iter(_files_of(reports)), 'the report')}"


def count_line(summary: Summary) -> str:
    """How many outcomes there are of each kind, in the words of the report."""
    actions = summary.actions
    counts = [f"{a.value.replace('-', ' ')} {actions[a]:,}" for a in Action if actions[a]]
    return " · ".join(counts) or "nothing to do"


def genre_lines(summary: Summary) -> Iterator[str]:
    """Which genres were predicted, and which a run wrote or would write."""
    if summary.genres:
        yield f"predicted genres: {_most_common(summary.genres)}"
    if summary.genres and summary.written:
        verb = "to be written" if summary.dry_run else "written"
        yield f"genres {verb}: {_most_common(summary.written)}"


def unsure_line(summary: Summary) -> str:
    """How many tracks are unsure, and why; see `app.doubts`."""
    floor = f" {min(summary.floors):g}" if len(summary.floors) == 1 else ""  # else one per model
    counts = [(f"{why}{floor * (why == LOW)}", n) for why, n in summary.unsure.most_common()]
    why = [f"{count:,} {why}" if len(counts) > 1 else why for why, count in counts]
    total = tracks(summary.unsure.total())
    return f"unsure: {total} ({', '.join(why)})" if why else f"unsure: {total}"


def model_lines(summary: Summary) -> Iterator[str]:
    """How far several models agree, and which files they were not used for or cannot be tagged."""
    if len(summary.models) > 1 and (predicted := summary.agreed.total()):
        yield f"the models agree on {summary.agreed[True]:,} of {predicted:,} tracks"
    if summary.other_media:
        yield summary.other_media
    if summary.by_hand:
        yield f"decided by hand: {tracks(summary.by_hand)}"
    if summary.untaggable:
        yield f"cannot be tagged: {files(summary.untaggable)} (predicted only)"


def last_lines(summary: Summary, reports: Sequence[Path]) -> Iterator[str]:
    """Where the results are, and what to do next."""
    if written := _files_of(reports):
        yield f"report: {', '.join(written)}"
    if summary.actions[Action.WOULD_WRITE]:
        how = "without --dry-run" if summary.write_tags else "with --write-tags, without --dry-run,"
        yield f"no file was changed; run {how} to write the tags"
    if summary.how_to_undo:
        yield summary.how_to_undo
    if hint := stronger_hint(summary):
        yield hint


def stronger_hint(summary: Summary) -> str:
    """Which model to try next; "" if the run used another than the bundled one."""
    if not summary.stronger_exist:
        return ""
    from tagger.models.presets import PRESETS  # reads a file

    size = PRESETS[STRONGER].megabytes
    return (
        f"there are stronger models than {DEFAULT_MODEL}: try --model {STRONGER} ({size} MB), "
        "or see: tag-genres models"
    )


def undo_lines(what: str, summary: Summary) -> Iterator[str]:
    """The closing lines of an undo."""
    first, *others = undone_lines(what, summary)
    yield first
    yield from failure_lines(summary, "--verbose shows them")
    yield from others


def undone_lines(what: str, summary: Summary) -> Iterator[str]:
    """What was undone, and what to do next."""
    actions = summary.actions
    verb = "would put back" if summary.dry_run else "put back"
    yield f"{what}: {verb} the genre of {files(summary.put_back)}"
    if summary.had_back:
        yield f"unchanged: {files(summary.had_back)} with the old genre already"
    if actions[Action.WRITTEN]:
        yield f"this undo is run {summary.run} and can be undone too"
    elif actions[Action.FAILED] and not summary.put_back:
        yield "to undo another run, find its number with: tag-genres undo --list"


def failure_lines(summary: Summary, where: str) -> Iterator[str]:
    """The first notes and failures, and where to find the others."""
    yield from note_lines(summary)
    for outcome in summary.failures:
        yield f"failed: {outcome.path}: {outcome.reason}"
    if hidden := summary.actions[Action.FAILED] - len(summary.failures):
        yield f"failed: {hidden:,} more ({where})"


def note_lines(summary: Summary) -> Iterator[str]:
    """The first files that were written although something about them had changed."""
    for outcome in summary.noted[:SHOWN_NOTES]:
        yield f"written: {outcome.path}: {outcome.reason}"
    if len(summary.noted) > SHOWN_NOTES:
        yield f"written: {len(summary.noted) - SHOWN_NOTES:,} more like this (--verbose shows them)"


def _files_of(reports: Iterable[Path]) -> list[str]:
    return [str(report) for report in reports if str(report) != "-"]


def _most_common(genres: Counter[str]) -> str:
    shown = [f"{genre} {count:,}" for genre, count in genres.most_common(SHOWN_GENRES)]
    if len(genres) > SHOWN_GENRES:
        shown.append(f"{len(genres) - SHOWN_GENRES} more")
    return " · ".join(shown)


def files(count: int) -> str:
    """The number of files, in words."""
    return f"{count:,} file{'s' * (count != 1)}"


def tracks(count: int) -> str:
    """The number of tracks, in words."""
    return f"{count:,} track{'s' * (count != 1)}"


def run_lines(runs: Iterable[Run]) -> Iterator[str]:
    """A table of the runs that changed tags."""
    yield f"{'run':>4}  {'when (UTC)':<16}  {'what':<5}  {'files':>7}  {'undone':>7}  by"
    for run in runs:
        when = run.started[:16].replace("T", " ")
        undone = run.files - run.remaining
        yield printable(
            f"{run.id:>4}  {when:<16}  {run.kind:<5}  {run.files:>7,}  {undone:>7,}  {run.source}"
        )
