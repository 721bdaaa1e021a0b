"""The results of a run, counted as its tracks are processed."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tagger.app.news import News
from tagger.app.progress import Progress
from tagger.files.atomic import clear_scratch
from tagger.models.checkpoint import ModelInfo
from tagger.state.store import State
from tagger.types import Action, Outcome

LOG = logging.getLogger("tagger")


@dataclass(slots=True)
class Summary:
    """The results of a run, in numbers, and the first failures."""

    run: int | None = None  # its number in the journal; None if it writes no tags
    state: Path | None = None  # as the user gave it
    actions: Counter[Action] = field(default_factory=Counter)
    genres: Counter[str] = field(default_factory=Counter)  # best genre of each predicted track
    untaggable: int = 0
    new_failures: int = 0  # those that the last run did not have
    failures: list[Outcome] = field(default_factory=list)  # the first few, to be printed
    noted: list[Outcome] = field(default_factory=list)  # written, with a remark
    models: Sequence[ModelInfo] = ()
    skipped: str = ""  # files that were not listed for their suffixes, in words
    news: News | None = None  # what is new, for a command that may run every night
    agreed: Counter[bool] = field(default_factory=Counter)  # whether all models agree

    @property
    def stronger_exist(self) -> bool:
        """Whether only the bundled model was used: others know more genres."""
        return bool(self.agreed) and all(info.is_bundled for info in self.models)

    @property
    def how_to_undo(self) -> str:
        """The command that undoes the tags of the run; "" if it wrote none."""
        if not self.actions[Action.WRITTEN]:
            return ""
        named = f" --state {shlex.quote(str(self.state))}" if self.state else ""
        return f"undo with: tag-genres undo --run {self.run}{named}"

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.actions[outcome.action] += 1
        if outcome.ranked and outcome.prediction and not outcome.prediction.is_silent:
            self.genres[outcome.ranked[0][0]] += 1
            self.agreed[outcome.prediction.agreement == 1] += 1
        if outcome.prediction is None and outcome.action is Action.WRITTEN and outcome.reason:
            self.noted.append(outcome)
        note = outcome.prediction.note if outcome.prediction else ""
        self.untaggable += outcome.action is Action.PREDICTED and outcome.reason != note
        if outcome.action is Action.FAILED and len(self.failures) < 5:
            self.failures.append(outcome)


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
        is_new = summary.news is None or summary.news.is_new(outcome)
        summary.new_failures += is_new and outcome.action is Action.FAILED
        if summary.news and is_new:
            progress.news(outcome)
        if outcome.action is Action.WRITTEN:
            before, after = ("; ".join(it) or "(none)" for it in (outcome.existing, outcome.genres))
            LOG.info("written: %s: %s -> %s (run %s)", outcome.path, before, after, summary.run)
        yield outcome
