"""What several tests need: a tiny model, the command line, and a place for state of its own."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import pytest
from helpers.command import Run, environment, run_command


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of random weights with windows of 0.655 s, saved by transformers itself."""
    import torch
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    folder = tmp_path_factory.mktemp("models") / "tiny"
    labels = ["blues", "hiphop", "jazz", "rock"]
    config = ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_length=64,
        num_mel_bins=32,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    torch.manual_seed(0)
    model = ASTForAudioClassification(config)
    # Far from uniform, so that a mix-up of windows or labels shows.
    torch.nn.init.normal_(model.classifier.dense.weight, std=0.5)
    model.save_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few mel bins leave a filter empty in no case we use
        ASTFeatureExtractor(max_length=64, num_mel_bins=32).save_pretrained(folder)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command in a folder of its own; nothing of the user's is read or written."""
    home = tmp_path / "home"
    home.mkdir()

    def run(*arguments: object, env_online: bool = False) -> subprocess.CompletedProcess[str]:
        env = environment(home)
        if env_online:
            del env["HF_HUB_OFFLINE"]
        return run_command(*arguments, cwd=home, env=env)

    return run
