"""The training loop: transformers' Trainer with this project's crops, augmentation and loss."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
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
from training.loop.bank import dequantised
from training.loop.batches import PartResult, random_state, restore_random_state, sum_of
from training.loop.callbacks import RunCallback
from training.loop.features import in_parts
from training.loop.history import history
from training.loop.plan import (
    AVERAGE,
    LoopSettings,
    ShouldStop,
    Task,
    TrainingResult,
    ValidationSet,
)
from training.loop.waveforms import PIECE, pieces, play
from training.memory import Memory
from training.networks.optimizer import make_optimizer
from training.networks.student import WeightAverage, student_losses

CHECKPOINT = ("model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")
CROP_WORKERS = 4  # processes that cut crops for a GPU; a crop is the same in any process
PATIENCE = 6 * 3600  # s that processes wait while the first one evaluates between trainings


class RunTrainer(Trainer):
    """Computes features, augments them, and compares the outputs with labels and teachers.

    A batch is computed in parts if memory does not suffice for all of it. Not by the Trainer's own
    accumulation of gradients, which would make each part a batch with crops mixed only among
    themselves: here crops, augmentation, losses and steps stay those of the whole batch.
    """

    def __init__(self, task: Task, settings: LoopSettings, say: Callable[[str], None]) -> None:
        super().__init__(
            model=task.student,
            args=training_arguments(settings, validates=task.validation is not None),
            train_dataset=task.crops,
        )
        self.control: TrainerControl
        self.settings = settings
        self.validation = task.validation
        self.held_out = task.held_out
        self.weights = task.weights
        self.dtype = task.dtype
        self.average = WeightAverage(task.student, settings.method.average)
        self.average.module.to(self.args.device)
        self.memory = Memory(settings.windows, say)
        self.fbank: Fbank | None = None
        self.augmenter: FeatureAugmenter | None = None
        if task.features_from is not None:
            front_end, self.augmenter = task.features_from
            self.fbank = Fbank(front_end).to(self.args.device)
        self.losses: list[dict[str, Tensor]] = []  # of the steps since the last log
        # Loss, 1, right and labelled crops of each step since the last validation.
        self.totals: list[Tensor] = []

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

    def training_step(
        self, model: Any, inputs: dict[str, Tensor], num_items_in_batch: Any = None
    ) -> Tensor:
        """Compute the gradients of one batch, in parts if necessary; its loss."""
        model.train()
        batch = self._prepare_inputs(inputs)
        random = random_state()

        def attempt(windows: int) -> list[PartResult]:
            restore_random_state(random)
            self.model.zero_grad()  # what an attempt that failed has left
            return list(self._compute_parts(model, batch, windows))

        def again(windows: int) -> str:
            parts = math.ceil(self.settings.batch / windows)
            step = self.state.global_step + 1
            return f"step {step} again with --batch-size {windows} --accumulate {parts}"

        parts = self.memory.run(attempt, again, alone=self.settings.processes == 1)
        losses = {name: sum_of(part.losses[name] for part in parts) for name in parts[0].losses}
        loss = sum_of(losses.values())
        right, count = (sum_of(getattr(of, name) for of in parts) for name in ("right", "count"))
        self.losses.append(losses)
        self.totals.append(torch.stack([loss, torch.ones_like(loss), right, count]))
        return loss

    def _compute_parts(
        self, model: Any, batch: dict[str, Tensor], windows: int
    ) -> Iterator[PartResult]:
        features, targets = self._prepare_batch(batch, windows)
        count = len(features)
        for start in range(0, count, windows):
            part = slice(start, start + windows)
            ends = start + windows >= count
            # Several processes share their gradients only once.
            with nullcontext() if ends else self.accelerator.no_sync(model):
                with self.compute_loss_context_manager():
                    outputs = model(features[part])
                    own = {name: of[part] for name, of in targets.items()}
                    losses = student_losses(outputs, own, self.weights, targets)
                    loss = sum_of(losses.values())
                self.accelerator.backward(loss)
            labelled = own["labels"].sum(dim=-1) > 0  # (part,)
            right = outputs["logits"].argmax(dim=-1) == own["labels"].argmax(dim=-1)  # (part,)
            yield PartResult(
                {name: loss.detach() for name, loss in losses.items()},
                (right & labelled).float().sum(),
                labelled.float().sum(),
            )

    @torch.no_grad()
    def _prepare_batch(
        self, batch: dict[str, Tensor], windows: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Augmented features, `(batch, frames, mel_bins)` or `(batch, hidden)`, and targets."""
        targets = {name: of for name, of in batch.items() if name not in PIECE}
        if self.fbank is None:
            return batch["inputs"], targets
        front_end = self.fbank.front_end
        if self.augmenter is None:
            return dequantised(batch["inputs"], front_end), targets
        samples = front_end.window_samples
        with torch.autocast(self.args.device.type, enabled=False):
            energies = torch.cat(
                [self.fbank.energies(play(*some, samples)) for some in pieces(batch, windows)]
            )  # (batch, frames, mel_bins)
            mixed, other, share = self.augmenter.mix(self.augmenter.colour(energies))
            features = self.augmenter.mask(self.fbank.features(mixed))
        return features, {of: share * x + (1 - share) * x[other] for of, x in targets.items()}

    @torch.inference_mode()
    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Log a row of the learning curve: see `epoch_row` for its values."""
        metrics = {}
        if self.totals:
            total = self.accelerator.reduce(torch.stack(self.totals).sum(dim=0), "sum")
            loss, steps, right, count = total.tolist()
            metrics = {"eval_train_loss": loss / steps}
            if count:
                metrics["eval_train_accuracy"] = right / count
            self.totals.clear()
        if self.validation is not None:
            scores = self.validation.score(self._validation_outputs(self.validation))
            metrics |= {f"eval_{name}": value for name, value in scores.items()}
        if self.held_out is not None:
            metrics["eval_explained"] = self.held_out.explained(self._saved(), self.args.device)
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _saved(self) -> Any:
        """The student with its weights as they would be saved now."""
        return copy.deepcopy(self.average.module).to(self.dtype).float()

    def _validation_outputs(self, validation: ValidationSet) -> list[NDArray[np.floating]]:
        """Log-probabilities `(windows, labels)` of each clip, by the weights as they are saved."""
        module = self._saved()

        def compute(inputs: Tensor) -> Tensor:
            inputs = inputs.to(self.args.device)
            features = inputs if self.fbank is None else self.fbank(inputs)
            logs: Tensor = module(features)["logits"].log_softmax(dim=-1).cpu()
            return logs

        outputs = in_parts(self.memory, compute)
        every = torch.cat(
            [outputs(some) for some in torch.split(validation.inputs, self.settings.batch)]
        )  # (windows, labels)
        return [part.numpy() for part in torch.split(every, validation.clips.bincount().tolist())]


def training_arguments(settings: LoopSettings, *, validates: bool) -> TrainingArguments:
    """The Trainer's own options. `RunCallback` decides when it logs, validates and saves."""
    never = 10**9
    method = settings.method
    arguments = TrainingArguments(
        output_dir=str(settings.folder),
        per_device_train_batch_size=settings.batch,
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
        metric_for_best_model=settings.judged if validates else None,
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
    trainer = RunTrainer(task, settings, say)
    trainer.remove_callback(PrinterCallback)
    callback = RunCallback(settings, trainer.average, say, should_stop)
    trainer.add_callback(callback)
    if trainer.is_world_process_zero():
        # The Trainer's own default names the folder after the machine.
        writer = SummaryWriter(str(settings.folder / "tensorboard"))
        trainer.add_callback(TensorBoardCallback(writer))
    last = last_checkpoint(settings.folder)
    if last is not None:
        say(f"resuming from step {last.name.rpartition('-')[2]}")
        trainer.average.load(last / AVERAGE)
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    finally:
        callback.close_bar()  # also of a run that is interrupted
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
