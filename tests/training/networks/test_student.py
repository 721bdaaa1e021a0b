"""The heads of a student, and their losses."""

from __future__ import annotations

import pytest
import torch
from transformers import ASTConfig, ASTForAudioClassification

from training.networks.student import LossWeights, Student, student_losses

FRAMES, BINS, WIDTH = 64, 32, 5


def student(patch_drop: float = 0.0, stride: int = 16) -> Student:
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_length=FRAMES, num_mel_bins=BINS, frequency_stride=stride, time_stride=stride,
        id2label={0: "a", 1: "b"}, label2id={"a": 0, "b": 1},
    )  # fmt: skip
    network = ASTForAudioClassification(config)
    return Student(network, {"segments": torch.zeros(WIDTH)}, patch_drop)


@pytest.mark.parametrize(("stride", "across", "bands"), [(16, 4, 2), (10, 5, 2)])
def test_each_patch_knows_its_place_along_time(stride: int, across: int, bands: int) -> None:
    outputs = student(stride=stride).eval()(torch.zeros(3, FRAMES, BINS))
    places = outputs["places"]
    assert places.shape == (3, across * bands)
    assert outputs["segments"].shape == (3, across * bands, WIDTH)
    wanted = [(start * stride + 8) / FRAMES for start in range(across)] * bands
    assert places[0].tolist() == pytest.approx(wanted)


def test_a_patch_is_where_its_place_says() -> None:
    """A change at one time changes what the patches of that time embed, and no other."""
    module = student().eval()
    embed = module.network.audio_spectrogram_transformer.embeddings
    plain = torch.zeros(1, FRAMES, BINS)
    changed = plain.clone()
    changed[:, 32:48] = 1.0
    moved = (embed(changed) - embed(plain)).abs().sum(dim=-1)[0, 2:] > 1e-6
    places = module(plain)["places"][0]
    assert moved.tolist() == [32 / 64 < place < 48 / 64 for place in places.tolist()]


def test_kept_patches_keep_their_places() -> None:
    module = student(patch_drop=0.5).train()
    outputs = module(torch.zeros(6, FRAMES, BINS))
    assert outputs["places"].shape == (6, 4)
    assert outputs["segments"].shape == (6, 4, WIDTH)
    assert len({tuple(row) for row in outputs["places"].tolist()}) > 1
    assert not module.network.audio_spectrogram_transformer.embeddings._forward_hooks


def test_each_patch_is_compared_with_its_segment() -> None:
    wanted = torch.randn(2, 4, WIDTH)
    places = torch.tensor([[0.9, 0.1, 0.4], [0.6, 0.6, 0.2]])
    right = torch.stack([wanted[0, [3, 0, 1]], wanted[1, [2, 2, 0]]])
    targets = {"labels": torch.zeros(2, 2), "segments": wanted}
    weights = LossWeights(segments=2.0)

    def loss(segments: torch.Tensor) -> float:
        outputs = {"logits": torch.zeros(2, 2), "places": places, "segments": segments}
        return float(student_losses(outputs, targets, weights)["segments"])

    assert loss(right) == 0
    mean = wanted.flatten(0, 1).mean(dim=0).expand(2, 3, -1)
    spread = (wanted - mean[:1, :1]).square().sum(dim=-1).mean()
    error = (right - mean).square().sum(dim=-1).mean()
    assert loss(mean) == pytest.approx(float(2 * error / spread))
