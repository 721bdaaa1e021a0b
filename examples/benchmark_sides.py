"""The ways to hear tracks that `benchmark.py` times: this tool's, a short script's, and the floor.

All of them hear the same windows of the same tracks, with one model on one device.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from make_tracks import Samples, decode_whole

from tagger.audio.reader import Waveforms, read_windows
from tagger.audio.windows import place_windows
from tagger.inference.batches import Readers
from tagger.models.find import find_model
from tagger.models.model import GenreModel, load_model
from tagger.types import PredictOptions, Track

if TYPE_CHECKING:
    from torch import Tensor

ROOT = Path(__file__).parents[1]
COUNT = 8  # windows of each track, where all sides hear the same
SAME = 0.02  # of a probability: by so much a side may differ from float32
READY = {"cpu": 20, "cuda": 100}  # tracks whose windows are decoded before anything is timed
BATCHES = {"cpu": (1, 4, 16), "cuda": (16, 64, 128, 256)}
PRECISIONS = {"cpu": ("float32", "bfloat16"), "cuda": ("bfloat16", "float16")}
NOTHING = float("nan")
Results = Mapping[str, Samples]  # mean probabilities by the name of a track


class Done(NamedTuple):
    """What one side did in one round."""

    tracks: int
    windows: int
    results: Results
    said: str = ""


@dataclass
class Side:
    """One way to hear tracks, and what it took in each round."""

    name: str
    run: Callable[[], Done]
    seconds: list[float] = field(default_factory=list)
    done: Done = field(default_factory=lambda: Done(0, 0, {}))
    faults: list[str] = field(default_factory=list)

    def time(self) -> None:
        """Run it once more; what it raises is a fault of it, and no time."""
        started = time.perf_counter()
        try:
            self.done = self.run()
        except Exception as error:
            self.faults.append(" ".join(f"{type(error).__name__}: {error}".split()))
        else:
            self.seconds.append(time.perf_counter() - started)

    def compare(self, other: Side) -> None:
        """Note as a fault if the results are not those of another side, on the tracks of both."""
        same, both, far = deviation(self.done.results, other.done.results)
        if self.seconds and other.seconds and (same < both or far > SAME or not both):
            told = f"same top label on {same} of {both} tracks, probabilities {far:.4f} apart"
            self.faults.append(f"other results than {other.name}: {told}")

    @property
    def median(self) -> float:
        """Seconds of a round; NaN if none ended well."""
        return median(self.seconds) if self.seconds else NOTHING

    @property
    def window(self) -> float:
        """Seconds of a window."""
        return self.median / (self.done.windows or NOTHING)

    @property
    def of_track(self) -> float:
        """Windows of a track."""
        return self.done.windows / (self.done.tracks or NOTHING)

    def further(self, start: Side) -> float:
        """Seconds of each window beyond those of another side, as that of a start."""
        more = self.done.windows - start.done.windows
        return (self.median - start.median) / (more or NOTHING)


def deviation(one: Results, other: Results) -> tuple[int, int, float]:
    """Tracks with the same top label, of how many, and how far any probability is apart."""
    both = one.keys() & other.keys()
    same = sum(int(one[name].argmax()) == int(other[name].argmax()) for name in both)
    far = max((float(np.abs(one[name] - other[name]).max()) for name in both), default=0.0)
    return same, len(both), far


# --- the command ----------------------------------------------------------------------------------


def python(*words: object, cwd: Path) -> subprocess.Popen[str]:
    """Start this Python with this checkout's package, and without the user's settings."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    home = {"XDG_CONFIG_HOME": str(cwd), "XDG_STATE_HOME": str(cwd), "HF_HUB_OFFLINE": "1"}
    env = {**os.environ, **home, "PYTHONPATH": os.pathsep.join(paths)}
    command, pipe = [sys.executable, *map(str, words)], subprocess.PIPE
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=pipe, text=True, cwd=cwd, env=env
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What a process says on stderr. Raises `RuntimeError` with the end of it if it fails."""
    with process:
        said = process.communicate()[1]
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {said.strip()[-300:]}")
    return said


def tag_genres(
    paths: Iterable[Path], *options: object, state: Path | None = None
) -> tuple[list[dict[str, str]], str]:
    """The rows that `tag-genres` reports, and what it says; with a new state if none is given."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        report = Path(name, "genres.csv")
        places = ("--csv", report, "--state", state or Path(name, "state.sqlite3"))
        said = finish(python("-m", "tagger", *paths, *options, *places, cwd=Path(name)))
        with report.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file)), said


# --- the sides ------------------------------------------------------------------------------------


def timed(call: Callable[..., object], *given: Any, **more: Any) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    call(*given, **more)
    return time.perf_counter() - started


class Subject:
    """A model on a device (`cpu` or `cuda`), the tracks that it hears, and a side for each way.

    A side gets as many of the tracks, the first ones, as it should hear within `seconds`.
    """

    def __init__(self, name: str, tracks: Sequence[Path], device: str, seconds: float) -> None:
        self.info = find_model(name)
        self.device = device
        self.plan = self.info.plan(COUNT)
        read = [read_windows(path, self.plan) for path in tracks[:12]]
        lengths = [round(each.seconds * self.plan.rate) for each in read]
        every = [len(place_windows(length, self.info.plan(None))) for length in lengths]
        self.of_all = sum(every) / len(every)  # windows that cover a track
        model = load_model(self.info, PredictOptions(device=device, precision="float32"))
        some = read[0].windows[:4]
        self.pace = min(timed(model.probabilities, some) for _ in range(2)) / len(some)
        self.tracks = tracks[: max(1, int(seconds / (self.pace * COUNT)))]
        self.fewer = tracks[: max(1, int(seconds / (self.pace * self.of_all)))]

    @cached_property
    def ready(self) -> dict[str, Samples]:
        """Windows `(n, samples)` of the first tracks, for the sides that have no decoding to do."""
        tracks = self.tracks[: READY[self.device]]
        return {path.name: read_windows(path, self.plan).windows for path in tracks}

    def _batches(self, size: int) -> tuple[Tensor, ...]:
        import torch

        windows = torch.from_numpy(np.concatenate(list(self.ready.values())))
        batches: tuple[Tensor, ...] = windows.split(size)  # type: ignore[no-untyped-call]
        return batches

    def command(self, windows: str, tracks: Sequence[Path]) -> Side:
        """The whole command."""
        model = ("--model", self.info.name, "--device", self.device)

        def run() -> Done:
            rows, said = tag_genres(tracks, "--windows", windows, "--all-probabilities", *model)
            results = {
                Path(row["path"]).name: np.array([row[x] for x in self.info.labels], np.float32)
                for row in rows
            }
            return Done(len(rows), sum(int(row["windows"]) for row in rows), results, said)

        return Side(f"command, --windows {windows}", run)

    def whole_files(self) -> Side:
        """Decode whole files in this process, and cut them: what a script does first."""
        tracks, size = self.tracks[: READY[self.device]], self.plan.samples

        def cut(path: Path) -> list[Samples]:
            whole = decode_whole(path, self.plan.rate)
            starts = place_windows(len(whole), self.plan)
            return [np.resize(whole[start : start + size], size) for start in starts]

        def run() -> Done:
            return Done(len(tracks), sum(len(cut(path)) for path in tracks), {})

        return Side("decode whole files, one process", run)

    def pipeline(self, batch: int = 0) -> Side:
        """The pipeline of transformers, float32, over windows that are ready; 0: the best batch."""
        import torch
        from transformers import pipeline

        given = {"model": str(self.info.folder), "device": self.device, "dtype": torch.float32}
        classify = pipeline("audio-classification", **given)
        windows = [window for rows in self.ready.values() for window in rows]
        if not batch:
            sizes = [n for n in BATCHES[self.device] if 1 < n <= len(windows)] or [2]
            trials = {n: timed(classify, windows[:n], batch_size=n) / n for n in sizes}
            batch = min(trials, key=lambda n: trials[n])

        def run() -> Done:
            # Logits, since the pipeline does not know a checkpoint's temperature.
            told = classify(windows, top_k=None, function_to_apply="none", batch_size=batch)
            named = [{row["label"]: row["score"] for row in rows} for rows in told]
            logits = np.array([[row[label] for label in self.info.labels] for row in named])
            scores = iter(self._scores(logits))
            means = {k: np.mean([next(scores) for _ in v], axis=0) for k, v in self.ready.items()}
            return Done(len(means), len(windows), means)

        return Side(f"pipeline, {f'batches of {batch}' if batch > 1 else 'one by one'}", run)

    def _scores(self, logits: Samples) -> Samples:
        raised = np.exp(logits / self.info.temperature)
        total = 1 + raised if self.info.multi_label else raised.sum(axis=1, keepdims=True)
        return np.asarray(raised / total)

    def floor(self) -> tuple[Side, Side]:
        """Forward passes alone, and those from waveforms, in the best precision and batch."""
        model, size = self._fastest()
        batches = self._batches(size)
        features = [features_of(model, batch) for batch in batches]
        count = sum(map(len, batches))

        def forward() -> Done:
            for each in features:
                logits_of(model, each)
            return Done(len(self.ready), count, {})

        def with_features() -> Done:
            for batch in batches:
                model.probabilities(batch.numpy())
            return Done(len(self.ready), count, {})

        how = f"{model.precision}, batches of {size}"
        return (
            Side(f"forward passes alone, {how}", forward),
            Side(f"features and forward passes, {how}", with_features),
        )

    def _fastest(self) -> tuple[GenreModel, int]:
        found: list[tuple[float, int, GenreModel]] = []
        for precision in PRECISIONS[self.device]:
            model = load_model(self.info, PredictOptions(device=self.device, precision=precision))
            for size in BATCHES[self.device]:
                features = features_of(model, self._batches(size)[0])
                first = timed(logits_of, model, features[:1])  # libraries get ready, too
                if self.device == "cpu" and found and first > 3 * min(each[0] for each in found):
                    break  # as in bfloat16 where the hardware does not multiply it
                found.append((timed(logits_of, model, features) / len(features), size, model))
        _, size, model = min(found, key=lambda each: each[0])
        model.batch_size = size
        return model, size

    def decode(self) -> Side:
        """The planned windows by two processes, without a model."""
        wanted = [Track.of(path, path.stat()) for path in self.tracks]

        def run() -> Done:
            with Readers(2, 120) as readers:
                jobs = [readers.read(track, self.plan, 0) for track in wanted]
                read = [job.result() for job in jobs]
            return Done(
                len(read), sum(len(x.windows) for x in read if isinstance(x, Waveforms)), {}
            )

        return Side("decode by 2 processes", run)


def features_of(model: GenreModel, waveforms: Tensor) -> Tensor:
    """What the network of a model takes in: `(batch, frames, mel_bins)` on its device."""
    import torch

    with torch.inference_mode():
        features: Tensor = model._fbank(waveforms.to(model.device)).to(model.dtype)
        return features


def logits_of(model: GenreModel, features: Tensor) -> Tensor:
    """What the network makes of features: `(batch, labels)`, on the CPU."""
    import torch

    with torch.inference_mode():
        logits: Tensor = model._network(features)
        return logits.cpu()
