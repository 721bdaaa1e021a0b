"""A whole run, from labelled clips to a checkpoint with its card."""

from __future__ import annotations

import copy
import gc
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transformers import ASTForAudioClassification

from training.app.console import is_first, say
from training.app.data import check_labels, choose_clips, load_data
from training.app.run_folder import start_run
from training.clips.leakage import leakage_warning
from training.clips.split import Split
from training.clips.stored import write_stored
from training.evaluation.card import CardFacts, write_card
from training.evaluation.results import PartMetrics, measure_parts, write_results
from training.loop.plan import ShouldStop, TrainingResult
from training.networks.methods import edit_config, save_checkpoint
from training.options import OPTIONS, RUN, FinetuneOptions
from training.search import SearchResult, check_search, run_trials
from training.train import (
    InitialModel,
    RunControl,
    TrainingData,
    fit_logistic_head,
    make_initial_model,
    train_network,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run knows about its checkpoint."""

    command: str  # that started the run
    learned: tuple[str, ...]  # parts of the split
    warning: str  # if the initial network had learned from clips it is measured on; else empty
    metrics: PartMetrics
    training: TrainingResult  # of the weights that were measured
    search: SearchResult | None


def finetune(options: FinetuneOptions, command: str) -> None:
    """Train by the options, and write the checkpoint, its card, metrics and pictures.

    The card quotes `command` as the command that made the checkpoint. Raises `TaggerError`.
    """
    split = choose_clips(options)
    options = replace(options, split=split.name)  # not "auto"
    check_search(options, split)
    initial = make_initial_model(options, check_labels(split), say)
    data = load_data(options, split, initial)
    if is_first():
        command = start_run(options, command)
    report_size(initial, data)
    warning = warn_of_leakage(options, initial, split)
    if warning:
        say(warning)
    run = RunControl(options.out / RUN, say)
    found = None
    if options.search:
        found = search(options, initial, data, run.folder)
        options = found.best.replace_in(options)

    network, training = train_once(options, initial, data, run)
    learned: tuple[str, ...] = ("train",)
    metrics = PartMetrics()
    if is_first():
        folder = run.folder / "measured" if options.refit else options.out
        save_checkpoint(network, initial.front_end, folder, initial.dtype)
        metrics = measure_parts(folder, split, options.device, say)
        describe_checkpoint(folder, learned, options, initial, metrics)
        report_metrics(metrics)
    if options.refit:
        learned = ("train", "valid")
        network = refit(options, data, training.steps)
        if is_first():
            save_checkpoint(network, initial.front_end, options.out, initial.dtype)
            describe_checkpoint(options.out, learned, options, initial, metrics)
    if is_first():
        outcome = Outcome(command, learned, warning, metrics, training, found)
        write_outcome(options, split, initial, outcome)


def train_once(
    options: FinetuneOptions, initial: InitialModel, data: TrainingData, run: RunControl
) -> tuple[ASTForAudioClassification, TrainingResult]:
    """Train a network by the options, and then fit its head if requested."""
    network, training = train_network(options, initial, data, run)
    if options.logistic_head:
        say("fitting the head by logistic regression")
        fit_logistic_head(options, replace(initial, network=network), data)
    return network, training


def refit(options: FinetuneOptions, data: TrainingData, steps: int) -> ASTForAudioClassification:
    """A network trained from the start on the train and valid parts, without validation."""
    say(f"training again on train and valid together, {steps} steps")
    both = replace(data, train=[*data.train, *data.valid], valid=())
    initial = make_initial_model(options, data.labels, say)
    run = RunControl(options.out / RUN / "refit", say, steps)
    network, _ = train_once(replace(options, keep="last"), initial, both, run)
    return network


def search(
    options: FinetuneOptions, initial: InitialModel, data: TrainingData, folder: Path
) -> SearchResult:
    """The best of `options.search` trials, each trained from a copy of the same network."""

    def train(chosen: FinetuneOptions, place: Path, should_stop: ShouldStop) -> None:
        gc.collect()  # frees the previous trial: a Trainer is part of reference cycles
        fresh = replace(initial, network=copy.deepcopy(initial.network))
        run = RunControl(place, lambda _: None, should_stop=should_stop)
        train_network(chosen, fresh, data, run)

    found = run_trials(options, train, folder, say)
    gc.collect()
    return found


def warn_of_leakage(options: FinetuneOptions, initial: InitialModel, split: Split) -> str:
    """One line if the initial network learned from clips of the valid or test part, else empty."""
    if initial.info is None:
        return ""
    held_out = [*split.valid, *split.test]
    return leakage_warning(initial.info, split.clips, held_out, options.draw) or ""


def report_size(initial: InitialModel, data: TrainingData) -> None:
    """Print the sizes of network and data in one line."""
    hours = sum(decoded.kept_seconds for decoded in data.train) / 3600
    parameters = sum(weights.numel() for weights in initial.network.parameters())
    say(
        f"{parameters / 1e6:.1f} M parameters, {len(data.labels)} labels, "
        f"{len(data.train)} files to learn from, {hours:.2f} h"
    )


def report_metrics(measured: PartMetrics) -> None:
    """Print one line per part."""
    for name, metrics in (("valid", measured.valid), ("test", measured.test)):
        if metrics is not None:
            low, high = metrics.interval
            say(
                f"{name}: accuracy {metrics.accuracy:.3f} ({low:.3f} to {high:.3f}), "
                f"n = {metrics.n}"
            )


def describe_checkpoint(
    folder: Path,
    learned: Sequence[str],
    options: FinetuneOptions,
    initial: InitialModel,
    metrics: PartMetrics,
) -> None:
    """Write to config.json which parts the network learned from, and the fitted temperature."""
    own = {"split": options.split, "parts": list(learned), **asdict(options.draw)}
    # The network still knows the clips that its checkpoint learned from.
    rows = [*(row for row in initial.learned_from if row != own), own]
    values: dict[str, Any] = {"learned_from": rows}
    if metrics.valid is not None:
        values["temperature"] = metrics.valid.temperature
    edit_config(folder, values)


def write_outcome(
    options: FinetuneOptions, split: Split, initial: InitialModel, outcome: Outcome
) -> None:
    """Write metrics, pictures and card; then delete the checkpoints for `--resume`."""
    values: dict[str, Any] = {
        "command": outcome.command,
        "method": options.method,
        "split": options.split,
        "learned_from": list(outcome.learned),
        "steps": outcome.training.steps,
        "warning": outcome.warning,
    }
    if outcome.search is not None:
        values["search"] = outcome.search.as_json()
    history = outcome.training.history
    write_results(options.out, outcome.metrics, history, values)
    facts = CardFacts(
        title=options.out.absolute().name,
        labels=initial.labels,
        rate=initial.front_end.rate,
        seconds=initial.front_end.window_samples / initial.front_end.rate,
        parameters=sum(weights.numel() for weights in initial.network.parameters()),
        command=outcome.command,
        method=options.trained_by.what,
        split=options.split,
        learned=outcome.learned,
        warning=outcome.warning,
        chosen=options.keep == "best" and bool(history),
        trials=outcome.search.trials if outcome.search is not None else 0,
    )
    start = initial.info.folder if initial.info is not None else None
    write_stored(options.out, split, outcome.learned, (start, initial.learned_from))
    clips = [clip for part in outcome.learned for clip in split.part(part)]
    write_card(options.out, facts, clips, outcome.metrics.valid, outcome.metrics.test)
    for checkpoint in (options.out / RUN).glob("**/checkpoint-*"):
        shutil.rmtree(checkpoint)
    (options.out / RUN / OPTIONS).unlink()
    say(f"saved {options.out}")
