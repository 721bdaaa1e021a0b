"""Functions that do in a child process what a bad file may do to a decoder.

A child imports them by their name; what a file contains chooses what happens.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

import numpy as np

from tagger.audio import reader
from tagger.audio.reader import Placement, Waveforms
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError

BYTES = 5 << 30
LEAKED: list[bytes] = []


class Unpicklable(Exception):
    """It can be sent, but not be received."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def segfault() -> None:
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def leave() -> None:
    os._exit(3)


def hang() -> None:
    time.sleep(3600)


def spin() -> None:
    while True:
        pass


def eat() -> int:
    return len(bytearray(BYTES))


def leak() -> int:
    LEAKED.append(b"x" * (700 << 20))
    return os.getpid()


def eat_slowly() -> None:
    eaten = []
    while True:
        eaten.append(np.zeros(50 << 20, np.uint8))  # allocated, and never touched: that takes time


def print_for_ever() -> None:
    while True:
        os.write(2, b"noise " * 100_000)


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def raise_it() -> None:
    raise ValueError("as raised")


def raise_unpicklable() -> None:
    raise Unpicklable("one", "two")


def echo(value: object) -> object:
    return value


def process() -> int:
    return os.getpid()


def make_noise() -> str:
    os.write(1, b"on stdout\n")
    os.write(2, b"on stderr\n")
    return "done"


def take_from_stdin() -> bytes:
    return os.read(0, 100)


def start_a_program(file: str) -> None:
    """Start a program that writes its process id to a file, and wait for it for ever."""
    os.system(f"echo $$ > '{file}'; exec sleep 3600")


def once(file: str, function: str) -> str:
    """Do what a function here does, unless `file` shows that it was done before."""
    if not os.path.exists(file):
        Path(file).touch()
        globals()[function]()
    return "survived"


def read_windows(
    path: Path, plan: WindowPlan, chunk: int, placement: Placement | None
) -> Waveforms:
    """As the real one, but a file that holds `!function` gets that function."""
    with path.open("rb") as file:
        head = file.read(40)
    if head.startswith(b"!"):
        globals()[head[1:].split()[0].decode()]()
    return reader.read_windows(path, plan, chunk, placement)


def damaged_in_the_middle(
    path: Path, plan: WindowPlan, chunk: int, placement: Placement | None
) -> Waveforms:
    if chunk == 1:
        raise AudioError("damaged in the middle", path)
    if chunk > 1:
        raise AudioError("read on", path)
    return reader.read_windows(path, plan, chunk, placement)


def crash_on(path: Path, *_: object) -> None:
    segfault()


def hang_on(path: Path, *_: object) -> None:
    hang()


def slow_once(path: Path, plan: WindowPlan, chunk: int, placement: Placement | None) -> Waveforms:
    """Windows of a track; of one named "slow", not before somebody calls `let_go`."""
    while path.stem == "slow" and not path.with_suffix(".go").exists():
        time.sleep(0.02)
    return reader.read_windows(path, plan, chunk, placement)


def let_go(path: Path) -> None:
    path.with_suffix(".go").touch()
