"""How long the rest of a step takes, from a smoothed rate of work. Pure: the clock is given."""

from __future__ import annotations

from math import exp

WINDOW = 15.0  # s of work over which a rate is smoothed, at least
SHARE = 0.25  # of the time so far, over which it is smoothed if that is longer


class Pace:
    """A rate of work: an average whose weights decrease with age.

    `add` takes how much is done in all at a time (s). Work arrives in steps, since tracks are
    predicted in batches, so a short average would jump with each.
    """

    def __init__(self, now: float) -> None:
        self._started = self._last = now
        self._done = 0.0
        self._work = self._seconds = 0.0  # weighted sums

    def add(self, done: float, now: float) -> None:
        """Record that this much is done in all."""
        passed = max(0.0, now - self._last)
        kept = exp(-passed / max(WINDOW, SHARE * (now - self._started)))
        self._work = self._work * kept + max(0.0, done - self._done)
        self._seconds = self._seconds * kept + passed
        self._done, self._last = done, now

    @property
    def rate(self) -> float | None:
        """Work per second; None before anything is done."""
        return self._work / self._seconds if self._work > 0 and self._seconds > 0 else None

    def seconds_left(self, left: float) -> float | None:
        """The time that this much work takes; None if no rate is known."""
        rate = self.rate
        return None if rate is None else left / rate
