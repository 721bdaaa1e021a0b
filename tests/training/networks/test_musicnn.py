"""musicnn's outputs, against the plain form of its layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.teachers import write_musicnn
from torch import Tensor
from torch.nn.functional import conv2d, pad, relu

from training.errors import TrainingError
from training.networks.musicnn import EPSILON, PATCH_FRAMES, Musicnn, MusicnnTeacher

Weights = dict[str, Tensor]


def norm(values: Tensor, weights: Weights, number: int) -> Tensor:
    """A batch norm on `(..., channels)`."""
    name = f"batch_normalization_{number}" if number else "batch_normalization"
    centred = values - weights[f"{name}.moving_mean"]
    deviation = (weights[f"{name}.moving_variance"] + EPSILON).sqrt()
    return centred / deviation * weights[f"{name}.gamma"] + weights[f"{name}.beta"]


def convolved(values: Tensor, weights: Weights, number: int, padding: tuple[int, int]) -> Tensor:
    """`(time, bins)` to ReLU and norm of a convolution, `(time, places, channels)`."""
    name = f"conv2d_{number}" if number else "conv2d"
    kernel = weights[f"{name}.kernel"].permute(3, 2, 0, 1)
    padded = pad(values, (0, 0, *padding))
    result = conv2d(padded[None, None], kernel, weights[f"{name}.bias"])[0]
    return norm(relu(result.permute(1, 2, 0)), weights, number + 1)


def plain(features: Tensor, weights: Weights) -> tuple[Tensor, Tensor, Tensor]:
    """Embedding `(200,)`, tags `(50,)` and channels `(187, 753)` of one patch `(187, 96)`."""
    first = norm(features[..., None], weights, 0)[..., 0]
    paddings = [(3, 3), (3, 3), (63, 64), (31, 32), (15, 16)]
    maxima = [
        convolved(first, weights, number, padding).amax(dim=1)
        for number, padding in enumerate(paddings)
    ]
    layers = [torch.cat(maxima, dim=1)]
    for number in (5, 6, 7):
        hidden = convolved(layers[-1], weights, number, (3, 3))[:, 0]
        layers.append(hidden + layers[-1] if number > 5 else hidden)
    joined = torch.cat(layers, dim=1)
    pooled = torch.stack([joined.amax(dim=0), joined.mean(dim=0)], dim=1).flatten()
    hidden = norm(pooled, weights, 9) @ weights["dense.kernel"] + weights["dense.bias"]
    embedding = norm(relu(hidden), weights, 10)
    tags = (embedding @ weights["dense_1.kernel"] + weights["dense_1.bias"]).sigmoid()
    return embedding, tags, joined


def test_a_patch_gives_what_the_plain_layers_give(tmp_path: Path) -> None:
    path = write_musicnn(tmp_path / "musicnn.npz", seed=1)
    with np.load(path) as stored:
        weights = {name: torch.from_numpy(stored[name]) for name in stored.files}
    features = torch.rand(2, PATCH_FRAMES, 96, generator=torch.Generator().manual_seed(2)) * 4

    embeddings, tags, channels = Musicnn(path, torch.float32)(features)

    assert embeddings.shape == (2, 1, 200)
    for index in range(2):
        embedding, probabilities, joined = plain(features[index], weights)
        torch.testing.assert_close(embeddings[index, 0], embedding, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(tags[index, 0], probabilities, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(channels[index], joined, rtol=1e-3, atol=1e-3)


def test_patches_cover_a_longer_input(tmp_path: Path) -> None:
    musicnn = Musicnn(write_musicnn(tmp_path / "musicnn.npz", seed=1), torch.float32)
    features = torch.rand(1, 641, 96) * 4
    embeddings, _, _ = musicnn(features)
    assert embeddings.shape == (1, 6, 200)
    # The last patch ends with the input: far from its start, it is as if it were alone.
    alone, _, _ = musicnn(features[:, -PATCH_FRAMES - 200 :])
    torch.testing.assert_close(embeddings[0, -1], alone[0, -1], rtol=1e-3, atol=1e-3)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, something=np.zeros(3))
    with pytest.raises(TrainingError, match="does not hold musicnn's weights"):
        Musicnn(path)


def test_segments_are_means_of_weighted_channels(tmp_path: Path) -> None:
    path = write_musicnn(tmp_path / "musicnn.npz", seed=1)
    teacher = MusicnnTeacher(path)
    teacher.network = Musicnn(path, torch.float32)
    steps, seconds = 20, 6.4
    draw = torch.Generator().manual_seed(3)
    waveforms = torch.randn(2, round(seconds * 16_000), generator=draw) * 0.1
    outputs = teacher(waveforms, steps)
    assert outputs.whole.shape == (2, 450)
    assert outputs.segments.shape == (2, steps, 753)
    # 401 frames, 16 ms apart: the third of 20 segments has those from 40.1 to 60.15.
    _, _, channels = teacher.network(teacher._fbank(waveforms.shape[1])(waveforms))
    assert channels.shape[1] == 401
    wanted = channels[:, 40:61].mean(dim=1) * teacher.network.weight_of_channels
    torch.testing.assert_close(outputs.segments[:, 2], wanted)
