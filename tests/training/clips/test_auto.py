"""The split that is taken where nobody names one, and the parts that the data states."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from helpers.clips import GENRES, all_of_gtzan, names
from hypothesis import given, settings
from hypothesis import strategies as st

from training.clips import groups
from training.clips.artists import artist_keys
from training.clips.clip import Clip
from training.clips.doubts import doubt, doubts
from training.clips.split import PARTS, Split
from training.clips.splits import FILTERED, make_split, read_list
from training.errors import TrainingError
from training.options import Draw


def clips_of(counts: dict[str, int], artist: str = "", part: str = "") -> list[Clip]:
    """Clips of each label; "{}" in the artist or part is a number."""
    return [
        Clip(Path(f"{label}/{part.format(i)}{i}.wav"), label, f"{part.format(i)}{i}",
             artist.format(f"{label} {i}"), part.format(i))
        for label, count in counts.items()
        for i in range(count)
    ]  # fmt: skip


def labels(split: Split, part: str) -> dict[str, int]:
    return dict(Counter(clip.label for clip in split.part(part)))


# Which split


def test_gtzan_is_split_by_the_published_lists() -> None:
    split = make_split(all_of_gtzan(), "auto")
    assert split.name == "filtered" and "GTZAN" in split.reason
    assert names(split.test) == set(read_list(FILTERED / "test.txt")) and len(split.left_out) == 70


@pytest.mark.parametrize("name", ["auto", "filtered"])
@pytest.mark.parametrize("stem", ["techno.{:05d}", "My song {}"])
def test_a_genre_beside_gtzan_is_learned_and_named(name: str, stem: str) -> None:
    own = [Clip(Path(f"techno/{stem.format(i)}.wav"), "techno", str(i)) for i in range(30)]
    split = make_split([*all_of_gtzan(), *own], name)
    assert split.name == "filtered" and len(split.left_out) == 70
    assert [labels(split, part)["techno"] for part in PARTS] == [24, 3, 3]
    assert "30 clips that are not in the lists are split by random" in split.note


def test_a_few_names_of_gtzan_do_not_make_it_gtzan() -> None:
    own = clips_of({"rock": 40, "techno": 40}, artist="{}")
    split = make_split([*all_of_gtzan()[:20], *own], "auto")
    assert split.name == "artist" and not split.left_out


def test_own_folders_are_split_by_artist() -> None:
    split = make_split(clips_of({"rock": 20, "jazz": 20}, artist="{}"), "auto")
    assert split.name == "artist" and split.by_artist
    assert "40 of 40 clips are known" in split.reason


def test_clips_without_an_artist_are_counted() -> None:
    clips = [*clips_of({"rock": 20, "jazz": 20}, artist="{}"), *clips_of({"pop": 5})]
    split = make_split(clips, "auto")
    assert split.name == "artist" and not split.by_artist
    assert "5 clips without a known artist" in split.note
    assert len(split.train) + len(split.valid) + len(split.test) == 45


@pytest.mark.parametrize("artist", ["", "Various Artists", "One"])
def test_without_artists_the_split_is_stratified_with_a_warning(artist: str) -> None:
    split = make_split(clips_of({"rock": 20, "jazz": 20}, artist=artist), "auto")
    assert split.name == "random" and "artist" in split.reason
    assert [labels(split, part) for part in ("valid", "test")] == [{"rock": 2, "jazz": 2}] * 2


@pytest.mark.parametrize("per_label", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("artist", ["", "{}", "One"])
def test_very_small_data_is_split_without_an_error(per_label: int, artist: str) -> None:
    clips = clips_of({"rock": per_label, "jazz": per_label}, artist=artist)
    split = make_split(clips, "auto")
    assert set(split.clips) == set(clips)
    assert all(count >= min(2, per_label) for count in labels(split, "train").values())
    assert bool(split.valid) == (per_label > 2)


def test_every_label_with_enough_artists_is_tested() -> None:
    clips = clips_of({label: 12 for label in GENRES}, artist="{}")
    split = make_split(clips, "artist")
    for part in ("valid", "test"):
        assert labels(split, part).keys() == set(GENRES)


# Copies

NAMES = st.sampled_from(["auto", "random", "kfold", "given"])
COPY = st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(0, 5))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(COPY, min_size=1, max_size=40), st.sampled_from(["auto", "random", "kfold", "given"])
)
def test_copies_are_never_in_two_parts(drawn: list[tuple[str, int, int]], name: str) -> None:
    clips = [
        Clip(
            Path(f"{label}/{i}.wav"), label, str(i), f"Artist {artist}" if artist > 2 else "",
            PARTS[i % 3] if name == "given" else "", f"{audio:02x}",
        )
        for i, (label, audio, artist) in enumerate(drawn)
    ]  # fmt: skip
    try:
        split = make_split(clips, name, Draw(folds=2))
    except TrainingError:
        return
    key_of = dict(zip((clip.path for clip in clips), groups.copies(clips), strict=True))
    keys = [{key_of[clip.path] for clip in split.part(part)} for part in PARTS]
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])
    if split.by_artist:
        train, valid, test = (
            {key for clip in split.part(part) for key in artist_keys(clip)} for part in PARTS
        )
        assert not (train & valid or train & test or valid & test)


# Stated parts


def test_stated_parts_are_the_split() -> None:
    clips = [
        *clips_of({"rock": 8, "jazz": 8}, part="train"),
        *clips_of({"rock": 2, "jazz": 2}, part="valid"),
        *clips_of({"rock": 3, "jazz": 3}, part="test"), *clips_of({"rock": 1}),
    ]  # fmt: skip
    split = make_split(clips, "auto")
    assert split.name == "given" and "test, train, valid" in split.reason
    assert [len(split.part(part)) for part in PARTS] == [16, 4, 6]
    assert len(split.left_out) == 1


@pytest.mark.parametrize(("artist", "way"), [("", "at random"), ("{}", "by artist")])
def test_without_a_part_to_validate_on_some_of_train_is_taken(artist: str, way: str) -> None:
    train = clips_of({"rock": 20, "jazz": 20}, artist=artist, part="train")
    test = clips_of({"rock": 3, "jazz": 3}, artist=artist and "test {}", part="test")
    split = make_split([*train, *test], "auto")
    assert len(split.test) == 6 and labels(split, "valid") == {"rock": 2, "jazz": 2}
    assert f"4 clips to validate on taken from train, {way}" in split.note


def test_stated_folds_are_counted_from_0_in_their_order() -> None:
    clips = [clip for i in (1, 2, 10) for clip in clips_of({"a": 4, "b": 4}, part=f"fold{i}")]
    for fold, name in enumerate(("fold1", "fold2", "fold10")):
        split = make_split(clips, "auto", Draw(fold=fold))
        assert {clip.part for clip in split.valid} == {name} and len(split.train) == 16
        assert f"{name} to validate on" in split.note
    with pytest.raises(TrainingError, match=r"no fold 3 of 3.*fold1, fold2, fold10"):
        make_split(clips, "given", Draw(fold=3))


def test_a_copy_of_a_test_clip_is_not_learned() -> None:
    clips = [
        Clip(Path("train/a/1.wav"), "a", "1", part="train", audio="00"),
        Clip(Path("train/a/2.wav"), "a", "2", part="train", audio="01"),
        Clip(Path("train/a/3.wav"), "a", "3", part="train", audio="02"),
        Clip(Path("test/a/1.wav"), "a", "test/1", part="test", audio="00"),
    ]
    split = make_split(clips, "given")
    assert [clip.name for clip in split.left_out] == ["1"] and len(split.test) == 1
    assert "1 copies of clips in another part left out" in split.note


def test_one_stated_part_is_no_split() -> None:
    clips = clips_of({"rock": 9, "jazz": 9}, part="train")
    assert make_split(clips, "auto").name == "random"
    with pytest.raises(TrainingError, match="states no part to learn from"):
        make_split(clips_of({"rock": 9}), "given")


# Labels that are no genres


@pytest.mark.parametrize(
    "label",
    [
        "train", "TEST", "fold1", "Fold 02", "split0", "validation", "disc 1", "CD2", "1999",
        "Disc 01 - Live", "2004", "New Folder", "New folder (2)", "Neuer Ordner", "unsorted",
        "_Unsorted_", "Various Artists", "VA", "Unknown Artist", "mp3", "FLAC", "1",
        "007", "---", "misc", "gtzan-train", "My_Music_Test",
    ],
)  # fmt: skip
def test_labels_that_are_probably_no_genres(label: str) -> None:
    assert doubt(label)


@pytest.mark.parametrize(
    "label",
    [
        *GENRES, "Hip-Hop", "Drum & Bass", "2-Step", "80s", "8-bit", "J-Pop", "Trance",
        "Test Pattern", "Disco", "Música", "ジャズ", "hum", "noise", "tone", "speech", "music",
        "EDM", "World", "Other",
        "Folk, World, & Country", "Trip-Hop", "New Wave", "New Age", "Oldies", "R&B", "Ska",
    ],
)  # fmt: skip
def test_labels_that_may_be_genres(label: str) -> None:
    assert not doubt(label)


def test_trees_of_artists_are_doubted() -> None:
    one_each = clips_of({f"Artist {i}": 1 for i in range(9)})
    assert "single clip" in doubts(one_each)
    by_artist = [
        Clip(Path(f"{i}/{j}.wav"), f"Band {i}", str(j), f"Band {i}")
        for i in range(6)
        for j in (1, 2)
    ]
    assert "labels are artists, such as 'Band 0'" in doubts(by_artist)
    two = [Clip(Path(f"{i}/1.wav"), f"Band {i}", "1", f"band {i}") for i in range(2)]
    assert "all 2 labels are artists, such as 'Band 0'" in doubts(two)
    assert doubts(clips_of({"test": 3, "rock": 9, "CD 1": 2})) == (
        "'CD 1' (2 clips) names a disc, 'test' (3 clips) names a part of a split"
    )
    assert not doubts(clips_of({genre: 5 for genre in GENRES}, artist="{}"))


def test_a_split_by_artist_that_tests_only_one_of_two_labels_is_not_taken() -> None:
    clips = [*clips_of({"rock": 12}, artist="{}"), *clips_of({"jazz": 12}, artist="Solo")]
    split = make_split(clips, "auto")
    assert split.name == "random" and labels(split, "valid") == {"rock": 1, "jazz": 1}
