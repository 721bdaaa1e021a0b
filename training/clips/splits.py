"""Split clips into train, valid and test parts; this always happens before windows are cut."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from training.clips import groups
from training.clips.artists import artist_keys
from training.clips.clip import Clip
from training.clips.draws import draw_artists, draw_clips, draw_folds, have_artists, ordered
from training.clips.split import PARTS, Split
from training.errors import TrainingError
from training.options import DRAW, Draw

SPLITS = ("auto", "given", "filtered", "artist", "random", "kfold")
SPLIT_HELP = (
    "given: the parts that the data states, in folders such as train/ and test/ or a column of the "
    "table. filtered: the published fault-filtered split of GTZAN. artist: 8:1:1 with no artist in "
    "two parts. random: 8:1:1 of each label, which flatters the result. kfold: one fold to "
    "validate on and the others to learn from, by artist where artists are known. auto: to train, "
    "the first of given, filtered, artist and random that suits the clips; to evaluate, the split "
    "that the checkpoint was trained with."
)
FILTERED = Path(__file__).parent / "data" / "gtzan-filtered"
GTZAN_NAME = re.compile(r"([a-z]+)\.\d{5}")
SHARES = {"valid": 0.1, "test": 0.1}  # of the clips of each label in a random split
APART = "no artist in two parts"
TOGETHER = "artists may be in two parts"


def make_split(clips: Sequence[Clip], name: str, draw: Draw = DRAW) -> Split:
    """One of `SPLITS`; the order of the clips makes no difference. Raises `TrainingError`."""
    if name == "auto":
        return auto_split(clips, draw)
    if name == "given":
        split = given_split(clips, draw)
    elif name == "filtered":
        split = filtered_split(clips, seed=draw.seed)
    elif name == "random":
        split = random_split(clips, draw.seed)
    elif name == "artist":
        split = artist_split(clips, draw.seed)
    elif name == "kfold":
        split = kfold_split(clips, draw)
    else:
        raise ValueError(f"unknown split {name!r}")
    return replace(split, name=name)


def auto_split(clips: Sequence[Clip], draw: Draw = DRAW) -> Split:
    """The first split that these clips allow, with the reason why it was chosen."""
    stated = {clip.part for clip in clips if clip.part}
    known = sum(bool(artist_keys(clip)) for clip in clips)
    if len(stated) > 1 and stated - {"valid", "test"}:
        name, reason = "given", f"since the data states the parts {', '.join(sorted(stated))}"
    elif is_gtzan(clips):
        name, reason = "filtered", "since most clips are named as those of GTZAN"
    elif known and _tests_labels(make_split(clips, "artist", draw)):
        name, reason = "artist", f"since the artists of {known} of {len(clips)} clips are known"
    else:
        few, none = "most labels have too few artists", "no artist is in the tags of the files"
        name, reason = "random", f"since {few if known else none}"
    return replace(make_split(clips, name, draw), reason=reason)


def _tests_labels(split: Split) -> bool:
    """Whether there is something to validate half of all labels on, and two if there are two."""
    tested, labels = {clip.label for clip in split.valid}, {clip.label for clip in split.clips}
    return len(tested) >= min(2, len(labels)) and 2 * len(tested) >= len(labels)


def is_gtzan(clips: Sequence[Clip]) -> bool:
    """Whether at least half of the clips are in the lists of GTZAN's filtered split."""
    listed = {name for part in PARTS for name in read_list(FILTERED / f"{part}.txt")}
    return 2 * sum(clip.path.stem in listed for clip in clips) >= len(clips) > 0


def given_split(clips: Sequence[Clip], draw: Draw = DRAW) -> Split:
    """The parts that the data states; of stated folds, `draw.fold` to validate on.

    Without a part to validate on, a tenth of the train part becomes one, by artist if artists are
    known. Clips that the data puts nowhere are left out, and so are copies of a clip in a part that
    comes later. Raises `TrainingError` if there is nothing to learn from.
    """
    parts, left_out, notes = _stated(clips, draw)
    if not parts["train"]:
        raise TrainingError(
            "the data states no part to learn from: it needs folders such as train/GENRE and "
            "test/GENRE, or a column `split`; or choose another --split"
        )
    if not parts["valid"]:
        known = any(map(artist_keys, parts["train"]))
        drawn = draw_artists(parts["train"], ("valid",), draw.seed) if known else {}
        if not drawn.get("valid"):
            known, drawn = False, draw_clips(parts["train"], {"valid": 0.1}, draw.seed)
        parts |= drawn
        way = "by artist" if known else "at random"
        notes.append(f"{len(parts['valid'])} clips to validate on taken from train, {way}")
    artists = [frozenset().union(*map(artist_keys, parts[part])) for part in PARTS]
    shared = {artist for one, two in combinations(artists, 2) for artist in one & two}
    if shared:
        notes.append(f"{len(shared)} artists are in two parts")
    train, valid, test = (tuple(ordered(parts[part])) for part in PARTS)
    by_artist = not shared and have_artists(clips)
    return Split(train, valid, test, tuple(left_out), by_artist, "; ".join(notes))


def _stated(
    clips: Sequence[Clip], draw: Draw
) -> tuple[dict[str, list[Clip]], list[Clip], list[str]]:
    """The clips of each stated part, those left out, and notes."""
    parts: dict[str, list[Clip]] = {part: [] for part in PARTS}
    folds = sorted(
        {clip.part for clip in clips if clip.part.startswith("fold")}, key=lambda of: int(of[4:])
    )
    notes = ["parts as stated by the data"]
    if folds:
        if draw.fold >= len(folds) or len(folds) < 2:
            raise TrainingError(
                f"no fold {draw.fold} of {len(folds)}: the data has {', '.join(folds)}, counted "
                "from 0"
            )
        notes.append(f"{folds[draw.fold]} to validate on")
    role = dict.fromkeys(folds, "train") | {part: part for part in PARTS}
    role |= {folds[draw.fold]: "valid"} if folds else {}
    left_out = [clip for clip in clips if clip.part not in role]
    placed = [clip for clip in ordered(clips) if clip.part in role]
    taken: dict[str, str] = {}
    repeated = 0
    pairs = sorted(
        zip(placed, groups.copies(placed), strict=True),
        key=lambda pair: -PARTS.index(role[pair[0].part]),
    )
    for clip, key in pairs:
        part = role[clip.part]
        if taken.setdefault(key, part) == part:
            parts[part].append(clip)
        else:
            left_out.append(clip)
            repeated += 1
    if repeated:
        notes.append(f"{repeated} copies of clips in another part left out")
    return parts, left_out, notes


def filtered_split(clips: Sequence[Clip], folder: Path = FILTERED, seed: int = 0) -> Split:
    """GTZAN's fault-filtered split: no artist in two parts, no repetitions and no faulty clips.

    The lists are those of Kereliuk, Sturm and Larsen, "Deep Learning and Music Adversaries"
    (2015), made from Sturm's index of GTZAN's faults: 443, 197 and 290 names. Clips of GTZAN in
    none of them are left out. Other clips, such as those of a genre that GTZAN lacks, are split by
    artist, or at random. Raises `TrainingError` if no clip is in the lists.
    """
    part_of = {name: part for part in PARTS for name in read_list(folder / f"{part}.txt")}
    genres = {name.partition(".")[0] for name in part_of}
    chosen: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        named = GTZAN_NAME.fullmatch(clip.path.stem)
        other = "" if named and named[1] in genres else "other"
        chosen[part_of.get(clip.path.stem, other)].append(clip)
    if not any(chosen[part] for part in PARTS):
        raise TrainingError(
            "none of the clips is in the lists of GTZAN's filtered split, whose files are named "
            "like blues.00000.wav; for other music use --split artist or random"
        )
    note = "published lists, no artist in two parts"
    if others := chosen.pop("other", []):
        split = auto_split(others, Draw(seed=seed))
        for part in PARTS:
            chosen[part] += split.part(part)
        note += f"; {len(others)} clips that are not in the lists are split by {split.name}"
    train, valid, test, left_out = (tuple(chosen[part]) for part in (*PARTS, ""))
    return Split(train, valid, test, left_out, note=note)


def random_split(clips: Sequence[Clip], seed: int = 0) -> Split:
    """80, 10 and 10 % of the clips of each label, drawn with a seed; copies are in one part.

    It flatters the result: clips of one artist, album or even recording fall into several parts, so
    the model is tested on music that it has learned. Compare only with figures of the same
    protocol. A label with fewer than ten clips gives each part one, as long as two are left to
    learn from.
    """
    parts = draw_clips(clips, SHARES, seed)
    train, valid, test = (tuple(parts[part]) for part in PARTS)
    return Split(train, valid, test, note=TOGETHER)


def artist_split(clips: Sequence[Clip], seed: int = 0) -> Split:
    """About 80, 10 and 10 % of the clips, no artist in two parts, drawn with a seed.

    See `draws.draw_artists`. `note` names labels that have nothing to test on. Clips whose artist
    is not known are kept together by folder, see `groups.artists`, and `note` counts them. Raises
    `TrainingError` if no clip has an artist.
    """
    nameless = [clip for clip in clips if not artist_keys(clip)]
    if len(nameless) == len(clips):
        raise TrainingError(
            "no clip has an artist: name artists in the tags of the files, with --artists FILE, in "
            "a column artist of the CSV, or in folders like Genre/Artist/"
        )
    parts = draw_artists(clips, ("test", "valid"), seed)
    note = APART
    if nameless:
        note += f", except of {len(nameless)} clips without a known artist (split by album folder)"
    labels = {clip.label for clip in clips}
    if untested := sorted(labels - {clip.label for clip in parts["test"]}):
        note += f"; nothing to test {', '.join(untested)} on"
    train, valid, test = (tuple(parts[part]) for part in PARTS)
    return Split(train, valid, test, by_artist=not nameless, note=note)


def kfold_split(clips: Sequence[Clip], draw: Draw = DRAW) -> Split:
    """Fold `draw.fold` of `draw.folds` to validate on, the others to learn from; no test.

    Over all folds of one seed, each clip is validated on once. If artists are known, none of them
    is in two folds; otherwise clips are drawn one by one, which flatters the result as
    `random_split` does, and `note` says which. A label whose clips are all in this fold cannot be
    learned; `note` names it. Raises `TrainingError` if there are more folds than clips of any
    label, or than artists.
    """
    folds, fold = draw.folds, draw.fold
    if folds < 2 or not 0 <= fold < folds:
        raise TrainingError(f"no fold {fold} of {folds}: at least two folds, counted from 0")
    clips = ordered(clips)
    nameless = sum(not artist_keys(clip) for clip in clips)
    number = draw_folds(clips, folds, draw.seed, by_artist=nameless < len(clips))
    valid = tuple(clip for clip, of_clip in zip(clips, number, strict=True) if of_clip == fold)
    train = tuple(clip for clip, of_clip in zip(clips, number, strict=True) if of_clip != fold)
    apart = "no artist in two folds" if nameless < len(clips) else "artists may be in two folds"
    few = f" ({nameless} of {len(clips)} clips have none)" if nameless else ""
    note = f"fold {fold} of {folds}, {apart}{few}"
    if unlearned := sorted({clip.label for clip in valid} - {clip.label for clip in train}):
        note += f"; nothing to learn from of {', '.join(unlearned)}"
    return Split(train, valid, (), by_artist=nameless == 0, note=note)


def read_list(path: Path) -> list[str]:
    """The names in a split list, one per line."""
    return path.read_text(encoding="utf-8").split()
