"""The training loop: transformers' Trainer with this project's crops, augmentation and loss."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import WeightedRandomSampler
from transformers import (
    ASTForAudioClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from tagger.fbank import Fbank
from tagger.model import DEFAULT_MODEL, choose_device, choose_precision
from tagger.types import FrontEnd
from training.augment import Augmentation, FeatureAugmenter
from training.crops import CropDataset, draw_weights
from training.student import LossWeights, Student, WeightAverage, student_losses


@dataclass(frozen=True, slots=True)
class FinetuneOptions:
    """Everything that decides how a run turns out."""

    data: Path
    out: Path
    split: str = "filtered"
    model: str = DEFAULT_MODEL  # trained further, all layers
    scratch: str | None = None  # or a new network of this shape
    epochs: float = 60.0  # one epoch draws as many windows as the clips hold
    steps: int | None = None  # instead of epochs
    batch_size: int = 32
    learning_rate: float | None = None  # by default what suits a new or a trained network
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

    @property
    def peak_learning_rate(self) -> float:
        """What was asked for; else little for trained weights, which would be lost by more."""
        return self.learning_rate or (1e-4 if self.scratch is None else 1e-3)


class DistillTrainer(Trainer):
    """Computes features, augments them, and compares the outputs with labels and teachers."""

    def __init__(
        self,
        student: Student,
        arguments: TrainingArguments,
        crops: CropDataset,
        front_end: FrontEnd,
        options: FinetuneOptions,
    ) -> None:
        super().__init__(model=student, args=arguments, train_dataset=crops)
        self.options = options
        self.fbank = Fbank(front_end).to(arguments.device)
        self.augmenter = FeatureAugmenter(options.augmentation, front_end)
        self.losses: list[dict[str, Tensor]] = []  # of the steps since the last report

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Report the mean of each loss beside what the Trainer reports."""
        for name in self.losses[0] if self.losses else ():
            logs[f"loss_{name}"] = float(torch.stack([of[name] for of in self.losses]).mean())
        self.losses.clear()
        super().log(logs, start_time)

    def _get_train_sampler(self, train_dataset: Any = None) -> WeightedRandomSampler:
        crops = self.train_dataset
        weights = draw_weights(crops.sounds, self.options.balance)
        return WeightedRandomSampler(weights.tolist(), windows_per_epoch(crops))

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
        losses = student_losses(outputs, mixed, self.options.losses)
        self.losses.append({name: loss.detach() for name, loss in losses.items()})
        loss = torch.stack(list(losses.values())).sum()
        return (loss, outputs) if return_outputs else loss


class Averaging(TrainerCallback):
    """Updates the average of the weights after each step."""

    def __init__(self, average: WeightAverage, student: Student) -> None:
        self.average = average
        self.student = student

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """One step is done."""
        self.average.update(self.student.network)


class Progress(TrainerCallback):
    """Tells the loss, and about how long it will take, at the Trainer's logging steps."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.begin = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """The Trainer logged something."""
        logged = rest.get("logs") or {}
        losses = {name: float(of) for name, of in logged.items() if name.startswith("loss")}
        if losses:
            passed = time.monotonic() - self.begin
            left = passed * (state.max_steps / state.global_step - 1)
            self.say(
                f"step {state.global_step}/{state.max_steps}  "
                + "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
                + f"  {passed / 60:.1f} min, {left / 60:.1f} to go"
            )


def windows_per_epoch(crops: CropDataset) -> int:
    """As many crops as whole windows fit into all sounds, end to end; at least one for each."""
    seconds = sum(sound.seconds for sound in crops.sounds)
    return max(len(crops), round(seconds * crops.plan.rate / crops.plan.samples))


def training_arguments(options: FinetuneOptions, scratch_folder: str) -> TrainingArguments:
    """The Trainer's part of the options: it writes no checkpoint, and reports to us alone."""
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    return TrainingArguments(
        output_dir=scratch_folder,
        per_device_train_batch_size=options.batch_size,
        num_train_epochs=options.epochs,
        max_steps=options.steps or -1,
        learning_rate=options.peak_learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=options.warmup,
        weight_decay=options.weight_decay,
        max_grad_norm=1.0,
        bf16=precision == torch.bfloat16,
        fp16=precision == torch.float16,
        use_cpu=device.type == "cpu",
        seed=options.seed,
        logging_steps=20,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=device.type == "cuda",
    )


def train_student(
    network: ASTForAudioClassification,
    crops: CropDataset,
    front_end: FrontEnd,
    options: FinetuneOptions,
    say: Callable[[str], None],
) -> ASTForAudioClassification:
    """Train a network on crops; returns the average of its weights over the run, in float32.

    The number of steps is fixed beforehand and nothing is chosen on the way, so that the validation
    part stays unseen.
    """
    average = WeightAverage(network, options.average)
    student = Student(network, crops.teachers.means, options.augmentation.patch_drop)
    with tempfile.TemporaryDirectory() as folder:
        trainer = DistillTrainer(
            student, training_arguments(options, folder), crops, front_end, options
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Averaging(average, student))
        trainer.add_callback(Progress(say))
        trainer.train()
    return average.network
