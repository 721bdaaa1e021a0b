"""Training runs for tests: in this process, or in others that can be killed and restarted.

Other processes are forked off one that has imported all that is slow, which takes it seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from training import finetune
from training.clips.find import find_clips

# float32 on the CPU: what `auto` would choose differs between machines.
SMALL = ("--split", "random", "--batch-size", 4, "--device", "cpu", "--precision", "float32")
TINY = (*SMALL, "--method", "scratch", "--shape", "tiny")


def run_finetune(*arguments: object) -> Result:
    """The command in this process."""
    words = list(map(str, arguments))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["finetune.py", *words])  # of which the card tells
        return CliRunner().invoke(finetune.main, words)


def trained(*arguments: object) -> Path:
    """The checkpoint of a run that has to succeed; the arguments begin with its folder."""
    result = run_finetune("--out", *arguments)
    if result.exit_code:
        raise AssertionError(result.output) from result.exception
    return Path(str(arguments[0]))


def write_teacher(path: Path, data: Path, width: int = 5) -> Path:
    """Three frames of chance for each clip, as soft labels."""
    draw = np.random.default_rng(1)
    names = [clip.name for clip in find_clips(data)]
    np.savez(path, **{name: draw.integers(0, 256, (3, width)).astype(np.uint8) for name in names})
    return path


@dataclass(frozen=True, slots=True)
class Moment:
    """When a run kills itself: as it calls a function for the n-th time."""

    where: str  # "training.app:judge", "training.trainer:RunTrainer.compute_loss"
    time: int = 1
    damage: str = ""  # a pattern: files of unfinished checkpoints, cut in half before


@dataclass(frozen=True, slots=True)
class Job:
    """What a process of its own is to do."""

    arguments: tuple[str, ...]
    log: Path  # of what it prints
    moment: Moment | None = None
    environ: dict[str, str] = field(default_factory=dict)
    drawn: Path | None = None  # file for the numbers of the crops that it drew

    def start(self) -> BaseProcess:
        """Begin; the process ends with the command's exit status."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["pytest", "training.finetune"])
        process = context.Process(target=_work, args=(self,))
        process.start()
        return process

    def run(self) -> int:
        """Do it; the exit status is negative where a signal ended it."""
        process = self.start()
        process.join()
        return int(process.exitcode or 0)


def processes(count: int) -> list[dict[str, str]]:
    """What torchrun tells each of several processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _work(job: Job) -> None:
    descriptor = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(job.environ)
    sys.argv = ["finetune.py", *job.arguments]
    # Workers change no figure, and starting some for each judgement is most of a run's time.
    _replace("training.evaluation.results:OPTIONS", lambda options: replace(options, workers=0))
    if job.moment is not None:
        _kill_at(job.moment, Path(job.arguments[job.arguments.index("--out") + 1]))
    if job.drawn is not None:
        _write_draws(job.drawn)
    finetune.main(list(job.arguments))


def _replace(where: str, wrap: Callable[[Any], Any]) -> None:
    module, _, name = where.partition(":")
    owner: Any = sys.modules[module] if module in sys.modules else __import__(module, fromlist="x")
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    setattr(owner, last, wrap(getattr(owner, last)))


def _kill_at(moment: Moment, out: Path) -> None:
    calls = 0

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def killing(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == moment.time:
                for path in out.glob(moment.damage) if moment.damage else ():
                    if not (path.parent / "average.safetensors").exists():
                        os.truncate(path, path.stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return killing

    _replace(moment.where, wrap)


def _write_draws(path: Path) -> None:
    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def telling(dataset: Any, number: int) -> Any:
            with path.open("a") as file:
                file.write(f"{number}\n")
            return function(dataset, number)

        return telling

    _replace("training.loop.crops:CropDataset.__getitem__", wrap)
