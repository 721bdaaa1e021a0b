"""The results that a finished run saves beside its weights: temperature, metrics and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tagger.models.find import find_model
from tagger.models.model import GenreModel, load_model
from tagger.types import PredictOptions
from training.clips.clip import Clip
from training.clips.split import Split
from training.evaluation.calibration import fit_temperature
from training.evaluation.measure import PredictedClip, predict_clips
from training.evaluation.metrics import Metrics, clip_metrics
from training.evaluation.plots import confusion_png, curves_png

# The default of `evaluate.py`: figures are comparable only for the same number of windows per clip.
OPTIONS = PredictOptions(windows=8)


@dataclass(frozen=True, slots=True)
class PartMetrics:
    """The metrics on the parts that a run did not learn from; None for a part without clips."""

    valid: Metrics | None = None
    test: Metrics | None = None


def measure_parts(
    folder: Path, split: Split, device: str, say: Callable[[str], None]
) -> PartMetrics:
    """Metrics of a checkpoint on the valid and test clips, predicted as by the tagger.

    The temperature is fitted to the valid part; the metrics use it, but it is not yet stored in the
    checkpoint.
    """
    model = load_model(
        find_model(str(folder.absolute())), PredictOptions(device=device, precision="float32")
    )
    valid, test = (_predicted(split.part(part), model, say) for part in ("valid", "test"))
    temperature = 1.0
    if valid:
        truth = [model.info.labels.index(of.clip.label) for of in valid]
        windows = [of.log_probabilities for of in valid]
        temperature = round(fit_temperature(windows, truth), 4)
    return PartMetrics(
        valid=_metrics(valid, model, temperature), test=_metrics(test, model, temperature)
    )


def _predicted(
    clips: Sequence[Clip], model: GenreModel, say: Callable[[str], None]
) -> list[PredictedClip]:
    predicted, failures = predict_clips(clips, model, OPTIONS) if clips else ([], [])
    for failure in failures:
        say(f"left out: {failure.path}: {failure.reason}")
    return predicted


def _metrics(
    predicted: Sequence[PredictedClip], model: GenreModel, temperature: float
) -> Metrics | None:
    if not predicted:
        return None
    labels = [of.clip.label for of in predicted]
    windows = [of.log_probabilities for of in predicted]
    return clip_metrics(labels, windows, model.info.labels, temperature)


def write_results(
    folder: Path, measured: PartMetrics, history: Sequence[dict[str, float]], facts: dict[str, Any]
) -> None:
    """Write metrics.json, learning-curve.png and confusion.png into the checkpoint's folder.

    `facts` are about the run, for metrics.json.
    """
    parts = {"valid": measured.valid, "test": measured.test}
    figures = {name: asdict(metrics) for name, metrics in parts.items() if metrics is not None}
    text = json.dumps(facts | figures | {"history": list(history)}, indent=2, ensure_ascii=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    if history:
        curves_png(history, folder / "learning-curve.png")
    shown = measured.test or measured.valid
    if shown is not None:
        part = "test" if measured.test else "valid"
        confusion_png(shown, folder / "confusion.png", f"{folder.absolute().name}, {part} part")
