"""A person's own folders are trained on and evaluated without any option but the names of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mutagen
import pytest
from click.testing import CliRunner, Result
from helpers.clips import LABELS, write_noise
from helpers.runs import TINY, run_finetune

from training import evaluate
from training.clips.find import find_clips

PLAIN = tuple(word for word in TINY if word not in ("--split", "random"))
ENOUGH = 6


def write_library(
    folder: Path, layout: str, count: int = ENOUGH, *, artists: bool = True, seed: int = 0
) -> Path:
    """Noise with tags under names such as "{label}/{i}.wav"; each artist has two clips."""
    for number, label in enumerate(LABELS):
        for i in range(count):
            path = folder / layout.format(label=label, i=i, part="test" if i % 3 == 2 else "train")
            write_noise(path, seed=seed + 100 * number + i, seconds=0.7)
            media = mutagen.File(path)
            media.add_tags()
            if artists:
                artist = f"{label} {i // 2}" + " feat. Guest" * (i % 2)
                media.tags.add(mutagen.id3.TPE1(encoding=3, text=[artist]))
            media.save()
    return folder


def train(data: Path, *more: object) -> Result:
    return run_finetune("--data", data, "--out", data.with_name("out"), *PLAIN, "--steps", 1, *more)


def measure(data: Path, *more: object) -> Result:
    words = ("--data", data, "--model", data.with_name("out"), *more)
    return CliRunner().invoke(evaluate.main, list(map(str, words)))


@pytest.mark.parametrize(
    ("layout", "artists", "split"),
    [
        ("{label}/{i}.wav", True, "artist"),
        ("{label}/{i}.wav", False, "random"),
        ("{label}/Artist {i}/Album/{i}.wav", False, "artist"),
        ("{part}/{label}/{i}.wav", True, "given"),
        ("{label}/{part}/{i}.wav", False, "given"),
    ],
)
def test_folders_are_trained_on_and_evaluated_on_what_was_held_out(
    tmp_path: Path, layout: str, artists: bool, split: str
) -> None:
    data = write_library(tmp_path / "data", layout, artists=artists)
    result = train(data)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "2 labels: noise 6, tone 6" in lines
    assert any(line.startswith(f"split: {split}, since ") for line in lines)
    assert any("one artist or album" in line for line in lines) == (split == "random")
    (row,) = json.loads((tmp_path / "out" / "config.json").read_text())["learned_from"]
    assert row["split"] == split
    stored = json.loads((tmp_path / "out" / "clips.json").read_text())
    held_out = {of["audio"] for of in stored["parts"]["valid"]}
    assert held_out and stored["split"] == split
    # Others are added afterwards, and change nothing.
    write_library(data, layout.replace("{i}.wav", "x{i}.wav"), artists=artists, seed=50)
    figures = tmp_path / "figures.json"
    evaluated = measure(data, "--json", figures)
    assert evaluated.exit_code == 0, evaluated.output
    assert json.loads(figures.read_text())["n"] == len(held_out)
    assert "warning" not in evaluated.stderr
    every = measure(data, "--part", "all")
    assert "learned from" in every.stderr


@pytest.mark.parametrize("name", ["test", "CD2", "1999 - live", "new folder", "fold1", "mp3"])
def test_labels_that_are_no_genres_stop_the_run_unless_they_are_meant(
    tmp_path: Path, name: str
) -> None:
    data = write_library(tmp_path / "data", "{label}/{i}.wav", 4)
    (data / LABELS[0]).rename(data / name)
    result = train(data)
    assert result.exit_code == 1 and not (tmp_path / "out").exists()
    assert f"{name!r} (4 clips)" in result.output.splitlines()[-1]
    assert "--labels-ok" in result.output.splitlines()[-1]
    assert train(data, "--labels-ok").exit_code == 0


@pytest.mark.parametrize("names", [("1999", "1998"), ("1", "2"), ("Hip-Hop", "hiphop")])
def test_labels_that_the_tagger_would_refuse_stop_the_run_in_any_case(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    data = write_library(tmp_path / "data", "{label}/{i}.wav", 4)
    for label, name in zip(LABELS, names, strict=True):
        (data / label).rename(data / name)
    result = train(data, "--labels-ok")
    assert result.exit_code == 1 and not (tmp_path / "out").exists()
    assert "the tagger could not use these labels" in result.output.splitlines()[-1]


def test_one_genre_under_two_names_in_two_parts_is_named(tmp_path: Path) -> None:
    data = write_library(tmp_path / "data", "{part}/{label}/{i}.wav")
    (data / "test" / LABELS[0]).rename(data / "test" / LABELS[0].upper())
    result = train(data)
    assert result.exit_code == 1 and not (tmp_path / "out").exists()
    assert "'NOISE' and 'noise', one genre" in result.output.splitlines()[-1]


def broken_link(data: Path) -> None:
    for label in LABELS:
        (data / label / "0.wav").unlink()
        (data / label / "0.wav").symlink_to("nowhere.wav")


def loop(data: Path) -> None:
    (data / LABELS[0] / "again").symlink_to(data)


def other_format(data: Path) -> None:
    path = data / LABELS[0] / "0.wav"
    path.with_suffix(".aiff").write_bytes(path.read_bytes())


def unreadable(data: Path) -> None:
    for label in LABELS:
        (data / label / "0.wav").write_bytes(b"RIFF")


def stray(data: Path) -> None:
    write_noise(data / "loose.wav", seed=999)


@pytest.mark.parametrize("damage", [broken_link, loop, other_format, unreadable, stray])
def test_odd_files_do_not_stop_a_run(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    data = write_library(tmp_path / "data", "{label}/{i}.wav", artists=False)
    damage(data)
    assert train(data).exit_code == 0
    assert measure(data).exit_code == 0 or damage in (unreadable, broken_link)


def test_a_recording_under_two_labels_is_named(tmp_path: Path) -> None:
    data = write_library(tmp_path / "data", "{label}/{i}.wav")
    one = find_clips(data)[0].path
    (data / LABELS[1] / "copy.wav").write_bytes(one.read_bytes())
    result = train(data)
    assert result.exit_code == 0
    assert f"a recording is under two labels: {one} and" in result.output


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_small_data_ends_with_a_line_and_no_exception(tmp_path: Path, count: int) -> None:
    data = write_library(tmp_path / "data", "{label}/{i}.wav", count)
    result = train(data)
    assert result.exit_code == (1 if count == 1 else 0), result.output
    assert isinstance(result.exception, SystemExit | None)
    if count == 1:
        assert "'noise' has only one" in result.output.splitlines()[-1]
