"""How long the rest of a step takes, from a smoothed rate of work. Pure: the clock is given."""

from __future__ import annotations

from math import exp

WINDOW = 30.0  # s of work over which a rate is smoothed, at least
SHARE = 0.5  # of the time so far, over which it is smoothed if that is longer
LATE = 3  # times the usual time between two steps

# Before this share of the work, or this time (s), a rate says little.
LEAST_SHARE, LEAST_SECONDS = 0.04, 20.0


class Pace:
    """A rate of work: an average whose weights decrease with age.

    `add` takes how much is done in all at a time (s). Work arrives in steps, since windows are
    scored in batches: between two steps, as long as those before have taken, it is taken to go on.
    """

    def __init__(self, now: float) -> None:
        self._started = self._changed = self._last = now
        self._done = 0.0
        self._work = self._seconds = self._steps = 0.0  # weighted sums

    def add(self, done: float, now: float) -> None:
        """Record that this much is done in all."""
        self._last = max(now, self._last)
        if done <= self._done:
            return
        if not self._done:  # what the first step took is mostly the start
            self._done, self._changed = done, self._last
            return
        passed = self._last - self._changed
        kept = exp(-passed / max(WINDOW, SHARE * (now - self._started)))
        self._work = self._work * kept + done - self._done
        self._seconds = self._seconds * kept + passed
        self._steps = self._steps * kept + 1
        self._done, self._changed = done, self._last

    @property
    def rate(self) -> float | None:
        """Work per second; None before the second step."""
        seconds = self._seconds + max(0.0, self._waited - self._usual)
        return self._work / seconds if seconds > 0 and self._work > 0 else None

    def seconds_left(self, left: float) -> float | None:
        """The time that this much work takes; None if no rate is known."""
        rate, done = self.rate, self._done
        is_early = done < LEAST_SHARE * (done + left) and self._last < self._started + LEAST_SECONDS
        if rate is None or is_early:
            return None
        # Where nothing has come for long, as much time again is the best guess.
        late = self._waited - LATE * self._usual
        return max(0.0, left / rate - min(self._waited, self._usual), late)

    @property
    def _waited(self) -> float:
        return self._last - self._changed

    @property
    def _usual(self) -> float:
        """The time between two steps."""
        return self._seconds / self._steps if self._steps else 0.0
