"""Training runs for tests: in this process, or in others that can be killed and restarted.

Other processes are forked from one that has imported what is slow to import, which takes seconds.
"""

from __future__ import annotations

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

from helpers.forks import fork_server
from training import finetune
from training.clips.find import find_clips

# float32 on the CPU: what `auto` would choose differs between machines.
SMALL = ("--split", "random", "--batch-size", 4, "--device", "cpu", "--precision", "float32")
TINY = (*SMALL, "--method", "scratch", "--shape", "tiny")


def run_finetune(*arguments: object) -> Result:
    """Run the command in this process."""
    words = list(map(str, arguments))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["finetune.py", *words])  # which the card quotes
        return CliRunner().invoke(finetune.main, words)


def trained(*arguments: object) -> Path:
    """The checkpoint of a run that must succeed; its folder is the first argument."""
    result = run_finetune("--out", *arguments)
    if result.exit_code:
        raise AssertionError(result.output) from result.exception
    return Path(str(arguments[0]))


def write_teacher(path: Path, data: Path, width: int = 5) -> Path:
    """Three random frames for each clip, as soft labels."""
    draw = np.random.default_rng(1)
    names = [clip.name for clip in find_clips(data)]
    np.savez(path, **{name: draw.integers(0, 256, (3, width)).astype(np.uint8) for name in names})
    return path


@dataclass(frozen=True, slots=True)
class Moment:
    """When a run gets a signal: at the n-th call of a function."""

    where: str  # "training.train:pooled_outputs", "training.loop.trainer:RunTrainer.training_step"
    time: int = 1
    number: int = signal.SIGKILL
    damage: str = ""  # a pattern: files of incomplete checkpoints, which it first cuts in half


@dataclass(frozen=True, slots=True)
class Job:
    """A run of the command in its own process."""

    arguments: tuple[str, ...]
    log: Path  # for what it prints
    moment: Moment | None = None
    environ: dict[str, str] = field(default_factory=dict)
    drawn: Path | None = None  # file for the numbers of the crops that it drew

    def start(self) -> BaseProcess:
        """Start; the process ends with the command's exit status."""
        process = fork_server().Process(target=_work, args=(self,))
        process.start()
        return process

    def run(self) -> int:
        """Run to the end; the exit status is negative if a signal ended it."""
        process = self.start()
        process.join()
        return int(process.exitcode or 0)


def processes(count: int) -> list[dict[str, str]]:
    """The environment that torchrun gives each of several processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _work(job: Job) -> None:
    assert "training.app.finetune" in sys.modules, "the fork server has not imported it"
    descriptor = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(job.environ)
    sys.argv = ["finetune.py", *job.arguments]
    # Workers change no result, and starting them takes most of the time of so short a run.
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
                os.kill(os.getpid(), moment.number)
            return function(*arguments, **named)

        return killing

    _replace(moment.where, wrap)


def _write_draws(path: Path) -> None:
    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def noting(dataset: Any, number: int) -> Any:
            with path.open("a") as file:
                file.write(f"{number}\n")
            return function(dataset, number)

        return noting

    _replace("training.loop.crops:CropDataset.__getitem__", wrap)
