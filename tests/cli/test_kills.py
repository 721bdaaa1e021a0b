"""Whatever is killed and whatever a decoder does, this run continues or the next one does."""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from helpers import hostile
from helpers.command import ROOT, Run
from helpers.forks import fork_server

from tagger.app.predict import predict
from tagger.audio.reader import Placement, Waveforms, read_windows
from tagger.audio.windows import WindowPlan
from tagger.cli.tag import main as tag_genres
from tagger.types import Failure, Prediction, PredictOptions

sys.path.insert(0, str(ROOT / "examples"))
from soak import decoders, left_behind

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

TRACKS = 56
BROKEN = {
    "cut.flac": b"fLaC",
    "text.mp3": b"All my friends. " * 99,
    "empty.ogg": b"",
    "x.wav": b"\xff" * 999,
}
WRITING = ("--write-tags", "--on-existing", "replace", "--min-confidence", "0")
# The same windows together each time give the same bits.
PLAIN = ("--batch-size", "1", "--windows", "1", "--workers", "2", "--precision", "float32")


def write_sound(path: Path, number: int) -> Path:
    """A tone and some noise, different for each number."""
    time_ = np.arange(16_000) / 16_000
    noise = np.random.default_rng(number).normal(0, 0.02 * (1 + number % 5), len(time_))
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * (150 + 61 * number) * time_) + noise, 16_000)
    return path


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of short tracks, some of them broken."""
    folder = tmp_path_factory.mktemp("originals") / "music"
    folder.mkdir()
    for number, suffix in zip(range(TRACKS), cycle((".wav", ".flac", ".ogg", ".mp3"))):
        write_sound(folder / f"{number:02}{suffix}", number)
    for name, content in BROKEN.items():
        (folder / name).write_bytes(content)
    return folder


@dataclass
class Place:
    """A library to work on, and what runs make of it."""

    root: Path
    originals: Path
    options: Sequence[str]
    seconds: float = 0.0  # that an undisturbed run takes
    kills: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        """Forget all runs and restore the library."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        shutil.copytree(self.originals, self.root / "music")

    def start(self) -> BaseProcess:
        """The command, in a fork of a process that has imported what is slow."""
        places = ("--csv", self.root / "genres.csv", "--state", self.root / "state.sqlite3")
        words = [str(word) for word in (self.root / "music", *places, *self.options)]
        process = fork_server().Process(target=work, args=(words, self.root / "log"))
        process.start()
        return process

    def run(self) -> None:
        """The command, undisturbed."""
        process = self.start()
        process.join()
        self.check_end(process)

    def check_end(self, process: BaseProcess) -> None:
        """Raise unless it ended with the exit code for some broken tracks."""
        assert process.exitcode == 3, (self.root / "log").read_text()

    def run_killed(self, chance: random.Random) -> None:
        """The command, started again each time that it is killed, until it finishes."""
        while True:
            process = self.start()
            pid, started = process.pid or 0, time.monotonic()
            end = started + chance.uniform(0, 1.5 * self.seconds)
            sessions: set[int] = set()
            while process.is_alive():
                process.join(chance.uniform(0, 0.6))
                sessions.update(children := decoders(pid))
                if time.monotonic() > end and process.is_alive():
                    process.kill()
                    process.join()
                    self.kills["main"] += 1
                elif children:
                    with suppress(ProcessLookupError):
                        os.kill(chance.choice(children), signal.SIGKILL)
                        self.kills["child"] += 1
            assert left_behind(pid, sessions) == []
            if process.exitcode != -signal.SIGKILL:
                return self.check_end(process)

    def outcome(self) -> dict[str, object]:
        """Everything that the runs left, except times and numbers of runs."""
        with closing(sqlite3.connect(self.root / "state.sqlite3")) as state:
            tables = {
                "predictions": "path, size, probabilities, agreement, windows, seconds",
                "failures": "path, size, reason",
                "journal": "path, before, after, undone_by, old_size, new_size",
            }
            found: dict[str, object] = {
                table: state.execute(f"SELECT {columns} FROM {table} ORDER BY path").fetchall()
                for table, columns in tables.items()
            }
        files = {path.name: path.read_bytes() for path in (self.root / "music").iterdir()}
        return {**found, "files": files, "report": (self.root / "genres.csv").read_text()}


def work(words: list[str], log: Path) -> None:
    import torch  # not by the children, which import this module too

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    torch.set_num_threads(1)  # else threads wait for each other where cores are few
    tag_genres(words)


@pytest.mark.parametrize(
    ("of_runs", "kills"), [(1, 6), pytest.param(15, 100, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("writing", [(), WRITING], ids=["reading", "writing"])
def test_after_kills_everything_is_as_without_them(
    writing: Sequence[str],
    of_runs: int,
    kills: int,
    originals: Path,
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    place = Place(tmp_path / "place", originals, (*PLAIN, "--model", str(tiny_model), *writing))
    for _ in range(2):  # the first takes longer
        place.reset()
        started = time.monotonic()
        place.run()
        place.seconds = time.monotonic() - started
    place.run()
    wanted = place.outcome()
    chance = random.Random(f"kills {writing}")
    while place.kills["main"] < of_runs or place.kills.total() < kills:
        place.reset()
        place.run_killed(chance)
        # A track whose reader was killed twice is read by the next run, and by then all is done.
        place.run()
        place.run()
        outcome = place.outcome()
        for what, value in wanted.items():
            assert outcome[what] == value, (what, place.kills)


# --- decoders that do harm on purpose -------------------------------------------------------------


@pytest.fixture
def neighbours(tmp_path: Path) -> list[Path]:
    """Good tracks; there is room for others between them."""
    return [write_sound(tmp_path / f"{number}.wav", number) for number in (1, 3, 5, 7)]


def predicted(paths: Sequence[Path], model: Path, timeout: float) -> list[Prediction | Failure]:
    options = PredictOptions(windows=1, workers=2, precision="float32", decode_timeout=timeout)
    return predict(sorted(paths), model=str(model), options=options)


def rounded(results: Sequence[Prediction | Failure]) -> list[object]:
    """The rounded probabilities of each track, or why there are none."""
    return [
        result.reason if isinstance(result, Failure) else tuple(np.round(result.probabilities, 5))
        for result in results
    ]


HARM = {
    "segfault": "it ended the process that read it (SIGSEGV)",
    "abort": "it ended the process that read it (SIGABRT)",
    "leave": "it ended the process that read it (exit code 3)",
    "kill_itself": "it ended the process that read it (SIGKILL)",
    "eat": "it needs more than 2 GB of memory",
    "hang": "it took longer than 3 s to decode (--decode-timeout allows more)",
}


@pytest.mark.parametrize("harm", HARM)
def test_harm_that_a_decoder_does_costs_one_row(
    harm: str, neighbours: list[Path], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if harm == "eat" and sys.platform != "linux":
        pytest.skip("only Linux limits memory")
    one, three, five, seven = rounded(predicted(neighbours, tiny_model, 60))
    monkeypatch.setattr("tagger.audio.pool.read_windows", hostile.read_windows)
    bad = [
        path.with_name(f"{number}.wav") for path, number in zip(neighbours, (2, 6), strict=False)
    ]
    for path in bad:
        path.write_text(f"!{harm}")
    results = predicted([*neighbours, *bad], tiny_model, 3 if harm == "hang" else 15)
    assert rounded(results) == [one, HARM[harm], three, five, HARM[harm], seven]


def killed_once(path: Path, plan: WindowPlan, part: int, placement: Placement | None) -> Waveforms:
    """As the real one, but the process is killed when it reads a track for the first time."""
    marker = path.with_suffix(".killed")
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return read_windows(path, plan, part, placement)


def test_a_decoder_that_is_killed_once_for_each_track_costs_nothing(
    neighbours: list[Path], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = rounded(predicted(neighbours, tiny_model, 60))
    monkeypatch.setattr("tagger.audio.pool.read_windows", killed_once)
    assert rounded(predicted(neighbours, tiny_model, 60)) == wanted
    assert all(path.with_suffix(".killed").exists() for path in neighbours)


def stopped_at_three(
    path: Path, plan: WindowPlan, part: int, placement: Placement | None
) -> Waveforms:
    if path.stem == "3":
        os.kill(os.getpid(), signal.SIGSTOP)
    return read_windows(path, plan, part, placement)


def test_a_decoder_that_is_stopped_costs_the_row_that_it_was_at(
    neighbours: list[Path], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _, five, seven = rounded(predicted(neighbours, tiny_model, 60))
    monkeypatch.setattr("tagger.audio.pool.read_windows", stopped_at_three)
    assert rounded(predicted(neighbours, tiny_model, 3)) == [one, HARM["hang"], five, seven]


# --- files that keep a decoder busy ---------------------------------------------------------------

HEADS = {".mp3": b"\xff\xfb\x90\0", ".wma": b""}


@pytest.mark.parametrize("suffix", HEADS)
def test_a_terabyte_of_nothing_takes_no_longer_than_it_may(
    suffix: str, neighbours: list[Path], tiny_model: Path, run: Run
) -> None:
    folder = neighbours[0].parent
    giant = folder / f"2{suffix}"
    giant.write_bytes(HEADS[suffix])
    os.truncate(giant, 1 << 40)
    started = time.monotonic()
    done = run(folder, "--model", tiny_model, "--decode-timeout", 3, "--csv", folder / "genres.csv")
    assert time.monotonic() - started < 120
    assert done.returncode == 3, done.stderr
    with (folder / "genres.csv").open() as file:
        actions = [row["action"] for row in csv.DictReader(file)]
    assert actions == ["predicted", "failed", "predicted", "predicted", "predicted"]
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if str(giant) in (p.info["cmdline"] or [])
    ]
