"""Decoded clips, kept in memory for training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.audio.isolated import read_windows
from tagger.audio.reader import SILENCE
from tagger.audio.windows import CHUNK_WINDOWS, WindowPlan, place_windows
from tagger.errors import AudioError
from training.clips.clip import Clip

KEPT_SECONDS = 60.0  # of a file; GTZAN's have 30
SEGMENT_WINDOWS = 3  # long enough for crops to start in many places
QUIET = 1e-3  # of the loudest sample, -60 dB: what is below is silence


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """The kept audio of a clip: mono float32 at `rate` Hz, in segments `(samples,)`.

    A segment is at least one window long; `starts` says where each starts in the file, in seconds.
    """

    clip: Clip
    segments: tuple[NDArray[np.float32], ...]
    starts: tuple[float, ...]
    seconds: float  # of the whole file, before a short one was repeated to fill one window
    rate: int

    def __post_init__(self) -> None:
        if not self.segments or len(self.segments) != len(self.starts):
            raise ValueError(f"{len(self.segments)} segments, {len(self.starts)} starts")

    @property
    def kept_seconds(self) -> float:
        """Seconds of the file that are kept, repetitions not counted."""
        return min(self.seconds, sum(map(len, self.segments)) / self.rate)


def decode_clips(
    clips: Sequence[Clip], plan: WindowPlan, report: Callable[[str], None]
) -> list[DecodedClip]:
    """Decode each clip once; `report` gets a line about each unreadable or silent one left out."""
    decoded = []
    for clip in clips:
        try:
            decoded.append(decode_clip(clip, plan))
        except (AudioError, OSError) as error:
            report(f"left out: {clip.path}: {error}")
    return decoded


def decode_clip(clip: Clip, plan: WindowPlan) -> DecodedClip:
    """At most `KEPT_SECONDS` of a clip as the tagger decodes it, or one window if that is longer.

    Of a longer file, evenly spread segments of `SEGMENT_WINDOWS` windows are kept, where the tagger
    would place windows of that length: just enough for `KEPT_SECONDS`, without cutting the last
    one. A shorter file is one segment, repeated to fill a window, without long silence at its
    ends. Segments of silence are left out. Raises `AudioError`, also for a file that is silent, and
    `OSError` if the file cannot be opened.
    """
    whole = max(round(KEPT_SECONDS * plan.rate), plan.samples)
    first = read_windows(clip.path, WindowPlan(whole, plan.rate, count=1))
    length = round(first.seconds * plan.rate)
    if length <= whole:
        # The reader has repeated it to fill all of `whole`.
        kept, start = _sound(first.windows[0, :length], plan.samples)
        if first.is_silent or not len(kept):
            raise AudioError("it is silent", clip.path)
        kept = np.resize(kept, max(len(kept), plan.samples))
        return DecodedClip(clip, (kept,), (start / plan.rate,), first.seconds, plan.rate)
    samples = SEGMENT_WINDOWS * plan.samples
    spread = WindowPlan(samples, plan.rate, ceil(KEPT_SECONDS * plan.rate / samples))
    rows, seconds = _read_all(clip.path, spread)  # (segments, samples)
    length = round(seconds * plan.rate)
    starts = place_windows(length, spread)
    # If three very long windows are longer than the file, the reader repeats it.
    segments = [row[:length] for row in rows]
    heard = [index for index, row in enumerate(segments) if np.ptp(row) >= SILENCE]
    if not heard:
        raise AudioError("it is silent", clip.path)
    return DecodedClip(
        clip,
        tuple(segments[index] for index in heard),
        tuple(starts[index] / plan.rate for index in heard),
        seconds,
        plan.rate,
    )


def _sound(samples: NDArray[np.float32], window: int) -> tuple[NDArray[np.float32], int]:
    """The samples without silence at their ends that lasts a `window` or more, and their start."""
    loud = np.flatnonzero(np.abs(samples) > max(SILENCE / 2, QUIET * np.abs(samples).max()))
    if not len(loud):
        return samples[:0], 0
    first, end = int(loud[0]), int(loud[-1]) + 1
    first = first if first >= window else 0
    return samples[first : end if len(samples) - end >= window else None], first


def _read_all(path: Path, plan: WindowPlan) -> tuple[NDArray[np.float32], float]:
    """All windows of a plan `(windows, samples)`, from all chunks, and the file's seconds."""
    read = read_windows(path, plan)
    parts = [read.windows]
    for chunk in range(1, ceil(read.total / CHUNK_WINDOWS)):
        read = read_windows(path, plan, chunk, read.placement)
        parts.append(read.windows)
    return np.concatenate(parts), read.seconds
