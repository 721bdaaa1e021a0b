"""The time of a training step beside the network's own work in it, for `benchmark.py`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmark_page import Ratio

if TYPE_CHECKING:
    from training.loop.trainer import RunTrainer

CLIPS, SECONDS = 40, 30  # of noise to learn from
WARM = 3  # steps before any is timed
STEPS = {"cpu": 12, "cuda": 60}  # that are timed
BATCH = {"cpu": 32, "cuda": 512}


def time_training(place: Path, shapes: list[str], device: str) -> Iterator[str]:
    """A table with the steps of a new network of each shape, in the folder `place`."""
    yield from ("| ratio | goal | measured | met |", "|---|---|---|---|")
    for shape in shapes:
        yield from (ratio.row() for ratio in ratios(place / shape, shape, device))


def ratios(place: Path, shape: str, device: str) -> Iterator[Ratio]:
    """On a CPU the whole step beside the network alone; on a GPU its pace, and how busy it is."""
    trainer = make_trainer(place, shape, device)
    clock = make_clock(trainer)
    trainer.add_callback(clock)
    trainer.train()
    step, alone = median(clock.steps), median(clock.alone)
    what = f"{shape}, batches of {BATCH[device]}"
    goal = -1.5 if device == "cpu" else 0
    yield Ratio(f"training step / forward and backward pass, {what}", step / alone, goal)
    if device == "cpu":
        yield Ratio(f"share of the optimizer in a step, {what}", median(clock.updates) / step)
    yield Ratio(f"windows/s in training, {what}", BATCH[device] / step)
    if device == "cuda":
        yield Ratio(f"share of the time that the GPU is busy, {what}", clock.busy, 0.7)


def make_trainer(place: Path, shape: str, device: str) -> RunTrainer:
    """A run from scratch with all augmentation, on noise."""
    from transformers import PrinterCallback

    from training.clips.clip import Clip
    from training.clips.decode import DecodedClip
    from training.initial import TrainingData, make_initial_model
    from training.loop.trainer import RunTrainer
    from training.options import FinetuneOptions
    from training.train import RunControl, loop_settings, whole_task

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    labels = ("a", "b")
    options = FinetuneOptions(
        data=place,
        out=place,
        method="scratch",
        shape=shape,
        device=device,
        batch_size=BATCH[device],
        steps=WARM + STEPS[device],
    )
    initial = make_initial_model(options, labels, say)
    rate = initial.plan.rate
    noise = np.random.default_rng(0).normal(0, 3000, (CLIPS, SECONDS * rate)).astype(np.int16)
    clips = [
        DecodedClip(
            Clip(Path(f"{n}"), labels[n % 2], f"{n}"), (row,), (0.0,), SECONDS, rate, 2**-15
        )
        for n, row in enumerate(noise)
    ]
    data = TrainingData(labels, clips)
    task = whole_task(options, initial, data)
    settings = loop_settings(options, task.epoch_windows, data.judged, RunControl(place, say))
    task.crops.total = settings.draws
    trainer = RunTrainer(task, settings, say)
    trainer.remove_callback(PrinterCallback)
    return trainer


class PassAlone:
    """Times the forward and backward pass of a trainer's network on features that lie ready."""

    def __init__(self, trainer: RunTrainer) -> None:
        import torch

        front_end, device = trainer.fbank.front_end, trainer.args.device
        batch, size = trainer.settings.batch, (front_end.frames, front_end.mel_bins)
        self.trainer = trainer
        self.features = torch.randn(batch, *size, device=device)
        self.targets = {"labels": torch.eye(2, device=device)[torch.arange(batch) % 2]}

    def wait(self) -> None:
        """Until a GPU has finished what it was given."""
        import torch

        if self.trainer.args.device.type == "cuda":
            torch.cuda.synchronize()

    def __call__(self, model: Any) -> float:
        """Seconds of one."""
        from training.networks.student import LossWeights, student_losses

        self.wait()
        started = time.perf_counter()
        with self.trainer.compute_loss_context_manager():
            losses = student_losses(model(self.features), self.targets, LossWeights())
        self.trainer.accelerator.backward(losses["labels"])
        self.wait()
        took = time.perf_counter() - started
        model.zero_grad()
        return took


def make_clock(trainer: RunTrainer) -> Any:
    """A callback that times steps, and forward and backward passes of the network alone."""
    from torch.profiler import ProfilerActivity, profile
    from transformers import TrainerCallback

    cuda = trainer.args.device.type == "cuda"
    pass_alone = PassAlone(trainer)

    class Clock(TrainerCallback):
        """On a CPU, steps and passes in turns; on a GPU, the passes follow all of the steps."""

        def __init__(self) -> None:
            self.steps: list[float] = []
            self.alone: list[float] = []
            self.updates: list[float] = []
            self.busy = 0.0
            self.update_started = 0.0
            self.started = 0.0
            self.profile = profile(activities=[ProfilerActivity.CUDA]) if cuda else None

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self.update_started = time.perf_counter()

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self.updates.append(time.perf_counter() - self.update_started)

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            step, model = state.global_step, rest["model"]
            trainer.average.update(model)
            if not cuda:
                if step > WARM:
                    self.steps.append(time.perf_counter() - self.started)
                    self.alone.append(pass_alone(model))
                else:
                    pass_alone(model)
                self.started = time.perf_counter()
            elif step == WARM:
                pass_alone.wait()
                self.profile.__enter__()
                self.started = time.perf_counter()
            elif step == state.max_steps:
                pass_alone.wait()
                took = time.perf_counter() - self.started
                self.profile.__exit__(None, None, None)
                self.steps.append(took / (step - WARM))
                events = self.profile.key_averages()
                self.busy = sum(each.self_device_time_total for each in events) / 1e6 / took
                self.alone += [pass_alone(model) for _ in range(STEPS["cpu"])]

    return Clock()
