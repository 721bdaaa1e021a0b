"""A run as lines of JSON: one for each track as soon as its outcome is final, then a summary.

`tagger/report/README.md` describes the fields. A field is never left out.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.app.summary import Summary
from tagger.genres.policy import Policy
from tagger.models.checkpoint import ModelInfo
from tagger.report.escape import json_text, valid_text
from tagger.types import Action, Outcome

if TYPE_CHECKING:
    from tagger.state.journal import Run

VERSION = 1  # of the fields; a new field does not change it, another meaning does
RANKED = 10  # genres of a track
DIGITS = 6
DECIDED = (Action.WRITTEN, Action.WOULD_WRITE)


class JsonLines:
    """Gives each line to `write`, once; `command` is "tag", "apply" or "undo".

    With `all_probabilities`, a track has the probability of every label.
    """

    def __init__(
        self, write: Callable[[str], None], command: str, *, all_probabilities: bool = False
    ) -> None:
        self.command, self.all_probabilities = command, all_probabilities
        self.models: Sequence[ModelInfo] = ()
        self.reports: Sequence[Path] = ()  # that are complete if the run ends as it should
        self.summary: Summary | None = None  # of the run, once it has one
        self._counted = Summary()
        self._write = write
        self._early: set[bytes] = set()
        self._started = time.monotonic()

    def begin(self, models: Sequence[ModelInfo], reports: Sequence[Path], policy: Policy) -> None:
        """Take what the tracks are predicted and judged by, before the first of them."""
        self.models, self.reports, self._counted.policy = models, reports, policy

    def early(self, outcome: Outcome) -> None:
        """The line of a track before it is its turn; `track` then leaves it out."""
        self.track(outcome)
        self._early.add(os.fsencode(outcome.path))

    def track(self, outcome: Outcome) -> None:
        """The line of a track whose outcome is final."""
        if self._early and (path := os.fsencode(outcome.path)) in self._early:
            self._early.remove(path)
            return
        self._counted.add(outcome)
        self._line("track", self._track(outcome))

    def run(self, run: Run) -> None:
        """The line of a run that changed tags, for a list of them."""
        self._line(
            "run",
            {
                "run": run.id,
                "kind": run.kind,
                "started": run.started,
                "source": run.source,
                "files": run.files,
                "undone": run.files - run.remaining,
            },
        )

    def end(self, *, interrupted: bool = False, error: str | None = None) -> None:
        """The line of the summary, the last one; its counts are those of the lines before it."""
        counted, run = self._counted, self.summary or Summary()
        written = max(counted.actions[Action.WRITTEN], run.actions[Action.WRITTEN])
        actions = {action.value: counted.actions[action] for action in Action}
        ended_early = interrupted or error is not None
        self._line(
            "summary",
            {
                "command": self.command,
                "tracks": sum(actions.values()),
                # An interrupt takes effect right after a write, which then has no line.
                "actions": actions | {Action.WRITTEN.value: written},
                "predicted_genres": dict(counted.genres.most_common()),
                "written_genres": dict(counted.written.most_common()),
                "failures": [
                    {"reason": group.reason, "count": group.count} for group in counted.failed
                ],
                "models": [info.name for info in self.models],
                "run": run.run if written else None,
                "undo": run.undo_command or None,
                "reports": [] if ended_early else [str(report) for report in self.reports],
                "elapsed_seconds": round(time.monotonic() - self._started, 3),
                "interrupted": interrupted,
                "error": error,
            },
        )

    def _track(self, outcome: Outcome) -> dict[str, Any]:
        prediction = outcome.prediction
        name = os.fsencode(outcome.path)
        is_text = valid_text(str(outcome.path)).encode() == name
        fields: dict[str, Any] = {
            "path": str(outcome.path),
            "path_base64": None if is_text else base64.b64encode(name).decode(),
            "action": outcome.action.value,
            "reason": outcome.reason,
            "note": prediction.note if prediction else "",
            "existing": outcome.existing,
            "new": outcome.genres if outcome.action in DECIDED else outcome.existing,
            "predicted": [],
            "agreement": None,
            "windows": None,
            "seconds": None,
            "models": [],
            "precision": None,
            "from_earlier_run": None,
        }
        if prediction is not None:
            is_silent = prediction.is_silent  # then no genre is predicted
            ranked = () if is_silent else outcome.ranked[:RANKED]
            fields |= {
                "predicted": [
                    {"genre": genre, "confidence": _number(share)} for genre, share in ranked
                ],
                "agreement": _number(prediction.agreement),
                "windows": prediction.windows,
                "seconds": _number(prediction.seconds),
                "models": [info.name for info in self.models],
                "precision": prediction.precision or None,
                "from_earlier_run": prediction.stored,
            }
        if self.all_probabilities:
            labels, shares = (
                (prediction.labels, prediction.probabilities) if prediction else ((), ())
            )
            fields["probabilities"] = dict(zip(labels, map(_number, shares), strict=True))
        return fields

    def _line(self, kind: str, fields: dict[str, Any]) -> None:
        self._write(json_text({"version": VERSION, "type": kind, **fields}))


def _number(value: float) -> float:
    return round(value, DIGITS)
