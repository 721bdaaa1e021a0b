"""The teacher YAMNet (https://github.com/tensorflow/models, research/audioset/yamnet)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.errors import TrainingError
from training.networks.teacher import TeacherOutputs

EMBEDDING, CLASSES = 1024, 521
PIECE = 15_600  # samples that it takes at once, 0.975 s at 16 kHz
PIECES = 8  # of a window: twice as many take twice as long, and their mean is nearly the same


class Yamnet:
    """Embeddings and probabilities of the AudioSet classes, by LiteRT from a .tflite file.

    Raises `TrainingError` if the file does not hold it, or LiteRT is not installed.
    """

    seconds = PIECE / 16_000

    def __init__(self, path: Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise TrainingError(f"{path} needs LiteRT: pip install ai-edge-litert") from error
        try:
            with warnings.catch_warnings():
                # It says that keeping all tensors is for debugging; the embedding is one of them.
                warnings.simplefilter("ignore")
                self.interpreter = Interpreter(
                    str(path), num_threads=1, experimental_preserve_all_tensors=True
                )
            self.interpreter.allocate_tensors()
            (self.input,) = _of_width(self.interpreter.get_input_details(), PIECE)
            (self.embedding,) = _of_width(self.interpreter.get_tensor_details(), EMBEDDING)
            (self.classes,) = _of_width(self.interpreter.get_output_details(), CLASSES)
        except (OSError, ValueError, RuntimeError) as error:
            raise TrainingError(f"{path} does not hold YAMNet: {error}") from error

    def __call__(self, waveforms: Tensor, segments: int) -> TeacherOutputs:
        """Waveforms `(n, samples)` at 16 kHz, at least `PIECE` long.

        `whole` is the mean and deviation of the embeddings over `PIECES` pieces, and the root of
        the mean probabilities; the segments are divided evenly among the pieces.
        """
        starts = np.linspace(0, waveforms.shape[1] - PIECE, PIECES).astype(int)
        found = [
            [self._piece(waveform[start : start + PIECE]) for start in starts]
            for waveform in waveforms.numpy()
        ]
        embeddings, classes = (
            torch.from_numpy(np.array([[of[number] for of in row] for row in found]))
            for number in (0, 1)
        )  # (n, PIECES, width)
        deviation = embeddings.std(dim=1, unbiased=False)
        # Most classes are rare: the root gives them some weight.
        whole = torch.cat([embeddings.mean(dim=1), deviation, classes.mean(dim=1).sqrt()], dim=1)
        nearest = torch.arange(segments) * PIECES // segments
        return TeacherOutputs(whole, embeddings[:, nearest])

    def _piece(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        self.interpreter.set_tensor(self.input, samples[None])
        self.interpreter.invoke()
        return tuple(
            self.interpreter.get_tensor(index)[0] for index in (self.embedding, self.classes)
        )


def _of_width(tensors: list[dict[str, Any]], width: int) -> list[int]:
    """Indexes of the tensors of shape `(1, width)`."""
    return [int(of["index"]) for of in tensors if of["shape"].tolist() == [1, width]]
