"""Damage files in every way, and check that the result is always an error of ours.

    python examples/fuzz.py [--count 300] [--seed 0] [--only ROUND] [--keep FOLDER] [PATH...]

Each round takes one of the files (those in `examples/library` if none are named), often adds tags,
and damages it: bits, sizes, blocks, parts of other files, the end. Then a copy is decoded, and its
tag is read, written and restored as in a run, but always in a child process.

- contained: a library crashed, hung, or took much memory; or FFmpeg or mutagen find different audio
  after the write, which a run notices before the copy replaces the file.
- faults: any error except AudioError, TagError and OSError; a tag that can be read but crashes the
  program when it is written, which a run does in its main process; a write that reports success but
  changed other tags, or that undo cannot revert. They are printed, and the exit code is 1.

The same seed, round and files give the same damage, and `--keep` keeps files that do harm.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from fuzz_damage import damage
from make_library import SONGS, write_tags

from tagger.audio.reader import read_windows
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError, Crashed, TagError, TooLong
from tagger.files.process import Child
from tagger.tags.genre_tag import other_tags, read_fields, read_tag, restore_fields, write_genres
from tagger.tags.verify import digest_packets
from tagger.types import GenreFields

T = TypeVar("T")
LIBRARY = Path(__file__).parent / "library"
NO_SOUND = (".md", ".txt", ".csv", ".py")
JOBS = 2
SECONDS = 10.0  # for one call
MEMORY = 1 << 20  # KiB, the peak that a process may reach
PLAN = WindowPlan(samples=16_000, rate=16_000, count=2)
GENRES, NOTE = ("Polka", "Früher Ska"), '{"genres": ["Polka", "Früher Ska"]}'

# --- what is done to a damaged file ---------------------------------------------------------------

Look = tuple[GenreFields, dict[str, str], "str | None"]  # genre, other tags, digest of the audio
CONTAINED = ("crashed", "hung", "large", "unequal")
RESULTS = ("done", "refused", *CONTAINED, "faults")
IN_A_CHILD = (read_windows, digest_packets, read_tag)  # in a run, too


class Over(Exception):
    """A function gave no result; the trial has recorded it."""


@dataclass
class Trial:
    """The outcome of one damaged file: a result for each function, and the faults."""

    results: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    reason: str = ""  # of the last function that gave no result

    def ask(self, child: Child, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in a child. Raises `Over` if it gives no result."""
        result, name = "done", function.__name__
        try:
            return child.call(SECONDS, function, *arguments)
        except (AudioError, TagError, OSError) as error:
            result, self.reason = "refused", f"{name}: {error}"
        except Crashed as error:
            result, self.reason = "hung" if isinstance(error, TooLong) else "crashed", name
            if function not in IN_A_CHILD:
                self.faults.append(f"{name} {result}, and would in the main process: {error}")
        except Exception as error:
            result, self.reason = "faults", name
            self.faults.append(f"{name} raised {type(error).__name__}: {error}")
        finally:
            self.results.append((name, result))
        raise Over

    def check(self, what: str, before: object, after: object) -> bool:
        """Compare two values, and record a fault if they differ."""
        if isinstance(before, dict) and isinstance(after, dict):
            keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
            before, after = ({key: side.get(key) for key in keys} for side in (before, after))
        if before != after:
            self.faults.append(f"{what}: {before!r:.300} became {after!r:.300}")
        return before == after


@dataclass(frozen=True)
class Bench:
    """A folder to work in, and the processes that read its files."""

    folder: Path
    decoding: Child
    tagging: Child

    def make_damaged(self, files: Sequence[Path], chance: random.Random) -> tuple[Path, str]:
        """A damaged file, and a description of the damage."""
        source, other = chance.choice(files), chance.choice(files)
        whole = self.folder / f"whole{source.suffix}"
        whole.write_bytes(source.read_bytes())
        if chance.random() < 0.5:
            with suppress(Exception):  # of any type
                self.tagging.call(SECONDS, write_tags, whole, SONGS[0], 1)
            with suppress(Exception):
                self.tagging.call(SECONDS, write_genres, whole, GENRES, NOTE)
        data, ways = damage(whole.read_bytes(), other.read_bytes(), chance)
        path = self.folder / f"damaged{(other if chance.random() < 0.1 else source).suffix}"
        path.write_bytes(data)
        return path, f"{source}: {ways}"

    def try_all(self, path: Path) -> Trial:
        """Do everything to a file that a run does."""
        trial, sound = Trial(), None
        with suppress(Over):
            trial.ask(self.decoding, read_windows, path, PLAN)
        with suppress(Over):
            sound = trial.ask(self.decoding, digest_packets, path)
        if is_large(self.decoding):
            trial.results.append((read_windows.__name__, "large"))
        with suppress(Over):
            self._try_tags(trial, path, sound)
        if is_large(self.tagging):
            trial.results.append((read_tag.__name__, "large"))
            trial.faults.append("the tag took too much memory, and might in the main process")
        return trial

    def _try_tags(self, trial: Trial, path: Path, sound: str | None) -> None:
        """Write and undo on a copy; everything else must stay the same."""
        trial.ask(self.tagging, read_tag, path)
        before = self._look(trial, path, sound)
        scratch = path.with_name(f"scratch{path.suffix}")
        scratch.write_bytes(path.read_bytes())
        trial.ask(self.tagging, write_genres, scratch, GENRES, NOTE)
        try:
            written = self._look(trial, scratch, sound)
            if not trial.check(
                "writing changed other tags", without_stream(before), without_stream(written)
            ):
                return
            if written[1:] != before[1:]:
                trial.results.append((write_genres.__name__, "unequal"))
                return
            trial.ask(self.tagging, restore_fields, scratch, before[0])
            undone = self._look(trial, scratch, sound)
        except Over:
            trial.faults.append(f"after a write: {trial.reason}")
            raise
        for what, old, new in zip(("genre", "tags", "audio"), before, undone, strict=True):
            trial.check(f"undo did not restore the {what}", old, new)

    def _look(self, trial: Trial, path: Path, sound: str | None) -> Look:
        fields = trial.ask(self.tagging, read_fields, path)
        others = trial.ask(self.tagging, other_tags, path)
        return fields, others, sound and trial.ask(self.decoding, digest_packets, path)


def without_stream(look: Look) -> dict[str, str]:
    """The other tags, without mutagen's figures of the audio stream."""
    return {key: value for key, value in look[1].items() if not key.startswith("info:")}


def is_large(child: Child) -> bool:
    """Whether a process has ever used much memory; if so, the next call starts a new one."""
    large = child.call(SECONDS, resource.getrusage, resource.RUSAGE_SELF).ru_maxrss > MEMORY
    if large:
        with suppress(Crashed):
            child.call(SECONDS, os._exit, 0)
    return large


# --- rounds ---------------------------------------------------------------------------------------


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The given files, and all files in the given folders."""
    found = (sorted(path.rglob("*")) if path.is_dir() else [path] for path in paths)
    files = [path for group in found for path in group if path.is_file()]
    return [path for path in files if path.suffix not in NO_SOUND and path.stat().st_size]


def fuzz(files: Sequence[Path], rounds: Sequence[int], args: argparse.Namespace) -> Counter[Any]:
    """Run these rounds, print the faults, and count results by function."""
    free: SimpleQueue[Bench] = SimpleQueue()

    def run_round(number: int) -> Trial:
        bench = free.get()
        try:
            path, story = bench.make_damaged(files, random.Random(f"{args.seed} {number}"))
            trial = bench.try_all(path)
            kept = {result for _, result in trial.results} - {"done", "refused"}
            for fault in trial.faults:
                print(f"round {number} ({story}): {fault}", flush=True)
            if args.keep and (kept or trial.faults or args.only is not None):
                shutil.copy(path, args.keep / f"{args.seed}-{number}{path.suffix}")
            return trial
        finally:
            free.put(bench)

    counts: Counter[Any] = Counter()
    with ExitStack() as stack:
        for _ in range(JOBS):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fuzz-")))
            children = [stack.enter_context(closing(Child())) for _ in range(2)]
            free.put(Bench(folder, *children))
        for trial in stack.enter_context(ThreadPoolExecutor(JOBS)).map(run_round, rounds):
            counts.update(trial.results)
            counts["", "faults"] += bool(trial.faults)
    return counts


def main() -> None:
    """Parse the command line and run it."""
    parser = argparse.ArgumentParser(description="Damage files, and check what happens.")
    parser.add_argument("paths", nargs="*", type=Path, default=[LIBRARY], metavar="PATH")
    parser.add_argument("--count", type=int, default=300, help="rounds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="ROUND", help="run only this round")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="where files that do harm are kept"
    )
    args = parser.parse_args()
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    files = find_files(args.paths)
    started = time.perf_counter()
    rounds = range(args.count) if args.only is None else [args.only]
    counts = fuzz(files, rounds, args)
    print(f"| function | {' | '.join(RESULTS)} |\n|---|{'---|' * len(RESULTS)}")
    for name in dict.fromkeys(name for name, _ in counts if name):
        print(f"| {name} | {' | '.join(str(counts[name, result]) for result in RESULTS)} |")
    contained = sum(times for (_, result), times in counts.items() if result in CONTAINED)
    faulty, seconds = counts["", "faults"], time.perf_counter() - started
    print(
        f"seed {args.seed}: {len(rounds)} rounds over {len(files)} files in {seconds:.0f} s; "
        f"contained: {contained}; rounds with faults: {faulty}"
    )
    sys.exit(1 if faulty else 0)


if __name__ == "__main__":
    main()
