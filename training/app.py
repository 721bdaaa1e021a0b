"""A whole run, from labelled clips to a checkpoint with its card: where the parts meet."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from transformers import ASTForAudioClassification

from tagger.models.checkpoint import first_unusable
from tagger.report.escape import printable
from training.clips.find import Clip, find_clips, find_unlabelled
from training.clips.leakage import learned_warning
from training.clips.sounds import read_sounds
from training.clips.splits import PARTS, Split, make_split
from training.errors import TrainingError
from training.evaluation.card import CardFacts, write_card
from training.evaluation.results import Measured, judge, write_results
from training.loop.crops import Teachers
from training.loop.features import FEATURES, JUDGED_FEATURES
from training.loop.plan import Trained
from training.loop.teachers import read_embeddings, read_soft_labels
from training.networks.methods import edit_config, save_checkpoint
from training.options import OPTIONS, RUN, STUDY, FinetuneOptions
from training.search import Searched, check_search, search
from training.train import Heard, Start, fit_logistic_head, make_start, train_network

CHECKPOINT_FILES = {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"}
RESULT_FILES = {"metrics.json", "learning-curve.png", "confusion.png"}


def say(message: str) -> None:
    """Progress and reports go to stderr, of several processes only those of the first."""
    if is_first():
        click.echo(printable(message), err=True)


def is_first() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


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
        searched = search(options, start, heard, options.out / RUN, say)
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


def learn(
    options: FinetuneOptions, start: Start, heard: Heard, folder: Path, steps: int | None = None
) -> tuple[ASTForAudioClassification, Trained]:
    """Train a network by the options, and fit its head in the end if they say so."""
    network, trained = train_network(options, start, heard, folder, say, steps)
    if options.logistic_head:
        say("fitting the head by logistic regression")
        fit_logistic_head(options, replace(start, network=network), heard)
    return network, trained


def begin_run(options: FinetuneOptions, command: str) -> str:
    """Write down what the run is, unless that was done; returns the command that started it.

    That of `--resume` says nothing of how the checkpoint was made.
    """
    folder = options.out / RUN
    folder.mkdir(parents=True, exist_ok=True)
    started = folder / "command.txt"
    if not started.exists():
        started.write_text(command + "\n", encoding="utf-8")
    if not (folder / OPTIONS).exists():
        options.dump(folder / OPTIONS)
    return started.read_text(encoding="utf-8").rstrip("\n")


def choose_clips(options: FinetuneOptions) -> Split:
    """The split of the clips, told in one line."""
    clips = find_clips(options.data, options.artists)
    split = make_split(clips, options.split, options.seed, options.folds, options.fold)
    sizes = [f"{part} {len(split.part(part))}" for part in PARTS]
    note = f" ({split.note})" if split.note else ""
    say(f"clips: {', '.join(sizes)}, left out {len(split.left_out)}{note}")
    return split


def suspect(options: FinetuneOptions, start: Start, split: Split) -> str | None:
    """One line if the network that training starts from knows the clips it will be judged on."""
    if start.info is None:
        return None
    every = [clip for part in (*map(split.part, PARTS), split.left_out) for clip in part]
    return learned_warning(start.info, every, [*split.valid, *split.test], options.draw)


def check_labels(split: Split) -> tuple[str, ...]:
    """The labels of the train part, in alphabetical order.

    Raises `TrainingError` where there is one label only, one label has a single clip, another part
    has a label that cannot be learned, or no tag could hold one.
    """
    counts = Counter(clip.label for clip in split.train)
    if len(counts) < 2:
        found = f"only {next(iter(counts))!r}" if counts else "none"
        raise TrainingError(f"two labels are needed to learn from, the train part has {found}")
    if odd := first_unusable(counts):
        raise TrainingError(f"{odd!r} holds control characters and can be no label; rename it")
    single = sorted(label for label, count in counts.items() if count < 2)
    if single:
        raise TrainingError(f"two clips of each label are needed, there is one of {single[0]!r}")
    others = {clip.label for clip in (*split.valid, *split.test)} - counts.keys()
    if others:
        raise TrainingError(f"the train part has no clip of {min(others)!r}, another part has")
    return tuple(sorted(counts))


def decode(options: FinetuneOptions, split: Split, labels: tuple[str, ...], start: Start) -> Heard:
    """Decode what is learned from and judged by. Raises `TrainingError` if a label is lost."""
    clips = list(split.train)
    if options.unlabelled is not None:
        if not (options.soft_labels or options.embeddings):
            raise TrainingError("--unlabelled needs --teacher or --teacher-embedding to learn from")
        clips += unlabelled_clips(options.unlabelled, split)
    taught = [*clips, *split.valid] if options.refit else clips
    teachers = read_teachers(options, taught)
    learned = read_sounds(clips, start.plan, say)
    silent = sorted(set(labels) - {sound.clip.label for sound in learned})
    if silent:
        raise TrainingError(f"no clip of {silent[0]!r} can be decoded")
    valid = read_sounds(split.valid, start.plan, say)
    if split.valid and not valid:
        raise TrainingError("no clip of the validation part can be decoded")
    return Heard(labels, learned, valid, teachers)


def unlabelled_clips(folder: Path, split: Split) -> list[Clip]:
    """More music. Raises `TrainingError` if it holds a clip that the model is to be judged on."""
    judged = {clip.path.resolve() for clip in (*split.valid, *split.test)}
    clips = find_unlabelled(folder)
    both = [clip.path for clip in clips if clip.path.resolve() in judged]
    if both:
        raise TrainingError(f"--unlabelled holds a clip of the valid or test part: {both[0]}")
    return clips


def read_teachers(options: FinetuneOptions, clips: Sequence[Clip]) -> Teachers:
    """The teachers that were given; frozen networks cannot learn from any."""
    given = options.soft_labels or options.embeddings
    if given and options.trained_by.frozen:
        raise TrainingError(f"--method {options.method} trains only a head, without teachers")
    soft, embeddings = options.soft_labels, options.embeddings
    return Teachers(
        read_soft_labels(soft, clips) if soft else None,
        read_embeddings(embeddings, clips).half_whitened() if embeddings else None,
    )


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


def check_output(options: FinetuneOptions) -> None:
    """Make room for a new run. Raises `TrainingError` if anything in the folder would be lost."""
    folder = options.out
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder} is no folder", folder)
    if first_unusable([str(folder.absolute())]):  # TensorBoard cannot write there
        raise TrainingError(f"{folder} is not UTF-8, or holds control characters", folder)
    foreign = {path.name for path in folder.glob("*")} - CHECKPOINT_FILES - RESULT_FILES - {RUN}
    if foreign:
        raise TrainingError(f"{folder} holds {min(foreign)}; give a new or an empty folder", folder)
    run = folder / RUN
    searching = (run / STUDY).exists() and (run / OPTIONS).exists()
    if searching or any(run.glob("**/checkpoint-*")):
        raise TrainingError(
            f"{folder} holds a run that was not finished: go on with --resume, or delete {run}",
            folder,
        )
    if is_first():
        clear_run(run)


def clear_run(folder: Path) -> None:
    """Remove what an earlier run left, but for features: the next one may need the same."""
    for path in sorted(folder.glob("**/*"), reverse=True):  # what is in a folder comes before it
        if not path.is_dir():
            if path.name not in (FEATURES, JUDGED_FEATURES):
                path.unlink()
        else:
            with suppress(OSError):  # it holds features
                path.rmdir()
