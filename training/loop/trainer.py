"""The training loop: transformers' Trainer with this project's crops, augmentation and loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss
from torch.utils.data import Dataset, SequentialSampler
from torch.utils.tensorboard import SummaryWriter
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerControl,
    TrainingArguments,
)
from transformers.integrations import TensorBoardCallback

from tagger.models.fbank import Fbank
from tagger.types import FrontEnd
from training.augment.features import FeatureAugmenter
from training.loop.callbacks import Rhythm
from training.loop.plan import AVERAGE, Judged, Loop, Trained, Watch
from training.networks.optimizer import make_optimizer
from training.networks.student import LossWeights, WeightAverage, student_losses

WHOLE = ("model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")
CROPPERS = 4  # processes that cut crops for a GPU; a crop is the same whoever cuts it
PATIENCE = 6 * 3600  # s that processes wait for the first one, which judges between two trainings


class RunTrainer(Trainer):
    """Computes features, augments them, and compares the outputs with labels and teachers."""

    def __init__(
        self, student: nn.Module, crops: Dataset[Any], judged: Judged | None, loop: Loop
    ) -> None:
        super().__init__(model=student, args=training_arguments(loop), train_dataset=crops)
        self.control: TrainerControl
        self.loop = loop
        self.judged = judged
        self.average = WeightAverage(student, loop.method.average)
        self.average.module.to(self.args.device)
        self.prepare_features: Callable[[Tensor], Tensor] = lambda features: features
        self.augmenter: FeatureAugmenter | None = None
        self.losses: list[dict[str, Tensor]] = []  # of the steps since the last report

    def hear(self, front_end: FrontEnd, augmenter: FeatureAugmenter) -> None:
        """Take waveforms instead of features that are ready."""
        self.prepare_features = Fbank(front_end).to(self.args.device)
        self.augmenter = augmenter

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW, or Muon beside it."""
        method = self.loop.method
        self.optimizer: torch.optim.Optimizer = make_optimizer(
            self.model, method.learning_rate, method.weight_decay, muon=method.muon
        )
        return self.optimizer

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Report the mean of each loss beside what the Trainer reports."""
        for name in self.losses[0] if self.losses else ():
            logs[f"loss_{name}"] = float(torch.stack([of[name] for of in self.losses]).mean())
        self.losses.clear()
        super().log(logs, start_time)

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        # A crop's number decides everything about it, its place in the order included.
        return SequentialSampler(self.train_dataset)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The loss of one batch."""
        targets = dict(inputs)
        features = targets.pop("inputs")
        with torch.no_grad(), torch.autocast(self.args.device.type, enabled=False):
            features = self.prepare_features(
                features
            )  # (batch, frames, mel_bins) or (batch, hidden)
            if self.augmenter is not None:
                features = self.augmenter.colour(features)
                features, other, share = self.augmenter.mix(features)
                features = self.augmenter.mask(features)
                targets = {of: share * x + (1 - share) * x[other] for of, x in targets.items()}
        outputs = model(features)
        losses = student_losses(outputs, targets, LossWeights())
        self.losses.append({name: loss.detach() for name, loss in losses.items()})
        loss = torch.stack(list(losses.values())).sum()
        return (loss, outputs) if return_outputs else loss

    @torch.inference_mode()
    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Judge the averaged weights: each clip by the mean probability over its windows."""
        judged = self.judged
        if judged is None:
            raise ValueError("there is nothing to judge by")
        scores = []
        for inputs in torch.split(judged.inputs, self.args.eval_batch_size):
            features = self.prepare_features(inputs.to(self.args.device))
            scores.append(self.average.module(features)["logits"].softmax(dim=-1).cpu())
        every = torch.cat(scores)  # (windows, labels)
        clips = len(judged.truth)
        sums = torch.zeros(clips, every.shape[1]).index_add_(0, judged.clips, every)
        means = sums / judged.clips.bincount(minlength=clips)[:, None]  # (clips, labels)
        right = (means.argmax(dim=-1) == judged.truth).float()
        recalls = [right[judged.truth == label].mean() for label in torch.unique(judged.truth)]
        metrics = {
            "eval_loss": float(nll_loss(means.clamp_min(1e-9).log(), judged.truth)),
            "eval_accuracy": float(right.mean()),
            "eval_balanced_accuracy": float(torch.stack(recalls).mean()),
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


def training_arguments(loop: Loop) -> TrainingArguments:
    """The Trainer's part of the options. `Rhythm` says when it reports, is judged and saves."""
    never = 10**9
    method = loop.method
    arguments = TrainingArguments(
        output_dir=str(loop.folder),
        per_device_train_batch_size=loop.batch,
        per_device_eval_batch_size=loop.batch,
        max_steps=loop.steps,
        learning_rate=method.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=method.warmup,
        weight_decay=method.weight_decay,
        max_grad_norm=1.0,
        bf16=loop.precision == torch.bfloat16,
        fp16=loop.precision == torch.float16,
        use_cpu=loop.device.type == "cpu",
        seed=loop.seed,
        logging_steps=never,
        save_strategy="steps",
        save_steps=never,
        save_total_limit=2,
        metric_for_best_model="accuracy",
        greater_is_better=True,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=loop.device.type == "cuda",
        dataloader_num_workers=CROPPERS if loop.device.type == "cuda" else 0,
        ddp_find_unused_parameters=False,
        ddp_timeout=PATIENCE,
    )
    # Of several GPUs that one process sees it uses one: the Trainer would spread batches over all
    # of them (DataParallel), and run out of crops. torchrun starts a process for each.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def train(
    student: nn.Module,
    crops: Dataset[Any],
    judged: Judged | None,
    loop: Loop,
    hears: tuple[FrontEnd, FeatureAugmenter] | None,
    say: Callable[[str], None],
    watch: Watch | None = None,
) -> Trained:
    """Train a student, from the run's last whole checkpoint if it has one.

    `hears` is how waveforms become features; None where the inputs are features already. A run
    that is watched writes no checkpoints.
    """
    trainer = RunTrainer(student, crops, judged, loop)
    if hears is not None:
        trainer.hear(*hears)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Rhythm(loop, trainer.average, say, watch, validates=judged is not None))
    if trainer.is_world_process_zero():
        # Its own default names the folder after the machine.
        writer = SummaryWriter(str(loop.folder / "tensorboard"))
        trainer.add_callback(TensorBoardCallback(writer))
    last = last_checkpoint(loop.folder)
    if last is not None:
        say(f"going on from step {last.name.rpartition('-')[2]}")
        trainer.average.load(last / AVERAGE)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    steps, best = trainer.state.global_step, trainer.state.best_global_step
    if loop.keep == "best" and best and best != steps:
        steps = best
        trainer.average.load(loop.folder / f"checkpoint-{best}" / AVERAGE)
    return Trained(trainer.average.module.cpu(), steps, history(trainer.state.log_history, loop))


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run that was written to its end."""
    found = [path.parent for path in folder.glob(f"checkpoint-*/{AVERAGE}")]
    # A kill while an old one was being deleted may have left any of its files.
    whole = [path for path in found if all((path / name).exists() for name in WHOLE)]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def history(logs: list[dict[str, float]], loop: Loop) -> list[dict[str, float]]:
    """A row for each judgement: epoch, mean training loss since the last one, and the scores."""
    rows: list[dict[str, float]] = []
    losses: list[float] = []
    for log in logs:
        if "loss" in log:
            losses.append(log["loss"])
        if "eval_loss" in log:
            row = {"epoch": log["step"] / loop.epoch_steps, "step": log["step"]}
            if losses:
                row["train_loss"] = sum(losses) / len(losses)
            scores = ("loss", "accuracy", "balanced_accuracy")
            rows.append(row | {f"valid_{name}": log[f"eval_{name}"] for name in scores})
            losses = []
    return rows
