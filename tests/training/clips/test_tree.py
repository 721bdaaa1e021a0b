"""What folders mean: labels, artists, and the parts of a split, in every layout people use."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.clips import touch

from training.clips.find import find_clips
from training.clips.parts import roles, stated_part

Found = set[tuple[str, str, str]]  # label, name, part


def found(folder: Path) -> Found:
    return {(clip.label, clip.name, clip.part) for clip in find_clips(folder)}


EXPECTED: Found = {
    ("blues", "1", "train"),
    ("rock", "2", "train"),
    ("blues", "3", "test"),
    ("rock", "4", "test"),
}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Training", "TESTING"),
        ("train_set", "Test Set"),
        ("genres_train", "test-data"),
        ("dev", "test"),
        ("DEV", "eval"),
        ("01_train", "02_test"),
        ("train2017", "test2017"),
        ("gtzan-train", "gtzan-test"),
        ("train-clean-100", "test-clean"),
        ("Trainingsdaten", "Testdaten"),
    ],
)
@pytest.mark.parametrize(
    "layout", ["{part}/{label}/", "{label}/{part}/", "w/{part}/audio/{label}/"]
)
def test_parts_above_or_below_the_labels_are_no_labels(
    tmp_path: Path, train: str, test: str, layout: str
) -> None:
    files = [(train, "blues", 1), (train, "rock", 2), (test, "blues", 3), (test, "rock", 4)]
    for part, label, name in files:
        touch(tmp_path, layout.format(part=part, label=label) + f"{name}.wav")
    assert found(tmp_path) == EXPECTED


@pytest.mark.parametrize(
    "names",
    [
        ("fold1", "fold2", "fold3"),
        ("fold_1", "fold_2", "fold_3"),
        ("Fold 01", "Fold 02", "Fold 03"),
    ],
)
@pytest.mark.parametrize("layout", ["{part}/{label}/1.wav", "{label}/{part}/1.wav"])
def test_folds_are_numbered(tmp_path: Path, names: tuple[str, ...], layout: str) -> None:
    for name in names:
        for label in ("blues", "rock"):
            touch(tmp_path, layout.format(part=name, label=label))
    assert {part for _, _, part in found(tmp_path)} == {"fold1", "fold2", "fold3"}
    assert {label for label, _, _ in found(tmp_path)} == {"blues", "rock"}


def test_loose_files_and_wrappers_do_not_hide_the_parts(tmp_path: Path) -> None:
    touch(tmp_path, "intro.mp3", "set/readme.wav", "set/train/blues/1.wav", "set/train/rock/2.wav")
    touch(tmp_path, "set/test/blues/3.wav", "set/test/rock/4.wav", "set/test/loose.wav")
    said: list[str] = []
    clips = find_clips(tmp_path, say=said.append)
    assert {(clip.label, clip.name, clip.part) for clip in clips} == EXPECTED
    assert len(said) == 1 and said[0].startswith("3 audio files have no label")


def test_artists_are_the_folders_below_the_labels_also_with_parts(tmp_path: Path) -> None:
    touch(tmp_path, "train/Rock/Queen/1.wav", "test/Rock/Blur/2.wav", "train/Jazz/Ella/1.wav")
    touch(tmp_path, "train/Jazz/3.wav")
    clips = {(clip.name, clip.artist) for clip in find_clips(tmp_path)}
    assert clips == {("Queen/1", "Queen"), ("Blur/2", "Blur"), ("Ella/1", "Ella"), ("3", "")}


@pytest.mark.parametrize(
    "names",
    [
        ("Rock/Train/1.mp3", "Rock/Queen/2.mp3", "Jazz/Ella/3.mp3"),  # Train is a band
        ("train/1.mp3", "test/2.mp3", "rock/3.mp3"),
        ("train/rock/1.mp3", "test/rock/2.mp3", "extra/rock/3.mp3"),
    ],
)
def test_folders_beside_others_are_no_parts(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert {clip.part for clip in find_clips(touch(tmp_path, *names))} == {""}


def test_equal_names_in_two_parts_are_told_apart(tmp_path: Path) -> None:
    touch(tmp_path, "train/rock/01.wav", "test/rock/01.wav", "train/jazz/01.wav")
    touch(tmp_path, "train/jazz/02.wav")
    assert found(tmp_path) == {
        ("rock", "train/01", "train"),
        ("rock", "test/01", "test"),
        ("jazz", "01", "train"),
        ("jazz", "02", "train"),
    }


def test_a_song_beside_itself_in_another_format_gets_a_longer_name(tmp_path: Path) -> None:
    touch(tmp_path, "rock/song.mp3", "rock/song.opus", "jazz/song.mp3")
    assert {(label, name) for label, name, _ in found(tmp_path)} == {
        ("rock", "song.mp3"),
        ("rock", "song.opus"),
        ("jazz", "song"),
    }


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"), ("Trainset", "train"), ("VAL", "valid"), ("validation", "valid"),
        ("Dev", "dev"), ("eval", "eval"), ("evaluation", "eval"), ("testing", "test"),
        ("fold1", "fold1"), ("Fold 01", "fold1"), ("split0", "fold0"), ("fold-10", "fold10"),
        ("trance", ""), ("training montage", ""), ("Test Icicles", ""), ("folk", ""), ("data", ""),
        ("", ""), ("1", ""),
    ],
)  # fmt: skip
def test_parts_are_known_by_their_usual_names(name: str, part: str) -> None:
    assert stated_part(name) == part


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"train", "dev", "eval"}, {"train": "train", "dev": "valid", "eval": "test"}),
        ({"train", "valid", "eval"}, {"train": "train", "valid": "valid", "eval": "test"}),
        ({"train", "eval"}, {"train": "train", "eval": "valid"}),
        ({"train", "eval", "test"}, {"train": "train", "eval": "valid", "test": "test"}),
        ({"dev", "eval"}, {"dev": "train", "eval": "test"}),
        ({"dev", "test"}, {"dev": "train", "test": "test"}),
        ({"fold1", "dev"}, {"fold1": "fold1", "dev": "valid"}),
    ],
)
def test_dev_and_eval_are_what_the_other_parts_leave_them(
    names: set[str], expected: dict[str, str]
) -> None:
    assert roles(names) == expected
