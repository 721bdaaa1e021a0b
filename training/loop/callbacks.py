"""When a run logs, validates and saves a checkpoint, and what it prints."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

from training.loop.plan import AVERAGE, LoopSettings, ShouldStop
from training.networks.student import WeightAverage

VALIDATIONS = 30  # in a run, at most
LOGS_PER_VALIDATION = 4


class RunCallback(TrainerCallback):
    """Schedules logging, validation and checkpoints; updates and saves the average weights."""

    def __init__(
        self,
        settings: LoopSettings,
        average: WeightAverage,
        say: Callable[[str], None],
        should_stop: ShouldStop | None = None,
        *,
        validates: bool,
    ) -> None:
        self.settings = settings
        self.average = average
        self.say = say
        self.should_stop = should_stop
        self.validates = validates
        steps = settings.steps
        times = min(VALIDATIONS, max(1, round(steps / settings.epoch_steps)), steps)
        self.validated = _spread(steps, times)
        self.logged = _spread(steps, min(LOGS_PER_VALIDATION * times, steps))
        self.bar: tqdm[Any] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Show a progress bar; after a resume, it starts where the run stopped."""
        if state.is_world_process_zero:
            # disable=None: no bar without a terminal, as in a log file.
            self.bar = tqdm(
                total=state.max_steps, initial=state.global_step, disable=None, unit="step"
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """Update the average, and decide what follows this step."""
        self.average.update(rest["model"])
        step = state.global_step
        control.should_log = step in self.logged or step in self.validated
        control.should_evaluate = step in self.validated and self.validates
        control.should_save = step in self.validated and self.should_stop is None
        if self.bar is not None:
            self.bar.update(1)
        return control

    def on_log(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Show the mean loss since the last log."""
        logs = rest.get("logs") or {}
        if self.bar is not None and "loss" in logs:
            self.bar.set_postfix(loss=f"{float(logs['loss']):.3f}")

    def on_evaluate(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """Print one line, and end the run if `should_stop` says so."""
        metrics = rest.get("metrics") or {}
        if self.should_stop is not None:
            share = state.global_step / state.max_steps
            control.should_training_stop |= self.should_stop(share, metrics["eval_accuracy"])
        if self.bar is not None:
            self.bar.clear()
            epoch = state.global_step / self.settings.epoch_steps
            losses = [row["loss"] for row in state.log_history if "loss" in row]
            self.say(
                f"epoch {epoch:.1f}, step {state.global_step}/{state.max_steps}: loss "
                f"{losses[-1] if losses else math.nan:.3f}, valid accuracy "
                f"{metrics['eval_accuracy']:.3f}, valid loss {metrics['eval_loss']:.3f}"
            )
        return control

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Write the average last: a checkpoint that has it is complete."""
        if state.is_world_process_zero:
            self.average.save(Path(args.output_dir, f"checkpoint-{state.global_step}", AVERAGE))

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Close the progress bar."""
        if self.bar is not None:
            self.bar.close()


def _spread(steps: int, times: int) -> set[int]:
    """`times` evenly spread steps, including the last."""
    return {math.ceil(steps * time / times) for time in range(1, times + 1)}
