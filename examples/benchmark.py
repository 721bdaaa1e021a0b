"""Time `tag-genres` beside the obvious alternatives, and beside what the hardware allows.

    python examples/benchmark.py [--quick] [--clips FOLDER] [--library DIR] [--device cuda]
                                 [--agreement FOLDER ...] [--page benchmark.md]

Tracks of 3 to 6 minutes are made in many containers, from the given clips or from synthetic sounds.
Then a model of AST base's size with random weights, and the bundled one, predict the same windows
of them in several ways:

- command: `tag-genres` as a whole; and its start-up, which is the command with one window;
- pipeline: transformers' `pipeline("audio-classification")` in float32, on windows that are already
  decoded; decoding whole files for them is timed separately;
- forward passes alone, on precomputed features, in the fastest precision and batch size: the floor;
  and the same from waveforms;
- decode: the planned windows with two processes, without a model.

Each round runs all of them once, in random order. A side that would take longer than --side-seconds
gets fewer tracks, so times per window are compared, from median rounds. Then follow the costs of
start-up, of an unchanged library, of training steps, and with --long of long tracks; and with
--agreement how often `--windows auto` finds the same genre as all windows. `--page` writes
everything to a page. The exit code is 1 if something failed or had other results. Needs the extra
`test`, and 3 GB.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile
from benchmark_command import ROOT, finish, peak, python, tag_genres, timed
from benchmark_page import AGREEMENT, agreement_row, page_of
from benchmark_session import time_session
from benchmark_sides import COUNT, Side, Subject
from benchmark_training import time_training
from make_tracks import make_tracks

from tagger.models.find import find_model
from tagger.state.store import State
from tagger.types import DEFAULT_MODEL, Prediction, Track

MANY = (1_000, 20_000, 100_000)  # tracks of the unchanged libraries
LONG = (3, 600)  # minutes of the two long tracks
START_SECONDS = 20  # more than the start-up of two commands; for the estimate
CLIP_SECONDS = 15  # shorter clips do not count for the agreement
QUICK: dict[str, Any] = {"tracks": 4, "rounds": 1, "minutes": (0.5, 1), "side_seconds": 8}
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


def make_base(folder: Path) -> Path:
    """A checkpoint of AST base's size, 86 M parameters; speed does not depend on their values."""
    import torch
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    torch.manual_seed(0)
    network = ASTForAudioClassification(ASTConfig(num_labels=10))
    # Far enough from uniform that mixed-up windows or labels are noticed.
    torch.nn.init.normal_(network.classifier.dense.weight, std=0.05)
    network.save_pretrained(folder)
    ASTFeatureExtractor().save_pretrained(folder)
    return folder


# --- rounds ----------------------------------------------------------------------------


def make_sides(subject: Subject, args: argparse.Namespace) -> dict[str, Side]:
    """All sides of a model, by the keys that `benchmark_page.ratios` uses."""
    start = subject.command("1", subject.tracks[:1])
    start.name += ", one track: its start-up"
    sides = {"start": start, "command": subject.command(str(COUNT), subject.tracks)}
    if "auto" in args.plans:
        sides["auto"] = subject.command("auto", subject.tracks)
    if "all" in args.plans:
        sides["all"] = subject.command("all", subject.fewer)
    if not args.no_pipeline:
        sides |= {"one by one": subject.pipeline(1), "batches": subject.pipeline()}
        sides["whole files"] = subject.whole_files()
    sides["forward"], sides["features"] = subject.floor()
    return {**sides, "decode": subject.decode()}


def time_rounds(sides: Sequence[Side], rounds: int, chance: random.Random) -> None:
    """Run every side once per round, in random order."""
    for number in range(rounds):
        for side in chance.sample(sides, len(sides)):
            side.time()
            last = f"{side.seconds[-1]:.1f} s" if side.seconds else "no result"
            print(f"round {number + 1}, {side.name}: {last}", file=sys.stderr, flush=True)


# --- starting, unchanged libraries, long tracks ---------------------------------------------------


def known_library(place: Path, counts: Sequence[int]) -> tuple[list[Path], Path]:
    """Folders, of which the first n hold `counts[n - 1]` tracks, and a state that knows all."""
    song = next((ROOT / "examples" / "library").glob("*.mp3")).read_bytes()[:4000]
    info = find_model(DEFAULT_MODEL)
    scores = tuple(1 / len(info.labels) for _ in info.labels)
    state_file = place / "known.sqlite3"
    with State(state_file) as state, state.transaction():
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
    """The cost of the command when there is nothing to predict."""

    def took(*words: object) -> float:
        return median(timed(lambda: finish(python(*words, cwd=place))) for _ in range(3))

    yield from ("| | goal | measured |", "|---|---|---|")
    yield f"| `--help` | at most 0.25 s | {took('-m', 'tagger', '--help'):.2f} s |"
    yield from time_session(place)
    folders, state = known_library(place / "known", counts)
    options = ("--windows", COUNT, "--csv", place / "known.csv")
    tag_genres(folders, "--windows", COUNT, state=state)  # once, to read the tags
    for n, count in enumerate(counts, 1):
        command = ("-m", "tagger", *folders[:n], *options, "--state", state)
        goal = "at most 3 s" if count == 20_000 else ""
        yield f"| second run, {count:,} unchanged tracks | {goal} | {took(*command):.1f} s |"
        memory = peak(python(*command, cwd=place))
        yield f"| its peak memory | constant | {memory:.0f} MB |"
    script = (
        "import sys, tagger.files.scan as l; print(sum(1 for _ in l.find_tracks(sys.argv[1:])))"
    )
    goal = "at most 5 s" if counts[-1] == 100_000 else ""
    yield f"| finding {counts[-1]:,} tracks | {goal} | {took('-c', script, *folders):.1f} s |"


def time_long(place: Path) -> Iterator[str]:
    """Memory for a long track: FLAC of 16 kHz with repeated noise."""
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * 16_000).astype(np.float32)
    yield from ("| | goal | measured |", "|---|---|---|")
    for minutes in LONG:
        path = place / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", 16_000, 1) as file:
            for _ in range(minutes):
                file.write(noise)
        places = ("--csv", place / "long.csv", "--state", place / f"{minutes}.sqlite3")
        memory = peak(python("-m", "tagger", path, *places, cwd=place))
        goal = "at most 100 MB more" if minutes > LONG[0] else ""
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


# --- the page -------------------------------------------------------------------------------------


def machine(device: str) -> Iterator[str]:
    """The machine and versions."""
    import torch
    import transformers

    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    facts = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    has = [name for name in INSTRUCTIONS if name in facts.get("flags", "").split()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = facts.get("model name", platform.processor())
    yield f"- {name}, {cores} cores; of {', '.join(INSTRUCTIONS)} it has {', '.join(has) or 'none'}"
    if hasattr(os, "sysconf"):
        yield f"- {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB of memory"
    if device == "cuda":
        yield f"- {torch.cuda.get_device_name()}"
    yield f"- Python {platform.python_version()}, torch {torch.__version__} with "
    yield f"  {torch.get_num_threads()} threads, transformers {transformers.__version__}"
    yield f"- `python examples/{shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}`"


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time tag-genres and its alternatives.")
    add = parser.add_argument
    add("--tracks", type=int, default=60)
    add("--minutes", type=float, nargs=2, default=(3, 6), help="shortest and longest track")
    add("--clips", type=Path, help="music to join to tracks, each from one folder")
    add("--library", type=Path, help="folder that keeps the tracks for the next time")
    add("--rounds", type=int, default=3)
    add("--side-seconds", type=float, default=40, help="approximate time of a side in a round")
    add("--seed", type=int, default=0)
    add("--models", nargs="*", default=["base", "bundled"], help="base, bundled, or a folder")
    add("--plans", nargs="*", default=["auto", "all"], help=f"values of --windows beside {COUNT}")
    add("--no-pipeline", action="store_true")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--many", type=int, nargs="*", default=MANY, help="unchanged tracks, ascending")
    add("--training", nargs="*", default=["small"], help="shapes of networks to train")
    add("--long", action="store_true", help="also tracks of 3 minutes and 10 hours")
    add("--agreement", type=Path, nargs="+", default=[], help="music to compare auto with all on")
    add("--held-out", type=Path, help="file with the names of clips not trained on, without suffix")
    add("--page", type=Path)
    add("--quick", action="store_true", help="few short tracks, one round")
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


def time_models(place: Path, args: argparse.Namespace) -> Iterator[tuple[Subject, dict[str, Side]]]:
    """Each model and its sides, after their rounds."""
    chance, library = random.Random(args.seed), args.library or place / "tracks"
    tracks = make_tracks(library.resolve(), args.tracks, args.minutes, args.clips)
    chance.shuffle(tracks)
    for model in args.models:
        name = DEFAULT_MODEL if model == "bundled" else model
        name = str(make_base(place / "AST base")) if model == "base" else name
        subject = Subject(name, tracks, args.device, args.side_seconds)
        sides = make_sides(subject, args)
        windows = COUNT * len(subject.tracks) * len(sides) + subject.of_all * len(subject.fewer)
        minutes = args.rounds * (windows * subject.pace + START_SECONDS * len(args.plans)) / 60
        print(f"{model}: about {minutes:.0f} minutes", file=sys.stderr, flush=True)
        time_rounds(list(sides.values()), args.rounds, chance)
        if "batches" in sides:
            for same in ("command", "one by one"):
                sides[same].compare(sides["batches"])
        yield subject, sides


def measure(place: Path, args: argparse.Namespace, faults: list[str]) -> Iterator[str]:
    """The lines of the page; faults of sides are added to `faults`."""
    yield from ("# Speed\n", "Made by `examples/benchmark.py`.\n", *machine(args.device))
    for subject, sides in time_models(place, args):
        yield from page_of(subject, sides)
        faults += (fault for side in sides.values() for fault in side.faults)
    if args.many:
        yield "\n## Where nothing is predicted\n"
        yield from time_start(place, args.many)
    if args.training:
        yield "\n## A training step\n"
        yield from time_training(place, args.training, args.device)
    if args.long:
        yield "\n## Long tracks\n"
        yield from time_long(place)
    if args.agreement:
        yield "\n## `--windows auto` against all\n"
        held_out = set(args.held_out.read_text().split()) if args.held_out else set()
        folders = [folder.resolve() for folder in args.agreement]
        yield from agreement(folders, held_out, args.device)


def main() -> None:
    """Measure, print, and write the page."""
    args, lines, faults = read_arguments(), list[str](), list[str]()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        try:
            for line in measure(Path(name).resolve(), args, faults):
                print(line, flush=True)
                lines.append(line)
        finally:
            if args.page:
                args.page.write_text("\n".join([*lines, ""]))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
