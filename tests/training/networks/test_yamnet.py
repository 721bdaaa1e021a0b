"""YAMNet's outputs for whole sounds and for segments."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command import DATA

from training.errors import TrainingError
from training.networks.yamnet import PIECE, PIECES, Yamnet

YAMNET = DATA / "teachers" / "yamnet.tflite"
needs_yamnet = pytest.mark.skipif(not YAMNET.exists(), reason="its weights are not part of this")


@needs_yamnet
def test_segments_are_the_embeddings_of_the_nearest_pieces() -> None:
    samples, steps = 160_000, 16
    draw = torch.Generator().manual_seed(1)
    waveforms = torch.randn(2, samples, generator=draw) * 0.1
    waveforms[1, samples // 2 :] = 0
    outputs = Yamnet(YAMNET)(waveforms, steps)
    assert outputs.whole.shape == (2, 1024 + 1024 + 521)
    assert outputs.segments.shape == (2, steps, 1024)
    pieces = outputs.segments[:, :: steps // PIECES]
    torch.testing.assert_close(outputs.whole[:, :1024], pieces.mean(dim=1))
    # A piece gives the same wherever it lies in a sound.
    last = Yamnet(YAMNET)(waveforms[:1, -PIECE:], 1).segments[0, 0]
    torch.testing.assert_close(outputs.segments[0, -1], last)
    assert not torch.allclose(outputs.segments[1, 0], outputs.segments[1, -1])
    roots = outputs.whole[:, 2048:]
    assert 0 <= float(roots.min()) < float(roots.max()) <= 1


@needs_yamnet
def test_silence_is_classified_as_silence() -> None:
    times = np.arange(32_000) / 16_000
    sounds = np.stack([np.sin(2 * np.pi * 440 * times), np.zeros(32_000)]).astype(np.float32)
    classes = Yamnet(YAMNET)(torch.from_numpy(sounds), 2).whole[:, 2048:]
    assert classes[1].argmax() == 494  # "Silence" in the published list of classes
    assert classes[0].argmax() != 494


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.tflite"
    path.write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="does not hold YAMNet"):
        Yamnet(path)


def test_without_litert_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(TrainingError, match="pip install ai-edge-litert"):
        Yamnet(tmp_path / "yamnet.tflite")
