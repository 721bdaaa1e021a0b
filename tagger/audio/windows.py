"""Where the windows of a track lie: a pure function of its length and the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tagger.errors import EmptyAudio

AUTO: Literal["auto"] = "auto"
Count = int | Literal["auto"] | None

CHUNK_WINDOWS = 32  # windows decoded at once; bounds the memory that a long track takes
# With `AUTO`: windows of the first chunk (the middle and the quarters of the track), of each
# further chunk, and of all chunks together.
FIRST = 3
MORE = 2
MOST = 32
RULE = 1  # version of these numbers and of the rule in `stopping`; raise it with any change


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """How a track is cut into windows.

    `count=None` covers every sample; `AUTO` takes enough windows to settle which of the labels in
    `columns` leads. Lengths are in samples at the model's rate.
    """

    samples: int  # per window: exactly enough for the frames of the model
    rate: int  # Hz
    count: Count = 8
    # Indices of the labels that count for `AUTO`; None is all. If a model knows more than music,
    # only genres count, since it is soon certain that the track is music.
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
        """The plan in the state file; plans with equal keys give equal predictions."""
        genres = "" if self.columns is None else "g"  # the labels say which columns are genres
        count = f"{AUTO}{RULE}{genres}" if self.count == AUTO else self.count or "all"
        return f"{count}x{self.samples}@{self.rate}"


def place_windows(length: int, plan: WindowPlan) -> list[int]:
    """First sample of each window, in the order in which they are decoded; all lie in the track.

    `count` windows lie at the centres of `count` equal parts of the track, so that intros and
    outros have the least weight; they overlap if the track is too short for separate windows. A
    track of at most one window gives `[0]`, and the reader repeats it to fill the window. With
    `count=None` each window follows the one before, and the last is shifted back to end with the
    track. Both ascend. `AUTO` gives the windows of `None`, but at most `MOST`, in an order in which
    the first few are always spread over the track. `length` is in samples at the plan's rate.
    Raises `EmptyAudio` for a track without samples.
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


def window_chunks(total: int, plan: WindowPlan) -> list[range]:
    """The chunks in which `total` placed windows are decoded, as ranges of window numbers."""
    first, more = (FIRST, MORE) if plan.count == AUTO else (CHUNK_WINDOWS, CHUNK_WINDOWS)
    starts = [0, *range(first, total, more)]
    return [range(*ends) for ends in zip(starts, [*starts[1:], total], strict=True)]


def _place(length: int, samples: int, count: int | None) -> list[int]:
    """The windows of a track that is longer than one window, ascending."""
    last = length - samples
    if count is None:
        return [*range(0, last, samples), last]
    centres = (length * (2 * part + 1) // (2 * count) for part in range(count))
    starts = (min(max(0, centre - samples // 2), last) for centre in centres)
    return sorted(set(starts))


def _spread(starts: list[int]) -> list[int]:
    """The same windows: the middle first, then the quarters, the eighths ... (van der Corput)."""
    bits = len(starts).bit_length()
    numbers = (*range(1, 2**bits), 0)
    parts = (int(f"{number:0{bits}b}"[::-1], 2) for number in numbers)  # of 2**bits
    return [starts[index] for index in dict.fromkeys(len(starts) * part >> bits for part in parts)]
