"""A whole run, from labelled clips to a checkpoint with its card."""

from __future__ import annotations

import copy
import gc
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transformers import ASTForAudioClassification

from tagger.models.checkpoint import ModelInfo
from tagger.models.find import find_model
from tagger.types import DEFAULT_MODEL
from training.app.data import check_labels, choose_clips, load_data, report_split
from training.app.run_folder import forget_run, publish, split_to_resume, start_run
from training.app.summary import summarise
from training.clips.leakage import leakage_warning
from training.clips.split import Split
from training.clips.stored import write_stored
from training.console import is_first, say
from training.errors import TrainingError
from training.evaluation.card import CardFacts, write_card
from training.evaluation.metrics import ACCURACY, REMEMBERED
from training.evaluation.results import PartMetrics, measure_parts, write_results
from training.initial import InitialModel, TrainingData, make_initial_model
from training.loop.plan import ShouldStop, TrainingResult
from training.loop.validation import ValidationClips
from training.memory import naming_out_of_memory
from training.networks.methods import edit_config, save_checkpoint
from training.options import REFIT_RATE, RUN, FinetuneOptions
from training.search import SearchResult, check_search, run_trials
from training.train import RunControl, fit_logistic_head, train_network

TWIN = Path(__file__).parents[1] / "checkpoints" / "gtzan-small-train"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run knows about its checkpoint."""

    command: str  # that started the run
    learned: tuple[str, ...]  # parts of the split
    warnings: tuple[str, ...]  # if the initial network had learned from clips it is measured on
    metrics: PartMetrics
    training: TrainingResult  # of the weights that were measured
    search: SearchResult | None
    bank: str  # in words, if it learned from the sounds of one


def finetune(options: FinetuneOptions, command: str, *, resume: bool) -> None:
    """Train by the options, and write the checkpoint, its card, metrics and pictures.

    The card quotes `command`, or that of the run to `resume`, as the command that made the
    checkpoint. Raises `TaggerError`.
    """
    with naming_out_of_memory():
        split = split_to_resume(options) if resume else None
        if split is None:
            split = choose_clips(options)
        else:
            report_split(replace(split, reason="as the run was started with"))
        options = replace(options, split=split.name)  # not "auto"
        check_search(options, split)
        chosen = replace(options, model=choose_model(options, split))
        initial = make_initial_model(chosen, check_labels(split), say)
        if is_first():
            command = start_run(options, split, command, resume=resume)
        run_training(chosen, split, initial, command)


def run_training(
    options: FinetuneOptions, split: Split, initial: InitialModel, command: str
) -> None:
    """The run itself, from here on with files for `--resume`."""
    warnings = known_parts(initial.info, options, split)
    for warning in dict.fromkeys(warnings.values()):
        say(warning)
    try:
        data = load_data(options, split, initial, known="valid" in warnings)
    except TrainingError:
        if is_first():
            forget_run(options.out)
        raise
    report_size(initial, data)
    run = RunControl(options.out / RUN, say)
    found = None
    if options.search:
        found = search(options, initial, data, run.folder)
        options = found.best.replace_in(options)

    network, training = train_once(options, initial, data, run)
    learned: tuple[str, ...] = ("train",)
    metrics = PartMetrics()
    staged = run.folder / "measured"
    start = (initial.info.folder if initial.info is not None else None, initial.learned_from)
    if is_first():
        save_checkpoint(network, initial.front_end, staged, initial.dtype)
        metrics = measure_parts(staged, split, options.device, warnings, say)
        describe_checkpoint(staged, learned, options, initial, metrics)
        write_stored(staged, split, learned, start)
    if options.refits:
        heads = getattr(training.module, "heads", None)  # a frozen network's student has none
        trained = replace(initial, network=network, heads=heads)
        network = refit(options, trained, data, training.steps)
        learned, staged = ("train", "valid"), run.folder / "refitted"
        if is_first():
            save_checkpoint(network, initial.front_end, staged, initial.dtype)
            describe_checkpoint(staged, learned, options, initial, metrics)
            write_stored(staged, split, learned, start)
    if is_first():
        said = tuple(dict.fromkeys(warnings.values()))
        words = data.bank.index.words() if data.bank is not None else ""
        outcome = Outcome(command, learned, said, metrics, training, found, words)
        write_outcome(staged, options, split, initial, outcome)
        publish(staged, options.out)
        summarise(options, metrics, kept_words(options, training))


def choose_model(options: FinetuneOptions, split: Split) -> str:
    """The initial model: the one that was asked for, else the bundled one, or its twin.

    The bundled model has learned from clips of GTZAN's valid part, on which it could not be
    measured; its twin has not.
    """
    if options.model is not None or options.method == "scratch" or not TWIN.is_dir():
        return options.model or DEFAULT_MODEL
    bundled, twin = find_model(DEFAULT_MODEL), find_model(str(TWIN))
    if not known_parts(bundled, options, split) or known_parts(twin, options, split):
        return DEFAULT_MODEL
    say(
        f"starting from {TWIN.name}, the twin of {DEFAULT_MODEL} that learned only from GTZAN's "
        f"train part, so that the other parts can measure it (--model {DEFAULT_MODEL} for the "
        "bundled model)"
    )
    return str(TWIN)


def train_once(
    options: FinetuneOptions, initial: InitialModel, data: TrainingData, run: RunControl
) -> tuple[ASTForAudioClassification, TrainingResult]:
    """Train a network by the options, and then fit its head if requested."""
    network, training = train_network(options, initial, data, run)
    if options.logistic_head:
        say("fitting the head by logistic regression")
        fit_logistic_head(options, replace(initial, network=network), data, say)
    return network, training


def refit(
    options: FinetuneOptions, trained: InitialModel, data: TrainingData, steps: int
) -> ASTForAudioClassification:
    """A network trained on the train and valid parts, without validation.

    It starts where the first training started, and takes as many steps; or, with `--refit-steps`,
    it starts from the `trained` network, at a lower learning rate.
    """
    options = replace(options, keep="last")
    if options.refit_steps is None:
        say(f"training again on train and valid together, {steps} steps")
        initial = make_initial_model(options, data.labels, say)
    else:
        steps, initial = options.refit_steps, trained
        say(f"going on with train and valid together, {steps} steps")
        rate = REFIT_RATE * options.trained_by.learning_rate
        options = replace(options, learning_rate=rate)
    both = replace(data, train=[*data.train, *data.more], valid=ValidationClips())
    run = RunControl(options.out / RUN / "refit", say, steps)
    network, _ = train_once(options, initial, both, run)
    return network


def search(
    options: FinetuneOptions, initial: InitialModel, data: TrainingData, folder: Path
) -> SearchResult:
    """The best of `options.search` trials, each trained from a copy of the same network."""

    def train(chosen: FinetuneOptions, place: Path, should_stop: ShouldStop) -> None:
        gc.collect()  # frees the previous trial: a Trainer is part of reference cycles
        fresh = replace(initial, network=copy.deepcopy(initial.network))
        run = RunControl(place, say, should_stop=should_stop)
        with naming_out_of_memory():
            train_network(chosen, fresh, data, run)

    found = run_trials(options, train, folder, say, data.judged)
    gc.collect()
    return found


def known_parts(info: ModelInfo | None, options: FinetuneOptions, split: Split) -> dict[str, str]:
    """A warning for each part to measure on from whose clips the initial model had learned."""
    if info is None:
        return {}
    found = {
        part: leakage_warning(info, split.clips, split.part(part), options.draw)
        for part in ("valid", "test")
    }
    return {part: warning for part, warning in found.items() if warning}


def report_size(initial: InitialModel, data: TrainingData) -> None:
    """Print the sizes of network and data in one line."""
    hours = sum(decoded.kept_seconds for decoded in data.train) / 3600
    parameters = sum(weights.numel() for weights in initial.network.parameters())
    say(
        f"{parameters / 1e6:.1f} M parameters, {len(data.labels)} labels, "
        f"{len(data.train)} files to learn from, {hours:.2f} h"
    )


def kept_words(options: FinetuneOptions, training: TrainingResult) -> str:
    """Which epoch's weights were kept and measured, and why; empty without a history."""
    row = next((row for row in training.history if row["step"] == training.steps), None)
    if row is None:
        return ""
    judged = next((name for name in (ACCURACY, REMEMBERED) if f"valid_{name}" in row), None)
    epoch = f"Epoch {row['epoch']:.3g} of {training.history[-1]['epoch']:.3g} was kept"
    if options.keep == "best" and judged is not None:
        of = "accuracy" if judged == ACCURACY else "share of remembered clips"
        epoch += f", the first with the highest {of} on the valid part"
    after = "; then its head was fitted by logistic regression" if options.logistic_head else ""
    return f"{epoch}{after}."


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
    if metrics.valid is not None and not metrics.valid.known:
        values["temperature"] = metrics.valid.temperature
    edit_config(folder, values)


def write_outcome(
    folder: Path,
    options: FinetuneOptions,
    split: Split,
    initial: InitialModel,
    outcome: Outcome,
) -> None:
    """Write metrics, pictures and card beside the weights in `folder`."""
    training = outcome.training
    values: dict[str, Any] = {
        "command": outcome.command,
        "method": options.method,
        "split": options.split,
        "learned_from": list(outcome.learned),
        "steps": training.steps,
        "warning": " ".join(outcome.warnings),
    }
    if outcome.search is not None:
        values["search"] = outcome.search.as_json()
    title, steps = options.out.absolute().name, options.refit_steps
    write_results(folder, title, outcome.metrics, training, values)
    facts = CardFacts(
        title=title,
        labels=initial.labels,
        rate=initial.front_end.rate,
        seconds=initial.front_end.window_samples / initial.front_end.rate,
        parameters=sum(weights.numel() for weights in initial.network.parameters()),
        command=outcome.command,
        method=options.trained_by.what,
        start=Path(initial.info.name).name if initial.info is not None else "",
        split=options.split,
        learned=outcome.learned,
        warnings=outcome.warnings,
        kept=kept_words(options, training),
        went_on=f"{steps:,} steps at {REFIT_RATE} times its learning rate" if steps else "",
        chosen=options.keep == "best" and outcome.metrics.valid is not None,
        trials=outcome.search.trials if outcome.search is not None else 0,
        bank=outcome.bank,
    )
    clips = [clip for part in outcome.learned for clip in split.part(part)]
    write_card(folder, facts, clips, outcome.metrics.valid, outcome.metrics.test)
