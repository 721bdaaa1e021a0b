"""A bank: features of very many sounds, and what a teacher makes of each.

It is computed once, by `training/bank.py`, and learned from in any number of runs. Its features are
stored in eight bits, so that a hundred thousand windows of 10 s take 6.5 GB: reading them costs
nothing beside a network, while cutting, changing and mixing audio costs more than a small one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from tagger.types import FrontEnd
from training.augment.mixtures import MOST
from training.clips.clip import Clip
from training.errors import TrainingError
from training.loop.crops import Draws
from training.networks.student import unexplained

INDEX = "bank.json"
VERSION = 3
HELD_OUT, HELD_OUT_BATCH = 512, 32  # rows to validate on, at most, and in a batch
LOWEST, RANGE = -16.0, 24.0  # natural logarithms of energies that eight bits stand for: 0.4 dB


def quantised(features: Tensor, front_end: FrontEnd) -> Tensor:
    """AST's features to eight bits, the same shape."""
    logs = features * (2 * front_end.std) + front_end.mean
    return ((logs - LOWEST) * (255 / RANGE)).round().clamp(0, 255).to(torch.uint8)


def dequantised(stored: Tensor, front_end: FrontEnd) -> Tensor:
    """The inverse of `quantised`."""
    scale = 2 * front_end.std
    return stored.float() * (RANGE / 255 / scale) + (LOWEST - front_end.mean) / scale


@dataclass(frozen=True, slots=True)
class BankIndex:
    """What the rows of a bank are."""

    rows: int
    frames: int
    mel_bins: int
    segments: int  # in a row, each with its own targets
    width: int  # of the targets of a row, and of those of a segment
    clips: tuple[tuple[str, str], ...]  # the `identity` of each
    made_by: dict[str, Any]  # what decides the rows: seed, teachers and split

    def words(self) -> str:
        """What the sounds are, for people."""
        unlabelled = sum(not label for label, _ in self.clips)
        others = f" and {unlabelled} without a label" if unlabelled else ""
        teachers = " and ".join(self.made_by["teachers"])
        return f"cut and mixed from these clips{others}; its targets are the outputs of {teachers}"

    def dump(self, folder: Path) -> None:
        """Write it as JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        text = json.dumps({"version": VERSION, **values}, indent=1)
        (folder / INDEX).write_text(text + "\n", encoding="utf-8")


def identity(clip: Clip) -> tuple[str, str]:
    """Label and name of a clip; of one without a label "" and its path."""
    return clip.label, clip.name if clip.label else str(clip.path.resolve())


class Bank:
    """The arrays of a bank, memory-mapped.

    `features` `(rows, frames, mel_bins)`, uint8; `targets` `(rows, width)` and `segments`
    `(rows, segments, width)`, float16, components of the teachers' outputs; `sources`
    `(rows, MOST)`, int32, indexes of the clips in a row; `done` `(rows,)`, whether a row was
    computed. Raises `TrainingError` if there is no bank.
    """

    def __init__(self, folder: Path, *, writable: bool = False) -> None:
        self.folder = folder
        try:
            values = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            if values.pop("version") != VERSION:
                raise ValueError("another version of training/bank.py made it, make it again")
            clips = tuple((str(label), str(name)) for label, name in values.pop("clips"))
            self.index = BankIndex(**values, clips=clips)
            index = self.index
            mode = "r+" if writable else "r"
            self.features = self._open("features.u8", mode, np.uint8, index.frames, index.mel_bins)
            self.targets = self._open("targets.f16", mode, np.float16, index.width)
            self.segments = self._open(
                "segments.f16", mode, np.float16, index.segments, index.width
            )
            self.sources = self._open("sources.i32", mode, np.int32, MOST)
            self.done = self._open("done.u8", mode, np.uint8)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{folder} holds no bank that can be read: {error}") from error

    @classmethod
    def create(cls, folder: Path, index: BankIndex) -> Bank:
        """An empty bank in a folder, or the unfinished one with the same index."""
        folder.mkdir(parents=True, exist_ok=True)
        sizes = {
            "features.u8": index.frames * index.mel_bins,
            "targets.f16": 2 * index.width,
            "segments.f16": 2 * index.segments * index.width,
            "sources.i32": 4 * MOST,
            "done.u8": 1,
        }
        if not (folder / INDEX).exists():
            for name, size in sizes.items():
                with (folder / name).open("wb") as file:
                    allocate(file, index.rows * size)
            index.dump(folder)
        bank = cls(folder, writable=True)
        if bank.index != index:
            raise TrainingError(
                f"{folder} holds a bank of other clips or options: choose another --out"
            )
        return bank

    def _open(self, name: str, mode: Any, dtype: Any, *shape: int) -> NDArray[Any]:
        return np.memmap(self.folder / name, dtype, mode, shape=(self.index.rows, *shape))

    def rows_of(
        self, clips: Collection[tuple[str, str]], *, unlabelled: bool = True
    ) -> NDArray[np.int64]:
        """The rows whose labelled music is all of these clips, each given by label and name.

        Without `unlabelled`, the rows have no other music.
        """
        allowed = [
            (label, name) in clips if label else unlabelled for label, name in self.index.clips
        ]
        of_clip = np.array([*allowed, True])  # -1, no clip, is the last
        ready = np.asarray(self.done) > 0
        return np.flatnonzero(ready & of_clip[self.sources].all(axis=1))

    def single_clip_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The given rows that hold a single clip, a labelled one."""
        labelled = np.array([bool(label) for label, _ in self.index.clips])
        first, others = self.sources[rows, 0], self.sources[rows, 1:]
        return rows[np.flatnonzero(labelled[first] & (others < 0).all(axis=1))]

    def check_finished(self) -> None:
        """Raises `TrainingError` for a bank with rows that were not computed."""
        if left := int((self.done == 0).sum()):
            raise TrainingError(
                f"the bank in {self.folder} is not finished, {left} rows are missing: run "
                "training/bank.py again"
            )


class BankDataset(Dataset[dict[str, Tensor]]):
    """Item n is draw n of a run; each row once an epoch, in a new order."""

    def __init__(self, bank: Bank, rows: NDArray[np.int64], labels: Tensor, seed: int) -> None:
        """`labels` `(rows, labels)` has the probabilities of each row's labels."""
        self.bank = bank
        self.rows = rows
        self.labels = labels
        self.draws = Draws(np.ones(len(rows)), len(rows), seed)
        self.total = len(rows)

    def __len__(self) -> int:
        """Number of draws in the run."""
        return self.total

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Stored features `(frames, mel_bins)` as `inputs`, and the targets of the row.

        `embeddings` `(width,)` and `segments` `(segments, width)`.
        """
        drawn = self.draws[number]
        row = int(self.rows[drawn])
        return {
            "inputs": torch.from_numpy(np.array(self.bank.features[row])),
            "labels": self.labels[drawn],
            "embeddings": torch.from_numpy(self.bank.targets[row].astype(np.float32)),
            "segments": torch.from_numpy(self.bank.segments[row].astype(np.float32)),
        }

    @property
    def means(self) -> dict[str, Tensor]:
        """Mean targets of the teachers' heads."""
        index = self.bank.index
        return {
            "embeddings": torch.zeros(index.width),
            "segments": torch.zeros(index.width),
        }


class HeldOutRows:
    """Rows made only of held-out clips, to measure how well a student predicts their targets."""

    def __init__(self, bank: Bank, rows: NDArray[np.int64], front_end: FrontEnd) -> None:
        self.features = torch.from_numpy(bank.features[rows])
        self.targets = torch.from_numpy(bank.targets[rows].astype(np.float32))  # (rows, width)
        self.front_end = front_end

    @torch.inference_mode()
    def explained(self, student: nn.Module, device: torch.device) -> float:
        """Explained share of the variance of the targets (R2)."""
        outputs = torch.cat(
            [
                student(dequantised(some.to(device), self.front_end))["embeddings"].mean(dim=1)
                for some in torch.split(self.features, HELD_OUT_BATCH)
            ]
        )  # (rows, width)
        return 1 - float(unexplained(outputs.cpu(), self.targets, self.targets))


def allocate(file: BinaryIO, size: int) -> None:
    """Give a file its size. Raises `OSError` if the disk is too small for it.

    With `truncate` alone, a write to the mapped file would later kill the process on a full disk.
    """
    if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def blocks(bank: Bank, size: int, worker: int, workers: int) -> Iterator[range]:
    """The rows that a worker still has to compute, in blocks."""
    for start in range(worker * size, bank.index.rows, workers * size):
        block = range(start, min(start + size, bank.index.rows))
        if not bank.done[block.start : block.stop].all():
            yield block
