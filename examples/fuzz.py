"""Damage files in every way, and see that nothing but an error of ours comes of it.

    python examples/fuzz.py [--count 300] [--seed 0] [--only ROUND] [--keep FOLDER] [PATH...]

Each round takes one of the files (those in `examples/library` if none are named), often with tags
added, and damages it: bits, sizes, blocks, parts of other files, the end. Then a copy is decoded,
and its tag is read, written and put back, as a run does it, in a process of its own.

- contained: a library crashed, hung, or took much memory; or what FFmpeg and mutagen make of the
  sound is another after the write, which a run notices before the copy takes the file's place.
- faults: any error but AudioError, TagError and OSError; a tag that could be read and crashes the
  program when it is written, which is done without such a process; a write that says it is done
  and changed other tags, or that undo cannot take back. They are printed, and the exit code is 1.

The same seed, round and files make the same damage again, and `--keep` keeps what does harm.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import struct
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
MEMORY = 1 << 20  # KiB that a process may have had
PLAN = WindowPlan(samples=16_000, rate=16_000, count=2)
GENRES, NOTE = ("Polka", "Früher Ska"), '{"genres": ["Polka", "Früher Ska"]}'
MARKS = re.compile(
    rb"ID3|APETAGEX|TAG|LYRICS|LIST|INFO|IGNR|fmt |data|moov|trak|udta|meta|ilst|----|\xa9gen|stsd|"
    rb"esds|stco|stts|OggS|fLaC|vorbis|OpusHead|OpusTags|Speex|TCON|TXXX|TALB|TIT2|APIC|wvpk|MAC |"
    rb"MPCK|FORM|COMM|SSND|DSD |FRM8|PROP|TTA1|GENRE|Genre|W\0M\0/\0|\xff[\xf2-\xff]|"
    rb"\x30\x26\xb2\x75|\xa1\xdc\xab\x8c|\x40\xa4\xd0\xd2"  # objects of an ASF
)
NUMBERS = (0, 1, 2, 7, 8, 9, 255, 2**15, 2**16, 2**28 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, -1)
FORMS = (">I", "<I", ">Q", "<Q", ">H", "<H", ">I7")  # the last has 7 bits a byte, as in ID3


# --- damage ---------------------------------------------------------------------------------------


@dataclass
class Damage:
    """A file while it is damaged, and another to take parts of."""

    data: bytearray
    other: bytes
    chance: random.Random

    def place(self) -> int:
        """Where to strike: mostly where there is structure."""
        size = max(len(self.data), 1)
        which = self.chance.random()
        if which < 0.25:
            return self.chance.randrange(min(size, self.chance.choice((64, 512, 8192))))
        if which < 0.35:
            return size - 1 - self.chance.randrange(min(size, 300))
        if which < 0.85 and (marks := [mark.start() for mark in MARKS.finditer(self.data)]):
            return min(max(self.chance.choice(marks) + self.chance.randint(-12, 48), 0), size - 1)
        return self.chance.randrange(size)

    def length(self) -> int:
        """Of a run of bytes: short more often than long."""
        return self.chance.randint(1, self.chance.choice((4, 16, 256, 8192)))

    def flip(self) -> None:
        """Other bits in a few bytes."""
        for _ in range(self.chance.choice((1, 1, 4, 32))):
            if self.data:
                self.data[self.place()] ^= 1 << self.chance.randrange(8)

    def blank(self) -> None:
        """A run of one byte."""
        at, size = self.place(), self.length()
        self.data[at : at + size] = self.chance.choice((b"\0", b"\xff", b" ")) * size

    def truncate(self) -> None:
        """No end."""
        del self.data[self.place() :]

    def cut(self) -> None:
        """A run is missing, so that what follows is out of place."""
        at = self.place()
        del self.data[at : at + self.length()]

    def splice(self) -> None:
        """A part of another file, in place of or between what is there."""
        start = self.chance.randrange(max(len(self.other), 1))
        part, at = self.other[start : start + self.length()], self.place()
        self.data[at : at + self.chance.choice((0, len(part)))] = part

    def resize(self) -> None:
        """A wrong number, such as a size."""
        form, at = self.chance.choice(FORMS), self.place()
        width = struct.calcsize(form[:2])
        number = self.chance.choice((*NUMBERS, len(self.data), self.chance.getrandbits(24)))
        if self.chance.random() < 0.3:  # almost right
            here = self.data[at : at + width]
            number = (
                int.from_bytes(here, "little") if form[0] == "<" else int.from_bytes(here, "big")
            )
            number += self.chance.choice((-8, -1, 1, 2, 8))
        if form == ">I7":
            new = bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
        else:
            new = struct.pack(form, number % (1 << 8 * width))
        self.data[at : at + width] = new

    def repeat(self) -> None:
        """A block again and again."""
        at, size = self.place(), self.length()
        again = bytes(self.data[at : at + size]) * self.chance.choice((1, 1, 3, 100))
        self.data[at:at] = again[: 1 << 20]

    def swap(self) -> None:
        """Two blocks that change places."""
        size = self.length()
        first, second = sorted((self.place(), self.place()))
        if first + size <= second:
            one, two = self.data[first : first + size], self.data[second : second + size]
            self.data[second : second + size], self.data[first : first + size] = one, two

    def behead(self) -> None:
        """The header of another container on this body."""
        size = self.chance.choice((4, 12, 64, 512, 4096))
        self.data[: self.chance.choice((0, size))] = self.other[:size]

    def append(self) -> None:
        """Something behind the end, often what passes for a tag."""
        noise = self.chance.randbytes(self.length())
        footer = b"APETAGEX" + self.chance.choice((b"\xd0\7\0\0", b"\0\0\0\0"))
        footer += struct.pack("<3I8x", self.chance.getrandbits(9), self.chance.getrandbits(3), 0)
        v1 = b"TAG" + self.chance.choice((noise.ljust(125, b"\0")[:125], bytes(125)))
        id3 = b"ID3" + self.chance.choice((b"\2", b"\3", b"\4")) + b"\0\0\0\0\1\0"
        choices = (noise, footer, v1, footer + v1, id3, b"LYRICSBEGIN000099LYRICS200" + v1)
        self.data += self.chance.choice((*choices, self.other[-128:], self.other))


WAYS: tuple[Callable[[Damage], None], ...] = (
    Damage.flip, Damage.flip, Damage.blank, Damage.truncate, Damage.cut, Damage.splice,
    Damage.resize, Damage.resize, Damage.resize, Damage.repeat, Damage.swap, Damage.behead,
    Damage.append,
)  # fmt: skip


def damage(data: bytes, other: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A damaged version of a file, and what was done to it."""
    victim = Damage(bytearray(data), other, chance)
    ways = [chance.choice(WAYS) for _ in range(chance.choice((1, 1, 2, 4)))]
    for way in ways:
        way(victim)
    return bytes(victim.data), ", ".join(way.__name__ for way in ways)


# --- what is done to a damaged file ---------------------------------------------------------------

Look = tuple[GenreFields, dict[str, str], "str | None"]  # genre, other tags, digest of the audio
CONTAINED = ("crashed", "hung", "large", "unequal")
RESULTS = ("done", "refused", *CONTAINED, "faults")
IN_A_CHILD = (read_windows, digest_packets, read_tag)  # also in a run


class Over(Exception):
    """A function gave no result; the trial knows."""


@dataclass
class Trial:
    """What came of one damaged file: a result for each function, and the faults."""

    results: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    reason: str = ""  # of the last function that gave no result

    def ask(self, child: Child, function: Callable[..., T], *arguments: object) -> T:
        """What the function returns. Raises `Over` if it does not."""
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
        """Whether two values are equal, as they must be."""
        if isinstance(before, dict) and isinstance(after, dict):
            keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
            before, after = ({key: side.get(key) for key in keys} for side in (before, after))
        if before != after:
            self.faults.append(f"{what}: {before!r:.300} became {after!r:.300}")
        return before == after


@dataclass(frozen=True)
class Bench:
    """A folder to work in, and the processes that look into its files."""

    folder: Path
    decoding: Child
    tagging: Child

    def begin(self, files: Sequence[Path], chance: random.Random) -> tuple[Path, str]:
        """A damaged file, and its story."""
        source, other = chance.choice(files), chance.choice(files)
        whole = self.folder / f"whole{source.suffix}"
        whole.write_bytes(source.read_bytes())
        if chance.random() < 0.5:
            with suppress(Exception):  # of any type
                self.tagging.call(SECONDS, write_tags, whole, SONGS[0], 1)
            with suppress(Exception):
                self.tagging.call(SECONDS, write_genres, whole, GENRES, NOTE)
        data, told = damage(whole.read_bytes(), other.read_bytes(), chance)
        path = self.folder / f"damaged{(other if chance.random() < 0.1 else source).suffix}"
        path.write_bytes(data)
        return path, f"{source}: {told}"

    def try_all(self, path: Path) -> Trial:
        """Do to a file what a run does."""
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
        """Write and undo, on a copy; looks at it must find all else as it was."""
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
            trial.check(f"undo did not bring back the {what}", old, new)

    def _look(self, trial: Trial, path: Path, sound: str | None) -> Look:
        fields = trial.ask(self.tagging, read_fields, path)
        others = trial.ask(self.tagging, other_tags, path)
        return fields, others, sound and trial.ask(self.decoding, digest_packets, path)


def without_stream(look: Look) -> dict[str, str]:
    """The other tags, without what mutagen says of the sound."""
    return {key: value for key, value in look[1].items() if not key.startswith("info:")}


def is_large(child: Child) -> bool:
    """Whether a process has ever had much memory; if so, the next call begins another."""
    large = child.call(SECONDS, resource.getrusage, resource.RUSAGE_SELF).ru_maxrss > MEMORY
    if large:
        with suppress(Crashed):
            child.call(SECONDS, os._exit, 0)
    return large


# --- rounds ---------------------------------------------------------------------------------------


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and all in the folders named."""
    found = (sorted(path.rglob("*")) if path.is_dir() else [path] for path in paths)
    files = [path for group in found for path in group if path.is_file()]
    return [path for path in files if path.suffix not in NO_SOUND and path.stat().st_size]


def fuzz(files: Sequence[Path], rounds: Sequence[int], asked: argparse.Namespace) -> Counter[Any]:
    """Do these rounds, print the faults, and count results by function."""
    free: SimpleQueue[Bench] = SimpleQueue()

    def one(number: int) -> Trial:
        bench = free.get()
        try:
            path, story = bench.begin(files, random.Random(f"{asked.seed} {number}"))
            trial = bench.try_all(path)
            kept = {result for _, result in trial.results} - {"done", "refused"}
            for fault in trial.faults:
                print(f"round {number} ({story}): {fault}", flush=True)
            if asked.keep and (kept or trial.faults or asked.only is not None):
                shutil.copy(path, asked.keep / f"{asked.seed}-{number}{path.suffix}")
            return trial
        finally:
            free.put(bench)

    counts: Counter[Any] = Counter()
    with ExitStack() as stack:
        for _ in range(JOBS):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fuzz-")))
            children = [stack.enter_context(closing(Child())) for _ in range(2)]
            free.put(Bench(folder, *children))
        for trial in stack.enter_context(ThreadPoolExecutor(JOBS)).map(one, rounds):
            counts.update(trial.results)
            counts["", "faults"] += bool(trial.faults)
    return counts


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description="Damage files, and see what comes of it.")
    parser.add_argument("paths", nargs="*", type=Path, default=[LIBRARY], metavar="PATH")
    parser.add_argument("--count", type=int, default=300, help="rounds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="ROUND", help="this round alone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for files that do harm")
    asked = parser.parse_args()
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    files = find_files(asked.paths)
    started = time.perf_counter()
    rounds = range(asked.count) if asked.only is None else [asked.only]
    counts = fuzz(files, rounds, asked)
    print(f"| function | {' | '.join(RESULTS)} |\n|---|{'---|' * len(RESULTS)}")
    for name in dict.fromkeys(name for name, _ in counts if name):
        print(f"| {name} | {' | '.join(str(counts[name, result]) for result in RESULTS)} |")
    contained = sum(times for (_, result), times in counts.items() if result in CONTAINED)
    faulty, seconds = counts["", "faults"], time.perf_counter() - started
    print(
        f"seed {asked.seed}: {len(rounds)} rounds over {len(files)} files in {seconds:.0f} s; "
        f"contained: {contained}; rounds with faults: {faulty}"
    )
    sys.exit(1 if faulty else 0)


if __name__ == "__main__":
    main()
