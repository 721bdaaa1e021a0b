"""The crops of a training run, each determined by its number, and how often a clip is drawn.

Crop n of a run is the same in any process, at any time. So a killed run resumes with the same crops
as without the kill, several processes can share one run, and the seed decides everything.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tagger.audio.windows import WindowPlan
from training.augment.waveforms import WaveformAugmenter
from training.clips.decode import DecodedClip
from training.loop.teachers import Teacher


@dataclass(frozen=True, slots=True)
class Teachers:
    """The teachers of a run; either may be missing."""

    soft_labels: Teacher | None = None
    embeddings: Teacher | None = None

    @property
    def given(self) -> dict[str, Teacher]:
        """The teachers of the run, by the name of their targets."""
        both = {"soft_labels": self.soft_labels, "embeddings": self.embeddings}
        return {name: teacher for name, teacher in both.items() if teacher is not None}

    @property
    def means(self) -> dict[str, Tensor]:
        """Mean target `(width,)` of each teacher."""
        return {name: torch.from_numpy(teacher.mean()) for name, teacher in self.given.items()}


class Draws:
    """The item of each draw: draw n of a run is `draws[n]`.

    In every epoch an item is drawn in proportion to its weight, rounded up or down at random
    (systematic sampling), in a new order.
    """

    def __init__(self, weights: NDArray[np.float64], per_epoch: int, seed: int) -> None:
        self.edges = np.cumsum(weights / weights.sum())
        self.per_epoch = per_epoch
        self.seed = seed
        self._epoch = -1
        self._order = np.zeros(0, np.int64)

    def __getitem__(self, number: int) -> int:
        """The item of one draw."""
        epoch, place = divmod(number, self.per_epoch)
        if epoch != self._epoch:
            draw = np.random.default_rng((self.seed, epoch))
            points = (np.arange(self.per_epoch) + draw.random()) / self.per_epoch
            order = np.searchsorted(self.edges, points).clip(max=len(self.edges) - 1)
            draw.shuffle(order)
            self._epoch, self._order = epoch, order
        return int(self._order[place])


@dataclass(frozen=True, slots=True)
class CropSource:
    """The clips that crops are cut from, and how crops are changed."""

    clips: Sequence[DecodedClip]
    labels: tuple[str, ...]
    plan: WindowPlan
    teachers: Teachers = field(default_factory=Teachers)
    augmenter: WaveformAugmenter | None = None
    speed: float = 0.0  # share by which a crop is played faster or slower

    @property
    def windows(self) -> int:
        """How many windows the clips hold in all, at least one each."""
        seconds = sum(decoded.kept_seconds for decoded in self.clips)
        return max(len(self.clips), round(seconds * self.plan.rate / self.plan.samples))

    @property
    def longest(self) -> int:
        """The samples of a crop before its speed is changed; one more than are ever taken."""
        samples = self.plan.samples
        return math.floor(samples * (1 + self.speed)) + 2 if self.speed else samples

    def piece(self, samples: NDArray[Any], scale: float = 1.0) -> dict[str, Tensor]:
        """The arguments of `waveforms.play` for one crop of `(taken,)`, at most `longest`."""
        inputs = np.zeros(self.longest, samples.dtype)
        inputs[: len(samples)] = samples
        return {
            "inputs": torch.from_numpy(inputs),
            "taken": torch.tensor(len(samples)),
            "scale": torch.tensor(scale),
        }

    def crop(self, index: int, draw: np.random.Generator) -> dict[str, Tensor]:
        """A random window of one clip, as a `piece`, with its targets.

        `labels` `(labels,)`, one-hot, all zero without a label; `soft_labels` and `embeddings`
        `(width,)` where there is a teacher.
        """
        decoded = self.clips[index]
        lengths = np.array([len(segment) for segment in decoded.segments])
        chosen = int(draw.choice(len(lengths), p=lengths / lengths.sum()))
        segment = decoded.segments[chosen]
        samples = self.plan.samples
        factor = 1 + self.speed * (2 * draw.random() - 1)
        taken = min(len(segment), round(samples * factor))
        begin = int(draw.integers(len(segment) - taken + 1))
        if self.augmenter is None:
            crop = self.piece(segment[begin : begin + taken], decoded.scale)
        else:
            source = segment[begin : begin + self.augmenter.needed(taken)]
            floats = source.astype(np.float32) * np.float32(decoded.scale)
            crop = self.piece(self.augmenter(floats, taken, draw))
        crop["labels"] = one_hot(decoded.clip.label, self.labels)
        # A clip shorter than the window is repeated in it. A changed tempo shifts the crop by less
        # than a window: the teacher's targets stay those of the unchanged crop.
        whole = decoded.seconds * self.plan.rate < samples
        start = decoded.starts[chosen] + begin / self.plan.rate
        times = (0.0, decoded.seconds) if whole else (start, start + taken / self.plan.rate)
        for name, teacher in self.teachers.given.items():
            crop[name] = torch.from_numpy(teacher.between(decoded.clip.name, *times))
        return crop


class CropDataset(Dataset[dict[str, Tensor]]):
    """Item n is crop n of the run; there are `total`."""

    def __init__(self, source: CropSource, balance: float, seed: int, total: int) -> None:
        self.source = source
        self.seed = seed
        self.total = total
        weights = draw_weights(source.clips, balance)
        self.draws = Draws(weights, source.windows, seed)

    def __len__(self) -> int:
        """Number of crops."""
        return self.total

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """One crop."""
        return self.source.crop(self.draws[number], np.random.default_rng((self.seed, number, 1)))


def one_hot(label: str, labels: Sequence[str]) -> Tensor:
    """`(labels,)`: 1 at the label; all zero for a label that is not among them."""
    return torch.tensor([float(name == label) for name in labels])


def draw_weights(clips: Sequence[DecodedClip], balance: float) -> NDArray[np.float64]:
    """How often each clip is drawn, `(clips,)`: by its kept seconds, and by its label.

    With a `balance` of 1, all labels are drawn equally often; with 0, all seconds. Clips without a
    label count as one more label.
    """
    seconds = np.array([decoded.kept_seconds for decoded in clips])
    of_label: defaultdict[str, float] = defaultdict(float)
    for decoded in clips:
        of_label[decoded.clip.label] += decoded.kept_seconds
    by_label = np.array([seconds.sum() / of_label[decoded.clip.label] for decoded in clips])
    weights: NDArray[np.float64] = seconds * by_label**balance
    return weights
