"""Predictions of files, against transformers' own pipeline on the windows that should be predicted.

The sound is known to each sample and at the model's rate, so that the windows are computed here:
what is read, mixed, left out and placed counts, as well as the network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.sounds import music
from numpy.typing import NDArray

from tagger import predict
from tagger.audio.windows import place_windows
from tagger.models.find import find_model
from tagger.types import Prediction, PredictOptions

RATE = 16_000
WINDOWS = 4
PAIR = music(RATE, 6)  # (n, 2)
LEFT, RIGHT = PAIR.T
SILENCE = np.zeros(20 * RATE)
# ITU-R BS.775: centre and surrounds at -3 dB, no LFE; each side is divided by its sum of weights.
WEIGHTS = np.array([[1, 0, 0.5**0.5, 0, 0.5**0.5, 0], [0, 1, 0.5**0.5, 0, 0, 0.5**0.5]])
ROOM = np.stack([np.roll(LEFT if n % 2 else RIGHT, n * 1_111) for n in range(6)], axis=1)

# name: (what the file holds, what the model should get)
SOUNDS = {
    "mono": (LEFT, LEFT),
    "stereo": (PAIR, PAIR.mean(axis=1)),
    "one silent channel": (np.stack([LEFT, 0 * LEFT], 1), LEFT / 2),
    "5.1": (ROOM, (ROOM @ WEIGHTS.T / WEIGHTS.sum(axis=1)).mean(axis=1)),
    "out of phase": (np.stack([LEFT, -LEFT], 1), LEFT),
    "nearly out of phase": (np.stack([0.9 * LEFT, -LEFT], 1), -LEFT),
    "silent end": (np.concatenate([LEFT, SILENCE]), LEFT),
    "silent start": (np.concatenate([SILENCE, LEFT]), LEFT),
    "out of phase, silent end": (
        np.concatenate([np.stack([LEFT, -LEFT], 1), np.zeros((len(SILENCE), 2))]),
        LEFT,
    ),
    "shorter than a window": (LEFT[:6_000], LEFT[:6_000]),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_a_prediction_is_the_mean_of_the_pipeline_on_the_same_windows(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    from transformers import pipeline

    held, expected = SOUNDS[name]
    path = tmp_path / "sound.wav"
    soundfile.write(path, held, RATE, subtype="FLOAT")
    options = PredictOptions(
        device="cpu", precision="float32", windows=WINDOWS, workers=1, batch_size=2
    )
    (prediction,) = predict(path, model=str(tiny_model), options=options)
    assert isinstance(prediction, Prediction)

    windows = placed(expected, tiny_model)
    oracle = pipeline("audio-classification", model=str(tiny_model), device="cpu")
    answers = oracle([{"raw": each, "sampling_rate": RATE} for each in windows], top_k=None)
    scores = [{answer["label"]: answer["score"] for answer in window} for window in answers]
    right = [np.mean([score[label] for score in scores]) for label in prediction.labels]
    np.testing.assert_allclose(prediction.probabilities, right, atol=1e-3)
    best = [max(score, key=lambda label: score[label]) for score in scores]
    top = prediction.labels[int(np.argmax(right))]
    assert prediction.agreement == pytest.approx(np.mean([label == top for label in best]))
    assert prediction.windows == len(windows)


def placed(sound: NDArray[np.float64], model: Path) -> list[NDArray[np.float32]]:
    """The windows of this sound; less than one is repeated."""
    plan = find_model(str(model)).plan(WINDOWS)
    places = place_windows(len(sound), plan)
    return [
        np.resize(sound[start : start + plan.samples], plan.samples).astype(np.float32)
        for start in places
    ]
