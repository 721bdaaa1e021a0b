"""Time `tag-genres` beside what one would write instead, and beside what the hardware allows.

    python examples/benchmark.py [--quick] [--clips FOLDER] [--library DIR] [--device cuda]
                                 [--agreement FOLDER ...] [--page benchmark.md]

Tracks of 3 to 6 minutes are made in many containers, of the clips that are given or of synthetic
sounds. A model of AST base's size with random weights, and the bundled one, then hear the same
windows of them in several ways:

- command: `tag-genres` as a whole; and its start, which is the command over one window;
- pipeline: transformers' `pipeline("audio-classification")` in float32, on windows that are cut
  already; decoding whole files for them is timed by itself;
- forward passes alone, on features that are there, in the precision and batch that are fastest:
  the floor; and the same from waveforms;
- decode: the planned windows by two processes, without a model.

Each round runs them all once, in an order drawn anew. What would take longer than --side-seconds
gets fewer tracks, so that times of a window are compared, of median rounds. After that come the
costs of starting, of an unchanged library, and with --long of long tracks; and with --agreement how
often `--windows auto` finds the genre that all windows give. `--page` puts it all on a page. The
exit code is 1 if something failed or had other results. Needs the extra `test`, and 3 GB.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import numpy as np
import soundfile
from benchmark_sides import (
    COUNT,
    ROOT,
    Results,
    Side,
    Subject,
    deviation,
    finish,
    python,
    tag_genres,
    timed,
)
from make_tracks import make_tracks

from tagger.models.find import DEFAULT_MODEL, find_model
from tagger.state.store import State
from tagger.types import Prediction, Track

MANY = (1_000, 20_000, 100_000)  # tracks of the unchanged libraries
LONG = (3, 600)  # minutes of the two long tracks
START_SECONDS = 20  # more than two commands take until they hear anything; for the estimate
CLIP_SECONDS = 15  # that a clip must have to count for the agreement
QUICK: dict[str, Any] = {"tracks": 4, "rounds": 1, "minutes": (0.5, 1), "side_seconds": 8}
SIDES = "| side | tracks | windows | seconds (least to most) | windows/s | same top label, apart |"
AGREEMENT = "| clips | n | same top genre | windows | of | saved | confidence apart: median, 95 % |"
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


def make_base(folder: Path) -> Path:
    """A checkpoint of AST base's size, 86 M parameters; speed does not depend on their values."""
    import torch
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    torch.manual_seed(0)
    network = ASTForAudioClassification(ASTConfig(num_labels=10))
    # Far enough from uniform for a mix-up of windows or labels to show.
    torch.nn.init.normal_(network.classifier.dense.weight, std=0.05)
    network.save_pretrained(folder)
    ASTFeatureExtractor().save_pretrained(folder)
    return folder


# --- rounds and ratios ----------------------------------------------------------------------------


def make_sides(subject: Subject, asked: argparse.Namespace) -> dict[str, Side]:
    """All sides of a model, by the names that the ratios give them."""
    start = subject.command("1", subject.tracks[:1])
    start.name += ", one track: its start"
    sides = {"start": start, "command": subject.command(str(COUNT), subject.tracks)}
    if "auto" in asked.plans:
        sides["auto"] = subject.command("auto", subject.tracks)
    if "all" in asked.plans:
        sides["all"] = subject.command("all", subject.fewer)
    if not asked.no_pipeline:
        sides |= {"one by one": subject.pipeline(1), "batches": subject.pipeline()}
        sides["whole files"] = subject.whole_files()
    sides["forward"], sides["features"] = subject.floor()
    return {**sides, "decode": subject.decode()}


def time_rounds(sides: Sequence[Side], rounds: int, chance: random.Random) -> None:
    """Run every side once a round, in an order drawn anew."""
    for number in range(rounds):
        for side in chance.sample(sides, len(sides)):
            side.time()
            last = f"{side.seconds[-1]:.1f} s" if side.seconds else "no result"
            print(f"round {number + 1}, {side.name}: {last}", file=sys.stderr, flush=True)


class Ratio(NamedTuple):
    """A figure, and the goal for it: at least that, or if it is negative at most that."""

    what: str
    value: float
    goal: float = 0  # 0: none is set

    def row(self) -> str:
        """A row of the page."""
        if not self.goal:
            return f"| {self.what} | | {self.value:.4g} | |"
        least = self.goal > 0
        held = self.value >= self.goal if least else self.value <= -self.goal
        bound = f"at {'least' if least else 'most'} {abs(self.goal):g}"
        return f"| {self.what} | {bound} | {self.value:.4g} | {'yes' if held else '**no**'} |"


def ratios(subject: Subject, sides: dict[str, Side]) -> Iterator[Ratio]:
    """What is compared; the goals are for AST base, and one for the bundled model."""
    small, base = subject.info.is_bundled, not subject.info.is_bundled
    start, command, floor = sides["start"], sides["command"], sides["forward"].window
    window = command.further(start)
    if "batches" in sides:
        script, whole = sides["batches"].window, sides["whole files"].window
        yield Ratio("pipeline in batches / command without its start", script / window, 3.5 * base)
        yield Ratio("pipeline in batches / command", script / command.window)
        yield Ratio("pipeline with whole files / command", (script + whole) / command.window)
        if auto := sides.get("auto"):
            track = auto.further(start) * auto.of_track
            what = "pipeline over all windows / `--windows auto` without its start"
            yield Ratio(what, script * subject.of_all / track, 12 * base)
    hundred = 100 * command.of_track
    total = start.median + (hundred - start.done.windows) * window
    yield Ratio("command / forward passes, 100 tracks", total / (hundred * floor), -1.1 * base)
    yield Ratio("command / forward passes", command.window / floor)
    decode = sides["decode"].window
    yield Ratio("command without its start / decode", window / decode, -1.3 * small)
    yield Ratio("command / decode", command.window / decode)
    if subject.device == "cuda":
        yield Ratio("windows/s of the command, without its start", 1 / window, 1500 * base)
        yield Ratio("share of the forward passes' windows/s", floor / window, 0.8 * base)


def page_of(subject: Subject, sides: dict[str, Side]) -> Iterator[str]:
    """The sides of a model, what is wrong with them, and their ratios."""
    seconds = subject.plan.samples / subject.plan.rate
    yield f"\n## {Path(subject.info.name).name}\n"
    yield f"Windows of {seconds:.2f} s, {COUNT} of each track where nothing else is said;"
    yield f"{subject.of_all:.1f} cover a track, on average.\n\n{SIDES}\n{'|---' * 6}|"
    reference = {"command": "batches", "one by one": "batches", "auto": "all"}
    for name, side in sides.items():
        other = sides.get(reference.get(name, ""))
        yield side_row(side, other.done.results if other else {})
    for side in sides.values():
        yield from (f"\n**{side.name}: {fault}**" for fault in dict.fromkeys(side.faults))
    said = sides["command"].done.said.splitlines()
    yield from (f"\nThe command says: `{line.strip()}`" for line in said if "labels) on" in line)
    yield from ("\n| ratio | goal | measured | holds |", "|---|---|---|---|")
    yield from (ratio.row() for ratio in ratios(subject, sides))


def side_row(side: Side, reference: Results) -> str:
    """What a side took, and how its results differ from others."""
    if not side.seconds:
        return f"| {side.name} | | | no result | | |"
    done, low, high = side.done, min(side.seconds), max(side.seconds)
    same, both, far = deviation(done.results, reference)
    apart = f"{same} of {both}, {far:.4f}" if both else ""
    took = f"{side.median:.2f} ({low:.2f} to {high:.2f}) | {1 / side.window:.3g}"
    return f"| {side.name} | {done.tracks} | {done.windows:,} | {took} | {apart} |"


# --- starting, unchanged libraries, long tracks ---------------------------------------------------


def peak(process: subprocess.Popen[str]) -> float:
    """The most memory, MB, that a process and its children take together until it ends."""
    import psutil  # type: ignore[import-untyped]

    most = 0
    while process.poll() is None:
        with suppress(psutil.Error):
            main = psutil.Process(process.pid)
            tree = [main, *main.children(recursive=True)]
            most = max(most, sum(each.memory_info().rss for each in tree))
        time.sleep(0.01)
    finish(process)
    return most / 1e6


def known_library(place: Path, counts: Sequence[int]) -> tuple[list[Path], Path]:
    """Folders of which the first n hold so many tracks, and a state that has all predicted."""
    song = next((ROOT / "examples" / "library").glob("*.mp3")).read_bytes()[:4000]
    info = find_model(DEFAULT_MODEL)
    scores = tuple(1 / len(info.labels) for _ in info.labels)
    state_file = place / "known.sqlite3"
    with State(state_file) as state, state.transaction():
        state.add_model(info.fingerprint, info.name, info.labels)
        for begin, end in zip((0, *counts), counts, strict=False):
            for number in range(begin, end):
                path = place / f"{end}" / f"{number // 10}" / f"{number}.mp3"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(song)
                track = Track.of(path, path.stat())
                prediction = Prediction(track, info.labels, scores, 1.0, COUNT, 200.0)
                state.save_prediction(prediction, info.fingerprint, info.plan(COUNT).key)
    return [place / f"{end}" for end in counts], state_file


def time_start(place: Path, counts: Sequence[int]) -> Iterator[str]:
    """What the command costs where there is nothing to predict."""

    def took(*words: object) -> float:
        return median(timed(lambda: finish(python(*words, cwd=place))) for _ in range(3))

    yield from ("| | goal | measured |", "|---|---|---|")
    yield f"| `--help` | at most 0.25 s | {took('-m', 'tagger', '--help'):.2f} s |"
    folders, state = known_library(place / "known", counts)
    options = ("--windows", COUNT, "--csv", place / "known.csv")
    tag_genres(folders, "--windows", COUNT, state=state)  # once, for what the tags hold
    for n, count in enumerate(counts, 1):
        command = ("-m", "tagger", *folders[:n], *options, "--state", state)
        goal = "at most 3 s" if count == 20_000 else ""
        yield f"| again, {count:,} unchanged tracks | {goal} | {took(*command):.1f} s |"
        memory = peak(python(*command, cwd=place))
        yield f"| the most memory of that | flat | {memory:.0f} MB |"
    script = (
        "import sys, tagger.files.scan as l; print(sum(1 for _ in l.find_tracks(sys.argv[1:])))"
    )
    goal = "at most 5 s" if counts[-1] == 100_000 else ""
    yield f"| finding {counts[-1]:,} tracks | {goal} | {took('-c', script, *folders):.1f} s |"


def time_long(place: Path) -> Iterator[str]:
    """What a long track costs in memory: FLAC of 16 kHz with noise that comes again and again."""
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * 16_000).astype(np.float32)
    yield from ("| | goal | measured |", "|---|---|---|")
    for minutes in LONG:
        path = place / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", 16_000, 1) as file:
            for _ in range(minutes):
                file.write(noise)
        places = ("--csv", place / "long.csv", "--state", place / f"{minutes}.sqlite3")
        memory = peak(python("-m", "tagger", path, *places, cwd=place))
        goal = "100 MB more at most" if minutes > LONG[0] else ""
        yield f"| memory, a track of {minutes} minutes | {goal} | {memory:.0f} MB |"


# --- auto against all -----------------------------------------------------------------------------


def agreement(folders: Sequence[Path], held_out: set[str], device: str) -> Iterator[str]:
    """How the genres of `--windows auto` differ from those of all windows, on real music."""
    plans = [
        tag_genres(folders, "--windows", windows, "--device", device)[0]
        for windows in ("auto", "all")
    ]
    pairs = [
        (auto, every)
        for auto, every in zip(*plans, strict=True)
        if every["genre"] and float(every["seconds"]) >= CLIP_SECONDS
    ]
    yield f"{AGREEMENT}\n{'|---' * 7}|"
    yield agreement_row(f"{CLIP_SECONDS} s or more", pairs)
    if held_out:
        unseen = [pair for pair in pairs if Path(pair[0]["path"]).stem in held_out]
        yield agreement_row("of these, not trained on", unseen)


def agreement_row(what: str, pairs: Sequence[tuple[dict[str, str], dict[str, str]]]) -> str:
    """One row: how two reports of the same clips differ."""
    if len(pairs) < 2:
        return f"| {what} | {len(pairs)} | | | | | |"
    same = sum(auto["genre"] == every["genre"] for auto, every in pairs) / len(pairs)
    heard, of = (sum(int(pair[side]["windows"]) for pair in pairs) for side in (0, 1))
    apart = [abs(float(auto["confidence"]) - float(every["confidence"])) for auto, every in pairs]
    spread = f"{median(apart):.3f}, {quantiles(apart, n=20)[-1]:.3f}"
    saved = f"{heard:,} | {of:,} | {1 - heard / of:.0%}"
    return f"| {what} | {len(pairs)} | {same:.1%} | {saved} | {spread} |"


# --- the page -------------------------------------------------------------------------------------


def machine(device: str) -> Iterator[str]:
    """What it is measured on."""
    import torch
    import transformers

    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    told = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    has = [name for name in INSTRUCTIONS if name in told.get("flags", "").split()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = told.get("model name", platform.processor())
    yield f"- {name}, {cores} cores; of {', '.join(INSTRUCTIONS)} it has {', '.join(has) or 'none'}"
    if hasattr(os, "sysconf"):
        yield f"- {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB of memory"
    if device == "cuda":
        yield f"- {torch.cuda.get_device_name()}"
    yield f"- Python {platform.python_version()}, torch {torch.__version__} with "
    yield f"  {torch.get_num_threads()} threads, transformers {transformers.__version__}"
    yield f"- `python examples/{shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}`"


def read_arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description="Time tag-genres, and what to hold it against.")
    add = parser.add_argument
    add("--tracks", type=int, default=60)
    add("--minutes", type=float, nargs=2, default=(3, 6), help="least and greatest of a track")
    add("--clips", type=Path, help="music to join to tracks; of one folder for each")
    add("--library", type=Path, help="keeps the tracks for the next time")
    add("--rounds", type=int, default=3)
    add("--side-seconds", type=float, default=40, help="about, for each side in each round")
    add("--seed", type=int, default=0)
    add("--models", nargs="*", default=["base", "bundled"], help="these, or a folder")
    add("--plans", nargs="*", default=["auto", "all"], help=f"--windows beside {COUNT}")
    add("--no-pipeline", action="store_true")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--many", type=int, nargs="*", default=MANY, help="unchanged tracks, ascending")
    add("--long", action="store_true", help="also tracks of 3 minutes and 10 hours")
    add("--agreement", type=Path, nargs="+", default=[], help="music to try auto on")
    add("--held-out", type=Path, help="file with the names of clips not trained on, no suffix")
    add("--page", type=Path)
    add("--quick", action="store_true", help="few short tracks, one round")
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


def time_models(
    place: Path, asked: argparse.Namespace
) -> Iterator[tuple[Subject, dict[str, Side]]]:
    """Each model and its sides, after their rounds."""
    chance, library = random.Random(asked.seed), asked.library or place / "tracks"
    tracks = make_tracks(library.resolve(), asked.tracks, asked.minutes, asked.clips)
    chance.shuffle(tracks)
    for model in asked.models:
        name = DEFAULT_MODEL if model == "bundled" else model
        name = str(make_base(place / "AST base")) if model == "base" else name
        subject = Subject(name, tracks, asked.device, asked.side_seconds)
        sides = make_sides(subject, asked)
        windows = COUNT * len(subject.tracks) * len(sides) + subject.of_all * len(subject.fewer)
        minutes = asked.rounds * (windows * subject.pace + START_SECONDS * len(asked.plans)) / 60
        print(f"{model}: about {minutes:.0f} minutes", file=sys.stderr, flush=True)
        time_rounds(list(sides.values()), asked.rounds, chance)
        if "batches" in sides:
            for same in ("command", "one by one"):
                sides[same].compare(sides["batches"])
        yield subject, sides


def measure(place: Path, asked: argparse.Namespace, faults: list[str]) -> Iterator[str]:
    """Everything that was asked for, line by line; what is wrong with a side is added to faults."""
    yield from ("# Speed\n", "Made by `examples/benchmark.py`.\n", *machine(asked.device))
    for subject, sides in time_models(place, asked):
        yield from page_of(subject, sides)
        faults += (fault for side in sides.values() for fault in side.faults)
    if asked.many:
        yield "\n## Where nothing is predicted\n"
        yield from time_start(place, asked.many)
    if asked.long:
        yield "\n## Long tracks\n"
        yield from time_long(place)
    if asked.agreement:
        yield "\n## `--windows auto` against all\n"
        held_out = set(asked.held_out.read_text().split()) if asked.held_out else set()
        folders = [folder.resolve() for folder in asked.agreement]
        yield from agreement(folders, held_out, asked.device)


def main() -> None:
    """Measure what was asked for, and tell."""
    asked, told, faults = read_arguments(), list[str](), list[str]()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        try:
            for line in measure(Path(name).resolve(), asked, faults):
                print(line, flush=True)
                told.append(line)
        finally:
            if asked.page:
                asked.page.write_text("\n".join([*told, ""]))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
