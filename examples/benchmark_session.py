"""What a person waits for in a terminal: the first line, a change on the screen, the prompt."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmark_command import ROOT

RUNS = 3


def time_session(place: Path, runs: int = RUNS) -> Iterator[str]:
    """Rows of the table of goals, each the best of a few runs of the command in a terminal."""
    sys.path.append(str(ROOT / "tests"))
    from helpers.command import environment
    from helpers.terminal import open_terminal

    times: list[tuple[float, float, float]] = []
    for run in range(runs):
        home = place / f"home {run}"
        shutil.copytree(ROOT / "examples" / "library", home / "Music")
        with open_terminal("Music", cwd=home, env=environment(home), real=True) as terminal:
            terminal.wait()
        times.append((terminal.first, terminal.idle, terminal.silence))
    first, idle, silence = (min(column) for column in zip(*times, strict=True))
    yield f"| a run in a terminal, until its first line | at most 0.3 s | {first:.2f} s |"
    yield f"| its longest time without a change on the screen | at most 1 s | {idle:.2f} s |"
    yield f"| from its last line to the prompt | at most 0.3 s | {silence:.2f} s |"
