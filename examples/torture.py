"""Try to make tag-genres lose something: kill it, make system calls fail, give it 20,000 files.

    python examples/torture.py [--kills 300] [--faults 300] [--files 20000] [--seed 0] [MUSIC]

MUSIC is a folder with a few short files, one of each container; without it, `examples/library`.
Everything happens on copies, through the command line, with predictions made up in advance, so that
no model is loaded. Losses are printed, and the exit code is then 1.

- kills: a run, or an undo, gets SIGKILL at a random moment. Each file must then be the old one or
  the new one, byte for byte; the next run must finish the work and leave no scratch file; undo must
  restore the content of every genre field.
- faults: one system call fails once, at a random moment, with a random error. Each file must be the
  old one or the new one, each failure must have a reason, and the next run must complete the work.
- files: how long it takes to apply a report to many files, where none, some or all of them differ.
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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torture_bench import (
    Bench,
    check_restored,
    finish,
    leftovers,
    make_bench,
    make_up_predictions,
    start,
    undo_all,
    workplace,
    wrong_files,
)

LIBRARY = Path(__file__).parent / "library"
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EROFS)
# The functions that a write calls, as (module, name).
CALLS: tuple[tuple[Any, str], ...] = (
    (os, "open"), (io, "open"), (os, "fsync"), (os, "replace"), (os, "chmod"), (os, "chown"),
    (os, "utime"), (os, "stat"), (os, "setxattr"), (os, "unlink"), (shutil, "copyfile"),
    (shutil, "copystat"), (os, "sendfile"),
)  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """The files after an undisturbed run and after its undo, and how long both take (s)."""

    tagged: dict[str, bytes]
    undone: dict[str, bytes]
    tag_seconds: float
    undo_seconds: float


def measure_reference(bench: Bench) -> Reference:
    """Run and undo without a disturbance."""
    bench.reset()
    times, versions = [], []
    for arguments in (bench.tag(), bench.undo()):
        started = time.perf_counter()
        code = finish(start(arguments))
        times.append(time.perf_counter() - started)
        if code:
            raise SystemExit(f"an undisturbed run ended with exit code {code}")
        versions.append(bench.contents())
    (tagged, undone), (tag_seconds, undo_seconds) = versions, times
    return Reference(tagged, undone, tag_seconds, undo_seconds)


def kill_round(bench: Bench, chance: random.Random, reference: Reference) -> tuple[str, list[str]]:
    """One kill: what was killed, and what was lost."""
    old, new = bench.originals, reference.tagged
    lost: list[str] = []
    during_undo = chance.random() < 0.5
    latest = reference.undo_seconds if during_undo else reference.tag_seconds
    while True:
        bench.reset()
        if during_undo:
            finish(start(bench.tag()))
        child = start(bench.undo() if during_undo else bench.tag())
        time.sleep(chance.uniform(0, latest))
        os.kill(child, signal.SIGKILL)
        if finish(child) < 0:
            break
        latest *= 0.8  # it ended before the kill: the machine was busier during the reference run
    lost += wrong_files(bench, [new, reference.undone] if during_undo else [old, new])
    if not during_undo:
        lost += check_next_run(bench, new)
    return f"killed in {'undo' if during_undo else 'run'}", [*lost, *check_undo(bench)]


def check_next_run(bench: Bench, new: dict[str, bytes]) -> Iterator[str]:
    """What the next run does not complete."""
    if code := finish(start(bench.tag())):
        yield f"the next run ended with exit code {code}"
    yield from wrong_files(bench, [new])
    yield from leftovers(bench)


def check_undo(bench: Bench) -> Iterator[str]:
    """What undo does not restore."""
    if code := undo_all(bench):
        yield f"undo ended with exit code {code}"
    yield from leftovers(bench)
    yield from check_restored(bench)


def count_calls(bench: Bench) -> dict[tuple[Any, str], int]:
    """How often an undisturbed run calls each function of `CALLS`."""
    counts = {}
    counter = bench.folder / "calls"
    for module, name in CALLS:
        bench.reset()
        counter.write_bytes(b"")
        finish(start(bench.tag(), partial(count, bench, module, name, counter)))
        counts[module, name] = counter.stat().st_size
    return {call: times for call, times in counts.items() if times}


def fault_round(
    bench: Bench, chance: random.Random, new: dict[str, bytes], calls: dict[tuple[Any, str], int]
) -> tuple[str, list[str]]:
    """One failing call: how the run ended, and what was lost."""
    bench.reset()
    module, name = chance.choice(list(calls))
    number, after = chance.choice(ERRORS), chance.randint(1, calls[module, name])
    code = finish(start(bench.tag(), partial(refuse, bench, module, name, number, after)))
    lost = list(wrong_files(bench, [bench.originals, new]))
    if code not in (0, 1, 3):
        lost.append(f"exit code {code}")
    if code == 3:
        with bench.report.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        if len(rows) != len(bench.originals):
            lost.append(f"{len(rows)} rows for {len(bench.originals)} files")
        unexplained = (row for row in rows if row["action"] == "failed" and not row["reason"])
        lost += [f"{row['path']} failed without a reason" for row in unexplained]
    lost += [*check_next_run(bench, new), *check_undo(bench)]
    fault = f"{module.__name__}.{name} {errno.errorcode[number]} (call {after}), exit {code}"
    return f"exit {code}", [f"{fault}: {what}" for what in lost]


def count(bench: Bench, module: Any, name: str, counter: Path) -> None:
    """Make every call of a function append a byte to `counter`."""
    real, write = getattr(module, name), os.write
    handle = os.open(counter, os.O_WRONLY | os.O_APPEND)

    def counting(*arguments: Any, **named: Any) -> Any:
        if concerns(bench, arguments):
            write(handle, b".")
        return real(*arguments, **named)

    setattr(module, name, counting)


def refuse(bench: Bench, module: Any, name: str, number: int, after: int) -> None:
    """Make the `after`-th call of a function in this process fail with `number`."""
    real, calls = getattr(module, name), iter(range(1, sys.maxsize))

    def refusing(*arguments: Any, **named: Any) -> Any:
        if concerns(bench, arguments) and next(calls) == after:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **named)

    setattr(module, name, refusing)


def concerns(bench: Bench, arguments: Sequence[Any]) -> bool:
    """Whether a call is about our files, and not about Python's own."""
    file = arguments[0]
    return isinstance(file, int) or os.fspath(file).startswith(str(bench.folder))


def measure_files(music: Path, folder: Path, count: int) -> None:
    """Apply reports in which more and more of `count` files differ; print a table."""
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
    print("| what | files | seconds | ms per changed file |\n|---|---|---|---|")

    def timed(what: str, changing: int, arguments: Sequence[object]) -> None:
        started = time.perf_counter()
        code = finish(start(arguments))
        seconds = time.perf_counter() - started
        each = f"{1000 * seconds / changing:.1f}" if changing else ""
        print(
            f"| {what}{f' (exit {code})' if code else ''} | {changing:,} | {seconds:.2f} | {each} |"
        )

    run = [library, "--write-tags", "--min-confidence", 1, "--csv", report, *common]
    timed("first reading of the tags", 0, run)
    timed("a run that changes nothing", 0, run)
    for part in (0, 8, 4, 2, 1):
        changing = count // part if part else 0
        edit_report(report, changing, f"Polka {part}")
        timed("apply", changing, ["apply", report, *common])
        timed("the run after it", 0, run)


def edit_report(report: Path, changing: int, genre: str) -> None:
    """Change the genre in the first rows of a report, as a person would."""
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:changing]:
        row["genre"] = genre
    with report.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def rounds(
    what: str, count: int, seed: int, one: Callable[[random.Random], tuple[str, list[str]]]
) -> int:
    """Run `count` rounds, print their results, and return how many lost something."""
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
    """Parse the command line and run it."""
    parser = argparse.ArgumentParser(description="Try to make tag-genres lose something.")
    parser.add_argument("music", nargs="?", type=Path, default=LIBRARY, metavar="MUSIC")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    losing = 0
    with workplace() as folder:
        bench = make_bench(args.music, folder)
        reference = measure_reference(bench)
        print(f"{len(bench.originals)} files: {', '.join(bench.originals)}")
        losing += rounds(
            "kills", args.kills, args.seed, lambda chance: kill_round(bench, chance, reference)
        )
        calls = count_calls(bench) if args.faults else {}
        losing += rounds(
            "faults",
            args.faults,
            args.seed,
            lambda chance: fault_round(bench, chance, reference.tagged, calls),
        )
    if args.files:
        with tempfile.TemporaryDirectory(prefix="torture-") as name:
            measure_files(args.music, Path(name), args.files)
    sys.exit(1 if losing else 0)


if __name__ == "__main__":
    main()
