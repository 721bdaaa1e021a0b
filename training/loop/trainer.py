"""The training loop: transformers' Trainer with this project's crops, augmentation and loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import nll_loss
from torch.utils.data import SequentialSampler
from torch.utils.tensorboard import SummaryWriter
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerControl,
    TrainingArguments,
)
from transformers.integrations import TensorBoardCallback

from tagger.models.fbank import Fbank
from training.augment.features import FeatureAugmenter
from training.loop.callbacks import RunCallback
from training.loop.plan import AVERAGE, LoopSettings, ShouldStop, Task, TrainingResult
from training.networks.optimizer import make_optimizer
from training.networks.student import LossWeights, WeightAverage, student_losses

CHECKPOINT = ("model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")
CROP_WORKERS = 4  # processes that cut crops for a GPU; a crop is the same in any process
PATIENCE = 6 * 3600  # s that processes wait while the first one evaluates between trainings


class RunTrainer(Trainer):
    """Computes features, augments them, and compares the outputs with labels and teachers."""

    def __init__(self, task: Task, settings: LoopSettings) -> None:
        super().__init__(
            model=task.student, args=training_arguments(settings), train_dataset=task.crops
        )
        self.control: TrainerControl
        self.settings = settings
        self.validation = task.validation
        self.average = WeightAverage(task.student, settings.method.average)
        self.average.module.to(self.args.device)
        self.prepare_features: Callable[[Tensor], Tensor] = lambda features: features
        self.augmenter: FeatureAugmenter | None = None
        if task.features_from is not None:
            front_end, self.augmenter = task.features_from
            self.prepare_features = Fbank(front_end).to(self.args.device)
        self.losses: list[dict[str, Tensor]] = []  # of the steps since the last log

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW, or Muon with AdamW."""
        method = self.settings.method
        self.optimizer: torch.optim.Optimizer = make_optimizer(
            self.model, method.learning_rate, method.weight_decay, muon=method.muon
        )
        return self.optimizer

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the mean of each loss beside what the Trainer logs."""
        for name in self.losses[0] if self.losses else ():
            logs[f"loss_{name}"] = float(torch.stack([of[name] for of in self.losses]).mean())
        self.losses.clear()
        super().log(logs, start_time)

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        # A crop's number decides everything about it, including its place in the order.
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
        """Validate the average weights by the mean probability over the windows of each clip."""
        validation = self.validation
        if validation is None:
            raise ValueError("there is no validation set")
        probabilities = []
        for inputs in torch.split(validation.inputs, self.args.eval_batch_size):
            features = self.prepare_features(inputs.to(self.args.device))
            probabilities.append(self.average.module(features)["logits"].softmax(dim=-1).cpu())
        every = torch.cat(probabilities)  # (windows, labels)
        truth = validation.truth
        sums = torch.zeros(len(truth), every.shape[1]).index_add_(0, validation.clips, every)
        means = sums / validation.clips.bincount(minlength=len(truth))[:, None]  # (clips, labels)
        right = (means.argmax(dim=-1) == truth).float()
        recalls = [right[truth == label].mean() for label in torch.unique(truth)]
        metrics = {
            "eval_loss": float(nll_loss(means.clamp_min(1e-9).log(), truth)),
            "eval_accuracy": float(right.mean()),
            "eval_balanced_accuracy": float(torch.stack(recalls).mean()),
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


def training_arguments(settings: LoopSettings) -> TrainingArguments:
    """The Trainer's own options. `RunCallback` decides when it logs, validates and saves."""
    never = 10**9
    method = settings.method
    arguments = TrainingArguments(
        output_dir=str(settings.folder),
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        max_steps=settings.steps,
        learning_rate=method.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=method.warmup,
        weight_decay=method.weight_decay,
        max_grad_norm=1.0,
        bf16=settings.precision == torch.bfloat16,
        fp16=settings.precision == torch.float16,
        use_cpu=settings.device.type == "cpu",
        seed=settings.seed,
        logging_steps=never,
        save_strategy="steps",
        save_steps=never,
        save_total_limit=2,
        metric_for_best_model="accuracy",
        greater_is_better=True,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=settings.device.type == "cuda",
        dataloader_num_workers=CROP_WORKERS if settings.device.type == "cuda" else 0,
        ddp_find_unused_parameters=False,
        ddp_timeout=PATIENCE,
    )
    # One process uses one GPU, even if it sees several: the Trainer would spread batches over all
    # of them (DataParallel), and run out of crops. torchrun starts a process for each GPU.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def train(
    task: Task,
    settings: LoopSettings,
    say: Callable[[str], None],
    should_stop: ShouldStop | None = None,
) -> TrainingResult:
    """Train a student, starting from the run's last complete checkpoint if there is one.

    A run with `should_stop` writes no checkpoints.
    """
    trainer = RunTrainer(task, settings)
    trainer.remove_callback(PrinterCallback)
    validates = task.validation is not None
    trainer.add_callback(
        RunCallback(settings, trainer.average, say, should_stop, validates=validates)
    )
    if trainer.is_world_process_zero():
        # The Trainer's own default names the folder after the machine.
        writer = SummaryWriter(str(settings.folder / "tensorboard"))
        trainer.add_callback(TensorBoardCallback(writer))
    last = last_checkpoint(settings.folder)
    if last is not None:
        say(f"resuming from step {last.name.rpartition('-')[2]}")
        trainer.average.load(last / AVERAGE)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    steps, best = trainer.state.global_step, trainer.state.best_global_step
    if settings.keep == "best" and best and best != steps:
        steps = best
        trainer.average.load(settings.folder / f"checkpoint-{best}" / AVERAGE)
    module = trainer.average.module.cpu()
    return TrainingResult(module, steps, history(trainer.state.log_history, settings))


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint of a run."""
    found = [path.parent for path in folder.glob(f"checkpoint-*/{AVERAGE}")]
    # A kill during the deletion of an old one may have left any of its files.
    complete = [path for path in found if all((path / name).exists() for name in CHECKPOINT)]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def history(logs: list[dict[str, float]], settings: LoopSettings) -> list[dict[str, float]]:
    """A row per validation: epoch, mean training loss since the previous one, and the metrics."""
    rows: list[dict[str, float]] = []
    losses: list[float] = []
    for log in logs:
        if "loss" in log:
            losses.append(log["loss"])
        if "eval_loss" in log:
            row = {"epoch": log["step"] / settings.epoch_steps, "step": log["step"]}
            if losses:
                row["train_loss"] = sum(losses) / len(losses)
            names = ("loss", "accuracy", "balanced_accuracy")
            rows.append(row | {f"valid_{name}": log[f"eval_{name}"] for name in names})
            losses = []
    return rows
