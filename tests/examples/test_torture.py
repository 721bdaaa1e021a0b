"""Kills and refusals at random moments, over every container, by `examples/torture.py`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import ROOT

TORTURE = ROOT / "examples" / "torture.py"
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")


def torture(music: Path, *options: object) -> subprocess.Popen[str]:
    command = [sys.executable, TORTURE, *options, "--files", 0, music]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize(
    ("kills", "faults"), [(4, 3), pytest.param(150, 50, marks=pytest.mark.slow)]
)
def test_kills_and_refusals_lose_nothing(music: Path, kills: int, faults: int) -> None:
    counts = ("--kills", kills, "--faults", faults)
    both = [torture(music, *counts, "--seed", seed) for seed in (1, 2)]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(outputs)
    for text in outputs:
        assert "kills: seed" in text and "faults: seed" in text
        killed = re.findall(r"killed in (?:run|undo) (\d+)", text)
        assert sum(map(int, killed)) == kills, text
        refused = re.findall(r"exit [13] (\d+)", text)
        assert sum(map(int, refused)) > faults / 5, text


IN_PLACE = """
import time
import tagger.files.atomic

def copy_slowly(source, target):
    data = Path(source).read_bytes()
    with open(target, "wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        time.sleep(0.1)  # most of a run, so that most kills fall in here
        file.write(data[len(data) // 2 :])
    shutil.copystat(source, target)
    os.unlink(source)

class System:
    replace = staticmethod(copy_slowly)
    def __getattr__(self, name):
        return getattr(os, name)

tagger.files.atomic.os = System()
"""


@pytest.mark.parametrize(("kills", "files"), [(4, 3), pytest.param(20, 5, marks=pytest.mark.slow)])
def test_it_sees_the_losses_of_a_program_that_writes_in_place(
    music: Path, kills: int, files: int, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(music.iterdir())[:files]:
        shutil.copy(path, few)
    broken = tmp_path / "broken.py"
    start = 'if __name__ == "__main__":'
    text = TORTURE.read_text(encoding="utf-8").replace(start, IN_PLACE + start)
    broken.write_text(text, encoding="utf-8")
    options = ("--kills", kills, "--faults", 0, "--files", 0, few)
    command = map(str, (sys.executable, broken, *options))
    env = {**os.environ, "PYTHONPATH": str(TORTURE.parent)}
    run = subprocess.run(list(command), capture_output=True, text=True, env=env)
    assert run.returncode == 1
    assert "is neither old nor new" in run.stdout
