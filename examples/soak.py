"""Tag a large library for a long time, kill what can be killed, and see what comes of it.

    python examples/soak.py [--tracks 100000] [--kills 400] [--real 500] [--seed 0]
                            [--page soak.md] [MUSIC]

The library consists of some hundred short files in many containers, of what is under MUSIC, and of
broken files, each by many names. `tag-genres` goes over it with a model of random weights that
costs nothing, and over one of `--real` tracks with the bundled model. At random moments

- a process that reads files gets SIGKILL, SIGSEGV, or SIGSTOP, with which it hangs for ever;
- the main process gets SIGKILL, and the same command is given again, until one ends by itself.

Then each track must have one row of the report, in order, and have been found out once, with the
same result as without a kill, and no process may be left. While the last tracks are predicted, no
kills: memory and open files must stay what they are. `--page` puts all on a page with a picture.
The exit code is 1 if anything is wrong. Needs the extra `train`; not for Windows.
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
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
from make_library import SONGS, encode, play
from torture import workplace

from tagger.files.scan import find_tracks
from tagger.models.find import DEFAULT_MODEL
from tagger.state.store import State
from tagger.types import Track

ROOT = Path(__file__).parents[1]
SOUNDS = 320
CODECS = {
    ".mp3": "libmp3lame", ".flac": "flac", ".ogg": "vorbis", ".m4a": "aac", ".opus": "libopus",
    ".wav": "pcm_s16le", ".aiff": "pcm_s16be", ".wma": "wmav2", ".wv": "wavpack", ".aac": "aac",
    ".tta": "tta", ".mp2": "mp2", ".au": "pcm_s16be", ".caf": "pcm_s16be", ".mka": "libopus",
    ".m4b": "alac", ".ac3": "ac3", ".w64": "pcm_s16le",
}  # fmt: skip
BROKEN = 0.01  # share of the tracks
MAIN = 0.06  # share of the kills that are for the main process
EARLY = 0.3  # share of its further starts in which it is killed at once
START_SECONDS = 5
CALM = 0.6  # from this share of the tracks to the first tag, nothing is killed
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGSEGV, signal.SIGSTOP)
GONE_SECONDS = 2  # by then no process may be left
SAME = 1e-5  # of a probability: how windows are batched changes the rounding
QUICK = ("--windows", 1, "--workers", 2, "--batch-size", 64, "--precision", "float32")
# Figures of a run, and by how much they may grow while nothing is killed.
FIGURES = {"MB": 16, "open files": 3, "MB of children": 32, "their files": 3, "processes": 3}
LOG = "CREATE TABLE soak (number INTEGER PRIMARY KEY, path BLOB, kind TEXT);" + "".join(
    f"CREATE TRIGGER soak_{kind} AFTER INSERT ON {kind} "
    f"BEGIN INSERT INTO soak (path, kind) VALUES (new.path, '{kind}'); END;"
    for kind in ("predictions", "failures", "tags")
)
Result = tuple[float, ...] | str  # probabilities, or why there are none


# --- what it works on -----------------------------------------------------------------------------


def make_sources(folder: Path, seed: int) -> None:
    """Short files of music, each different, in every container that can be made here."""
    for part in ("sounds", "broken"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number, (suffix, codec) in zip(range(SOUNDS), cycle(CODECS.items()), strict=False):
        song = SONGS[number % len(SONGS)]
        rate = 48_000 if codec in ("libopus", "mp2", "ac3") else song.rate
        song = replace(song, codec=codec, tempo=song.tempo + number % 40, rate=rate)
        samples = play(song, rng)[: round(rate * rng.uniform(0.8, 2))]
        encode(samples, song, folder / "sounds" / f"{number:04}{suffix}")
    for path in sorted((folder / "sounds").iterdir())[: len(CODECS)]:
        (folder / "broken" / f"cut{path.suffix}").write_bytes(path.read_bytes()[:20])
        (folder / "broken" / f"empty{path.suffix}").touch()
        (folder / "broken" / f"text{path.suffix}").write_text("All my friends are here.\n" * 50)


def make_model(folder: Path) -> Path:
    """A checkpoint of random weights with windows of 0.655 s."""
    import torch
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    frames: dict[str, Any] = {"max_length": 64, "num_mel_bins": 32}
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    labels = dict(enumerate(["blues", "hiphop", "jazz", "pop", "rock"]))
    torch.manual_seed(0)
    config = ASTConfig(**frames, **sizes, num_hidden_layers=1, id2label=labels)
    network = ASTForAudioClassification(config)
    # Far from uniform, so that a mix-up of tracks shows.
    torch.nn.init.normal_(network.classifier.dense.weight, std=1.0)
    network.save_pretrained(folder)
    ASTFeatureExtractor(**frames).save_pretrained(folder)
    return folder


def make_library(folder: Path, sources: Path, count: int, chance: random.Random) -> dict[str, str]:
    """Give the sources `count` names in many folders; the source of each name."""
    tracks = [item.path for item in find_tracks([sources]) if isinstance(item, Track)]
    broken = [path for path in tracks if path.parent.name == "broken"]
    whole = [path for path in tracks if path.parent.name != "broken"]
    names = {}
    for number in range(count):
        source = chance.choice(broken if chance.random() < BROKEN else whole)
        path = folder / f"{number // 2000:03}/{number // 20:05}/{number:06}{source.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, path)
        names[str(path)] = str(source)
    return names


# --- processes ------------------------------------------------------------------------------------


def decoders(main: int) -> list[int]:
    """The processes that the main one has begun to read files; also if it has ended since."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if (words := process.info["cmdline"] or [""])[-1] == str(main)
        and any("from tagger.files.worker" in word for word in words)
    ]


def left_behind(main: int, sessions: set[int]) -> list[int]:
    """What is still there some time after the main process has ended.

    `sessions` are decoders of before: each leads a session, of which is also what it has begun.
    """
    end = time.monotonic() + GONE_SECONDS
    while left := decoders(main) + [pid for pid in psutil.pids() if _is_of(sessions, pid)]:
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return left


def _is_of(sessions: set[int], pid: int) -> bool:
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


# --- one run, killed again and again --------------------------------------------------------------


@dataclass
class Soak:
    """A command over a library, given again until it ends by itself, and what it was like."""

    folder: Path
    music: Path
    model: object
    chance: random.Random = field(default_factory=random.Random)
    kills: list[tuple[float, int, bool]] = field(default_factory=list)  # see `plan_kills`
    samples: list[tuple[float, ...]] = field(default_factory=list)  # minutes, rows, FIGURES
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    code: int = -signal.SIGKILL
    state: Path = field(init=False)  # in which triggers log what is found out

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.state = self.folder / "state.sqlite3"
        with State(self.state), closing(sqlite3.connect(self.state)) as database:
            database.executescript(LOG)

    def plan_kills(self, count: int, tracks: int, tags: int) -> None:
        """Draw `(after so many rows in the state, signal, whether to the main process)`."""
        calm = CALM * tracks
        for _ in range(count):
            at = self.chance.uniform(0, calm + 0.95 * tags)
            # A hang costs the reader of tags its 120 s.
            signals = SIGNALS if at < calm else SIGNALS[:-1]
            is_main = self.chance.random() < MAIN
            number = signal.SIGKILL if is_main else self.chance.choice(signals)
            self.kills.append((at if at < calm else at + tracks - calm, number, is_main))
        self.kills.sort()

    def run(self) -> None:
        """Give the command until it ends by itself, and see each time that nothing stays."""
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
                self.faults.append(f"{len(left)} processes are left of a main one that ended")

    def _attend(self, main: subprocess.Popen[bytes], started: float) -> set[int]:
        """Kill and measure until the main process ends; the decoders that were seen."""
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
        if victims:  # else there will be some soon
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(victims), number)
            self.counts[f"{signal.Signals(number).name} to {'main' if is_main else 'decoder'}"] += 1
            self.kills.pop(0)

    def rows(self) -> int:
        """How much the state has got so far."""
        with (
            closing(sqlite3.connect(f"file:{self.state}?mode=ro", uri=True)) as database,
            suppress(sqlite3.OperationalError),  # of a process killed just now, not yet recovered
        ):
            return int(database.execute("SELECT max(number) FROM soak").fetchone()[0] or 0)
        return 0

    def results(self) -> dict[str, Result]:
        """For each path in the state, its probabilities, or why there are none."""
        with closing(sqlite3.connect(self.state)) as database:
            failures = database.execute("SELECT path, reason FROM failures")
            found: dict[str, Result] = {os.fsdecode(path): reason for path, reason in failures}
            predictions = database.execute("SELECT path, probabilities FROM predictions")
            return found | {os.fsdecode(path): tuple(array("f", p)) for path, p in predictions}

    def compare(self, sources: dict[str, str], wanted: dict[str, Result]) -> Iterator[str]:
        """What is wrong in state and report, if paths shall have the results of their sources."""
        results, ours = self.results(), 0
        with (self.folder / "genres.csv").open(encoding="utf-8", newline="") as file:
            report = list(csv.DictReader(file))
        with closing(sqlite3.connect(self.state)) as database:
            twice = "SELECT 1 FROM soak WHERE kind != 'tags' GROUP BY path HAVING count(*) > 1"
            if again := database.execute(twice).fetchall():
                yield f"{len(again)} tracks were found out more than once"
        if self.code != (3 if any(row["action"] == "failed" for row in report) else 0):
            yield f"the exit code is {self.code}"
        if [row["path"] for row in report] != sorted(sources):
            yield "the report has not each track once, in order"
        for row in report:
            path, action = row["path"], row["action"]
            result = results.get(path, row["reason"])  # what may pass is not kept in the state
            right = wanted[sources[path]]
            self.counts[f"tracks: {action}"] += 1
            if isinstance(result, str) and ("(SIG" in result or "took longer" in result):
                ours += 1
            elif not is_same(result, right):
                yield f"{path}: {result}, but without kills {right}"
            if isinstance(result, str) != (action == "failed"):
                yield f"{path}: {action} in the report, in the state {result}"
        self.counts["tracks: failed for a signal of ours"] = ours
        if ours > sum(number for name, number in self.counts.items() if "decoder" in name):
            yield "more tracks failed for signals than were sent"

    def growth(self, tracks: int) -> dict[str, float]:
        """By how much the figures grow while nothing is killed: medians of first and last third.

        Of a short run, where there are too few of them, nothing.
        """
        calm = [s[2:] for s in self.samples if 1.05 * CALM < s[1] / tracks < 0.99]
        if (third := len(calm) // 3) < 3:
            return {}
        columns = zip(FIGURES, zip(*calm, strict=True), strict=True)
        return {what: median(c[-third:]) - median(c[:third]) for what, c in columns}


def is_same(one: Result, other: Result) -> bool:
    """Whether two results are equal, but for rounding."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return bool(np.allclose(one, other, rtol=0, atol=SAME))


def soak(place: Path, model: object, tracks: int, kills: int, seed: int) -> Soak:
    """Run over one copy of each source, then with kills over many names, and compare both."""
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
    """What came of a run."""
    yield f"\n## {title}\n\n- {tracks:,} tracks in {done.samples[-1][0]:.1f} minutes"
    yield from (f"- {what}: {number:,}" for what, number in sorted(done.counts.items()))
    grown = ", ".join(f"{what} {by:+.1f}" for what, by in done.growth(tracks).items())
    yield f"- growth while nothing was killed: {grown or 'too short a time'}"
    yield f"- wrong: {len(done.faults)}"
    yield from (f"  - {fault}" for fault in done.faults[:20])


def table(done: Soak) -> Iterator[str]:
    """What the processes took at some moments."""
    heads = ("minute", "rows in the state", *FIGURES)
    yield f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
    for minutes, *figures in done.samples[:: max(1, len(done.samples) // 20)]:
        yield f"| {minutes:.1f} | {' | '.join(f'{figure:,.0f}' for figure in figures)} |"


def draw(done: Soak, picture: Path) -> None:
    """Memory above, and open files and processes below, over the time of a run."""
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
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description="Tag a large library, and kill what can be.")
    for name, number in (("tracks", 100_000), ("kills", 400), ("real", 500), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--page", type=Path)
    parser.add_argument("music", nargs="?", type=Path, metavar="MUSIC")
    asked = parser.parse_args()
    told = ["# A long run with kills", f"\nMade by `examples/soak.py` on {os.cpu_count()} cores."]
    with workplace() as place:
        make_sources(place / "sources", asked.seed)
        if asked.music:
            shutil.copytree(asked.music, place / "sources" / "music")
        tiny = soak(place, make_model(place / "tiny"), asked.tracks, asked.kills, asked.seed)
        told += [*summary("With random weights", tiny, asked.tracks), *table(tiny)]
        real = soak(place, DEFAULT_MODEL, asked.real, asked.kills // 20, asked.seed)
        told += summary("With the bundled model", real, asked.real)
    print(*told, sep="\n")
    if asked.page:
        draw(tiny, asked.page.with_suffix(".svg"))
        picture = f"\n![memory and open files over time]({asked.page.stem}.svg)"
        asked.page.write_text("\n".join([*told, picture, ""]))
    sys.exit(1 if tiny.faults or real.faults else 0)


if __name__ == "__main__":
    main()
