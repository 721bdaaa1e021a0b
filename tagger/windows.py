"""Where the windows of a track lie: a pure function of its length and the plan."""

from __future__ import annotations

from dataclasses import dataclass

from tagger.errors import EmptyAudio


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """How a track is cut into windows; `count=None` covers every sample.

    Lengths are in samples at the model's rate.
    """

    samples: int  # per window: what fills the frames of the model exactly
    rate: int  # Hz
    count: int | None = 8

    def __post_init__(self) -> None:
        if self.samples < 1 or self.rate < 1:
            raise ValueError(f"no window of {self.samples} samples at {self.rate} Hz")
        if self.count is not None and self.count < 1:
            raise ValueError(f"count must be at least 1, got {self.count}")

    @property
    def key(self) -> str:
        """The plan as the state file keeps it; equal plans read equal windows."""
        return f"{self.count or 'all'}x{self.samples}@{self.rate}"


def place_windows(length: int, plan: WindowPlan) -> list[int]:
    """First sample of each window, ascending; every window lies inside the track.

    `count` windows are the centres of as many equal parts of the track, so that intros and outros
    weigh least; windows overlap where the track is too short for `count` apart. A track of at most
    one window gives `[0]`, and the reader repeats it to fill. With `count=None` windows follow each
    other and the last one is shifted back to end with the track. `length` is in samples at the
    plan's rate. Raises `EmptyAudio` for a track without samples.
    """
    if length < 1:
        raise EmptyAudio("it holds no audio samples")
    last = max(0, length - plan.samples)
    if last == 0:
        return [0]
    if plan.count is None:
        return [*range(0, last, plan.samples), last]
    centres = (length * (2 * part + 1) // (2 * plan.count) for part in range(plan.count))
    starts = (min(max(0, centre - plan.samples // 2), last) for centre in centres)
    return sorted(set(starts))
