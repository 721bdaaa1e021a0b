"""Try to make tag-genres lose something: kill it, let the system refuse, give it 20,000 files.

    python examples/torture.py [--kills 300] [--faults 300] [--files 20000] [--seed 0] [MUSIC]

MUSIC is a folder with a few short files, one of each container; without it, `examples/library`.
All is done to copies, through the command line, with predictions made up beforehand, so that no
model is loaded. What is lost is printed, and the exit code is 1.

- kills: a run, or an undo, gets SIGKILL at a random moment. Each file must then be the old one or
  the new one, byte for byte; the next run must finish the work and leave no scratch file; undo must
  bring back what every genre field held.
- faults: a call of the operating system fails once, at a random moment, with a random error. Each
  file must be the old one or the new one, what failed must be named, and the next run must mend it.
- files: how long it takes to apply a report to so many files, of which none, some or all differ.
"""

from __future__ import annotations

import argparse
import csv
import errno
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av  # noqa: F401 -- imported before forking, so that no child has to
import pandas  # noqa: F401

import tagger.app.undo  # noqa: F401
from tagger.app.tag import TagRequest
from tagger.cli.tag import main as tag_genres
from tagger.errors import TagError
from tagger.files.atomic import SCRATCH_PREFIX
from tagger.files.scan import find_tracks
from tagger.models.find import find_model
from tagger.state.store import State
from tagger.tags.genre_tag import read_fields
from tagger.types import GenreFields, Prediction, Track

LIBRARY = Path(__file__).parent / "library"
TRACEBACK = 70  # exit code of a child that no error of ours ended
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EROFS)
# Modules and names of the calls that a write consists of.
CALLS: tuple[tuple[Any, str], ...] = (
    (os, "open"), (io, "open"), (os, "fsync"), (os, "replace"), (os, "chmod"), (os, "chown"),
    (os, "utime"), (os, "stat"), (os, "setxattr"), (os, "unlink"), (shutil, "copyfile"),
    (shutil, "copystat"), (os, "sendfile"),
)  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """A folder to torture in: the originals, a copy to work on, and a state to begin with."""

    folder: Path
    originals: dict[str, bytes]
    fields: dict[str, GenreFields]

    @property
    def music(self) -> Path:
        """What is worked on."""
        return self.folder / "music"

    @property
    def state(self) -> Path:
        """The state file of the runs."""
        return self.folder / "state.sqlite3"

    @property
    def report(self) -> Path:
        """The report of the runs."""
        return self.folder / "genres.csv"

    def begin(self) -> None:
        """Bring back the originals, with their times, and the state that knows only predictions."""
        for path in self.folder.glob("state.sqlite3*"):
            path.unlink()
        shutil.rmtree(self.music, ignore_errors=True)
        shutil.copytree(self.folder / "originals", self.music)
        shutil.copy(self.folder / "template.sqlite3", self.state)

    def contents(self) -> dict[str, bytes]:
        """Every file as it is now."""
        return {path.name: path.read_bytes() for path in sorted(self.music.iterdir())}

    def tag(self) -> list[object]:
        """The command that writes every file."""
        options = ["--write-tags", "--on-existing", "replace", "--min-confidence", 0]
        return [self.music, *options, "--csv", self.report, "--state", self.state, "--quiet"]

    def undo(self) -> list[object]:
        """The command that takes that back."""
        return ["undo", "--state", self.state, "--quiet"]


def make_bench(music: Path, folder: Path) -> Bench:
    """Copy the files that can be tagged, and make up a prediction for each."""
    originals = folder / "originals"
    originals.mkdir()
    fields = {}
    for path in sorted(music.iterdir()):
        try:
            fields[path.name] = read_fields(path)
        except TagError:
            continue
        shutil.copy2(path, originals / path.name)
    bench = Bench(folder, {n: (originals / n).read_bytes() for n in fields}, fields)
    shutil.copytree(originals, bench.music)
    template = folder / "template.sqlite3"
    make_up_predictions(template, bench.music)
    return bench


def make_up_predictions(state_path: Path, music: Path) -> None:
    """Predictions of the bundled model for every track, as if an earlier run had made them."""
    request = TagRequest([music])
    info = find_model(*request.model)
    plan = info.plan(request.options.windows).key
    shares = tuple(0.55 if label == "jazz" else 0.05 for label in info.labels)
    with State(state_path) as state, state.transaction():
        state.add_model(info.fingerprint, info.name, info.labels)
        for track in find_tracks([music]):
            if isinstance(track, Track):
                prediction = Prediction(track, info.labels, shares, 1.0, 8, 60.0)
                state.save_prediction(prediction, info.fingerprint, plan)
    with State(state_path) as state:
        state.do("PRAGMA wal_checkpoint(TRUNCATE)")  # so that the file alone is all of it


def start(arguments: Sequence[object], before: Callable[[], None] = lambda: None) -> int:
    """Run tag-genres in a child; its process id. `before` is called in the child."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = TRACEBACK
    try:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        before()
        tag_genres([str(word) for word in arguments], standalone_mode=False)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os._exit(code)


def finish(child: int) -> int:
    """Wait for a child; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def undo_all(bench: Bench) -> int:
    """Undo run after run until nothing is left; the worst exit code of those that did something."""
    worst = 0
    while (code := finish(start(bench.undo()))) != 1:  # 1: nothing to undo
        worst = max(worst, abs(code))
        if code not in (0, 3) or worst == 3:
            break
    return worst


def faults_of(bench: Bench, allowed: Sequence[dict[str, bytes]]) -> Iterator[str]:
    """Files that are none of the versions that they may be, and scratch files."""
    contents = bench.contents()
    for name in bench.originals:
        if contents.get(name) not in [version[name] for version in allowed]:
            yield f"{name} is neither old nor new"


def leftovers(bench: Bench) -> Iterator[str]:
    """Scratch files that should be gone."""
    for path in [*bench.music.iterdir(), *bench.folder.iterdir()]:
        if path.name.startswith(SCRATCH_PREFIX):
            yield f"{path.name} was left behind"


def check_restored(bench: Bench) -> Iterator[str]:
    """Genre fields that are not as they were at first."""
    for name, fields in bench.fields.items():
        try:
            now: GenreFields | None = read_fields(bench.music / name)
        except TagError:
            now = None
        if now != fields:
            yield f"{name}: undo did not bring back its genre"


def references(bench: Bench) -> tuple[dict[str, bytes], dict[str, bytes], float, float]:
    """What files are after an undisturbed run and after its undo, and how long both take (s)."""
    times = []
    versions = []
    for arguments in (bench.tag(), bench.undo()):
        if not versions:
            bench.begin()
        started = time.perf_counter()
        code = finish(start(arguments))
        times.append(time.perf_counter() - started)
        if code:
            raise SystemExit(f"an undisturbed run ends with exit code {code}")
        versions.append(bench.contents())
    return versions[0], versions[1], times[0], times[1]


def kill_round(
    bench: Bench, chance: random.Random, reference: tuple[Any, ...]
) -> tuple[str, list[str]]:
    """One kill; where it hit, and what was lost."""
    new, restored, tag_time, undo_time = reference
    old = bench.originals
    lost: list[str] = []
    during_undo = chance.random() < 0.5
    latest = undo_time if during_undo else tag_time
    while True:
        bench.begin()
        if during_undo:
            finish(start(bench.tag()))
        child = start(bench.undo() if during_undo else bench.tag())
        time.sleep(chance.uniform(0, latest))
        os.kill(child, signal.SIGKILL)
        if finish(child) < 0:
            break
        latest *= 0.8  # it ended before, for the machine was busier when the times were taken
    lost += faults_of(bench, [new, restored] if during_undo else [old, new])
    if not during_undo:
        if code := finish(start(bench.tag())):
            lost.append(f"the next run ends with exit code {code}")
        lost += faults_of(bench, [new])
        lost += leftovers(bench)
    if code := undo_all(bench):
        lost.append(f"undo ends with exit code {code}")
    lost += leftovers(bench)
    lost += check_restored(bench)
    return f"killed in {'undo' if during_undo else 'run'}", lost


def count_calls(bench: Bench) -> dict[tuple[Any, str], int]:
    """How often an undisturbed run makes each call."""
    counts = {}
    counter = bench.folder / "calls"
    for module, name in CALLS:
        bench.begin()
        counter.write_bytes(b"")
        finish(start(bench.tag(), partial(count, bench, module, name, counter)))
        counts[module, name] = counter.stat().st_size
    return {call: times for call, times in counts.items() if times}


def fault_round(
    bench: Bench, chance: random.Random, new: dict[str, bytes], calls: dict[tuple[Any, str], int]
) -> tuple[str, list[str]]:
    """One refused call; how the run ended, and what was lost."""
    bench.begin()
    module, name = chance.choice(list(calls))
    number, after = chance.choice(ERRORS), chance.randint(1, calls[module, name])
    code = finish(start(bench.tag(), partial(refuse, bench, module, name, number, after)))
    lost = list(faults_of(bench, [bench.originals, new]))
    if code not in (0, 1, 3):
        lost.append(f"exit code {code}")
    if code == 3:
        with bench.report.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        if len(rows) != len(bench.originals):
            lost.append(f"{len(rows)} rows for {len(bench.originals)} files")
        lost += [
            f"{r['path']} failed for no reason"
            for r in rows
            if not (r["action"] != "failed" or r["reason"])
        ]
    if again := finish(start(bench.tag())):
        lost.append(f"the next run ends with exit code {again}")
    lost += [*faults_of(bench, [new]), *leftovers(bench)]
    if undone := undo_all(bench):
        lost.append(f"undo ends with exit code {undone}")
    lost += check_restored(bench)
    told = f"{module.__name__}.{name} {errno.errorcode[number]} (call {after}), exit {code}"
    return f"exit {code}", [f"{told}: {what}" for what in lost]


def count(bench: Bench, module: Any, name: str, counter: Path) -> None:
    """Let every call of a function add a byte to a file."""
    real, write = getattr(module, name), os.write
    handle = os.open(counter, os.O_WRONLY | os.O_APPEND)

    def counting(*arguments: Any, **named: Any) -> Any:
        if concerns(bench, arguments):
            write(handle, b".")
        return real(*arguments, **named)

    setattr(module, name, counting)


def refuse(bench: Bench, module: Any, name: str, number: int, after: int) -> None:
    """Let the `after`-th call of a function fail, from now on in this process."""
    real, calls = getattr(module, name), iter(range(1, sys.maxsize))

    def refusing(*arguments: Any, **named: Any) -> Any:
        if concerns(bench, arguments) and next(calls) == after:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **named)

    setattr(module, name, refusing)


def concerns(bench: Bench, arguments: Sequence[Any]) -> bool:
    """Whether a call is about our files, and not about Python's own."""
    about = arguments[0] if arguments else None
    return isinstance(about, int) or os.fspath(about).startswith(str(bench.folder))


def measure_files(music: Path, folder: Path, count: int) -> None:
    """Apply reports to `count` files, of which more and more differ; a table on stdout."""
    library = folder / "library"
    sounds = [path for path in sorted(music.iterdir()) if path.suffix in (".mp3", ".flac", ".m4a")]
    for number in range(count):
        source = sounds[number % len(sounds)]
        album = library / f"{number // 12:06}"
        album.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, album / f"{number % 12:02}{source.suffix}")
    state, report = folder / "state.sqlite3", folder / "report.csv"
    make_up_predictions(state, library)
    common = ["--state", state, "--quiet"]
    print("| what | files | seconds | ms a file that changes |\n|---|---|---|---|")

    def timed(what: str, changing: int, arguments: Sequence[object]) -> None:
        started = time.perf_counter()
        code = finish(start(arguments))
        seconds = time.perf_counter() - started
        each = f"{1000 * seconds / changing:.1f}" if changing else ""
        print(
            f"| {what}{f' (exit {code})' if code else ''} | {changing:,} | {seconds:.2f} | {each} |"
        )

    look = [library, "--write-tags", "--min-confidence", 1, "--csv", report, *common]
    timed("first look at the tags", 0, look)
    timed("a run that changes nothing", 0, look)
    for part in (0, 8, 4, 2, 1):
        changing = count // part if part else 0
        edit_report(report, changing, f"Polka {part}")
        timed("apply", changing, ["apply", report, *common])
        timed("the run after it", 0, look)


def edit_report(report: Path, changing: int, genre: str) -> None:
    """Write another genre into the first rows of a report, as a person would."""
    with report.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:changing]:
        row["genre"] = genre
    with report.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder in memory where there is one: a kill is a kill there too, and fsync is free."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="torture-", dir=parent) as folder:
        yield Path(folder)


def rounds(
    what: str, count: int, seed: int, one: Callable[[random.Random], tuple[str, list[str]]]
) -> int:
    """Do so many rounds, print what came of them, and return how many lost something."""
    results: Counter[str] = Counter()
    losing = 0
    started = time.perf_counter()
    for number in range(count):
        result, lost = one(random.Random(f"{seed} {what} {number}"))
        results[result] += 1
        losing += bool(lost)
        for line in lost:
            print(f"  round {number}: {line}")
    counted = ", ".join(f"{result} {times}" for result, times in sorted(results.items()))
    seconds = time.perf_counter() - started
    print(f"{what}: seed {seed}, {count} rounds in {seconds:.0f} s ({counted}); lost: {losing}")
    return losing


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description="Try to make tag-genres lose something.")
    parser.add_argument("music", nargs="?", type=Path, default=LIBRARY, metavar="MUSIC")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    losing = 0
    with workplace() as folder:
        bench = make_bench(asked.music, folder)
        reference = references(bench)
        print(f"{len(bench.originals)} files: {', '.join(bench.originals)}")
        losing += rounds(
            "kills", asked.kills, asked.seed, lambda chance: kill_round(bench, chance, reference)
        )
        calls = count_calls(bench) if asked.faults else {}
        losing += rounds(
            "faults",
            asked.faults,
            asked.seed,
            lambda chance: fault_round(bench, chance, reference[0], calls),
        )
    if asked.files:
        with tempfile.TemporaryDirectory(prefix="torture-") as name:
            measure_files(asked.music, Path(name), asked.files)
    sys.exit(1 if losing else 0)


if __name__ == "__main__":
    main()
