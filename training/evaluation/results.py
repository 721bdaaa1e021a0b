"""The results that a finished run saves beside its weights: temperature, metrics and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.models.find import find_model
from tagger.models.model import GenreModel, load_model
from tagger.types import PredictOptions
from training.clips.clip import Clip
from training.clips.split import Split
from training.evaluation.measure import predict_clips
from training.evaluation.metrics import Metrics, as_json, clip_metrics, fitted
from training.evaluation.plots import confusion_png, curves_png
from training.loop.plan import TrainingResult
from training.loop.validation import VALIDATION_WINDOWS

OPTIONS = PredictOptions(windows=VALIDATION_WINDOWS)


@dataclass(frozen=True, slots=True)
class PartMetrics:
    """The metrics on the parts that a run did not learn from; None for a part without clips."""

    valid: Metrics | None = None
    test: Metrics | None = None


def measure_parts(
    folder: Path, split: Split, device: str, known: Collection[str], say: Callable[[str], None]
) -> PartMetrics:
    """Metrics of a checkpoint on the valid and test clips, predicted as by the tagger.

    The temperature is fitted to the valid part; the metrics use it, but it is not yet stored in the
    checkpoint. `known` has the parts from which the initial model had learned: no temperature is
    fitted to them.
    """
    model = load_model(
        find_model(str(folder.absolute())), PredictOptions(device=device, precision="float32")
    )
    labels = model.info.labels
    valid, test = None, None
    # Training has already named the valid clips that cannot be decoded.
    if predicted := _predicted(split.valid, model, lambda _: None):
        valid = fitted(*predicted, labels, fit="valid" not in known)
        valid = replace(valid, known="valid" in known)
    if predicted := _predicted(split.test, model, say):
        temperature = 1.0 if valid is None else valid.temperature
        test = replace(clip_metrics(*predicted, labels, temperature), known="test" in known)
    return PartMetrics(valid, test)


def _predicted(
    clips: Sequence[Clip], model: GenreModel, say: Callable[[str], None]
) -> tuple[list[str], list[NDArray[np.float64]]] | None:
    """The label of each clip, and the log-probabilities of its windows; None without clips."""
    predicted, failures = predict_clips(clips, model, OPTIONS) if clips else ([], [])
    for failure in failures:
        say(f"left out: {failure.path}: {failure.reason}")
    if not predicted:
        return None
    return [of.clip.label for of in predicted], [of.log_probabilities for of in predicted]


def write_results(
    folder: Path, title: str, measured: PartMetrics, training: TrainingResult, facts: dict[str, Any]
) -> None:
    """Write metrics.json, learning-curve.png and confusion.png of a model with this title.

    `facts` are about the run, for metrics.json.
    """
    parts = {"valid": measured.valid, "test": measured.test}
    figures = {name: as_json(metrics) for name, metrics in parts.items() if metrics is not None}
    history = training.history
    text = json.dumps(facts | figures | {"history": history}, indent=2, ensure_ascii=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    if history:
        curves_png(history, folder / "learning-curve.png", training.steps)
    shown = measured.test or measured.valid
    if shown is not None:
        part = "test" if measured.test else "valid"
        confusion_png(shown, folder / "confusion.png", f"{title}, {part} part")
