"""Decoded clips, for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tagger.audio.isolated import read_windows
from tagger.audio.levels import Span, sound_of
from tagger.audio.windows import CHUNK_WINDOWS, WindowPlan
from tagger.errors import AudioError, Crashed
from training.clips.clip import Clip

KEPT_SECONDS = 60.0  # of a file; GTZAN's have 30
SEGMENT_WINDOWS = 3  # long enough for crops to start in many places


class Samples(Protocol):
    """Samples in memory, or in a file, from which only what is asked for is read."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, part: slice, /) -> NDArray[Any]:
        """Some of them, float32 or int16."""


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """The kept audio of a clip: mono at `rate` Hz, in segments `(samples,)`.

    A segment is at least one window long; `starts` says where each starts in the file, in seconds.
    """

    clip: Clip
    segments: tuple[Samples, ...]
    starts: tuple[float, ...]
    seconds: float  # of the whole file, before a short one was repeated to fill one window
    rate: int
    scale: float = 1.0  # by which the numbers in the segments are multiplied

    def __post_init__(self) -> None:
        if not self.segments or len(self.segments) != len(self.starts):
            raise ValueError(f"{len(self.segments)} segments, {len(self.starts)} starts")

    @property
    def kept_seconds(self) -> float:
        """Seconds of the file that are kept, repetitions not counted."""
        return min(self.seconds, sum(map(len, self.segments)) / self.rate)


def decode_clips(
    clips: Sequence[Clip],
    plan: WindowPlan,
    report: Callable[[str], None],
    advance: Callable[[], None] = lambda: None,
) -> list[DecodedClip]:
    """Decode each clip once; `report` gets a line about each that is unreadable or silent.

    `advance` is called after each clip, also after one that is left out.
    """
    decoded = []
    for clip in clips:
        try:
            decoded.append(decode_clip(clip, plan))
        except (AudioError, Crashed, OSError) as error:
            report(f"left out: {clip.path}: {error}")
        advance()
    return decoded


def decode_clip(clip: Clip, plan: WindowPlan) -> DecodedClip:
    """At most `KEPT_SECONDS` of a clip as the tagger decodes it, or one window if that is longer.

    Of a longer file, evenly spread segments of `SEGMENT_WINDOWS` windows are kept, where the tagger
    would place windows of that length: just enough for `KEPT_SECONDS`, without cutting the last
    one. A shorter file is one segment, repeated to fill a window. Long silence is left out, and so
    is the sound between that is shorter than a window, unless there is no other. Raises
    `AudioError`, also for a file that is silent, and `OSError` if it cannot be opened.
    """
    whole = max(round(KEPT_SECONDS * plan.rate), plan.samples)
    read = read_windows(clip.path, WindowPlan(whole, plan.rate, count=1))
    rows, starts, length = [*read.windows], read.starts, read.placement.sounding
    if length > whole:
        samples = SEGMENT_WINDOWS * plan.samples
        spread = WindowPlan(samples, plan.rate, ceil(KEPT_SECONDS * plan.rate / samples))
        rows, starts = read_all_windows(clip.path, spread)  # (samples,) each
    # The reader has repeated what is shorter than a row.
    sounding = [
        (start + first, piece[first:end])
        for row, of_row in zip(rows, starts, strict=True)
        for start, piece in _pieces(row[:length], of_row, read.placement.sound)
        for first, end in sound_of(piece, plan.rate)
    ]
    if not sounding:
        raise AudioError("it is silent", clip.path)
    kept = [(start, each) for start, each in sounding if len(each) >= plan.samples]
    if not kept:
        joined = np.concatenate([each for _, each in sounding])
        kept = [(sounding[0][0], np.resize(joined, max(len(joined), plan.samples)))]
    segments, seconds = tuple(each for _, each in kept), tuple(s / plan.rate for s, _ in kept)
    return DecodedClip(clip, segments, seconds, read.seconds, plan.rate)


def _pieces(
    row: NDArray[np.float32], start: int, sound: Sequence[Span]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """A window that starts at `start`, in pieces without the silence that was cut out of it."""
    for first, end in sound:
        if start < end and len(row):
            begin = max(first, start)
            yield begin, row[: end - begin]
            row = row[end - begin :]


def read_all_windows(
    path: Path, plan: WindowPlan
) -> tuple[list[NDArray[np.float32]], tuple[int, ...]]:
    """All windows of a plan that sound, from all chunks, and where they start."""
    read = read_windows(path, plan)
    rows, starts, placement = [*read.windows], read.starts, read.placement
    for chunk in range(1, ceil(read.total / CHUNK_WINDOWS)):
        read = read_windows(path, plan, chunk, placement)
        rows += [*read.windows]
        starts += read.starts
    return rows, starts
