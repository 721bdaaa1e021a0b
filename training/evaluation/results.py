"""What a finished run leaves beside its weights: a temperature, figures, pictures, and a card."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tagger.models.find import find_model
from tagger.models.model import load_model
from tagger.types import PredictOptions
from training.clips.splits import Split
from training.evaluation.calibration import fit_temperature
from training.evaluation.measure import window_log_probabilities
from training.evaluation.plots import confusion_png, curves_png
from training.evaluation.scores import Scores, score_clips

# As `evaluate.py` by default: figures compare only if every clip is heard for as long.
OPTIONS = PredictOptions(windows=8)


@dataclass(frozen=True, slots=True)
class Measured:
    """The scores on the parts that a run did not learn from; None for a part without clips."""

    valid: Scores | None = None
    test: Scores | None = None


def judge(folder: Path, split: Split, device: str, say: Callable[[str], None]) -> Measured:
    """Hear the valid and test clips through the tagger, and score a checkpoint on them.

    The temperature is fitted to the valid part; what it changes is in the scores, but not yet in
    the checkpoint.
    """
    model = load_model(
        find_model(str(folder.absolute())), PredictOptions(device=device, precision="float32")
    )
    temperature = 1.0
    scores: dict[str, Scores] = {}
    for part in ("valid", "test"):
        clips = split.part(part)
        heard, failures = window_log_probabilities(clips, model, OPTIONS) if clips else ([], [])
        for failure in failures:
            say(f"left out: {failure.path}: {failure.reason}")
        if not heard:
            continue
        windows = [logs for _, logs in heard]
        if part == "valid":
            truth = [model.info.labels.index(clip.label) for clip, _ in heard]
            temperature = round(fit_temperature(windows, truth), 4)
        labels = [clip.label for clip, _ in heard]
        scores[part] = score_clips(labels, windows, model.info.labels, temperature)
    return Measured(**scores)


def write_results(
    folder: Path, measured: Measured, history: Sequence[dict[str, float]], told: dict[str, Any]
) -> None:
    """Write metrics.json, learning-curve.png and confusion.png into the checkpoint's folder.

    `told` is what the run says of itself, for metrics.json.
    """
    parts = {"valid": measured.valid, "test": measured.test}
    figures = {name: asdict(scores) for name, scores in parts.items() if scores is not None}
    metrics = told | figures | {"history": list(history)}
    text = json.dumps(metrics, indent=2, ensure_ascii=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    if history:
        curves_png(history, folder / "learning-curve.png")
    shown = measured.test or measured.valid
    if shown is not None:
        part = "test" if measured.test else "valid"
        confusion_png(shown, folder / "confusion.png", f"{folder.absolute().name}, {part} part")
