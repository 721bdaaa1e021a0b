"""The processes of a run, as `soak.py` watches them from outside."""

from __future__ import annotations

import os
import time
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

GONE_SECONDS = 2  # by then no process may be left
# What is measured of a run, and by how much it may grow while nothing is killed.
FIGURES = {"MB": 16, "open files": 3, "MB of children": 32, "their files": 3, "processes": 3}


def decoders(main: int) -> list[int]:
    """The child processes of a run that read files, even if its main process has ended."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if (words := process.info["cmdline"] or [""])[-1] == str(main)
        and any("from tagger.files.worker" in word for word in words)
    ]


def left_behind(main: int, sessions: set[int]) -> list[int]:
    """The processes still alive some time after the main process has ended.

    `sessions` are earlier decoders: each leads a session, to which the processes it started belong.
    """
    deadline = time.monotonic() + GONE_SECONDS
    while left := decoders(main) + [pid for pid in psutil.pids() if _is_in(sessions, pid)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return left


def _is_in(sessions: set[int], pid: int) -> bool:
    with suppress(OSError, psutil.Error):  # it has ended
        return os.getsid(pid) in sessions and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def measure(main: int) -> tuple[float, ...]:
    """The FIGURES of a run now."""
    found = []
    with suppress(psutil.Error):
        process = psutil.Process(main)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):  # it has ended
                found.append((each.memory_info().rss / 1e6, each.num_fds()))
    own, *others = found or [(0.0, 0)]
    memory, files = (sum(column) for column in zip((0.0, 0), *others, strict=True))
    return *own, memory, files, len(found)
