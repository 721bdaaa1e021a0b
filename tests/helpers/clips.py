"""Labelled clips for tests of training: small ones on disk, and GTZAN's thousand names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from training.clips.clip import Clip
from training.clips.find import find_clips

RATE = 16_000
LABELS = ("noise", "tone")
GENRES = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)


def write_clips(folder: Path, per_label: int = 4, seconds: float = 1.5) -> Path:
    """A folder of noise and one of tones, `noise/noise.00000.wav` and so on."""
    draw = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    for index in range(per_label):
        waveforms = (
            draw.normal(0, 0.1, len(time)),
            0.3 * np.sin(2 * np.pi * 300 * (index + 1) * time),
        )
        for label, waveform in zip(LABELS, waveforms, strict=True):
            (folder / label).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / label / f"{label}.{index:05d}.wav", waveform, RATE)
    return folder


def write_noise(path: Path, seed: int, seconds: float = 1.5) -> Path:
    """A file of noise; each seed makes another recording."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(100 + seed).normal(0, 0.1, round(seconds * RATE))
    soundfile.write(path, noise, RATE)
    return path


def all_of_gtzan() -> list[Clip]:
    """Clips named as GTZAN's, of which no file exists."""
    return [
        Clip(Path(f"{genre}/{genre}.{index:05d}.wav"), genre, f"{genre}.{index:05d}")
        for genre in GENRES
        for index in range(100)
    ]


def names(clips: Iterable[Clip]) -> set[str]:
    return {clip.name for clip in clips}


def touch(folder: Path, *names: str) -> Path:
    """The folder, with these empty files in it."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(source: Path) -> list[tuple[str, str]]:
    """Label and name of each clip that is found."""
    return [(clip.label, clip.name) for clip in find_clips(source)]
