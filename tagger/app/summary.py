"""The results of a run, counted as its tracks are processed."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tagger.app.doubts import LOW, Ranked, Ranking, disagrees, predicted_genres, why_unsure
from tagger.app.failures import Failures
from tagger.app.news import News
from tagger.app.progress import Progress
from tagger.files.atomic import clear_scratch
from tagger.genres.policy import Policy
from tagger.models.checkpoint import ModelInfo
from tagger.state.store import State
from tagger.types import BY_HAND, Action, Outcome, Prediction

LOG = logging.getLogger("tagger")
FIRST_FAILURES = 5


class Listener(Protocol):
    """Receives the outcomes of a run one by one, and its summary as soon as it has one."""

    summary: Summary | None

    def track(self, outcome: Outcome) -> None:
        """Take the final outcome of one track."""
        ...


@dataclass(slots=True)
class Summary:
    """The results of a run, in numbers, and what a person should look at.

    `doubts` defines the words. Memory does not grow with the number of tracks.
    """

    run: int | None = None  # its number in the journal; None if it writes no tags
    state: Path | None = None  # as the user gave it
    actions: Counter[Action] = field(default_factory=Counter)
    genres: Counter[str] = field(default_factory=Counter)  # predicted genre of each track
    confidence: dict[str, float] = field(default_factory=dict)  # their sum, for each genre
    spread: Counter[int] = field(default_factory=Counter)  # tracks by hundredths of confidence
    written: Counter[str] = field(default_factory=Counter)  # files that get a genre, or would
    unsure: Counter[str] = field(default_factory=Counter)  # tracks by `doubts.why_unsure`
    floors: set[float] = field(default_factory=set)  # confidences that unsure tracks do not reach
    failed: Failures = field(default_factory=Failures)
    failures: list[Outcome] = field(default_factory=list)  # the first few
    by_hand: int = 0  # tracks that a person decided, in this run or before
    untaggable: int = 0  # would have been written, but hold no tags
    new_failures: int = 0  # those that the last run did not have
    noted: list[Outcome] = field(default_factory=list)  # written, with a remark
    models: Sequence[ModelInfo] = ()
    other_media: str = ""  # files that were not listed for their suffixes, in words
    news: News | None = None  # what is new, for a command that may run every night
    agreed: Counter[bool] = field(default_factory=Counter)  # whether all models agree
    write_tags: bool = True  # asked for, even if only by a dry run
    dry_run: bool = False
    by: str = "track"  # one of albums.BY
    policy: Policy = field(default_factory=Policy)
    doubtful: Ranking = field(default_factory=Ranking)
    disagreeing: Ranking = field(default_factory=Ranking)
    disagreed: int = 0
    put_back: int = 0  # files, for which an undo may have undone several changes
    had_back: int = 0  # files that had the old genre already
    lines: Listener | None = None

    def __post_init__(self) -> None:
        if self.lines:
            self.lines.summary = self
        self.doubtful.grouped = self.disagreeing.grouped = self.by != "track"

    @property
    def stronger_exist(self) -> bool:
        """Whether only the bundled model was used: others know more genres."""
        return bool(self.models and self.agreed) and all(info.is_bundled for info in self.models)

    @property
    def how_to_undo(self) -> str:
        """The command that undoes the tags of the run, in words; "" if it wrote none."""
        return f"undo with: {self.undo_command}" if self.undo_command else ""

    @property
    def undo_command(self) -> str:
        """The command that undoes the tags of the run; "" if it wrote none."""
        if not self.actions[Action.WRITTEN]:
            return ""
        named = f" --state {shlex.quote(str(self.state))}" if self.state else ""
        return f"tag-genres undo --run {self.run}{named}"

    def mean_confidence(self, *genres: str) -> float | None:
        """Of the tracks with these predicted genres, or of all; None if there are none."""
        chosen = genres or tuple(self.genres)
        tracks = sum(self.genres[genre] for genre in chosen)
        return sum(self.confidence[genre] for genre in chosen) / tracks if tracks else None

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.actions[outcome.action] += 1
        predicted = predicted_genres(outcome, self.policy)
        if predicted and outcome.prediction:
            self._add_predicted(outcome, predicted, outcome.prediction)
        # Where genres are decided on, a track is only predicted if its file cannot be tagged.
        untaggable = outcome.action is Action.PREDICTED and (self.write_tags or self.dry_run)
        self.untaggable += untaggable
        why = "" if untaggable else why_unsure(outcome, self.policy)
        if why:
            self.unsure[why] += 1
        if why == LOW and outcome.prediction:
            self.floors.add(self.policy.floor(outcome.prediction))
            self.doubtful.add(outcome.ranked[0][1], outcome, outcome.ranked)
        if outcome.action in (Action.WRITTEN, Action.WOULD_WRITE):
            new = [genre for genre in outcome.genres if genre not in outcome.existing]
            self.written.update(new or outcome.genres)
        self.by_hand += outcome.reason == BY_HAND
        if outcome.prediction is None and outcome.action is Action.WRITTEN and outcome.reason:
            self.noted.append(outcome)
        if outcome.action is Action.FAILED:
            self.failed.add(outcome)
            self.failures += [outcome] * (len(self.failures) < FIRST_FAILURES)

    def _add_predicted(self, outcome: Outcome, ranked: Ranked, prediction: Prediction) -> None:
        genre, share = ranked[0]
        self.genres[genre] += 1
        self.confidence[genre] = self.confidence.get(genre, 0.0) + share
        self.spread[round(share * 100)] += 1
        self.agreed[prediction.agreement == 1] += 1
        if disagrees(outcome, ranked, self.policy):
            self.disagreed += 1
            self.disagreeing.add(-share, outcome, ranked)


def clear_folders(folders: Iterable[Path]) -> None:
    """Remove temporary files that killed runs left beside the tracks."""
    for folder in dict.fromkeys(folders):
        clear_scratch(folder)


@contextmanager
def undoable(summary: Summary, state: State, progress: Progress) -> Iterator[None]:
    """If Ctrl-C or a full disk ends the run early, say how to undo what it has written."""
    try:
        yield
    except BaseException:
        if summary.run is not None:
            # The last write may not be counted: an interrupt takes effect right after it.
            summary.actions[Action.WRITTEN] = len(state.changes(summary.run))
            if summary.how_to_undo:
                progress.say(summary.how_to_undo)
        raise


def shown(
    outcomes: Iterable[Outcome], total: int, label: str, summary: Summary, progress: Progress
) -> Iterator[Outcome]:
    """Count, show, log and yield the outcomes."""
    for outcome in progress.bar(outcomes, total, label):
        summary.add(outcome)
        progress.outcome(outcome)
        if summary.lines:
            summary.lines.track(outcome)
        is_new = summary.news is None or summary.news.is_new(outcome)
        summary.new_failures += is_new and outcome.action is Action.FAILED
        if summary.news and is_new:
            progress.news(outcome)
        if outcome.action is Action.WRITTEN and outcome.reason != BY_HAND:  # logged when decided
            log_written(outcome, summary.run)
        yield outcome


def log_written(outcome: Outcome, run: int | None) -> None:
    """Log the genres before and after a write."""
    before, after = ("; ".join(genres) or "(none)" for genres in (outcome.existing, outcome.genres))
    LOG.info("written: %s: %s -> %s (run %s)", outcome.path, before, after, run)
