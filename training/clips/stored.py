"""The list of a checkpoint's clips, beside it: what it learned from, and what was held out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.clips.clip import Clip
from training.clips.split import PARTS, Split

FILE = "clips.json"
EARLIER = "earlier"  # what the checkpoint that the training started from had learned from

Row = dict[str, str]  # label, name and audio of a clip


@dataclass(frozen=True, slots=True)
class StoredSplit:
    """The clips of each part when a checkpoint was trained. Paths are not stored."""

    name: str  # of the split
    note: str
    parts: dict[str, list[Row]]
    learned: tuple[str, ...]  # the parts that the checkpoint learned from
    # Splits, as in `leakage.read_learned_from`, from which the checkpoint it started from learned,
    # and of which there is no list.
    rules: list[dict[str, Any]]

    def place(self, clips: Iterable[Clip]) -> list[str]:
        """The part of each clip, "" for those that were not there; the first part counts.

        A clip of the list is found again once: by audio and name, else by audio, else by name.
        Further copies of it were not in the list, and are nowhere.
        """
        clips = list(clips)
        rows = [(row, part) for part, rows in self.parts.items() for row in rows]
        places = [""] * len(clips)
        taken: set[int] = set()
        for fields in (("label", "name", "audio"), ("audio",), ("label", "name")):
            free: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
            for number, (row, _) in reversed([*enumerate(rows)]):
                if number not in taken and (fields != ("audio",) or row["audio"]):
                    free[tuple(row[field] for field in fields)].append(number)
            for index, clip in enumerate(clips):
                of_clip = tuple(getattr(clip, field) for field in fields)
                if not places[index] and free[of_clip]:
                    number = free[of_clip].pop()
                    taken.add(number)
                    places[index] = rows[number][1]
        return places

    def learned_from(self, clips: Iterable[Clip]) -> list[Clip]:
        """Those of the clips that the checkpoint, or one that it started from, learned from."""
        rows = [row for part in (*self.learned, EARLIER) for row in self.parts.get(part, [])]
        known = {key for row in rows for key in _keys(row["label"], row["name"], row["audio"])}
        return [clip for clip in clips if known & set(_keys(clip.label, clip.name, clip.audio))]

    def split(self, clips: Sequence[Clip]) -> Split | None:
        """The same split of these clips; None if they are others, with none of those held out."""
        chosen: dict[str, list[Clip]] = {part: [] for part in (*PARTS, EARLIER, "")}
        for clip, part in zip(clips, self.place(clips), strict=True):
            chosen[part].append(clip)
        if not (chosen["valid"] or chosen["test"] or 2 * len(chosen["train"]) >= len(clips)):
            return None
        train, valid, test = (tuple(chosen[part]) for part in PARTS)
        left_out = (*chosen[EARLIER], *chosen[""])
        return Split(train, valid, test, left_out, note=self.note, name=self.name)


def read_stored(folder: Path) -> StoredSplit | None:
    """The list in the folder of a checkpoint; None if there is none that can be read."""
    try:
        stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
        parts = {
            part: [{key: str(row[key]) for key in ("label", "name", "audio")} for row in rows]
            for part, rows in stored["parts"].items()
            if part in (*PARTS, EARLIER)
        }
        learned = tuple(map(str, stored["learned"]))
        rules = [dict(rule) for rule in stored["rules"]]
        return StoredSplit(str(stored["split"]), str(stored["note"]), parts, learned, rules)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_stored(
    folder: Path,
    split: Split,
    learned: Sequence[str],
    start: tuple[Path | None, Sequence[dict[str, Any]]],
) -> None:
    """Write the list; it includes what the checkpoint that the training started from had learned.

    `start` is the folder of that one, None for a new network, and what its config.json states, see
    `leakage.read_learned_from`.
    """
    parts = {part: [_row(clip) for clip in split.part(part)] for part in PARTS}
    place, rules = start
    before = read_stored(place) if place is not None else None
    if before is not None:
        rules = before.rules
        names = (*before.learned, EARLIER)
        parts[EARLIER] = [row for part in names for row in before.parts.get(part, [])]
    values = {
        "split": split.name,
        "note": split.note,
        "learned": list(learned),
        "rules": list(rules),
        "parts": parts,
    }
    (folder / FILE).write_text(json.dumps(values, indent=0) + "\n", encoding="utf-8")


def _row(clip: Clip) -> Row:
    return {"label": clip.label, "name": clip.name, "audio": clip.audio}


def _keys(label: str, name: str, audio: str) -> list[tuple[str, ...]]:
    return [("audio", audio), ("name", label, name)] if audio else [("name", label, name)]
