"""When a run logs, validates and saves a checkpoint, and what it prints."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from training.console import Progress
from training.loop.history import epoch_line, epoch_row
from training.loop.plan import AVERAGE, LoopSettings, ShouldStop
from training.networks.student import WeightAverage

VALIDATIONS = 30  # in a run, at most
MOST_STEPS = 1000  # from one to the next, in runs of up to 30,000: each writes a checkpoint
LOGS_PER_VALIDATION = 4


class RunCallback(TrainerCallback):
    """Schedules logging, validation and checkpoints; updates and saves the average weights."""

    def __init__(
        self,
        settings: LoopSettings,
        average: WeightAverage,
        say: Callable[[str], None],
        should_stop: ShouldStop | None = None,
    ) -> None:
        self.settings = settings
        self.average = average
        self.say = say
        self.should_stop = should_stop
        steps = settings.steps
        epochs = round(steps / settings.epoch_steps)
        times = min(VALIDATIONS, max(1, epochs, steps // MOST_STEPS), steps)
        self.validated = _spread(steps, times)
        self.logged = _spread(steps, min(LOGS_PER_VALIDATION * times, steps))
        self.bar: Progress | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Show a progress bar; after a resume, it starts where the run stopped."""
        self.bar = Progress(state.max_steps, "training", "steps", state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """Update the average, and decide what follows this step."""
        self.average.update(rest["model"])
        step = state.global_step
        control.should_log = step in self.logged or step in self.validated
        control.should_evaluate = step in self.validated
        control.should_save = step in self.validated and self.should_stop is None
        if self.bar is not None:
            self.bar.advance()
        return control

    def on_log(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Show the mean loss since the last log."""
        logs = rest.get("logs") or {}
        if self.bar is not None and "loss" in logs:
            self.bar.note(f"loss={float(logs['loss']):.3f}")

    def on_evaluate(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """Print one line, or report to `should_stop`, which may end the run."""
        metrics = rest.get("metrics") or {}
        if self.should_stop is not None:
            share = state.global_step / state.max_steps
            judged = metrics[f"eval_{self.settings.judged}"]
            control.should_training_stop |= self.should_stop(share, judged)
        else:
            row = epoch_row(metrics, state.global_step, self.settings)
            self.say(epoch_line(row, self.settings))
        return control

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Write the average last: a checkpoint that has it is complete."""
        if state.is_world_process_zero:
            self.average.save(Path(args.output_dir, f"checkpoint-{state.global_step}", AVERAGE))

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Close the progress bar, at 100 % also if `should_stop` has ended the run."""
        if self.bar is not None:
            self.bar.end(complete=True)
            self.bar = None

    def close_bar(self) -> None:
        """Close the bar of a run that did not end."""
        if self.bar is not None:
            self.bar.end(complete=False)
            self.bar = None


def _spread(steps: int, times: int) -> set[int]:
    """`times` evenly spread steps, including the last."""
    return {math.ceil(steps * time / times) for time in range(1, times + 1)}
