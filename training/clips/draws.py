"""How clips are drawn for the parts of a split: one by one, or by artist."""

from __future__ import annotations

import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from training.clips import groups
from training.clips.artists import artist_keys
from training.clips.clip import Clip
from training.errors import TrainingError

TENTHS = 10  # folds of an artist split, of which one is held out for each part
LARGEST = 1 / 3  # share of the clips in a part, if artists allow it
LEAST = 2  # clips of a label that are left to learn from


def ordered(clips: Sequence[Clip]) -> list[Clip]:
    """The clips in the order in which they are drawn."""
    return sorted(clips, key=lambda clip: (clip.label, clip.name))


def have_artists(clips: Sequence[Clip]) -> bool:
    """Whether the artist of every clip is known."""
    return all(map(artist_keys, clips))


def draw_clips(
    clips: Sequence[Clip], shares: Mapping[str, float], seed: int
) -> dict[str, list[Clip]]:
    """Clips for each part: that share of each label, and the rest for `train`.

    Copies are drawn as one, and are in `train` if they are under two labels and one of them is. A
    label with few recordings gives each part one, as long as two are left to learn from.
    """
    clips = ordered(clips)
    by_label: dict[str, dict[str, list[Clip]]] = defaultdict(dict)
    for clip, key in zip(clips, groups.copies(clips), strict=True):
        by_label[clip.label].setdefault(key, []).append(clip)
    draw = random.Random(seed)
    drawn: dict[str, list[tuple[str, list[Clip]]]] = {part: [] for part in ("train", *shares)}
    for recordings in by_label.values():
        of_label = list(recordings.items())
        draw.shuffle(of_label)
        counts = {part: max(1, round(share * len(of_label))) for part, share in shares.items()}
        for part, wanted in counts.items():
            count = min(wanted, max(0, len(of_label) - LEAST))
            drawn[part] += of_label[:count]
            del of_label[:count]
        drawn["train"] += of_label
    part_of: dict[str, str] = {}
    parts: dict[str, list[Clip]] = {part: [] for part in drawn}
    for part, pairs in drawn.items():  # `train` first
        for key, copies in pairs:
            parts[part_of.setdefault(key, part)] += copies
    return parts


def draw_artists(
    clips: Sequence[Clip], held_out: Sequence[str], seed: int
) -> dict[str, list[Clip]]:
    """Clips for each of the parts `held_out`, about a tenth each, and the rest for `train`.

    No artist is in two parts. Labels are balanced as well as that allows. Each label keeps two
    clips to learn from, if it has so many: one whose clips are all by one artist is in `train`
    only, with that artist's other clips.
    """
    clips = ordered(clips)
    keys = groups.artists(clips)
    of_label: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for clip, key in zip(clips, keys, strict=True):
        of_label[clip.label][key] += 1
    tied = {next(iter(counts)) for counts in of_label.values() if len(counts) == 1}
    free = [(clip, key) for clip, key in zip(clips, keys, strict=True) if key not in tied]
    part_of = _tenths(free, held_out, seed)
    for counts in of_label.values():
        while sum(counts[key] for key in counts if key not in part_of) < min(
            LEAST, counts.total()
        ):  # too little is left to learn the label from
            held = [key for key in counts if key in part_of]
            del part_of[max(held, key=lambda key: (counts[key], key))]
    _cover_labels(of_label, part_of, held_out)
    parts: dict[str, list[Clip]] = {"train": [], **{part: [] for part in held_out}}
    for clip, key in zip(clips, keys, strict=True):
        parts[part_of.get(key, "train")].append(clip)
    return parts


def draw_folds(clips: Sequence[Clip], folds: int, seed: int, *, by_artist: bool) -> list[int]:
    """The fold number of each clip; each label is spread as evenly as artists allow.

    Copies are in one fold in any case. Raises `TrainingError` if there are fewer clips of every
    label than folds, or fewer artists.
    """
    keys = groups.artists(clips) if by_artist else groups.copies(clips)
    if folds > max(Counter(clip.label for clip in clips).values(), default=0):
        raise TrainingError(f"{folds} folds need at least {folds} clips of one label")
    if folds > len(set(keys)):
        what = "artists" if by_artist else "recordings"
        raise TrainingError(f"{folds} folds need {folds} {what}, but there are {len(set(keys))}")
    grouped = by_artist or len(set(keys)) < len(keys)
    return _spread(clips, keys if grouped else None, folds, seed)


def _cover_labels(
    of_label: Mapping[str, Counter[str]], part_of: dict[str, str], held_out: Sequence[str]
) -> None:
    """Hold out one more artist of a label that a part lacks, if enough is left to learn from."""
    labels_of: defaultdict[str, set[str]] = defaultdict(set)
    for label, counts in of_label.items():
        for key in counts:
            labels_of[key].add(label)

    def is_free(key: str) -> bool:
        if key in part_of:
            return False
        learned = (
            sum(of_label[label][other] for other in of_label[label] if other not in part_of)
            - of_label[label][key]
            for label in labels_of[key]
        )
        return min(learned) >= LEAST

    for part in reversed(held_out):  # to validate on first
        for counts in of_label.values():
            if any(part_of.get(key) == part for key in counts):
                continue
            # The artist with the fewest clips, as all others are needed to learn from.
            free = filter(is_free, sorted(counts, key=lambda key: (counts[key], key)))
            if (added := next(free, None)) is not None:
                part_of[added] = part


def _tenths(
    clips: Sequence[tuple[Clip, str]], held_out: Sequence[str], seed: int
) -> dict[str, str]:
    """The part of each held-out artist, by the key of its group.

    With few artists the shares are larger. Empty with fewer than two artists.
    """
    labels = Counter(clip.label for clip, _ in clips)
    keys = [key for _, key in clips]
    folds = min(TENTHS, len(set(keys)), max(labels.values(), default=0))
    if folds < 2:
        return {}
    number = _spread([clip for clip, _ in clips], keys, folds, seed)

    def fitness(fold: int) -> tuple[bool, int, float]:
        chosen = [
            clip.label for (clip, _), of_clip in zip(clips, number, strict=True) if of_clip == fold
        ]
        too_large = len(chosen) > LARGEST * len(clips)  # an artist of half of the music
        return too_large, len(labels) - len(set(chosen)), abs(len(chosen) - len(clips) / TENTHS)

    # With few artists folds differ a lot; folds with more labels are better for testing.
    part_of = dict(zip(sorted(range(folds), key=fitness), held_out, strict=False))
    of_clips = zip(keys, number, strict=True)
    return {key: part_of[fold] for key, fold in of_clips if fold in part_of}


def _spread(clips: Sequence[Clip], keys: Sequence[str] | None, folds: int, seed: int) -> list[int]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    splitter = StratifiedKFold if keys is None else StratifiedGroupKFold
    place = {label: index for index, label in enumerate(sorted({clip.label for clip in clips}))}
    labels = [place[clip.label] for clip in clips]
    number = [0] * len(clips)
    with warnings.catch_warnings():
        # A label with fewer clips than folds is in only some of them.
        warnings.filterwarnings("ignore", "The least populated class")
        drawn = splitter(folds, shuffle=True, random_state=seed)
        for fold, (_, chosen) in enumerate(drawn.split(labels, labels, keys)):
            for index in chosen:
                number[index] = fold
    return number
