"""When a run reports, is judged, and saves itself; what a person sees of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

from training.loop.plan import AVERAGE, Loop, Watch
from training.networks.student import WeightAverage

JUDGED = 30  # times in a run, at most
LOGGED = 4  # times between two judgements


class Rhythm(TrainerCallback):
    """When a run reports, is judged and saves itself; keeps the average of its weights."""

    def __init__(
        self,
        loop: Loop,
        average: WeightAverage,
        say: Callable[[str], None],
        watch: Watch | None = None,
        *,
        validates: bool,
    ) -> None:
        self.loop = loop
        self.average = average
        self.say = say
        self.watch = watch
        self.validates = validates
        times = min(JUDGED, max(1, round(loop.steps / loop.epoch_steps)), loop.steps)
        self.judged = {math.ceil(loop.steps * time / times) for time in range(1, times + 1)}
        often = min(LOGGED * times, loop.steps)
        self.logged = {math.ceil(loop.steps * time / often) for time in range(1, often + 1)}
        self.bar: tqdm[Any] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """The bar begins where the run does, or goes on."""
        if state.is_world_process_zero:
            # disable=None: no bar where nobody looks, such as a log file.
            self.bar = tqdm(
                total=state.max_steps, initial=state.global_step, disable=None, unit="step"
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """One step is done."""
        self.average.update(rest["model"])
        step = state.global_step
        control.should_log = step in self.logged or step in self.judged
        control.should_evaluate = step in self.judged and self.validates
        control.should_save = step in self.judged and self.watch is None
        if self.bar is not None:
            self.bar.update(1)
        return control

    def on_log(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """The mean loss since the last report."""
        logs = rest.get("logs") or {}
        if self.bar is not None and "loss" in logs:
            self.bar.set_postfix(loss=f"{float(logs['loss']):.3f}")

    def on_evaluate(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """One line for each judgement; whoever watches may end the run."""
        metrics = rest.get("metrics") or {}
        if self.watch is not None:
            share = state.global_step / state.max_steps
            control.should_training_stop |= self.watch(share, metrics["eval_accuracy"])
        if self.bar is not None:
            self.bar.clear()
            epoch = state.global_step / self.loop.epoch_steps
            losses = [row["loss"] for row in state.log_history if "loss" in row]
            self.say(
                f"epoch {epoch:.1f}, step {state.global_step}/{state.max_steps}: loss "
                f"{losses[-1] if losses else math.nan:.3f}, valid accuracy "
                f"{metrics['eval_accuracy']:.3f}, valid loss {metrics['eval_loss']:.3f}"
            )
        return control

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """The average is written last: a checkpoint that has it is whole."""
        if state.is_world_process_zero:
            self.average.save(Path(args.output_dir, f"checkpoint-{state.global_step}", AVERAGE))

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """The run is over."""
        if self.bar is not None:
            self.bar.close()
