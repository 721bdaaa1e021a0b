"""Whether a checkpoint has learned from the clips that it is evaluated on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tagger.models.checkpoint import ModelInfo
from training.clips.clip import Clip
from training.clips.splits import PARTS, SPLITS, make_split
from training.errors import TrainingError
from training.options import Draw


def leakage_warning(
    info: ModelInfo, every: Sequence[Clip], evaluated: Sequence[Clip], draw: Draw
) -> str | None:
    """One line if `evaluated` holds clips that the model learned from, else None.

    `read_learned_from` gives the evidence. The splits that it names are made again from `every`
    clip, and may differ from the split of `evaluated`; `draw` has the numbers that a checkpoint
    does not state. A checkpoint without usable evidence gives None.
    """
    for row in read_learned_from(info):
        if row.get("split") not in SPLITS:
            continue
        named = row.get("parts")
        parts = [part for part in PARTS if isinstance(named, list) and part in named]
        shared = [part for part in parts if _shares(_part(every, row, part, draw), evaluated)]
        if shared:
            noun = "part" if len(shared) == 1 else "parts"
            return (
                f"warning: {info.name} learned from the {' and '.join(shared)} {noun} of the "
                f"{row['split']} split: figures on these clips show how well it remembers, not "
                "how well it generalises"
            )
    return None


def read_learned_from(info: ModelInfo) -> list[dict[str, Any]]:
    """The parts of splits from which a checkpoint, and those that it started from, learned.

    `"learned_from": [{"split": "filtered", "parts": ["train", "valid"]}]` in its config.json; a row
    may also have `seed`, `folds` and `fold`.
    """
    config = json.loads((info.folder / "config.json").read_text(encoding="utf-8"))
    stored = config.get("learned_from")
    rows = stored if isinstance(stored, list) else [stored]
    return [row for row in rows if isinstance(row, dict)]


def _part(
    every: Sequence[Clip], row: Mapping[str, Any], part: str, default: Draw
) -> Sequence[Clip]:
    """That part of these clips; empty if they cannot be split in this way."""
    draw = Draw(
        seed=_integer_or(row.get("seed"), default.seed),
        folds=_integer_or(row.get("folds"), default.folds),
        fold=_integer_or(row.get("fold"), default.fold),
    )
    try:
        return make_split(every, row["split"], draw).part(part)
    except (TrainingError, ValueError):
        return ()


def _integer_or(value: object, default: int) -> int:
    return value if type(value) is int else default


def _shares(some: Sequence[Clip], others: Sequence[Clip]) -> bool:
    return not {clip.path for clip in some}.isdisjoint(clip.path for clip in others)
