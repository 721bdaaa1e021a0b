"""Where the windows of a track lie: a pure function of its length and the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tagger.errors import EmptyAudio

AUTO: Literal["auto"] = "auto"
Count = int | Literal["auto"] | None

PART_WINDOWS = 32  # windows handed over at once; bounds the memory that a long track takes
# Of a track that is heard until its genre is settled: the windows of the first lot, which are the
# middle and the quarters, of each further one, and of all together.
FIRST = 3
MORE = 2
MOST = 32
RULE = 1  # of these and of what settles a genre; a change of any raises it


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """How a track is cut into windows.

    `count=None` covers every sample; `AUTO` hears as many as it takes until the leading label is
    settled, of those that count. Lengths are in samples at the model's rate.
    """

    samples: int  # per window: what fills the frames of the model exactly
    rate: int  # Hz
    count: Count = 8
    # Of the model's labels, by index; None is all. Of one that knows more than music only genres
    # count for `AUTO`: it is soon sure that there is music.
    columns: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.samples < 1 or self.rate < 1:
            raise ValueError(f"no window of {self.samples} samples at {self.rate} Hz")
        if isinstance(self.count, str) and self.count != AUTO:
            raise ValueError(f"count must be a number, None or {AUTO!r}, got {self.count!r}")
        if isinstance(self.count, int) and self.count < 1:
            raise ValueError(f"count must be at least 1, got {self.count}")

    @property
    def key(self) -> str:
        """The plan as the state file keeps it; plans with equal keys give equal predictions."""
        of = "" if self.columns is None else "g"  # the labels decide which those are
        count = f"{AUTO}{RULE}{of}" if self.count == AUTO else self.count or "all"
        return f"{count}x{self.samples}@{self.rate}"


def place_windows(length: int, plan: WindowPlan) -> list[int]:
    """First sample of each window, in the order in which they are heard; all lie inside the track.

    `count` windows are the centres of as many equal parts of the track, so that intros and outros
    weigh least; windows overlap where the track is too short for `count` apart. A track of at most
    one window gives `[0]`, and the reader repeats it to fill. With `count=None` windows follow each
    other and the last one is shifted back to end with the track. Both ascend. With `AUTO` they are
    those of `None`, or of `MOST` where that would be more, spread from the first one on. `length`
    is in samples at the plan's rate. Raises `EmptyAudio` for a track without samples.
    """
    if length < 1:
        raise EmptyAudio("it holds no audio samples")
    last = max(0, length - plan.samples)
    if last == 0:
        return [0]
    count = plan.count
    if count == AUTO:
        return _spread(_place(length, plan.samples, MOST if length > MOST * plan.samples else None))
    return _place(length, plan.samples, count)


def lots(total: int, plan: WindowPlan) -> list[range]:
    """Which of `total` placed windows are decoded at once, in order."""
    first, more = (FIRST, MORE) if plan.count == AUTO else (PART_WINDOWS, PART_WINDOWS)
    begins = [0, *range(first, total, more)]
    return [range(*ends) for ends in zip(begins, [*begins[1:], total], strict=True)]


def _place(length: int, samples: int, count: int | None) -> list[int]:
    """The windows of a track that is longer than one, ascending."""
    last = length - samples
    if count is None:
        return [*range(0, last, samples), last]
    centres = (length * (2 * part + 1) // (2 * count) for part in range(count))
    starts = (min(max(0, centre - samples // 2), last) for centre in centres)
    return sorted(set(starts))


def _spread(starts: list[int]) -> list[int]:
    """The same, the middle first, then the quarters, the eighths, and so on (van der Corput)."""
    bits = len(starts).bit_length()
    numbers = (*range(1, 2**bits), 0)
    parts = (int(f"{number:0{bits}b}"[::-1], 2) for number in numbers)  # of 2**bits
    return [starts[index] for index in dict.fromkeys(len(starts) * part >> bits for part in parts)]
