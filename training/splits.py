"""Which clips are learned from, chosen by, and judged on; always decided before windows are cut."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.errors import TrainingError
from training.gtzan import Clip

PARTS = ("train", "valid", "test")
SPLITS = ("filtered", "random")
SPLIT_HELP = "The published fault-filtered split of GTZAN, or random by clip for any folders."
FILTERED = Path(__file__).parent / "data" / "gtzan-filtered"
SHARES = {"valid": 0.1, "test": 0.1}  # of the clips of each label in a random split


@dataclass(frozen=True, slots=True)
class Split:
    """The clips of each part; no clip is in two of them. `left_out` are in no part."""

    train: tuple[Clip, ...]
    valid: tuple[Clip, ...]
    test: tuple[Clip, ...]
    left_out: tuple[Clip, ...] = ()

    def part(self, name: str) -> tuple[Clip, ...]:
        """The clips of `train`, `valid` or `test`."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[name]


def make_split(clips: Sequence[Clip], name: str, seed: int = 0) -> Split:
    """`filtered` (GTZAN's published lists) or `random` (any labels)."""
    return filtered_split(clips) if name == "filtered" else random_split(clips, seed)


def filtered_split(clips: Sequence[Clip], folder: Path = FILTERED) -> Split:
    """GTZAN's fault-filtered split: no artist in two parts, repetitions and faulty clips in none.

    The lists are those of Kereliuk, Sturm and Larsen, "Deep Learning and Music Adversaries"
    (2015), made from Sturm's index of GTZAN's faults: 443, 197 and 290 names. Clips in none of them
    are left out. Raises `TrainingError` if no clip is in them at all.
    """
    part_of = {name: part for part in PARTS for name in read_list(folder / f"{part}.txt")}
    chosen: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        chosen[part_of.get(clip.name, "")].append(clip)
    if not any(chosen[part] for part in PARTS):
        raise TrainingError(
            "none of the clips is in the lists of GTZAN's filtered split, whose files are named "
            "as blues.00000.wav; for other music use --split random"
        )
    return Split(*(tuple(chosen[part]) for part in (*PARTS, "")))


def random_split(clips: Sequence[Clip], seed: int = 0) -> Split:
    """Eight, one and one tenth of the clips of each label, drawn by a seed.

    It flatters: clips of one artist, album or even one recording fall into several parts, so that
    the model is asked for what it has heard. Compare only with figures of the same protocol. A
    label with fewer than ten clips gives each part one, as long as two are left to learn from.
    """
    by_label: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: (clip.label, clip.name)):
        by_label[clip.label].append(clip)
    draw = random.Random(seed)
    parts: dict[str, list[Clip]] = {part: [] for part in PARTS}
    for of_label in by_label.values():
        draw.shuffle(of_label)
        counts = {part: max(1, round(share * len(of_label))) for part, share in SHARES.items()}
        for part, wanted in counts.items():
            count = min(wanted, max(0, len(of_label) - 2))
            parts[part] += of_label[:count]
            del of_label[:count]
        parts["train"] += of_label
    return Split(*(tuple(parts[part]) for part in PARTS))


def read_list(path: Path) -> list[str]:
    """The names in a split list, one a line."""
    return path.read_text(encoding="utf-8").split()
