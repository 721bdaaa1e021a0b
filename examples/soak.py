"""Run over a large library, kill processes at random moments, and check that nothing is lost.

    python examples/soak.py [--tracks 100000] [--kills 400] [--real 500] [--seed 0]
                            [--page soak.md] [MUSIC]

The library has some hundred short files in many containers, the files under MUSIC, and broken
files, each under many names. `tag-genres` runs over it with a tiny model of random weights, and
over `--real` tracks with the bundled model. At random moments

- a process that reads files gets SIGKILL, SIGSEGV, or SIGSTOP, which makes it hang forever;
- the main process gets SIGKILL, and the same command is started again, until it ends normally.

Afterwards each track must have one row in the report, in order, must have been processed once, with
the same result as without kills, and no process may be left. Nothing is killed while the last
tracks are predicted: memory and open files must stay constant. `--page` writes a page with a
picture. The exit code is 1 if anything is wrong. Needs the extra `train`; does not run on Windows.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from soak_library import make_library, make_model, make_sources
from soak_processes import FIGURES, decoders, left_behind, measure
from torture_bench import workplace

from tagger.state.store import State
from tagger.types import DEFAULT_MODEL

ROOT = Path(__file__).parents[1]
MAIN = 0.06  # share of the kills that hit the main process
EARLY = 0.3  # share of its restarts in which it is killed during start-up
START_SECONDS = 5
CALM = 0.6  # nothing is killed from this share of the tracks until the first tag is read
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGSEGV, signal.SIGSTOP)
SAME = 1e-5  # tolerance of a probability: batching changes the rounding
QUICK = ("--windows", 1, "--workers", 2, "--batch-size", 64, "--precision", "float32")
LOG = "CREATE TABLE soak (number INTEGER PRIMARY KEY, path BLOB, kind TEXT);" + "".join(
    f"CREATE TRIGGER soak_{kind} AFTER INSERT ON {kind} "
    f"BEGIN INSERT INTO soak (path, kind) VALUES (new.path, '{kind}'); END;"
    for kind in ("predictions", "failures", "tags")
)
Result = tuple[float, ...] | str  # probabilities, or the reason why there are none


# --- one run, killed again and again --------------------------------------------------------------


@dataclass
class Soak:
    """A command over a library, restarted until it ends normally, and what was measured."""

    folder: Path
    music: Path
    model: object
    chance: random.Random = field(default_factory=random.Random)
    kills: list[tuple[float, int, bool]] = field(default_factory=list)  # see `plan_kills`
    samples: list[tuple[float, ...]] = field(default_factory=list)  # minutes, rows, FIGURES
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    code: int = -signal.SIGKILL
    state: Path = field(init=False)  # its triggers log every result

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.state = self.folder / "state.sqlite3"
        with State(self.state), closing(sqlite3.connect(self.state)) as database:
            database.executescript(LOG)

    def plan_kills(self, count: int, tracks: int, tags: int) -> None:
        """Draw `count` kills: `(rows in the state, signal, whether it hits the main process)`."""
        calm = CALM * tracks
        for _ in range(count):
            at = self.chance.uniform(0, calm + 0.95 * tags)
            # A hang would cost the tag reader its 120 s.
            signals = SIGNALS if at < calm else SIGNALS[:-1]
            is_main = self.chance.random() < MAIN
            number = signal.SIGKILL if is_main else self.chance.choice(signals)
            self.kills.append((at if at < calm else at + tracks - calm, number, is_main))
        self.kills.sort()

    def run(self) -> None:
        """Start the command until it ends normally; each time check that no process is left."""
        places = ["--csv", self.folder / "genres.csv", "--state", self.state, "--quiet"]
        options = ["--model", self.model, "--decode-timeout", 5, *QUICK, *places]
        words = list(map(str, [sys.executable, "-m", "tagger", self.music, *options]))
        home = {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        env = {**os.environ, **home, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        started = time.monotonic()
        while self.code == -signal.SIGKILL:
            with subprocess.Popen(words, cwd=self.folder, env=env) as main:
                try:
                    sessions = self._attend(main, started)
                finally:
                    main.kill()
            self.code = main.returncode
            if left := left_behind(main.pid, sessions):
                self.faults.append(f"{len(left)} processes are left of a run that ended")

    def _attend(self, main: subprocess.Popen[bytes], started: float) -> set[int]:
        """Kill and measure until the main process ends; return the decoders that were seen."""
        again = self.counts["starts"] and self.chance.random() < EARLY
        early = time.monotonic() + self.chance.uniform(0, START_SECONDS) if again else math.inf
        self.counts["starts"] += 1
        measured, seen = 0.0, set[int]()
        while main.poll() is None:
            rows, now = self.rows(), time.monotonic()
            if now - measured > 1:
                measured = now
                self.samples.append(((now - started) / 60, rows, *measure(main.pid)))
            if now > early:
                main.kill()
                self.counts["SIGKILL to main as it starts"] += 1
                break
            if self.kills and rows >= self.kills[0][0]:
                seen.update(children := decoders(main.pid))
                self._kill_next(main.pid, children)
            time.sleep(self.chance.uniform(0, 0.04))
        return seen

    def _kill_next(self, main: int, children: list[int]) -> None:
        _, number, is_main = self.kills[0]
        victims = [main] if is_main else children
        if victims:  # otherwise there will be some soon
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(victims), number)
            self.counts[f"{signal.Signals(number).name} to {'main' if is_main else 'decoder'}"] += 1
            self.kills.pop(0)

    def rows(self) -> int:
        """How many results the state holds so far."""
        with (
            closing(sqlite3.connect(f"file:{self.state}?mode=ro", uri=True)) as database,
            suppress(sqlite3.OperationalError),  # after a kill, before recovery
        ):
            return int(database.execute("SELECT max(number) FROM soak").fetchone()[0] or 0)
        return 0

    def results(self) -> dict[str, Result]:
        """The result of each path in the state."""
        with closing(sqlite3.connect(self.state)) as database:
            failures = database.execute("SELECT path, reason FROM failures")
            found: dict[str, Result] = {os.fsdecode(path): reason for path, reason in failures}
            predictions = database.execute("SELECT path, probabilities FROM predictions")
            return found | {os.fsdecode(path): tuple(array("f", p)) for path, p in predictions}

    def compare(self, sources: dict[str, str], wanted: dict[str, Result]) -> Iterator[str]:
        """What is wrong in state and report; paths must have the results of their sources."""
        results, ours = self.results(), 0
        with (self.folder / "genres.csv").open(encoding="utf-8-sig", newline="") as file:
            report = list(csv.DictReader(file))
        with closing(sqlite3.connect(self.state)) as database:
            twice = "SELECT 1 FROM soak WHERE kind != 'tags' GROUP BY path HAVING count(*) > 1"
            if again := database.execute(twice).fetchall():
                yield f"{len(again)} tracks were processed more than once"
        if self.code != (3 if any(row["action"] == "failed" for row in report) else 0):
            yield f"the exit code is {self.code}"
        if [row["path"] for row in report] != sorted(sources):
            yield "the report does not have each track once, in order"
        for row in report:
            path, action = row["path"], row["action"]
            result = results.get(path, row["reason"])  # temporary failures are not in the state
            right = wanted[sources[path]]
            self.counts[f"tracks: {action}"] += 1
            if isinstance(result, str) and ("(SIG" in result or "took longer" in result):
                ours += 1
            elif not is_same(result, right):
                yield f"{path}: {result}, but {right} without kills"
            if isinstance(result, str) != (action == "failed"):
                yield f"{path}: {action} in the report, {result} in the state"
        self.counts["tracks: failed by one of our signals"] = ours
        if ours > sum(number for name, number in self.counts.items() if "decoder" in name):
            yield "more tracks failed by signals than were sent"

    def growth(self, tracks: int) -> dict[str, float]:
        """How much the figures grow while nothing is killed: medians of the first and last third.

        Empty for a short run with too few samples.
        """
        calm = [s[2:] for s in self.samples if 1.05 * CALM < s[1] / tracks < 0.99]
        if (third := len(calm) // 3) < 3:
            return {}
        columns = zip(FIGURES, zip(*calm, strict=True), strict=True)
        return {what: median(c[-third:]) - median(c[:third]) for what, c in columns}


def is_same(one: Result, other: Result) -> bool:
    """Whether two results are equal, except for rounding."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return bool(np.allclose(one, other, rtol=0, atol=SAME))


def soak(place: Path, model: object, tracks: int, kills: int, seed: int) -> Soak:
    """Run over one copy of each source, then with kills over many names, and compare."""
    name, chance = Path(str(model)).name, random.Random(seed)
    alone = Soak(place / f"{name}, alone", place / "sources", model)
    alone.run()
    results = alone.results()
    sources = make_library(place / f"{name}, music", place / "sources", tracks, chance)
    done = Soak(place / f"{name}, killed", place / f"{name}, music", model, chance)
    done.plan_kills(kills, tracks, tracks * (alone.rows() - len(results)) // len(results))
    done.run()
    done.faults += done.compare(sources, results)
    grown = done.growth(tracks).items()
    done.faults += [f"{what} grow by {by:.1f}" for what, by in grown if by > FIGURES[what]]
    return done


def summary(title: str, done: Soak, tracks: int) -> Iterator[str]:
    """The results of a run."""
    yield f"\n## {title}\n\n- {tracks:,} tracks in {done.samples[-1][0]:.1f} minutes"
    yield from (f"- {what}: {number:,}" for what, number in sorted(done.counts.items()))
    grown = ", ".join(f"{what} {by:+.1f}" for what, by in done.growth(tracks).items())
    yield f"- growth while nothing was killed: {grown or 'too few samples'}"
    yield f"- wrong: {len(done.faults)}"
    yield from (f"  - {fault}" for fault in done.faults[:20])


def table(done: Soak) -> Iterator[str]:
    """The figures at some moments."""
    heads = ("minute", "rows in the state", *FIGURES)
    yield f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
    for minutes, *figures in done.samples[:: max(1, len(done.samples) // 20)]:
        yield f"| {minutes:.1f} | {' | '.join(f'{figure:,.0f}' for figure in figures)} |"


def draw(done: Soak, picture: Path) -> None:
    """Plot memory (top), open files and processes (bottom) over the time of a run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6))
    plots = figure.subplots(2, 1, sharex=True)
    minutes, _, *columns = zip(*done.samples, strict=True)
    for name, column in zip(FIGURES, columns, strict=True):
        plots[0 if "MB" in name else 1].plot(minutes, column, label=name, linewidth=0.7)
    for plot in plots:
        plot.legend()
    plots[1].set_xlabel("minutes")
    figure.savefig(picture, metadata={"Date": None})


def main() -> None:
    """Parse the command line and run it."""
    parser = argparse.ArgumentParser(description="Run over a large library with random kills.")
    for name, number in (("tracks", 100_000), ("kills", 400), ("real", 500), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--page", type=Path)
    parser.add_argument("music", nargs="?", type=Path, metavar="MUSIC")
    args = parser.parse_args()
    lines = ["# A long run with kills", f"\nMade by `examples/soak.py` on {os.cpu_count()} cores."]
    with workplace() as place:
        make_sources(place / "sources", args.seed)
        if args.music:
            shutil.copytree(args.music, place / "sources" / "music")
        tiny = soak(place, make_model(place / "tiny"), args.tracks, args.kills, args.seed)
        lines += [*summary("With random weights", tiny, args.tracks), *table(tiny)]
        real = soak(place, DEFAULT_MODEL, args.real, args.kills // 20, args.seed)
        lines += summary("With the bundled model", real, args.real)
    print(*lines, sep="\n")
    if args.page:
        draw(tiny, args.page.with_suffix(".svg"))
        picture = f"\n![memory and open files over time]({args.page.stem}.svg)"
        args.page.write_text("\n".join([*lines, picture, ""]))
    sys.exit(1 if tiny.faults or real.faults else 0)


if __name__ == "__main__":
    main()
