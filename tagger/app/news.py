"""Which outcomes of a run are new since the last run over the same tracks: for nightly runs."""

from __future__ import annotations

import os
import re

from tagger.state.store import State
from tagger.types import Action, Outcome

REPORTED = (Action.FAILED, Action.UNSURE)  # what is remembered; a write is always new
SEEN = "CREATE TEMP TABLE reported_now (path BLOB, kind TEXT, PRIMARY KEY (path, kind))"
BY_PATH = "SELECT reason, audio FROM reported WHERE path = ? AND kind = ?"
# By the audio, a file that was moved; a failed track may have no prediction, but a stored failure.
ITS_AUDIO = "SELECT audio FROM failures WHERE path = ? AND audio > x'' LIMIT 1"
BY_AUDIO = "SELECT path FROM reported WHERE audio = ? AND kind = ? AND reason = ?"
# Neither a failure nor a run that does not decide says whether a track is still unsure.
OVER = """
DELETE FROM reported WHERE path IN (SELECT path FROM run_tracks)
AND (kind = 'failed' OR ?) AND NOT EXISTS (
    SELECT 1 FROM reported_now AS now
    WHERE now.path = reported.path AND now.kind IN (reported.kind, 'failed')
)
"""


class News:
    """Compares outcomes with what the last run reported, and remembers them for the next run.

    The state has one row for a track that failed, and one if it was unsure. Size and time do not
    matter, nor does the path if the audio is known, so a file that another program tagged, touched
    or moved is not new. `remembers` says whether the next run is to know these outcomes.
    """

    def __init__(self, state: State, *, remembers: bool) -> None:
        self.state, self.remembers = state, remembers
        state.do("DROP TABLE IF EXISTS temp.reported_now")
        state.do(SEEN)

    def is_new(self, outcome: Outcome) -> bool:
        """Whether it is a write, or a failure or an unsure track that the last run did not have."""
        kind, path = outcome.action.value, os.fsencode(outcome.path)
        if outcome.action not in REPORTED:
            return outcome.action is Action.WRITTEN
        self.state.do("INSERT OR IGNORE INTO reported_now VALUES (?, ?)", (path, kind))
        # The numbers in a reason (bytes, seconds) may differ in every run.
        reason = re.sub(r"\d+", "0", outcome.reason) if outcome.action is Action.FAILED else ""
        stored = self.state.rows(BY_PATH, (path, kind))
        audio = self._audio(outcome, path)
        if stored == [(reason, audio)]:
            return False
        others = self.state.rows(BY_AUDIO, (audio, kind, reason)) if audio else []
        gone = next((other for (other,) in others if not os.path.lexists(other)), None)
        if self.remembers:
            row = (path, kind, reason, audio)
            self.state.do("INSERT OR REPLACE INTO reported VALUES (?, ?, ?, ?)", row)
            self.state.do("DELETE FROM reported WHERE path = ? AND kind = ?", (gone, kind))
        return gone is None and all(known != reason for known, _ in stored)

    def forget_others(self, *, decides: bool) -> None:
        """At the end of a run, forget what no longer holds.

        `decides` says whether the run decided on genres.
        """
        if self.remembers:
            self.state.do(OVER, (decides,))

    def _audio(self, outcome: Outcome, path: bytes) -> bytes | None:
        if outcome.prediction and outcome.prediction.track.audio:
            return outcome.prediction.track.audio
        found = self.state.rows(ITS_AUDIO, (path,))
        return found[0][0] if found else None
