"""No clip, and where it is promised no artist, is in two parts of a split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from helpers.clips import GENRES, all_of_gtzan, names
from helpers.command import DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from training.clips.artists import artist_keys
from training.clips.clip import Clip
from training.clips.find import find_clips
from training.clips.split import PARTS, Split
from training.clips.splits import (
    FILTERED,
    SPLITS,
    artist_split,
    filtered_split,
    kfold_split,
    make_split,
    random_split,
    read_list,
)
from training.errors import TrainingError
from training.options import Draw

TRACKS = DATA / "gtzan" / "tracks.csv"
needs_gtzan = pytest.mark.skipif(
    not TRACKS.is_file(), reason="GTZAN's artists are not here (shared/data/gtzan/tracks.csv)"
)


def clip(label: str, index: int, artist: str = "") -> Clip:
    return Clip(Path(f"{label}/{index}.wav"), label, str(index), artist)


def of_artists(**artists: dict[str, int]) -> list[Clip]:
    """Clips of each label: so many by each artist."""
    each = [
        (label, artist)
        for label, counts in artists.items()
        for artist, count in counts.items()
        for _ in range(count)
    ]
    return [clip(label, index, artist) for index, (label, artist) in enumerate(each)]


@st.composite
def clips_by_artists(draw: st.DrawFn) -> list[Clip]:
    made = st.tuples(st.sampled_from("abcd"), st.integers(0, 12))
    pairs = draw(st.lists(made, min_size=1, max_size=60))
    return [clip(label, index, f"Artist {of}") for index, (label, of) in enumerate(pairs)]


def artists(split: Split) -> list[set[str]]:
    return [set().union(*map(artist_keys, split.part(part))) for part in PARTS]


def everything(split: Split) -> list[Clip]:
    return [clip for part in PARTS for clip in split.part(part)]


def test_filtered_lists_are_disjoint_and_as_published() -> None:
    lists = {part: read_list(FILTERED / f"{part}.txt") for part in PARTS}
    assert {part: len(names) for part, names in lists.items()} == {
        "train": 443,
        "valid": 197,
        "test": 290,
    }
    assert len(set().union(*lists.values())) == 930


def test_filtered_split_follows_the_lists_and_counts_the_rest() -> None:
    split = filtered_split(all_of_gtzan())
    for part in PARTS:
        assert names(split.part(part)) == set(read_list(FILTERED / f"{part}.txt"))
    assert len(split.left_out) == 70


def test_random_split_is_disjoint_complete_stratified_and_seeded() -> None:
    clips = all_of_gtzan()
    split = random_split(clips, seed=3)
    parts = [names(split.part(part)) for part in PARTS]
    assert set().union(*parts) == names(tuple(clips)) and sum(map(len, parts)) == len(clips)
    for part, count in zip(PARTS, (80, 10, 10), strict=True):
        assert Counter(clip.label for clip in split.part(part)) == dict.fromkeys(GENRES, count)
    assert split == random_split(clips[::-1], seed=3)
    assert split != random_split(clips, seed=4)


@settings(deadline=None, max_examples=60)
@given(clips=clips_by_artists(), seed=st.integers(0, 9))
def test_artist_split_keeps_artists_apart_and_every_label_to_learn_from(
    clips: list[Clip], seed: int
) -> None:
    split = artist_split(clips, seed)
    train, valid, test = artists(split)
    assert not (train & valid or train & test or valid & test)
    assert sorted(everything(split), key=str) == sorted(clips, key=str)
    assert {clip.label for clip in split.train} == {clip.label for clip in clips}


@settings(deadline=None, max_examples=40)
@given(clips=clips_by_artists(), named=st.booleans(), seed=st.integers(0, 9))
def test_folds_cover_every_clip_exactly_once(clips: list[Clip], named: bool, seed: int) -> None:
    if not named:
        clips = [Clip(clip.path, clip.label, clip.name) for clip in clips]
    most = max(Counter(clip.label for clip in clips).values())
    folds = min(4, most, len({clip.artist for clip in clips}) if named else most)
    if folds < 2:
        with pytest.raises(TrainingError):
            kfold_split(clips, Draw(seed=seed, folds=2))
        return
    splits = [kfold_split(clips, Draw(seed=seed, folds=folds, fold=fold)) for fold in range(folds)]
    validated = [clip for split in splits for clip in split.valid]
    assert sorted(validated, key=str) == sorted(clips, key=str)
    for split in splits:
        assert not split.test and len(everything(split)) == len(clips)
        assert split.by_artist == named
        assert ("no artist in two folds" in split.note) == named


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_is_the_same_for_the_same_seed_in_any_order(name: str) -> None:
    clips = [
        Clip(clip.path, clip.label, clip.name, f"{clip.label} {index % 25}", PARTS[index % 3])
        for index, clip in enumerate(all_of_gtzan())
    ]
    one, two = (make_split(some, name, Draw(seed=1)) for some in (clips, clips[::-1]))
    assert [names(one.part(part)) for part in PARTS] == [names(two.part(part)) for part in PARTS]
    other = make_split(clips, name, Draw(seed=2))
    assert (names(other.valid) == names(one.valid)) == (name in ("filtered", "given", "auto"))


def test_artist_split_of_many_artists_is_8_1_1_of_each_label() -> None:
    counts = {f"{genre} {index}": 2 for genre in "ab" for index in range(50)}
    clips = of_artists(
        **{genre: {k: v for k, v in counts.items() if k[0] == genre} for genre in "ab"}
    )
    split = artist_split(clips)
    for part, count in zip(PARTS, (80, 10, 10), strict=True):
        assert Counter(clip.label for clip in split.part(part)) == {"a": count, "b": count}


def test_a_label_by_one_artist_is_in_the_train_part_only_and_the_note_says_so() -> None:
    many = {f"band {index}": 2 for index in range(20)}
    split = artist_split(of_artists(polka={"Frankie": 9}, rock={**many, "frankie": 1}))
    assert {clip.label for clip in (*split.valid, *split.test)} == {"rock"}
    assert sum(artist_keys(clip) == {"frankie"} for clip in split.train) == 10
    assert split.note == "no artist in two parts; nothing to test polka on"


def test_artists_are_the_same_in_any_case_spacing_and_composition() -> None:
    spellings = ("Beyonc\u00e9  Knowles", " BEYONCE\u0301 knowles", "beyonc\u00e9\tKnowles")
    assert len({artist_keys(clip("pop", 0, artist)) for artist in spellings}) == 1


def test_clips_without_any_artist_stop_an_artist_split_with_advice() -> None:
    clips = [clip("a", 0, "Various Artists"), clip("a", 1), clip("b", 2, " ")]
    with pytest.raises(TrainingError, match=r"no clip has an artist.*--artists FILE"):
        make_split(clips, "artist")


@pytest.mark.parametrize(("folds", "fold"), [(1, 0), (3, 3), (3, -1), (40, 0)])
def test_impossible_folds_are_refused(folds: int, fold: int) -> None:
    with pytest.raises(TrainingError, match="fold"):
        make_split(of_artists(a={"x": 9, "y": 9}), "kfold", Draw(folds=folds, fold=fold))


def test_a_fold_with_all_of_a_label_says_so() -> None:
    clips = of_artists(polka={"Frankie": 6}, rock={"x": 3, "y": 3})
    notes = [kfold_split(clips, Draw(folds=3, fold=fold)).note for fold in range(3)]
    assert sum("nothing to learn from of polka" in note for note in notes) == 1


def test_a_split_that_leaks_cannot_be_made() -> None:
    one, same, other = clip("a", 0, "X"), clip("a", 0, "X"), clip("a", 1, "x ")
    with pytest.raises(ValueError, match="2 times"):
        Split((one,), (same,), ())
    with pytest.raises(ValueError, match="2 times"):
        Split((one,), (), (), left_out=(same,))
    with pytest.raises(ValueError, match="artist 'x'"):
        Split((one,), (), (other,), by_artist=True)
    assert Split((one,), (other,), ()).part("valid") == (other,)


@needs_gtzan
@pytest.mark.parametrize("name", SPLITS)
def test_no_clip_and_no_artist_of_gtzan_is_in_two_parts(name: str) -> None:
    clips = [clip for clip in find_clips(TRACKS) if clip.artist]
    split = make_split(clips, name, Draw(seed=5))
    files = [path for part in PARTS for path in {clip.path.resolve() for clip in split.part(part)}]
    assert len(files) == len(set(files)) == 426
    if name != "random":
        train, valid, test = artists(split)
        assert not (train & valid or train & test or valid & test)
    if name == "artist":
        assert all(0.07 < len(split.part(part)) / 426 < 0.13 for part in ("valid", "test"))
        assert {clip.label for clip in split.train} == set(GENRES)


@needs_gtzan
def test_a_random_split_of_gtzan_shares_artists() -> None:
    train, _, test = artists(random_split([clip for clip in find_clips(TRACKS) if clip.artist]))
    assert train & test


def test_formats_of_one_recording_are_drawn_as_one() -> None:
    clips = [
        Clip(Path(f"{label}/{i}{suffix}"), label, f"{i}{suffix}")
        for label in ("rock", "jazz")
        for i in range(10)
        for suffix in (".mp3", ".opus")
    ]
    split = random_split(clips)
    for label in ("rock", "jazz"):
        sizes = [sum(clip.label == label for clip in split.part(part)) for part in PARTS]
        assert sizes == [16, 2, 2]
    stems = [{clip.path.with_suffix("") for clip in split.part(part)} for part in PARTS]
    assert sum(map(len, stems)) == len(set().union(*stems))


def test_a_recording_under_two_labels_is_in_one_part() -> None:
    same = [Clip(Path(f"{of}/x.wav"), of, "x", audio="aa") for of in ("rock", "jazz")]
    clips = [*same, *(clip(of, i) for of in ("rock", "jazz") for i in range(9))]
    for seed in range(20):
        split = random_split(clips, seed)
        assert any(set(same) <= set(split.part(part)) for part in PARTS)


def test_an_artist_of_half_of_the_music_is_learned_from() -> None:
    few = {"one": 2, "two": 2, "three": 2, "four": 2, "Hub": 8}
    other = {name if name == "Hub" else f"j{name}": count for name, count in few.items()}
    clips = of_artists(rock=few, jazz=other)
    for seed in range(10):
        split = artist_split(clips, seed)
        assert sum(of.artist == "Hub" for of in split.train) == 16
        assert all({of.label for of in split.part(part)} == {"rock", "jazz"} for part in PARTS)


def test_a_genre_beside_those_of_gtzan_is_split_by_its_artists() -> None:
    own = [clip("choro", i, f"Artist {i // 3}") for i in range(12)]
    split = filtered_split([*all_of_gtzan(), *own])
    assert "are split by artist" in split.note
    held = [{of.artist for of in split.part(part) if of.label == "choro"} for part in PARTS]
    assert all(held) and sum(map(len, held)) == 4
