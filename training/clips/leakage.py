"""Whether a checkpoint has learned from the very clips that it is judged on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tagger.models.checkpoint import ModelInfo
from training.clips.find import Clip
from training.clips.splits import PARTS, SPLITS, make_split
from training.errors import TrainingError

NUMBERS = ("seed", "folds", "fold")  # what a split is drawn by, besides its name


def learned_warning(
    info: ModelInfo, every: Sequence[Clip], judged: Sequence[Clip], drawn: Mapping[str, int]
) -> str | None:
    """One line if `judged` holds clips that the model learned from, else None.

    See `read_learned` for what says so. The splits are made anew of `every` clip, so that they may
    be others than that of `judged`; `drawn` has the numbers that a checkpoint does not name. A
    checkpoint that says nothing usable is not suspected.
    """
    for said in read_learned(info):
        if said.get("split") not in SPLITS:
            continue
        named = said.get("parts")
        parts = [part for part in PARTS if isinstance(named, list) and part in named]
        shared = [part for part in parts if _shares(_part(every, said, part, drawn), judged)]
        if shared:
            noun = "part" if len(shared) == 1 else "parts"
            return (
                f"warning: {info.name} learned from the {' and '.join(shared)} {noun} of the "
                f"{said['split']} split: figures on these clips say how well it remembers, not "
                "how well it generalises"
            )
    return None


def read_learned(info: ModelInfo) -> list[dict[str, Any]]:
    """What a checkpoint, and those that it came from, learned from.

    `"learned_from": [{"split": "filtered", "parts": ["train", "valid"]}]` in its config.json; a row
    may also have `seed`, `folds` and `fold`.
    """
    config = json.loads((info.folder / "config.json").read_text(encoding="utf-8"))
    said = config.get("learned_from")
    rows = said if isinstance(said, list) else [said]
    return [row for row in rows if isinstance(row, dict)]


def _part(
    every: Sequence[Clip], said: Mapping[str, Any], part: str, drawn: Mapping[str, int]
) -> Sequence[Clip]:
    """That part of these clips; nothing where the split is not to be had of them."""
    numbers = {name: said[name] if type(said.get(name)) is int else drawn[name] for name in NUMBERS}
    try:
        return make_split(every, said["split"], **numbers).part(part)
    except (TrainingError, ValueError):
        return ()


def _shares(some: Sequence[Clip], others: Sequence[Clip]) -> bool:
    return not {clip.path for clip in some}.isdisjoint(clip.path for clip in others)
