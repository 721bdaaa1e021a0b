"""The ways to predict tracks that `benchmark.py` times: this tool, a short script, and the floor.

All of them use the same windows of the same tracks, with one model on one device.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from benchmark_command import tag_genres, timed
from make_tracks import Samples, decode_whole

from tagger.audio.pool import DecoderPool
from tagger.audio.reader import Waveforms, read_windows
from tagger.audio.windows import place_windows
from tagger.models.find import find_model
from tagger.models.model import GenreModel, load_model
from tagger.types import PredictOptions

if TYPE_CHECKING:
    from torch import Tensor

COUNT = 8  # windows per track, where all sides use the same ones
SAME = 0.02  # by how much a probability may differ from float32
READY = {"cpu": 20, "cuda": 100}  # tracks decoded before anything is timed
BATCHES = {"cpu": (1, 4, 16), "cuda": (16, 64, 128, 256)}
PRECISIONS = {"cpu": ("float32", "bfloat16"), "cuda": ("bfloat16", "float16")}
NOTHING = float("nan")
Results = Mapping[str, Samples]  # mean probabilities by file name


class Done(NamedTuple):
    """The work of one side in one round."""

    tracks: int
    windows: int
    results: Results
    messages: str = ""


@dataclass
class Side:
    """One way to predict tracks, and its time in each round."""

    name: str
    run: Callable[[], Done]
    seconds: list[float] = field(default_factory=list)
    done: Done = field(default_factory=lambda: Done(0, 0, {}))
    faults: list[str] = field(default_factory=list)

    def time(self) -> None:
        """Run it once; an exception is recorded as a fault instead of a time."""
        started = time.perf_counter()
        try:
            self.done = self.run()
        except Exception as error:
            self.faults.append(" ".join(f"{type(error).__name__}: {error}".split()))
        else:
            self.seconds.append(time.perf_counter() - started)

    def compare(self, other: Side) -> None:
        """Record a fault if results differ from another side's, on the tracks of both."""
        same, both, far = deviation(self.done.results, other.done.results)
        if self.seconds and other.seconds and (same < both or far > SAME or not both):
            detail = f"same top label on {same} of {both} tracks, probabilities {far:.4f} apart"
            self.faults.append(f"other results than {other.name}: {detail}")

    @property
    def median(self) -> float:
        """Seconds per round; NaN if none succeeded."""
        return median(self.seconds) if self.seconds else NOTHING

    @property
    def window(self) -> float:
        """Seconds per window."""
        return self.median / (self.done.windows or NOTHING)

    @property
    def of_track(self) -> float:
        """Windows per track."""
        return self.done.windows / (self.done.tracks or NOTHING)

    def further(self, start: Side) -> float:
        """Seconds per additional window, compared with a side that has fewer (its start-up)."""
        more = self.done.windows - start.done.windows
        return (self.median - start.median) / (more or NOTHING)


def deviation(one: Results, other: Results) -> tuple[int, int, float]:
    """Tracks with the same top label, tracks compared, and the largest difference."""
    both = one.keys() & other.keys()
    same = sum(int(one[name].argmax()) == int(other[name].argmax()) for name in both)
    far = max((float(np.abs(one[name] - other[name]).max()) for name in both), default=0.0)
    return same, len(both), far


class Subject:
    """A model on a device (`cpu` or `cuda`), the tracks that it predicts, and its sides.

    Each side gets as many of the first tracks as it should manage within `seconds`.
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
        """Windows `(n, samples)` of the first tracks, for the sides that do not decode."""
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
            rows, messages = tag_genres(tracks, "--windows", windows, "--all-probabilities", *model)
            results = {
                Path(row["path"]).name: np.array([row[x] for x in self.info.labels], np.float32)
                for row in rows
            }
            return Done(len(rows), sum(int(row["windows"]) for row in rows), results, messages)

        return Side(f"command, --windows {windows}", run)

    def whole_files(self) -> Side:
        """Decode whole files in this process and cut them, as a simple script does."""
        tracks, size = self.tracks[: READY[self.device]], self.plan.samples

        def cut(path: Path) -> list[Samples]:
            whole = decode_whole(path, self.plan.rate)
            starts = place_windows(len(whole), self.plan)
            return [np.resize(whole[start : start + size], size) for start in starts]

        def run() -> Done:
            return Done(len(tracks), sum(len(cut(path)) for path in tracks), {})

        return Side("decode whole files, one process", run)

    def pipeline(self, batch: int = 0) -> Side:
        """Transformers' pipeline in float32, over decoded windows; 0: the fastest batch size."""
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
            # Logits, as the pipeline does not know the checkpoint's temperature.
            rows = classify(windows, top_k=None, function_to_apply="none", batch_size=batch)
            named = [{cell["label"]: cell["score"] for cell in row} for row in rows]
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
        """Forward passes alone, and from waveforms, in the fastest precision and batch size."""
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
                first = timed(logits_of, model, features[:1])  # includes the warm-up of libraries
                if self.device == "cpu" and found and first > 3 * min(each[0] for each in found):
                    break  # as bfloat16 does where the hardware has no support
                found.append((timed(logits_of, model, features) / len(features), size, model))
        _, size, model = min(found, key=lambda each: each[0])
        model.batch_size = size
        return model, size

    def decode(self) -> Side:
        """Decode the planned windows with two processes, without a model."""

        def run() -> Done:
            with DecoderPool(2, 120) as pool:
                jobs = [pool.decode(path, self.plan, 0) for path in self.tracks]
                read = [job.result() for job in jobs]
            return Done(
                len(read), sum(len(x.windows) for x in read if isinstance(x, Waveforms)), {}
            )

        return Side("decode by 2 processes", run)


def features_of(model: GenreModel, waveforms: Tensor) -> Tensor:
    """The input of a model's network: `(batch, frames, mel_bins)` on its device."""
    import torch

    with torch.inference_mode():
        features: Tensor = model._fbank(waveforms.to(model.device)).to(model.dtype)
        return features


def logits_of(model: GenreModel, features: Tensor) -> Tensor:
    """The output of a model's network: `(batch, labels)`, on the CPU."""
    import torch

    with torch.inference_mode():
        logits: Tensor = model._network(features)
        return logits.cpu()
