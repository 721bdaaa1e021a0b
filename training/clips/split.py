"""The clips of each part: what every split is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

from training.clips.artists import artist_keys
from training.clips.clip import Clip

PARTS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """The clips of each part; no clip is in two parts. Those `left_out` are in no part.

    With `by_artist` no artist is in two parts either. `note` tells a reader of the metrics in a few
    words what to know about the split. `name` is one of `splits.SPLITS`, but never `auto`.
    """

    train: tuple[Clip, ...]
    valid: tuple[Clip, ...]
    test: tuple[Clip, ...]
    left_out: tuple[Clip, ...] = ()
    by_artist: bool = False
    note: str = ""
    name: str = ""
    reason: str = ""  # why this one was chosen, where nobody asked for it

    def __post_init__(self) -> None:
        clips = [clip.path for part in self._all for clip in part]
        if len(set(clips)) < len(clips):
            twice, count = Counter(clips).most_common(1)[0]
            raise ValueError(f"{twice} appears {count} times in a split")
        if self.by_artist:
            artists = [frozenset().union(*map(artist_keys, part)) for part in self._all[:3]]
            for one, two in combinations(artists, 2):
                if one & two:
                    raise ValueError(f"the artist {min(one & two)!r} is in two parts of a split")

    @property
    def _all(self) -> tuple[tuple[Clip, ...], ...]:
        return self.train, self.valid, self.test, self.left_out

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips, also those left out."""
        return tuple(clip for part in self._all for clip in part)

    def part(self, name: str) -> tuple[Clip, ...]:
        """The clips of `train`, `valid` or `test`."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[name]
