"""What a finished run leaves beside its weights: a temperature, figures, pictures, and a card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tagger.model import find_model, load_model
from tagger.types import PredictOptions
from training.calibration import fit_temperature
from training.errors import TrainingError
from training.evaluate import measure, window_log_probabilities
from training.gtzan import Clip
from training.methods import edit_config
from training.plots import confusion_png, curves_png
from training.scores import Scores

AS_CARD = PredictOptions(device="cpu", precision="float32")  # the same figures on every machine


@dataclass(frozen=True, slots=True)
class Measured:
    """The scores on the parts that a run did not learn from; None for a part without clips."""

    valid: Scores | None = None
    test: Scores | None = None


def calibrate(folder: Path, clips: Sequence[Clip]) -> None:
    """Fit the temperature on clips that were not learned from, and store it in the checkpoint."""
    model = load_model(find_model(str(folder.absolute())), AS_CARD.device, AS_CARD.precision)
    heard, _ = window_log_probabilities(clips, model, AS_CARD)
    if not heard:
        raise TrainingError("no clip of the validation part can be decoded")
    temperature = fit_temperature(
        [windows for _, windows in heard],
        [model.info.labels.index(clip.label) for clip, _ in heard],
    )
    edit_config(folder, {"temperature": round(temperature, 4)})


def scores_of(folder: Path, clips: Sequence[Clip]) -> Scores | None:
    """What `evaluate.py` says of a checkpoint on these clips."""
    if not clips:
        return None
    model = load_model(find_model(str(folder.absolute())), AS_CARD.device, AS_CARD.precision)
    return measure(clips, model, AS_CARD, [clip.label for clip in clips]).scores


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
