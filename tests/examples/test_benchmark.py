"""`examples/benchmark.py`: its page, its ratios, and its report of a side that fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers.command import ROOT

sys.path.insert(0, str(ROOT / "examples"))

from benchmark_page import Ratio, agreement_row, ratios, side_row
from benchmark_sides import Done, Side, Subject
from benchmark_training import BATCH, STEPS
from benchmark_training import ratios as training_ratios
from make_tracks import KINDS, decode_whole, make_tracks

from tagger.audio.reader import read_windows
from tagger.models.find import find_model

Table = list[list[str]]


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A short track of every kind, and a copy of one."""
    return make_tracks(tmp_path_factory.mktemp("tracks"), len(KINDS) + 1, (0.03, 0.05), None)


def tables(page: str) -> list[Table]:
    """The cells of each table; every row must have as many as its head."""
    found: list[Table] = []
    lines = page.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    assert all(len(row) == len(table[0]) for table in found for row in table), page
    return found


def side(name: str, windows: int, *seconds: float, tracks: int = 2) -> Side:
    return Side(name, lambda: Done(0, 0, {}), list(seconds), Done(tracks, windows, {}))


def scores(**tracks: list[float]) -> Done:
    return Done(len(tracks), 0, {name: np.array(row, np.float32) for name, row in tracks.items()})


# --- the whole script -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tracks: list[Path]) -> str:
    """What it writes of three of the tracks, a tiny model, and clips of noise."""
    folder = tmp_path_factory.mktemp("page")
    noise = np.random.default_rng(0).normal(0, 0.1, 16 * 16_000)
    (folder / "clips").mkdir()
    for number in range(3):
        soundfile.write(folder / "clips" / f"{number}.wav", noise / (number + 1), 16_000)
    (folder / "held-out").write_text("0\n2\n")
    options = ("--models", tiny_model, "--tracks", 3, "--library", tracks[0].parent, "--rounds", 1)
    more = (
        "--training",
        "tiny",
        "--many",
        2,
        5,
        "--agreement",
        folder / "clips",
        "--held-out",
        folder / "held-out",
    )
    command = (ROOT / "examples/benchmark.py", *options, *more, "--page", folder / "page.md")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    words = [sys.executable, *map(str, command)]
    run = subprocess.run(words, capture_output=True, text=True, env=env)
    assert run.returncode == 0, run.stdout + run.stderr
    written = (folder / "page.md").read_text()
    assert written == run.stdout
    assert not list(folder.glob("benchmark-*"))
    return written


@pytest.mark.slow
def test_the_page_has_each_side_and_what_it_was_measured_on(page: str) -> None:
    names = (
        "command, --windows 1, one track: its start-up", "command, --windows 8",
        "command, --windows auto", "command, --windows all", "pipeline, one by one",
        "pipeline, batches of", "decode whole files", "forward passes alone, float32",
        "features and forward passes, float32", "decode by 2 processes",
    )  # fmt: skip
    sides = [row[0] for row in tables(page)[0][2:]]
    assert all(side.startswith(name) for side, name in zip(sides, names, strict=True)), sides
    assert " cores; of avx2" in page and "torch 2" in page and "benchmark.py --models" in page
    assert "## tiny" in page and re.search(r"labels\) on cpu, (float32|bfloat16)", page)


@pytest.mark.slow
def test_all_sides_predict_from_the_same_windows_with_the_same_results(page: str) -> None:
    rows = {row[0]: row for row in tables(page)[0][2:]}
    command, script = rows["command, --windows 8"], rows["pipeline, one by one"]
    assert command[1:3] == script[1:3] and command[1] == "3"
    assert command[5].startswith("3 of 3, 0.00") and script[5].startswith("3 of 3, 0.00")


@pytest.mark.slow
def test_the_ratios_on_the_page_are_those_of_its_times(page: str) -> None:
    sides, compared = tables(page)[:2]
    paces = {row[0]: float(row[4]) for row in sides[2:]}
    ratio = {row[0]: float(row[2]) for row in compared[2:]}
    command = paces["command, --windows 8"]
    assert ratio["command / decode"] == pytest.approx(
        paces["decode by 2 processes"] / command, rel=0.02
    )
    batched = next(paces[name] for name in paces if name.startswith("pipeline, batches"))
    assert ratio["pipeline in batches / command"] == pytest.approx(command / batched, rel=0.02)


@pytest.mark.slow
def test_starts_and_agreement_are_on_the_page(page: str) -> None:
    *_, start, training, agreement = tables(page)
    assert [row[0].partition(",")[0] for row in training[2:]] == [
        "training step / forward and backward pass",
        "share of the optimizer in a step",
        "windows/s in training",
    ]
    assert [row[0] for row in start[2:]] == [
        "`--help`",
        "a run in a terminal, until its first line",
        "its longest time without a change on the screen",
        "from its last line to the prompt",
        "second run, 2 unchanged tracks",
        "its peak memory",
        "second run, 5 unchanged tracks",
        "its peak memory",
        "finding 5 tracks",
    ]
    assert [row[:2] for row in agreement[2:]] == [
        ["15 s or more", "3"],
        ["of these, not trained on", "2"],
    ]


# --- its parts ------------------------------------------------------------------------------------


def test_each_side_is_timed_over_the_same_windows_with_the_same_results(
    tiny_model: Path, tracks: list[Path]
) -> None:
    subject = Subject(str(tiny_model), tracks[:2], "cpu", 60)
    command = subject.command("8", subject.tracks)
    others = [subject.pipeline(1), subject.pipeline(), *subject.floor(), subject.decode()]
    for each in (command, *others):
        each.time()
        assert not each.faults and len(each.seconds) == 1, each
        assert (each.done.tracks, each.done.windows) == (2, command.done.windows), each
    compared = [other for other in others if other.done.results]
    for other in compared:
        other.compare(command)
        assert not other.faults
    assert others[0] in compared and others[1] in compared


def test_ratios_are_of_median_rounds_and_leave_out_the_start() -> None:
    start, one = side("start", 1, 9, 2, 1, tracks=1), side("one by one", 16, 99)
    sides = {
        "start": start, "command": side("command", 17, 30, 10, 10), "one by one": one,
        "batches": side("batches", 10, 20), "whole files": side("whole files", 10, 5),
        "auto": side("auto", 5, 4), "forward": side("forward", 100, 40),
        "decode": side("decode", 10, 2),
    }  # fmt: skip
    base: Any = SimpleNamespace(info=SimpleNamespace(is_bundled=False), of_all=30, device="cpu")
    found = {ratio.what: ratio.value for ratio in ratios(base, sides)}
    assert found["pipeline in batches / command without its start-up"] == pytest.approx(2 / 0.5)
    assert found["pipeline in batches / command"] == pytest.approx(2 / (10 / 17))
    assert found["pipeline with whole files / command"] == pytest.approx(2.5 / (10 / 17))
    all_over_auto = found["pipeline over all windows / `--windows auto` without its start-up"]
    assert all_over_auto == pytest.approx(2 * 30 / (0.5 * 2.5))
    hundred = 2 + (850 - 1) * 0.5
    assert found["command / forward passes, 100 tracks"] == pytest.approx(hundred / (850 * 0.4))
    assert found["command without its start-up / decode"] == pytest.approx(0.5 / 0.2)


def test_a_training_step_is_timed_beside_its_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STEPS, "cpu", 2)
    monkeypatch.setitem(BATCH, "cpu", 2)
    step, update, pace = training_ratios(tmp_path, "tiny", "cpu")
    assert step.value > 1 and step.goal == -1.5 and step.what.endswith("tiny, batches of 2")
    assert 0 < update.value < 1 < pace.value


def test_what_misses_its_goal_is_marked() -> None:
    assert Ratio("a", 3.6, 3.5).row() == "| a | at least 3.5 | 3.6 | yes |"
    assert Ratio("a", 3.4, 3.5).row().endswith("| **no** |")
    assert Ratio("a", 1.05, -1.1).row() == "| a | at most 1.1 | 1.05 | yes |"
    assert Ratio("a", 1.2, -1.1).row().endswith("| **no** |")
    assert Ratio("a", float("nan"), -1.1).row().endswith("| **no** |")
    assert Ratio("a", 2.0).row() == "| a | | 2 | |"


def test_other_results_are_a_fault() -> None:
    right, wrong, near, far = (side(name, 8, 1.0) for name in ("right", "wrong", "near", "far"))
    right.done = scores(a=[0.6, 0.4], b=[0.1, 0.9])
    near.done = scores(b=[0.11, 0.89])
    wrong.done = scores(a=[0.49, 0.51], b=[0.1, 0.9])
    far.done = scores(a=[0.7, 0.3], b=[0.1, 0.9])
    for other in (near, wrong, far):
        other.compare(right)
    assert not near.faults
    assert "same top label on 1 of 2 tracks" in wrong.faults[0]
    assert "same top label on 2 of 2 tracks, probabilities 0.1000 apart" in far.faults[0]
    assert side_row(wrong, right.done.results).endswith("| 1 of 2, 0.1100 |")


def test_a_side_that_fails_has_an_error_and_no_time(tiny_model: Path, tracks: list[Path]) -> None:
    subject = Subject(str(tiny_model), tracks[:1], "cpu", 5)
    failing = subject.command("none", tracks[:1])
    failing.time()
    assert not failing.seconds and "exit code 2" in failing.faults[0]
    assert "no result" in side_row(failing, {})


def test_agreement_counts_the_windows_that_auto_left_out() -> None:
    pairs = [
        (
            {"genre": a, "windows": "3", "confidence": "0.5"},
            {"genre": b, "windows": "12", "confidence": c},
        )
        for a, b, c in (("Rock", "Rock", "0.5"), ("Pop", "Rock", "0.6"), ("Jazz", "Jazz", "0.7"))
    ]
    assert agreement_row("x", pairs).startswith("| x | 3 | 66.7% | 9 | 36 | 75% | 0.100, ")


# --- the tracks -----------------------------------------------------------------------------------


def test_tracks_of_every_kind_are_as_long_as_asked(tracks: list[Path], tiny_model: Path) -> None:
    plan = find_model(str(tiny_model)).plan(8)
    for path in tracks:
        assert 1.7 < len(decode_whole(path, 16_000)) / 16_000 < 3.2, path
        assert read_windows(path, plan).total == 8
    assert tracks[0].suffix == tracks[-1].suffix
    assert tracks[0].read_bytes() != tracks[-1].read_bytes()


def test_tracks_can_be_of_music_and_are_made_once(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    soundfile.write(tmp_path / "clips" / "noise.wav", noise, 16_000)
    (made,) = make_tracks(tmp_path / "tracks", 1, (0.05, 0.05), tmp_path / "clips")
    assert len(decode_whole(made, 1000)) == pytest.approx(3000, abs=60)
    (again,) = make_tracks(tmp_path / "tracks", 1, (0.1, 0.1), None)
    assert again == made and len(decode_whole(again, 1000)) == pytest.approx(3000, abs=60)
