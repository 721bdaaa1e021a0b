"""One labelled file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled file; no two clips share both label and name.

    The name is the file's without suffix or, for a deeper file, its path below the folder of the
    label. `artist` is empty if unknown, and may name several, separated by ";". `part` is where the
    data itself puts the clip: `train`, `valid`, `test`, `fold` with a number, or nowhere ("").
    `audio` is a fingerprint, see `tagger.tags.fingerprint`; clips with the same one are copies.
    """

    path: Path
    label: str  # "blues"
    name: str  # "blues.00000", "Muddy Waters/Folk Singer/01"
    artist: str = ""
    part: str = ""
    audio: str = ""  # in hexadecimal digits, or "" if not known
