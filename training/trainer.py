"""The training loop: transformers' Trainer with this project's crops, augmentation and loss."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import WeightedRandomSampler
from transformers import ASTForAudioClassification, Trainer, TrainerCallback, TrainingArguments, set_seed

from tagger.fbank import Fbank
from tagger.model import choose_device, choose_precision
from tagger.types import FrontEnd
from training.augment import Augmentation, FeatureAugmenter
from training.crops import CropDataset, draw_weights
from training.student import LossWeights, Student, WeightAverage, student_loss


@dataclass(frozen=True, slots=True)
class FinetuneOptions:
    """Everything that decides how a run turns out."""

    data: Path
    out: Path
    split: str = "filtered"
    model: str | None = None  # trained further, all layers; else `scratch`
    scratch: str = "small"
    epochs: float = 60.0  # one epoch draws as many windows as the clips hold
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of the steps
    average: float = 0.998  # decay of the average of the weights, per step
    balance: float = 0.7
    seed: int = 0
    soft_labels: tuple[Path, ...] = ()
    embeddings: tuple[Path, ...] = ()
    unlabelled: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    augmentation: Augmentation = field(default_factory=Augmentation)
    losses: LossWeights = field(default_factory=LossWeights)


class DistillTrainer(Trainer):
    """Computes features, augments them, and compares the outputs with labels and teachers."""

    def __init__(
        self,
        *,
        student: Student,
        crops: CropDataset,
        options: FinetuneOptions,
        front_end: FrontEnd,
        arguments: TrainingArguments,
    ) -> None:
        self.options = options
        self.fbank = Fbank(front_end)
        self.augmenter = FeatureAugmenter(options.augmentation, front_end)
        self.average = WeightAverage(student.network, options.average)
        average = self.average

        class Averaging(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
                average.update(student.network)

        super().__init__(
            model=student, args=arguments, train_dataset=crops, callbacks=[Averaging()]
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> WeightedRandomSampler:
        crops: CropDataset = self.train_dataset
        seconds = sum(sound.seconds for sound in crops.sounds)
        windows = max(self.options.batch_size, round(seconds * crops.plan.rate / crops.plan.samples))
        return WeightedRandomSampler(draw_weights(crops.sounds, self.options.balance), windows)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The loss of one batch of crops, augmented."""
        targets = dict(inputs)
        with torch.no_grad(), torch.autocast(self.args.device.type, enabled=False):
            features = self.fbank(targets.pop("waveforms"))  # (batch, frames, mel_bins)
            features = self.augmenter.colour(features)
            features, other, share = self.augmenter.mix(features)
            features = self.augmenter.mask(features)
        mixed = {name: share * of + (1 - share) * of[other] for name, of in targets.items()}
        outputs = model(features)
        loss = student_loss(outputs, mixed, self.options.losses)
        return (loss, outputs) if return_outputs else loss


