"""Random crops of one window from clips held in memory, and how often each clip is drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tagger.windows import WindowPlan
from training.augment import change_speed
from training.gtzan import Sound
from training.teacher import Teacher


@dataclass(frozen=True, slots=True)
class Teachers:
    """The teachers that were given; either may be missing."""

    soft_labels: Teacher | None = None
    embeddings: Teacher | None = None

    @property
    def given(self) -> dict[str, Teacher]:
        """Those that are there, by the name of their targets."""
        both = {"soft_labels": self.soft_labels, "embeddings": self.embeddings}
        return {name: teacher for name, teacher in both.items() if teacher is not None}

    @property
    def means(self) -> dict[str, Tensor]:
        """Mean target `(width,)` of each."""
        return {name: torch.from_numpy(teacher.mean()) for name, teacher in self.given.items()}


class CropDataset(Dataset[dict[str, Tensor]]):
    """Item `i` is a new random crop of the `i`-th sound each time, with its targets.

    `waveforms` `(samples,)`; `labels` `(labels,)`, one-hot, all zero without a label; `soft_labels`
    and `embeddings` `(width,)` where there is a teacher. Draws from torch's generator.
    """

    def __init__(
        self,
        sounds: Sequence[Sound],
        labels: Sequence[str],
        plan: WindowPlan,
        teachers: Teachers,
        speed: float = 0.0,
    ) -> None:
        self.sounds = sounds
        self.labels = tuple(labels)
        self.plan = plan
        self.teachers = teachers
        self.speed = speed  # share by which a crop is played faster or slower

    def __len__(self) -> int:
        """Number of sounds."""
        return len(self.sounds)

    def __getitem__(self, item: int) -> dict[str, Tensor]:
        """One crop."""
        sound = self.sounds[item]
        begin, end = self._draw(len(sound.waveform))
        crop = change_speed(sound.waveform[begin:end], self.plan.samples)
        label = [float(name == sound.clip.label) for name in self.labels]
        crops = {"waveforms": torch.from_numpy(crop), "labels": torch.tensor(label)}
        # A clip shorter than the window is heard whole, and repeated.
        whole = sound.seconds * self.plan.rate < self.plan.samples
        times = (0.0, sound.seconds) if whole else (begin / self.plan.rate, end / self.plan.rate)
        for name, teacher in self.teachers.given.items():
            crops[name] = torch.from_numpy(teacher.between(sound.clip.name, *times))
        return crops

    def _draw(self, length: int) -> tuple[int, int]:
        factor = 1 + self.speed * (2 * float(torch.rand(())) - 1)
        taken = min(length, round(self.plan.samples * factor))
        begin = int(torch.randint(length - taken + 1, ()))
        return begin, begin + taken


def draw_weights(sounds: Sequence[Sound], balance: float) -> Tensor:
    """How often each sound is drawn, `(sounds,)`: by its length, and by its label to some degree.

    `balance` is 1 where all labels are drawn as often, and 0 where all seconds are. The sounds
    without a label count as one label more.
    """
    seconds = np.array([sound.seconds for sound in sounds])
    of_label: defaultdict[str, float] = defaultdict(float)
    for sound in sounds:
        of_label[sound.clip.label] += sound.seconds
    by_label = np.array([seconds.sum() / of_label[sound.clip.label] for sound in sounds])
    return torch.from_numpy(seconds * by_label**balance)
