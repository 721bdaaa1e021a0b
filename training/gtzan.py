"""Labelled clips in a tree of one folder per label, as GTZAN comes, and their waveforms."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.audio import PART_WINDOWS, read_windows
from tagger.errors import AudioError
from tagger.library import SUFFIXES
from tagger.windows import WindowPlan
from training.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled file: the label is its folder's name, the name is the file's without suffix."""

    path: Path
    label: str  # "blues"
    name: str  # "blues.00000"


@dataclass(frozen=True, slots=True)
class Sound:
    """What was decoded of a clip: mono float32 `(samples,)` at the model's rate."""

    clip: Clip
    waveform: NDArray[np.float32]
    seconds: float  # before a short clip was repeated to fill one window


def find_clips(folder: Path) -> list[Clip]:
    """Every audio file below a folder, ordered by label and name; hidden names are left out.

    Files directly in `folder` have no label and do not count. Raises `TrainingError` if nothing is
    left, or if two files share a label and a name: a split list could not tell them apart.
    """
    clips = [
        Clip(path, path.parent.name, path.stem) for path in _files(folder) if path.parent != folder
    ]
    if not clips:
        raise TrainingError(
            f"no labelled clip in {folder}: it needs a folder per label with audio files in it, "
            "such as blues/blues.00000.wav",
            folder,
        )
    by_name: dict[tuple[str, str], Clip] = {}
    for clip in clips:
        first = by_name.setdefault((clip.label, clip.name), clip)
        if first is not clip:
            raise TrainingError(f"two clips of one name: {first.path} and {clip.path}", clip.path)
    return [by_name[key] for key in sorted(by_name)]


def find_unlabelled(folder: Path) -> list[Clip]:
    """Every audio file below a folder as a clip without a label (`""`), ordered by path."""
    clips = [Clip(path, "", path.stem) for path in _files(folder)]
    if not clips:
        raise TrainingError(f"no audio file in {folder}", folder)
    return clips


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise TrainingError(f"{folder} is no folder", folder)
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES:
                yield path


def read_sounds(
    clips: Sequence[Clip], plan: WindowPlan, report: Callable[[str], None]
) -> list[Sound]:
    """Decode each clip once, all of it; an unreadable one is told to `report` and left out."""
    sounds = []
    for clip in clips:
        try:
            sounds.append(read_sound(clip, plan))
        except (AudioError, OSError) as error:
            report(f"left out: {clip.path}: {error}")
    return sounds


def read_sound(clip: Clip, plan: WindowPlan) -> Sound:
    """The whole clip as the tagger hears it: decoded, resampled, and repeated if it is short.

    Raises `AudioError`.
    """
    every = WindowPlan(plan.samples, plan.rate, count=None)
    first = read_windows(clip.path, every)
    parts = [first.windows]
    for part in range(1, -(-first.total // PART_WINDOWS)):
        parts.append(read_windows(clip.path, every, part).windows)
    windows = np.concatenate(parts)  # (n, samples)
    # Windows follow each other, but the last one is shifted back to end with the clip.
    rest = round(first.seconds * plan.rate) - (len(windows) - 1) * plan.samples
    tail = windows[-1] if len(windows) == 1 else windows[-1, -rest:]
    return Sound(clip, np.concatenate([windows[:-1].ravel(), tail]), first.seconds)
