"""The outputs of a frozen network for each window, computed once and stored in a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from tagger.models.fbank import Fbank
from tagger.types import FrontEnd
from training.clips.decode import DecodedClip, Samples
from training.console import progress
from training.loop.crops import CropSource, Draws, draw_weights, one_hot
from training.loop.waveforms import PIECE, play
from training.memory import Memory

AUGMENTED_PASSES = 2  # with augmentation: random crops for each unchanged window
BATCH = 16

Outputs = Callable[[Tensor], Tensor]  # windows `(n, samples)` to features `(n, hidden)`


class FeatureDataset(Dataset[dict[str, Tensor]]):
    """Item n is draw n of a run: a window's pooled output `(hidden,)`, and its label."""

    def __init__(
        self, features: Tensor, owners: list[int], source: CropSource, balance: float, seed: int
    ) -> None:
        """`owners` has the clip of each row of `features`."""
        self.features = features
        self.labels = [one_hot(decoded.clip.label, source.labels) for decoded in source.clips]
        self.owners = owners
        rows = np.bincount(owners, minlength=len(source.clips))
        weights = draw_weights(source.clips, balance)[owners] / rows[owners]
        self.draws = Draws(weights, len(features), seed)
        self.total = len(features)

    def __len__(self) -> int:
        """Number of draws in the run."""
        return self.total

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """One row."""
        row = self.draws[number]
        return {"inputs": self.features[row], "labels": self.labels[self.owners[row]]}


def all_windows(
    source: CropSource, passes: int, seed: int
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Each clip's index with a `CropSource.piece`: all unchanged windows, then random crops.

    `passes` is the number of random crops for each window.
    """
    samples = source.plan.samples
    for index, decoded in enumerate(source.clips):
        for segment in decoded.segments:
            for start in _starts(segment, samples):
                yield index, source.piece(segment[start : start + samples], decoded.scale)
        for number in range(_count(decoded, samples) * passes):
            draw = np.random.default_rng((seed, index, number, 2))
            crop = source.crop(index, draw)
            yield index, {name: crop[name] for name in PIECE}


def _starts(segment: Samples, samples: int) -> list[int]:
    """First samples of the windows that cover a segment; the last one ends with it."""
    last = len(segment) - samples
    return sorted({*range(0, last, samples), last})


def _count(decoded: DecodedClip, samples: int) -> int:
    return sum(len(_starts(segment, samples)) for segment in decoded.segments)


@torch.inference_mode()
def pooled_outputs(
    network: Any, front_end: FrontEnd, windows: Tensor, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Windows `(n, samples)` to the input of the head, `(n, hidden)`, float32 on the CPU."""
    fbank = Fbank(front_end).to(device)
    features = fbank(windows.to(device))  # (n, frames, mel_bins)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        pooled = network.audio_spectrogram_transformer(input_values=features).pooler_output
    result: Tensor = pooled.float().cpu()
    return result


def compute_features(
    source: CropSource, passes: int, seed: int, outputs: Outputs, what: str
) -> tuple[Tensor, list[int]]:
    """Features `(rows, hidden)` of all windows, and the index of each row's clip."""
    rows: list[Tensor] = []
    owners: list[int] = []
    total = sum(_count(decoded, source.plan.samples) for decoded in source.clips) * (1 + passes)
    windows = all_windows(source, passes, seed)
    with progress(total, what, "windows") as shown:
        while batch := list(islice(windows, BATCH)):
            owners += [index for index, _ in batch]
            pieces = default_collate([piece for _, piece in batch])
            rows.append(outputs(play(**pieces, samples=source.plan.samples)))
            shown.advance(len(batch))
    return torch.cat(rows), owners


def features_of(windows: Tensor, outputs: Outputs, what: str) -> Tensor:
    """Features `(n, hidden)` of windows `(n, samples)`."""
    rows = []
    with progress(len(windows), what, "windows") as shown:
        for batch in torch.split(windows, BATCH):
            rows.append(outputs(batch))
            shown.advance(len(batch))
    return torch.cat(rows)


def in_parts(memory: Memory, compute: Callable[[Tensor], Tensor]) -> Outputs:
    """`compute` for as many windows at once as memory suffices for."""

    def again(count: int) -> str:
        return f"again with {count} windows at once, as with a smaller --batch-size"

    def outputs(windows: Tensor) -> Tensor:
        return memory.run(
            lambda count: torch.cat([compute(part) for part in torch.split(windows, count)]), again
        )

    return outputs


def kept_features(
    path: Path, key: str, compute: Callable[[], tuple[Tensor, list[int]]]
) -> tuple[Tensor, list[int]]:
    """The features stored in a file under this key; computed and stored first if there are none."""
    unusable = (OSError, KeyError, safetensors.SafetensorError)
    with suppress(*unusable), safetensors.safe_open(path, "pt") as file:
        if file.metadata()["key"] == key:
            return file.get_tensor("features"), file.get_tensor("sounds").tolist()
    features, owners = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")  # each process writes its own
    tensors = {"features": features.contiguous(), "sounds": torch.tensor(owners)}
    safetensors.torch.save_file(tensors, partial, metadata={"key": key})
    partial.replace(path)
    return features, owners


def digest_of(network: nn.Module) -> str:
    """A digest of the weights."""
    digest = hashlib.sha256()
    for weights in network.state_dict().values():
        digest.update(weights.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def features_key(source: CropSource, fingerprint: str, *settings: object) -> str:
    """A digest of everything that affects features: the network, the decoded clips, settings."""
    digest = hashlib.sha256(repr((fingerprint, source.plan, settings)).encode())
    for decoded in source.clips:
        digest.update(str(decoded.clip.path).encode("utf-8", "surrogateescape"))
        digest.update(repr(decoded.scale).encode())
        for segment in decoded.segments:
            digest.update(np.ascontiguousarray(segment[:]).data)
    return digest.hexdigest()


def windows_key(windows: Tensor, fingerprint: str) -> str:
    """A digest of windows and of the network that computes their features in float32."""
    digest = hashlib.sha256(repr((fingerprint, windows.shape)).encode())
    digest.update(windows.contiguous().numpy().data)
    return digest.hexdigest()
