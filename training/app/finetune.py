"""A whole run, from labelled clips to a checkpoint with its card: where the parts meet."""

from __future__ import annotations

import copy
import gc
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from transformers import ASTForAudioClassification

from training.app.console import is_first, say
from training.app.data import check_labels, choose_clips, decode
from training.app.run_folder import begin_run
from training.clips.leakage import learned_warning
from training.clips.splits import PARTS, Split
from training.evaluation.card import CardFacts, write_card
from training.evaluation.results import Measured, judge, write_results
from training.loop.plan import Trained, Watch
from training.networks.methods import edit_config, save_checkpoint
from training.options import OPTIONS, RUN, FinetuneOptions
from training.search import Searched, check_search, run_trials
from training.train import Heard, Start, fit_logistic_head, make_start, train_network


def finetune(options: FinetuneOptions, command: str) -> None:
    """Train by the options, and write the checkpoint, its card, figures and pictures.

    `command` is what the card says the checkpoint was made by. Raises `TaggerError`.
    """
    split = choose_clips(options)
    check_search(options, split)
    start = make_start(options, check_labels(split), say)
    labels = start.labels
    heard = decode(options, split, labels, start)
    if is_first():
        command = begin_run(options, command)
    tell_size(start, heard)
    if warning := suspect(options, start, split):
        say(warning)
    searched = None
    if options.search:
        searched = search(options, start, heard, options.out / RUN)
        options = replace(options, **searched.best)

    network, trained = learn(options, start, heard, options.out / RUN)
    measured_at = options.out / RUN / "measured" if options.refit else options.out
    measured = Measured()
    learned = ["train"]
    if is_first():
        save_checkpoint(network, start.front_end, measured_at, start.dtype)
        measured = judge(measured_at, split, options.device, say)
        describe_checkpoint(measured_at, learned, options, start, measured)
        tell_scores(measured)
    if options.refit:
        say(f"training anew on train and valid together, {trained.steps} steps")
        learned = ["train", "valid"]
        both = replace(heard, train=[*heard.train, *heard.valid], valid=())
        anew = make_start(options, labels, say)
        last = replace(options, keep="last")
        network, _ = learn(last, anew, both, options.out / RUN / "refit", trained.steps)
        if is_first():
            save_checkpoint(network, start.front_end, options.out, start.dtype)
            describe_checkpoint(options.out, learned, options, start, measured)
    if is_first():
        write_down(options, command, split, learned, start, measured, trained, searched)


def search(options: FinetuneOptions, start: Start, heard: Heard, folder: Path) -> Searched:
    """The best of `options.search` trials, each trained from a copy of the same network."""

    def train(chosen: FinetuneOptions, place: Path, watch: Watch) -> None:
        gc.collect()  # the trial before: a Trainer is in circles with its callbacks
        anew = replace(start, network=copy.deepcopy(start.network))
        train_network(chosen, anew, heard, place, lambda _: None, watch=watch)

    found = run_trials(options, train, folder, say)
    gc.collect()
    return found


def learn(
    options: FinetuneOptions, start: Start, heard: Heard, folder: Path, steps: int | None = None
) -> tuple[ASTForAudioClassification, Trained]:
    """Train a network by the options, and fit its head in the end if they say so."""
    network, trained = train_network(options, start, heard, folder, say, steps)
    if options.logistic_head:
        say("fitting the head by logistic regression")
        fit_logistic_head(options, replace(start, network=network), heard)
    return network, trained


def suspect(options: FinetuneOptions, start: Start, split: Split) -> str | None:
    """One line if the network that training starts from knows the clips it will be judged on."""
    if start.info is None:
        return None
    every = [clip for part in (*map(split.part, PARTS), split.left_out) for clip in part]
    return learned_warning(start.info, every, [*split.valid, *split.test], options.draw)


def tell_size(start: Start, heard: Heard) -> None:
    """One line: what learns from how much."""
    hours = sum(sound.heard for sound in heard.train) / 3600
    parameters = sum(weights.numel() for weights in start.network.parameters())
    say(
        f"{parameters / 1e6:.1f} M parameters, {len(heard.labels)} labels, "
        f"{len(heard.train)} files to learn from, {hours:.2f} h"
    )


def tell_scores(measured: Measured) -> None:
    """One line for each part."""
    for name, scores in (("valid", measured.valid), ("test", measured.test)):
        if scores is not None:
            low, high = scores.interval
            say(f"{name}: accuracy {scores.accuracy:.3f} ({low:.3f} to {high:.3f}), n = {scores.n}")


def describe_checkpoint(
    folder: Path,
    learned: Sequence[str],
    options: FinetuneOptions,
    start: Start,
    measured: Measured,
) -> None:
    """Write into config.json what was learned from, and the temperature found on the valid part."""
    own = {"split": options.split, "parts": list(learned), **options.draw}
    # Clips that the network began with stay known to it.
    told: dict[str, Any] = {"learned_from": [*(row for row in start.known if row != own), own]}
    if measured.valid is not None:
        told["temperature"] = measured.valid.temperature
    edit_config(folder, told)


def write_down(
    options: FinetuneOptions,
    command: str,
    split: Split,
    learned: Sequence[str],
    start: Start,
    measured: Measured,
    trained: Trained,
    searched: Searched | None,
) -> None:
    """Figures, pictures and card; then the run's own checkpoints have done their work."""
    warning = suspect(options, start, split) or ""
    told: dict[str, Any] = {
        "command": command,
        "method": options.method,
        "split": options.split,
        "learned_from": list(learned),
        "steps": trained.steps,
        "warning": warning,
    }
    if searched is not None:
        told["search"] = asdict(searched)
    write_results(options.out, measured, trained.history, told)
    facts = CardFacts(
        title=options.out.absolute().name,
        labels=start.labels,
        rate=start.front_end.rate,
        seconds=start.front_end.window_samples / start.front_end.rate,
        parameters=sum(weights.numel() for weights in start.network.parameters()),
        command=command,
        method=options.trained_by.what,
        split=options.split,
        learned=tuple(learned),
        warning=warning,
        chosen=options.keep == "best" and bool(trained.history),
        trials=searched.trials if searched is not None else 0,
    )
    clips = [clip for part in learned for clip in split.part(part)]
    write_card(options.out, facts, clips, measured.valid, measured.test)
    for checkpoint in (options.out / RUN).glob("**/checkpoint-*"):
        shutil.rmtree(checkpoint)
    (options.out / RUN / OPTIONS).unlink()
    say(f"saved {options.out}")
