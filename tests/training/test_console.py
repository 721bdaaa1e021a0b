"""Progress and messages: a bar that ends at 100 % on a terminal, lines without one."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.clips import write_clips

from tagger.audio.windows import WindowPlan
from tagger.cli.terminal import wrapped
from training import console
from training.clips.clip import Clip
from training.clips.decode import decode_clips
from training.clips.find import find_clips
from training.console import Progress, progress, say
from training.loop.crops import CropSource
from training.loop.features import compute_features

PLAN = WindowPlan(samples=7000, rate=16_000)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What a terminal shows from here on; a fixture would be undone before the test starts."""
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    return shown


def last_of(shown: Terminal) -> str:
    return shown.getvalue().rstrip().splitlines()[-1].rpartition("\r")[2]


@pytest.mark.parametrize("passes", [0, 2])
def test_bars_of_clips_and_features_end_at_100_percent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, passes: int
) -> None:
    terminal = on_terminal(monkeypatch)
    data = write_clips(tmp_path / "data", per_label=3)
    (damaged := tmp_path / "damaged.wav").write_bytes(b"no audio")
    clips = [*find_clips(data), Clip(damaged, "noise", "damaged")]
    with progress(len(clips), "decoding", "clips") as shown:
        decoded = decode_clips(clips, PLAN, say, shown.advance)
    assert len(decoded) == 6 and "left out:" in terminal.getvalue()
    assert re.match(r"decoding: 100%.* 7/7 ", last_of(terminal))
    source = CropSource(decoded, ("noise", "tone"), PLAN)
    features, owners = compute_features(
        source, passes, 0, lambda windows: torch.zeros(len(windows), 2), "features"
    )
    rows = 6 * 4 * (1 + passes)  # 1.5 s in windows of 0.44 s
    assert len(features) == len(owners) == rows
    assert re.match(rf"features: 100%.* {rows}/{rows} ", last_of(terminal))


def test_a_run_that_ends_early_by_itself_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    pruned = Progress(40, "training", "steps")
    pruned.advance(10)
    pruned.end(complete=True)
    assert re.match(r"training: 100%.* 10/10 ", last_of(terminal))


def test_a_bar_of_interrupted_work_stays_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with pytest.raises(KeyboardInterrupt), progress(4, "decoding", "clips") as shown:
        shown.advance()
        raise KeyboardInterrupt
    assert re.match(r"decoding:  25%.* 1/4 ", last_of(terminal))


def test_without_a_terminal_there_are_lines_and_no_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "LINE_SECONDS", 0)
    with progress(2000, "decoding", "clips") as shown:
        shown.advance(1500)
    assert capsys.readouterr().err == ("decoding: 2,000 clips\ndecoding: 1,500 of 2,000 clips\n")


def test_other_processes_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv("RANK", "1")
    with progress(2, "decoding", "clips") as shown:
        shown.advance(2)
        say("a line")
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("width", [50, 80])
def test_lines_are_broken_at_spaces(width: int) -> None:
    words = [f"word{number}" for number in range(int(np.pi * 10))]
    lines = wrapped(" ".join(words), width).splitlines()
    assert max(map(len, lines)) <= width and " ".join(lines).split() == words
    assert wrapped(" ".join(words), None) == " ".join(words)
