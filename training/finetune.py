"""Train an AST genre classifier on folders of clips: `python training/finetune.py --data DIR --out DIR`.

Prepares everything first and stops with one line if something is wrong; then trains, averages the
weights, and writes a checkpoint that `tag-genres --model DIR` and transformers open.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click
from transformers import ASTForAudioClassification, set_seed

from tagger.errors import TaggerError
from tagger.types import FrontEnd
from tagger.windows import WindowPlan
from training.crops import CropDataset, Teachers
from training.errors import TrainingError
from training.gtzan import Clip, Sound, find_clips, find_unlabelled, read_sounds
from training.splits import PARTS, SPLITS, Split, make_split
from training.student import (
    SCRATCH,
    front_end_of,
    pretrained_network,
    save_checkpoint,
    scratch_network,
)
from training.teacher import read_embeddings, read_soft_labels
from training.trainer import FinetuneOptions, train_student

DEFAULTS = FinetuneOptions(data=Path(), out=Path())
KEPT = {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"}


def say(message: str) -> None:
    """Progress and reports go to stderr."""
    click.echo(message, err=True)


def check_labels(split: Split) -> tuple[str, ...]:
    """The labels to learn, in alphabetical order.

    Raises `TrainingError` where the train part has one label only, or one with a single clip.
    """
    counts = Counter(clip.label for clip in split.train)
    if len(counts) < 2:
        raise TrainingError(f"the train part has {len(counts)} label(s), it needs at least two")
    single = sorted(label for label, count in counts.items() if count < 2)
    if single:
        raise TrainingError(
            f"a label needs at least two clips to learn from; one only: {', '.join(single)}"
        )
    return tuple(sorted(counts))


def check_output(folder: Path) -> None:
    """Raise `TrainingError` if the folder holds anything but a checkpoint that may be replaced."""
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder} is no folder", folder)
    foreign = sorted({path.name for path in folder.glob("*")} - KEPT)
    if foreign:
        raise TrainingError(
            f"{folder} holds other files ({foreign[0]}); give an empty folder", folder
        )


def make_teachers(options: FinetuneOptions, clips: list[Clip]) -> Teachers:
    """Read the teachers' targets for these clips. Raises `TrainingError` where one is missing."""
    soft, embeddings = options.soft_labels, options.embeddings
    return Teachers(
        soft_labels=read_soft_labels(soft, clips) if soft else None,
        embeddings=read_embeddings(embeddings, clips) if embeddings else None,
    )


def prepare(
    options: FinetuneOptions,
) -> tuple[Split, CropDataset, ASTForAudioClassification, FrontEnd]:
    """Read and check all that a run needs. Raises `TaggerError` with what to mend."""
    check_output(options.out)
    split = make_split(find_clips(options.data), options.split, options.seed)
    say(
        ", ".join(f"{part} {len(split.part(part))}" for part in PARTS)
        + f", left out {len(split.left_out)}"
    )
    labels = check_labels(split)
    clips = list(split.train)
    if options.unlabelled is not None:
        clips += find_unlabelled(options.unlabelled)
    teachers = make_teachers(options, clips)
    if options.unlabelled is not None and not teachers.given:
        raise TrainingError(
            "unlabelled music teaches nothing without --teacher or --teacher-embedding"
        )
    set_seed(options.seed)
    network = (
        pretrained_network(options.model, labels)
        if options.model
        else scratch_network(options.scratch, labels)
    )
    front_end = front_end_of(network, options.model)
    plan = WindowPlan(front_end.window_samples, front_end.rate, count=None)
    sounds = read_sounds(clips, plan, say)
    check_heard(sounds, labels)
    crops = CropDataset(sounds, labels, plan, teachers, options.augmentation.speed)
    return split, crops, network, front_end


def check_heard(sounds: list[Sound], labels: tuple[str, ...]) -> None:
    """Raise `TrainingError` where no clip of a label could be decoded."""
    silent = sorted(set(labels) - {sound.clip.label for sound in sounds})
    if silent:
        raise TrainingError(f"no clip of {', '.join(silent)} can be decoded")


def finetune(options: FinetuneOptions) -> None:
    """Train by the options and write the checkpoint and its card."""
    split, crops, network, front_end = prepare(options)
    hours = sum(sound.seconds for sound in crops.sounds) / 3600
    size = sum(weights.numel() for weights in network.parameters()) / 1e6
    say(
        f"{size:.1f} M parameters learn {len(crops.labels)} labels from {len(crops)} files, {hours:.2f} h"
    )
    trained = train_student(network, crops, front_end, options, say)
    save_checkpoint(trained, front_end, options.out)
    say(f"saved {options.out}")


DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--data", type=DIRECTORY, required=True, help="A folder of clips per label.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to save.")
@click.option("--split", type=click.Choice(SPLITS), default=DEFAULTS.split, show_default=True)
@click.option("--model", help="Checkpoint to train further: bundled name, folder or hub id.")
@click.option("--scratch", type=click.Choice(sorted(SCRATCH)), help="Shape of a new network.")
@click.option(
    "--epochs",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULTS.epochs,
    show_default=True,
)
@click.option("--steps", type=click.IntRange(min=1), help="Instead of epochs.")
@click.option(
    "--batch-size", type=click.IntRange(min=2), default=DEFAULTS.batch_size, show_default=True
)
@click.option("--learning-rate", type=float, default=DEFAULTS.learning_rate, show_default=True)
@click.option("--teacher", "soft_labels", type=FILE, multiple=True, help="Soft labels per frame.")
@click.option(
    "--teacher-embedding", "embeddings", type=FILE, multiple=True, help="The same for embeddings."
)
@click.option("--unlabelled", type=DIRECTORY, help="More music, for the teacher alone.")
@click.option("--seed", type=int, default=DEFAULTS.seed, show_default=True)
@click.option("--device", default=DEFAULTS.device, show_default=True)
@click.option("--precision", default=DEFAULTS.precision, show_default=True)
def main(scratch: str | None, **chosen: Any) -> None:
    """Train an AST genre classifier on folders of clips."""
    if (scratch is None) == (chosen["model"] is None):
        raise click.UsageError("give either --model or --scratch")
    try:
        finetune(FinetuneOptions(scratch=scratch or DEFAULTS.scratch, **chosen))
    except TaggerError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
