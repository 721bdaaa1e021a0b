"""Whether a checkpoint has learned from the clips that it is evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tagger.models.checkpoint import ModelInfo
from tagger.models.folders import read_config
from training.clips.clip import Clip
from training.clips.split import PARTS, Split
from training.clips.splits import SPLITS, is_gtzan, make_split
from training.clips.stored import read_stored
from training.errors import TrainingError
from training.options import Draw


def leakage_warning(
    info: ModelInfo, every: Sequence[Clip], evaluated: Sequence[Clip], draw: Draw
) -> str | None:
    """One line if `evaluated` holds clips that the model learned from, else None.

    The evidence is the list beside the checkpoint (see `stored`), and for what is not listed the
    splits that `read_learned_from` names. These are made again from `every` clip, and may differ
    from the split of `evaluated`; `draw` has the numbers that a checkpoint does not state. A
    checkpoint without usable evidence gives None.
    """
    stored = read_stored(info.folder)
    if stored is not None and (learned := stored.learned_from(evaluated)):
        return _warning(info, f"{len(learned)} of these {len(evaluated)} clips")
    for row in read_learned_from(info) if stored is None else stored.rules:
        if row.get("split") not in SPLITS:
            continue
        named = row.get("parts")
        parts = [part for part in PARTS if isinstance(named, list) and part in named]
        shared = [part for part in parts if _shares(_part(every, row, part, draw), evaluated)]
        if shared:
            noun = "part" if len(shared) == 1 else "parts"
            return _warning(info, f"the {' and '.join(shared)} {noun} of the {row['split']} split")
    return None


def _warning(info: ModelInfo, what: str) -> str:
    return (
        f"warning: {info.name} learned from {what}: figures on these clips show how well it "
        "remembers, not how well it generalises"
    )


def split_as_trained(info: ModelInfo, clips: Sequence[Clip], draw: Draw) -> tuple[Split, Draw]:
    """The split of the clips that a checkpoint was trained with, and the numbers that decided it.

    That is the list beside the checkpoint, if a clip held out then is among these. Without a list
    it is the split that its config.json names, and for other clips, or where that is impossible,
    the `auto` split.
    """
    stored = read_stored(info.folder)
    if stored is not None:
        if split := stored.split(clips):
            return replace(split, reason=f"as {info.name} was trained"), draw
        return make_split(clips, "auto", draw), draw
    row: dict[str, Any] = next(reversed(read_learned_from(info)), {})
    name = row.get("split")
    if name in SPLITS and (name != "filtered" or is_gtzan(clips)):
        own = _draw_of(row, draw)
        with suppress(TrainingError):
            split = make_split(clips, str(name), own)
            return replace(split, reason=f"as {info.name} was trained"), own
    return make_split(clips, "auto", draw), draw


def read_learned_from(info: ModelInfo) -> list[dict[str, Any]]:
    """The parts of splits from which a checkpoint, and those that it started from, learned.

    `"learned_from": [{"split": "filtered", "parts": ["train", "valid"]}]` in its config.json; a row
    may also have `seed`, `folds` and `fold`.
    """
    stored = read_config(info.folder, info.name).get("learned_from")
    rows = stored if isinstance(stored, list) else [stored]
    return [row for row in rows if isinstance(row, dict)]


def _part(
    every: Sequence[Clip], row: Mapping[str, Any], part: str, default: Draw
) -> Sequence[Clip]:
    """That part of these clips; empty if they cannot be split in this way."""
    try:
        return make_split(every, row["split"], _draw_of(row, default)).part(part)
    except (TrainingError, ValueError):
        return ()


def _draw_of(row: Mapping[str, Any], default: Draw) -> Draw:
    return Draw(
        seed=_integer_or(row.get("seed"), default.seed),
        folds=_integer_or(row.get("folds"), default.folds),
        fold=_integer_or(row.get("fold"), default.fold),
    )


def _integer_or(value: object, default: int) -> int:
    return value if type(value) is int else default


def _shares(some: Sequence[Clip], others: Sequence[Clip]) -> bool:
    return not {clip.path for clip in some}.isdisjoint(clip.path for clip in others)
