"""What a checkpoint predicts for noise, by our network and by transformers'; why it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from helpers.models import CPU
from tagger.errors import CheckpointError
from tagger.models.fbank import Fbank
from tagger.models.find import find_model
from tagger.models.model import load_model

# What transformers 4 called the modules of an AST, in files and in memory.
OLD_NAMES = {
    "layers.": "encoder.layer.", "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key", "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense", "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}  # fmt: skip


def old_name(name: str) -> str:
    for new, old in OLD_NAMES.items():
        name = name.replace(f".{new}", f".{old}")
    return name


def probabilities(folder: Path, labels: Path | None = None) -> np.ndarray:
    info = find_model(str(folder), labels=labels)
    noise = np.random.default_rng(0).standard_normal((2, info.front_end.window_samples))
    return load_model(info, CPU).probabilities(noise.astype(np.float32))


def of_transformers(network: nn.Module, folder: Path) -> np.ndarray:
    """The probabilities of the same noise from a network of transformers."""
    front_end = find_model(str(folder)).front_end
    noise = np.random.default_rng(0).standard_normal((2, front_end.window_samples))
    features = Fbank(front_end)(torch.from_numpy(noise.astype(np.float32)))
    with torch.inference_mode():
        logits = network.eval()(input_values=features).logits
    result: np.ndarray = logits.float().softmax(dim=-1).numpy()
    return result


def refused(folder: Path, message: str) -> str:
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(find_model(str(folder)), CPU)
    assert "\n" not in str(caught.value)
    return str(caught.value)
