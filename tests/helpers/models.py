"""Tiny Audio Spectrogram Transformers with random weights; importing this imports torch."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from tagger.types import PredictOptions

CPU = PredictOptions(device="cpu", precision="float32")
LABELS = ("blues", "hiphop", "jazz", "rock")
# Windows of 0.655 s.
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_length": 64,
    "num_mel_bins": 32,
}


def tiny_ast(
    labels: Sequence[str] = LABELS,
    head: type[ASTForAudioClassification] = ASTForAudioClassification,
    **sizes: object,
) -> ASTForAudioClassification:
    """A network of `SIZES`, unless others are given, with the same random weights each time."""
    maps = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }
    torch.manual_seed(0)
    return head(ASTConfig(**{**SIZES, **maps, **sizes}))


def save_extractor(folder: Path, **settings: object) -> ASTFeatureExtractor:
    """Write preprocessor_config.json as transformers does, for `SIZES` unless others are given."""
    sizes = {"max_length": SIZES["max_length"], "num_mel_bins": SIZES["num_mel_bins"]}
    with warnings.catch_warnings():
        # No test uses the filters that so few mel bins leave empty.
        warnings.filterwarnings("ignore", "At least one mel filter has all zero values")
        extractor = ASTFeatureExtractor(**{**sizes, **settings})
    extractor.save_pretrained(folder)
    return extractor


def save_ast(
    folder: Path, labels: Sequence[str] = LABELS, layers: int = 2, half: bool = False
) -> Path:
    """Save `tiny_ast` and its feature extractor, by transformers' own code; gives the folder."""
    network = tiny_ast(labels, num_hidden_layers=layers)
    # Far from uniform, so that a mix-up of windows or labels shows.
    torch.nn.init.normal_(network.classifier.dense.weight, std=0.5)
    network.to(torch.float16 if half else torch.float32).save_pretrained(folder)
    save_extractor(folder)
    return folder


def edit(folder: Path, name: str, **changes: object) -> None:
    """Change values of a JSON file of a checkpoint."""
    values = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**values, **changes}))
