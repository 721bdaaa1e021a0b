"""The list of clips beside a checkpoint says what it learned from and what was held out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tagger.models.checkpoint import ModelInfo
from training.clips.clip import Clip
from training.clips.leakage import leakage_warning, split_as_trained
from training.clips.split import PARTS, Split
from training.clips.splits import make_split
from training.clips.stored import FILE, read_stored, write_stored
from training.options import DRAW


def some_clips(count: int = 30, label: str = "rock") -> list[Clip]:
    return [
        Clip(Path(f"{label}/{i}.wav"), label, str(i), f"{label} {i}", audio=f"{label}{i:02x}")
        for i in range(count)
    ]


@pytest.fixture
def clips() -> list[Clip]:
    return [*some_clips(), *some_clips(label="jazz")]


def model(folder: Path, learned_from: object = ()) -> ModelInfo:
    (folder / "config.json").write_text(json.dumps({"learned_from": learned_from}))
    return cast(ModelInfo, SimpleNamespace(folder=folder, name="m"))


def held_out(split: Split) -> list[set[str]]:
    return [{clip.audio for clip in split.part(part)} for part in PARTS]


def test_the_same_clips_are_held_out_although_files_were_added_moved_and_tagged(
    tmp_path: Path, clips: list[Clip]
) -> None:
    before = make_split(clips, "auto")
    write_stored(tmp_path, before, ("train",), (None, ()))
    moved = [
        replace(clip, path=Path("new") / clip.path, name=f"new/{clip.name}", artist="")
        for clip in clips
    ]
    added = [Clip(Path(f"rock/x{i}.wav"), "rock", f"x{i}", audio=f"ff{i:02x}") for i in range(9)]
    split, _ = split_as_trained(model(tmp_path), [*moved, *added], DRAW)
    assert held_out(split) == held_out(before) and set(split.left_out) == set(added)
    assert (split.name, split.note) == (before.name, before.note)
    assert leakage_warning(model(tmp_path), [*moved, *added], split.test, DRAW) is None
    every = leakage_warning(model(tmp_path), moved, moved, DRAW)
    assert every is not None and f"learned from {len(before.train)} of these 60 clips" in every


def test_a_checkpoint_remembers_what_those_before_it_learned(
    tmp_path: Path, clips: list[Clip]
) -> None:
    first, second, third = (tmp_path / name for name in "abc")
    for folder in (first, second, third):
        folder.mkdir()
    other = some_clips(20, "pop")
    write_stored(first, make_split(clips, "auto"), ("train", "valid"), (None, [{"split": "x"}]))
    write_stored(second, make_split(other, "auto"), ("train",), (first, [{"split": "y"}]))
    write_stored(third, make_split(other[:9], "random"), ("train",), (second, ()))
    learned = {
        clip.audio for clip in (*make_split(clips, "auto").train, *make_split(clips, "auto").valid)
    }
    for folder in (second, third):
        stored = read_stored(folder)
        assert stored is not None and {of.audio for of in stored.learned_from(clips)} == learned
        assert stored.rules == [{"split": "x"}]  # of what there is no list


def test_other_clips_are_split_as_if_they_were_new(tmp_path: Path, clips: list[Clip]) -> None:
    write_stored(tmp_path, make_split(clips, "random"), ("train",), (None, ()))
    other = some_clips(20, "pop")
    split, _ = split_as_trained(model(tmp_path), other, DRAW)
    assert split == make_split(other, "auto")


@pytest.mark.parametrize("name", ["random", "artist", "kfold"])
def test_without_a_list_the_split_is_made_again(
    tmp_path: Path, clips: list[Clip], name: str
) -> None:
    row = {"split": name, "parts": ["train"], "seed": 3, "folds": 4, "fold": 2}
    split, draw = split_as_trained(model(tmp_path, [row]), clips, DRAW)
    assert (draw.seed, draw.folds, draw.fold) == (3, 4, 2)
    assert held_out(split) == held_out(make_split(clips, name, draw))


@pytest.mark.parametrize("learned_from", [None, "x", [{"split": "filtered"}], [{"split": "given"}]])
def test_a_split_that_is_impossible_for_these_clips_is_not_used(
    tmp_path: Path, clips: list[Clip], learned_from: object
) -> None:
    split, draw = split_as_trained(model(tmp_path, learned_from), clips, DRAW)
    assert split == make_split(clips, "auto") and draw == DRAW


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"split": 1, "note": "", "learned": 3, "rules": [], "parts": {}}']
)
def test_a_damaged_list_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert read_stored(tmp_path) is None


def test_a_copy_of_a_clip_held_out_is_not_measured_twice(tmp_path: Path, clips: list[Clip]) -> None:
    copied = [
        replace(clip, path=Path(f"blues/{clip.name}"), label="blues", name=f"copy {clip.name}")
        for clip in clips[:9]
    ]
    parts = [replace(clip, part="test" if i % 3 else "train") for i, clip in enumerate(clips)]
    before = make_split([*parts, *(replace(clip, part="train") for clip in copied)], "given")
    assert before.left_out
    write_stored(tmp_path, before, ("train",), (None, ()))
    moved = [replace(clip, name=f"new/{clip.name}") for clip in clips]
    for now in ([*copied, *clips], [*copied, *moved]):
        split, _ = split_as_trained(model(tmp_path), now, DRAW)
        assert [len(split.part(part)) for part in PARTS] == [
            len(before.part(part)) for part in PARTS
        ]
        assert held_out(split) == held_out(before)
    exact, _ = split_as_trained(model(tmp_path), [*copied, *clips], DRAW)
    assert {clip.label for clip in exact.test} == {"rock", "jazz"}
