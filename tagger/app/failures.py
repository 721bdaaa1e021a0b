"""The failures of a run, grouped by their reasons, and what a person can do about each group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tagger.types import Outcome

MOST_GROUPS, OTHERS = 100, "other reasons"
GAP = "…"  # stands for a number or a name in a reason
QUOTED = re.compile(r"(?<!\w)'[^']*'(?!\w)|\"[^\"]*\"|(?<![\w.])/[^\s;:,]+")
NUMBER = re.compile(r"(?<!\w)\d+(?:[.,]\d+)*")
# What to do, by what a reason contains; the first that fits. A reason that says it itself has none.
ADVICE = (
    (r"decode-timeout", "run again with a higher --decode-timeout"),
    (
        r"run again|ffmpeg -i|undo that|\(--|; (if|fix|first|make|rewrite|remove|run|choose|allow"
        r"|save|clear|correct|rename|it is left alone|--)\b",
        "",
    ),
    (
        r"truncated|cut off|is empty|no audio samples|nothing but zeros",
        "the file is incomplete: copy or download it again",
    ),
    (r"permission denied|read-only|cannot be read", "give yourself the right to read and write it"),
    (r"no such file", "check how the path is spelled, and that the disk is there"),
    (r"link", "name the file or folder that the link leads to"),
    (r"not a regular file", "leave it out with --exclude"),
    (r"input/output error|no space left", "check the disk"),
)
PLAYLISTS = frozenset((".m3u", ".m3u8", ".pls", ".xspf", ".cue"))
DEFAULT_ADVICE = "try it in a player; if it does not play there either, get the file again"


@dataclass(slots=True)
class FailureGroup:
    """The failures for one reason."""

    reason: str  # of the first; where there are several, with gaps for its numbers and names
    example: Path  # the first
    count: int = 1
    advice: str = ""  # what to do; "" if the reason says it


@dataclass(slots=True)
class Failures:
    """Failures, counted by reason; memory does not grow with their number."""

    groups: dict[str, FailureGroup] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count a failed outcome."""
        kind = _kind(outcome)
        if kind not in self.groups and len(self.groups) >= MOST_GROUPS:
            kind = OTHERS
        group = self.groups.get(kind)
        if group is None:
            reason = OTHERS if kind == OTHERS else outcome.reason
            self.groups[kind] = FailureGroup(reason, outcome.path, advice=_advice(outcome))
            return
        group.count += 1
        if outcome.reason != group.reason:
            group.reason = kind

    def __iter__(self) -> Iterator[FailureGroup]:
        """The groups, largest first."""
        return iter(sorted(self.groups.values(), key=lambda group: -group.count))


def _kind(outcome: Outcome) -> str:
    """The reason without what differs from file to file."""
    kind, path = outcome.reason, outcome.path
    genres = (";".join(outcome.existing), "; ".join(outcome.existing), *outcome.existing)
    for name in sorted({str(path), path.name, *genres} - {""}, key=len, reverse=True):
        if name in kind:
            kind = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", GAP, kind)
    return NUMBER.sub(GAP, QUOTED.sub(GAP, kind))


def _advice(outcome: Outcome) -> str:
    if outcome.path.suffix.lower() in PLAYLISTS and "no decoder" in outcome.reason:
        return "it is a playlist: name the folder of its tracks instead"
    for pattern, advice in ADVICE:
        if re.search(pattern, outcome.reason, re.IGNORECASE):
            return advice
    return DEFAULT_ADVICE if outcome.prediction is None and not outcome.existing else ""
