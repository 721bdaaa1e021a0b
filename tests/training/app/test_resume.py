"""The clips of a run that is resumed are those that it started with."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.clips import write_clips, write_noise
from helpers.runs import TINY, Job, Moment, run_finetune

from training.clips.find import find_clips
from training.clips.splits import make_split
from training.options import DECODED, OPTIONS, RUN


def start_and_kill(data: Path, out: Path) -> Path:
    """A run whose data may change before it is resumed; the file with what it prints."""
    log = out.with_name(f"{out.name}.log")
    start = ("--data", str(data), "--out", str(out), *map(str, TINY), "--steps", "3")
    assert (
        Job(start, log, Moment("training.loop.trainer:RunTrainer.training_step", time=2)).run()
        == -signal.SIGKILL
    ), log.read_text()
    return log


def test_a_resumed_run_does_not_decode_its_clips_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write_clips(tmp_path / "data", per_label=6), tmp_path / "out"
    start_and_kill(data, out)
    assert (out / RUN / DECODED).exists()

    def decode(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("training.clips.decode.decode_clip", decode)
    result = run_finetune("--out", out, "--resume")
    assert result.exit_code == 0, result.output
    assert not list((out / RUN).glob("decoded.*"))


def test_files_that_come_between_kill_and_resume_change_nothing(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", per_label=6)
    before = make_split(find_clips(data), "random")
    out = tmp_path / "out"
    log = start_and_kill(data, out)
    for number in range(9):
        write_noise(data / "noise" / f"added{number}.wav", seed=number)
        write_noise(data / "another" / f"{number}.wav", seed=50 + number)
    (data / "noise" / "noise.00000.aiff").write_bytes(b"FORM")
    assert Job(("--out", str(out), "--resume"), log).run() == 0, log.read_text()
    for part, rows in json.loads((out / "clips.json").read_text())["parts"].items():
        assert [row["name"] for row in rows] == [clip.name for clip in before.part(part)]
    assert not list((out / RUN).glob("*.json"))


@pytest.mark.parametrize(
    ("part", "change"),
    [("train", Path.unlink), ("valid", lambda path: write_noise(path, 9)), ("test", Path.unlink)],
)
def test_a_run_whose_clips_were_changed_is_not_resumed(
    tmp_path: Path, part: str, change: Callable[[Path], object]
) -> None:
    data, out = write_clips(tmp_path / "data", per_label=6), tmp_path / "out"
    log = start_and_kill(data, out)
    lost = make_split(find_clips(data), "random").part(part)[0].path
    change(lost)
    result = run_finetune("--out", out, "--resume")
    assert result.exit_code == 1, log.read_text()
    last = result.output.splitlines()[-1]
    assert "1 of the 12 clips of the run" in last and f"the first is {lost}" in last
    assert (out / RUN / OPTIONS).exists()
