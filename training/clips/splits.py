"""Split clips into train, valid and test parts; this always happens before windows are cut."""

from __future__ import annotations

import random
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from training.clips.clip import Clip
from training.errors import TrainingError
from training.options import DRAW, Draw

PARTS = ("train", "valid", "test")
SPLITS = ("filtered", "random", "artist", "kfold")
SPLIT_HELP = (
    "filtered: the published fault-filtered split of GTZAN. For any clips: artist, 8:1:1 with no "
    "artist in two parts; random, 8:1:1, which flatters the result; kfold, one fold to validate "
    "on and the others to learn from."
)
FILTERED = Path(__file__).parent / "data" / "gtzan-filtered"
SHARES = {"valid": 0.1, "test": 0.1}  # of the clips of each label in a random split
TENTHS = 10  # folds of an artist split, which uses one for valid and one for test


@dataclass(frozen=True, slots=True)
class Split:
    """The clips of each part; no clip is in two parts. Those `left_out` are in no part.

    With `by_artist` no artist is in two parts either. `note` tells a reader of the metrics in a few
    words what to know about the split.
    """

    train: tuple[Clip, ...]
    valid: tuple[Clip, ...]
    test: tuple[Clip, ...]
    left_out: tuple[Clip, ...] = ()
    by_artist: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        clips = [clip.path for part in self._all for clip in part]
        if len(set(clips)) < len(clips):
            twice, count = Counter(clips).most_common(1)[0]
            raise ValueError(f"{twice} appears {count} times in a split")
        if self.by_artist:
            artists = [{artist_key(clip) for clip in part} for part in self._all[:3]]
            for one, two in combinations(artists, 2):
                if one & two:
                    raise ValueError(f"the artist {min(one & two)!r} is in two parts of a split")

    @property
    def _all(self) -> tuple[tuple[Clip, ...], ...]:
        return self.train, self.valid, self.test, self.left_out

    def part(self, name: str) -> tuple[Clip, ...]:
        """The clips of `train`, `valid` or `test`."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[name]


def make_split(clips: Sequence[Clip], name: str, draw: Draw = DRAW) -> Split:
    """One of `SPLITS`; the order of the clips makes no difference. Raises `TrainingError`."""
    if name == "filtered":
        return filtered_split(clips)
    if name == "random":
        return random_split(clips, draw.seed)
    if name == "artist":
        return artist_split(clips, draw.seed)
    if name == "kfold":
        return kfold_split(clips, draw)
    raise ValueError(f"unknown split {name!r}")


def filtered_split(clips: Sequence[Clip], folder: Path = FILTERED) -> Split:
    """GTZAN's fault-filtered split: no artist in two parts, no repetitions and no faulty clips.

    The lists are those of Kereliuk, Sturm and Larsen, "Deep Learning and Music Adversaries"
    (2015), made from Sturm's index of GTZAN's faults: 443, 197 and 290 names. Clips in none of them
    are left out. Raises `TrainingError` if all clips are.
    """
    part_of = {name: part for part in PARTS for name in read_list(folder / f"{part}.txt")}
    chosen: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        chosen[part_of.get(clip.name, "")].append(clip)
    if not any(chosen[part] for part in PARTS):
        raise TrainingError(
            "none of the clips is in the lists of GTZAN's filtered split, whose files are named "
            "like blues.00000.wav; for other music use --split artist or random"
        )
    train, valid, test, left_out = (tuple(chosen[part]) for part in (*PARTS, ""))
    return Split(train, valid, test, left_out, note="published lists, no artist in two parts")


def random_split(clips: Sequence[Clip], seed: int = 0) -> Split:
    """80, 10 and 10 % of the clips of each label, drawn with a seed.

    It flatters the result: clips of one artist, album or even recording fall into several parts, so
    the model is tested on music that it has learned. Compare only with figures of the same
    protocol. A label with fewer than ten clips gives each part one, as long as two are left to
    learn from.
    """
    by_label: dict[str, list[Clip]] = defaultdict(list)
    for clip in _ordered(clips):
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
    train, valid, test = (tuple(parts[part]) for part in PARTS)
    return Split(train, valid, test, note="artists may be in two parts")


def artist_split(clips: Sequence[Clip], seed: int = 0) -> Split:
    """About 80, 10 and 10 % of the clips, no artist in two parts, drawn with a seed.

    Labels are balanced as well as that allows. Each has clips to learn from: if one artist has all
    clips of a label, they are in the train part only, with that artist's other clips, and `note`
    says so. Raises `TrainingError` if a clip has no artist.
    """
    clips = _ordered(clips)
    if nameless := [clip for clip in clips if not artist_key(clip)]:
        raise TrainingError(
            f"{len(nameless)} of {len(clips)} clips have no artist, the first is "
            f"{nameless[0].path}: name artists with --artists FILE, in a column artist of the CSV, "
            "or in folders like Genre/Artist/"
        )
    of_label = _artists_by_label(clips)
    tied = {next(iter(artists)) for artists in of_label.values() if len(artists) == 1}
    held_out = _two_tenths([clip for clip in clips if artist_key(clip) not in tied], seed)
    for artists in of_label.values():
        if artists.keys() <= held_out.keys():  # nothing is left to learn the label from
            del held_out[max(artists, key=lambda artist: (artists[artist], artist))]
    parts: dict[str, list[Clip]] = {part: [] for part in PARTS}
    for clip in clips:
        parts[held_out.get(artist_key(clip), "train")].append(clip)
    note = "no artist in two parts"
    if untested := sorted(of_label.keys() - {clip.label for clip in parts["test"]}):
        note += f"; nothing to test {', '.join(untested)} on"
    train, valid, test = (tuple(parts[part]) for part in PARTS)
    return Split(train, valid, test, by_artist=True, note=note)


def kfold_split(clips: Sequence[Clip], draw: Draw = DRAW) -> Split:
    """Fold `draw.fold` of `draw.folds` to validate on, the others to learn from; no test.

    Over all folds of one seed, each clip is validated on once. If every clip has an artist, no
    artist is in two folds; otherwise clips are drawn one by one, which flatters the result as
    `random_split` does, and `note` says which. A label whose clips are all in this fold cannot be
    learned; `note` names it. Raises `TrainingError` if there are more folds than clips of any
    label, or than artists.
    """
    folds, fold = draw.folds, draw.fold
    if folds < 2 or not 0 <= fold < folds:
        raise TrainingError(f"no fold {fold} of {folds}: at least two folds, counted from 0")
    clips = _ordered(clips)
    nameless = sum(not artist_key(clip) for clip in clips)
    by_artist = nameless == 0
    number = _draw_folds(clips, folds, draw.seed, by_artist=by_artist)
    valid = tuple(clip for clip, of_clip in zip(clips, number, strict=True) if of_clip == fold)
    train = tuple(clip for clip, of_clip in zip(clips, number, strict=True) if of_clip != fold)
    of_artists = f"artists may be in two folds ({nameless} of {len(clips)} clips have none)"
    note = f"fold {fold} of {folds}, {'no artist in two folds' if by_artist else of_artists}"
    if unlearned := sorted({clip.label for clip in valid} - {clip.label for clip in train}):
        note += f"; nothing to learn from of {', '.join(unlearned)}"
    return Split(train, valid, (), by_artist=by_artist, note=note)


def artist_key(clip: Clip) -> str:
    """The clip's artist for comparison, regardless of case, whitespace and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", clip.artist).casefold().split())


def read_list(path: Path) -> list[str]:
    """The names in a split list, one per line."""
    return path.read_text(encoding="utf-8").split()


def _ordered(clips: Sequence[Clip]) -> list[Clip]:
    return sorted(clips, key=lambda clip: (clip.label, clip.name))


def _artists_by_label(clips: Sequence[Clip]) -> dict[str, Counter[str]]:
    """How many clips of each label each artist has."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        counts[clip.label][artist_key(clip)] += 1
    return dict(counts)


def _two_tenths(clips: Sequence[Clip], seed: int) -> dict[str, str]:
    """The part, `test` or `valid`, of held-out artists by key; about a tenth of the clips each.

    With few artists the shares are larger. Empty with fewer than two artists.
    """
    labels = Counter(clip.label for clip in clips)
    artists = [artist_key(clip) for clip in clips]
    folds = min(TENTHS, len(set(artists)), max(labels.values(), default=0))
    if folds < 2:
        return {}
    number = _draw_folds(clips, folds, seed, by_artist=True)

    def fitness(fold: int) -> tuple[int, float]:
        chosen = [
            clip.label for clip, of_clip in zip(clips, number, strict=True) if of_clip == fold
        ]
        return len(labels) - len(set(chosen)), abs(len(chosen) - len(clips) / TENTHS)

    # With few artists folds differ a lot; folds with more labels are better for testing.
    part_of = dict(zip(sorted(range(folds), key=fitness), ("test", "valid"), strict=False))
    of_clips = zip(artists, number, strict=True)
    return {artist: part_of[fold] for artist, fold in of_clips if fold in part_of}


def _draw_folds(clips: Sequence[Clip], folds: int, seed: int, *, by_artist: bool) -> list[int]:
    """The fold number of each clip; each label is spread as evenly as artists allow."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    counts = Counter(clip.label for clip in clips)
    artists = [artist_key(clip) for clip in clips]
    if folds > max(counts.values(), default=0):
        raise TrainingError(f"{folds} folds need at least {folds} clips of one label")
    if by_artist and folds > len(set(artists)):
        raise TrainingError(
            f"{folds} folds need {folds} artists, but there are {len(set(artists))}"
        )
    splitter = StratifiedGroupKFold if by_artist else StratifiedKFold
    place = {label: index for index, label in enumerate(sorted(counts))}
    labels = [place[clip.label] for clip in clips]
    number = [0] * len(clips)
    with warnings.catch_warnings():
        # A label with fewer clips than folds is in only some of them.
        warnings.filterwarnings("ignore", "The least populated class")
        drawn = splitter(folds, shuffle=True, random_state=seed)
        parts = drawn.split(labels, labels, artists if by_artist else None)
        for fold, (_, chosen) in enumerate(parts):
            for index in chosen:
                number[index] = fold
    return number
