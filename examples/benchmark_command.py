"""Running `tag-genres` and timing it, for `benchmark.py`."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def timed(call: Callable[..., object], *given: Any, **more: Any) -> float:
    """Seconds that one call takes."""
    started = time.perf_counter()
    call(*given, **more)
    return time.perf_counter() - started


def python(*words: object, cwd: Path) -> subprocess.Popen[str]:
    """Start this Python with this checkout's package, without the user's settings."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    home = {"XDG_CONFIG_HOME": str(cwd), "XDG_STATE_HOME": str(cwd), "HF_HUB_OFFLINE": "1"}
    env = {**os.environ, **home, "PYTHONPATH": os.pathsep.join(paths)}
    command, pipe = [sys.executable, *map(str, words)], subprocess.PIPE
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=pipe, text=True, cwd=cwd, env=env
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process, and return its stderr. Raises `RuntimeError` with its end on failure."""
    with process:
        messages = process.communicate()[1]
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {messages.strip()[-300:]}")
    return messages


def tag_genres(
    paths: Iterable[Path], *options: object, state: Path | None = None
) -> tuple[list[dict[str, str]], str]:
    """The rows of the report, and the messages; with a new state file if none is given."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        report = Path(name, "genres.csv")
        places = ("--csv", report, "--state", state or Path(name, "state.sqlite3"))
        messages = finish(python("-m", "tagger", *paths, *options, *places, cwd=Path(name)))
        with report.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file)), messages


def peak(process: subprocess.Popen[str]) -> float:
    """Peak memory, MB, of a process and its children together."""
    import psutil  # type: ignore[import-untyped]

    most = 0
    while process.poll() is None:
        with suppress(psutil.Error):
            main = psutil.Process(process.pid)
            tree = [main, *main.children(recursive=True)]
            most = max(most, sum(each.memory_info().rss for each in tree))
        time.sleep(0.01)
    finish(process)
    return most / 1e6
