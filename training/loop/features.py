"""What a frozen network makes of each window, computed once and kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm import tqdm

from tagger.models.fbank import Fbank
from tagger.types import FrontEnd
from training.loop.crops import Draws, Material, draw_weights, one_hot

AUGMENTED_PASSES = 2  # random crops beside each window that is heard as it is, if there is a change
BATCH = 16


class FeatureDataset(Dataset[dict[str, Tensor]]):
    """Item n is draw n of a run: a window's pooled output `(hidden,)`, and its label."""

    def __init__(
        self, features: Tensor, sounds: list[int], material: Material, balance: float, seed: int
    ) -> None:
        """`sounds` has the sound of each row of `features`."""
        self.features = features
        self.labels = [one_hot(sound.clip.label, material.labels) for sound in material.sounds]
        self.sounds = sounds
        rows = np.bincount(sounds, minlength=len(material.sounds))
        weights = draw_weights(material.sounds, balance)[sounds] / rows[sounds]
        self.draws = Draws(weights, len(features), seed)
        self.total = len(features)

    def __len__(self) -> int:
        """Number of draws in the run."""
        return self.total

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """One row."""
        row = self.draws[number]
        return {"inputs": self.features[row], "labels": self.labels[self.sounds[row]]}


def all_windows(material: Material, passes: int, seed: int) -> Iterator[tuple[int, Tensor]]:
    """Each sound's index with a window `(samples,)`: all as they are, then random crops.

    `passes` is how many random crops there are to each window.
    """
    samples = material.plan.samples
    for index, sound in enumerate(material.sounds):
        count = 0
        for segment in sound.segments:
            last = len(segment) - samples
            for start in sorted({*range(0, last, samples), last}):
                yield index, torch.from_numpy(np.array(segment[start : start + samples]))
                count += 1
        for number in range(count * passes):
            draw = np.random.default_rng((seed, index, number, 2))
            yield index, material.crop(index, draw)["inputs"]


@torch.inference_mode()
def pooled_outputs(
    network: Any, front_end: FrontEnd, windows: Tensor, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Windows `(n, samples)` to what the head gets, `(n, hidden)`, float32 on the CPU."""
    fbank = Fbank(front_end).to(device)
    features = fbank(windows.to(device))  # (n, frames, mel_bins)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        pooled = network.audio_spectrogram_transformer(input_values=features).pooler_output
    result: Tensor = pooled.float().cpu()
    return result


def compute_features(
    material: Material,
    passes: int,
    seed: int,
    outputs: Callable[[Tensor], Tensor],
    what: str,
) -> tuple[Tensor, list[int]]:
    """Features `(rows, hidden)` of all windows, and the sound of each row."""
    rows: list[Tensor] = []
    sounds: list[int] = []
    waiting: list[Tensor] = []
    total = material.windows * (1 + passes)
    with tqdm(total=total, desc=what, unit="window", disable=None) as bar:
        for index, window in all_windows(material, passes, seed):
            sounds.append(index)
            waiting.append(window)
            if len(waiting) == BATCH:
                rows.append(outputs(torch.stack(waiting)))
                bar.update(len(waiting))
                waiting = []
        if waiting:
            rows.append(outputs(torch.stack(waiting)))
    return torch.cat(rows), sounds


def kept_features(
    path: Path, key: str, compute: Callable[[], tuple[Tensor, list[int]]]
) -> tuple[Tensor, list[int]]:
    """What was computed for the same key before, or computed now and kept in a file."""
    unusable = (OSError, KeyError, safetensors.SafetensorError)
    with suppress(*unusable), safetensors.safe_open(path, "pt") as file:
        if file.metadata()["key"] == key:
            return file.get_tensor("features"), file.get_tensor("sounds").tolist()
    features, sounds = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")  # of several processes each writes its own
    tensors = {"features": features.contiguous(), "sounds": torch.tensor(sounds)}
    safetensors.torch.save_file(tensors, partial, metadata={"key": key})
    partial.replace(path)
    return features, sounds


def digest_of(network: nn.Module) -> str:
    """A digest of the weights."""
    digest = hashlib.sha256()
    for weights in network.state_dict().values():
        digest.update(weights.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def features_key(material: Material, fingerprint: str, *settings: object) -> str:
    """A digest of all that features depend on: the network, the clips as heard, and settings."""
    digest = hashlib.sha256(repr((fingerprint, material.plan, settings)).encode())
    for sound in material.sounds:
        digest.update(str(sound.clip.path).encode("utf-8", "surrogateescape"))
        for segment in sound.segments:
            digest.update(np.ascontiguousarray(segment).data)
    return digest.hexdigest()
