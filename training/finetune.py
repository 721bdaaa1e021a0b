"""Train a classifier: `python training/finetune.py --data DIR --out DIR`.

Reads and checks everything first, and stops with one line if something is wrong; then trains,
averages the weights, and writes a checkpoint that `tag-genres --model DIR` and transformers open.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from transformers import ASTForAudioClassification, set_seed

from tagger.errors import TaggerError
from tagger.model import choose_device, find_model
from tagger.types import DEVICES, PRECISIONS, FrontEnd, PredictOptions
from tagger.windows import WindowPlan
from training.card import CardFacts, write_card
from training.crops import CropDataset, Teachers
from training.errors import TrainingError
from training.evaluate import evaluate
from training.gtzan import Clip, Sound, find_clips, find_unlabelled, read_sounds
from training.splits import PARTS, SPLIT_HELP, SPLITS, Split, make_split
from training.student import (
    SCRATCH,
    pretrained_network,
    save_checkpoint,
    scratch_front_end,
    scratch_network,
)
from training.teacher import read_embeddings, read_soft_labels
from training.trainer import FinetuneOptions, train_student

DEFAULTS = FinetuneOptions(data=Path(), out=Path())
CHECKPOINT_FILES = {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"}


@dataclass(frozen=True, slots=True)
class Material:
    """What a run starts from."""

    split: Split
    crops: CropDataset
    network: ASTForAudioClassification
    front_end: FrontEnd


def say(message: str) -> None:
    """Progress and reports go to stderr."""
    click.echo(message, err=True)


def finetune(options: FinetuneOptions, command: str) -> None:
    """Train by the options and write the checkpoint, its card, and `<out>.metrics.json` beside it.

    `command` is what the card says the checkpoint was made by. Raises `TaggerError`.
    """
    material = prepare(options)
    crops, front_end = material.crops, material.front_end
    hours = sum(sound.seconds for sound in crops.sounds) / 3600
    parameters = sum(weights.numel() for weights in material.network.parameters())
    say(
        f"{parameters / 1e6:.1f} M parameters learn {len(crops.labels)} labels from "
        f"{len(crops)} files, {hours:.2f} h"
    )
    trained = train_student(material.network, crops, front_end, options, say)
    save_checkpoint(trained, front_end, options.out)
    scores = None
    if material.split.valid:
        as_card = PredictOptions(device="cpu", precision="float32")
        scores, _ = evaluate(material.split.valid, str(options.out.absolute()), as_card)
        low, high = scores.interval
        say(f"valid: accuracy {scores.accuracy:.3f} ({low:.3f} to {high:.3f}), n = {scores.n}")
        metrics = options.out.with_name(options.out.name + ".metrics.json")
        metrics.write_text(json.dumps(asdict(scores), indent=2) + "\n", encoding="utf-8")
    facts = CardFacts(
        title=options.out.name,
        labels=crops.labels,
        rate=front_end.rate,
        seconds=front_end.window_samples / front_end.rate,
        parameters=parameters,
        command=command,
        split=options.split,
    )
    write_card(options.out, facts, material.split.train, scores)
    say(f"saved {options.out}")


def prepare(options: FinetuneOptions) -> Material:
    """Read and check all that a run needs. Raises `TaggerError` with what to mend."""
    check_output(options.out)
    split = make_split(find_clips(options.data), options.split, options.seed)
    sizes = [f"{part} {len(split.part(part))}" for part in PARTS]
    say(f"clips: {', '.join(sizes)}, left out {len(split.left_out)}")
    labels = check_labels(split.train)
    clips = list(split.train)
    if options.unlabelled is not None:
        if not (options.soft_labels or options.embeddings):
            raise TrainingError("--unlabelled needs --teacher or --teacher-embedding to learn from")
        clips += find_unlabelled(options.unlabelled)
    teachers = Teachers(
        read_soft_labels(options.soft_labels, clips) if options.soft_labels else None,
        read_embeddings(options.embeddings, clips).half_whitened() if options.embeddings else None,
    )
    set_seed(options.seed)
    if options.scratch is None:
        info = find_model(options.model, say)
        network, front_end = pretrained_network(info, labels), info.front_end
    else:
        network = scratch_network(options.scratch, labels)
        front_end = scratch_front_end(network)
    if choose_device(options.device).type == "cpu":
        # There the backward pass of fused attention takes half of a step: 0.9 s against 0.6 s for
        # 64 windows on 2 cores.
        network.set_attn_implementation("eager")
    plan = WindowPlan(front_end.window_samples, front_end.rate, count=None)
    sounds = read_sounds(clips, plan, say)
    check_heard(sounds, labels)
    crops = CropDataset(sounds, labels, plan, teachers, options.augmentation.speed)
    return Material(split, crops, network, front_end)


def check_labels(clips: Sequence[Clip]) -> tuple[str, ...]:
    """The labels of the train part, in alphabetical order.

    Raises `TrainingError` where there is one label only, or one label has a single clip.
    """
    counts = Counter(clip.label for clip in clips)
    if len(counts) < 2:
        found = f"only {next(iter(counts))!r}" if counts else "none"
        raise TrainingError(f"two labels are needed to learn from, the train part has {found}")
    single = sorted(label for label, count in counts.items() if count < 2)
    if single:
        raise TrainingError(f"two clips of each label are needed, there is one of {single[0]!r}")
    return tuple(sorted(counts))


def check_heard(sounds: Sequence[Sound], labels: tuple[str, ...]) -> None:
    """Raise `TrainingError` where no clip of a label could be decoded."""
    silent = sorted(set(labels) - {sound.clip.label for sound in sounds})
    if silent:
        raise TrainingError(f"no clip of {silent[0]!r} can be decoded")


def check_output(folder: Path) -> None:
    """Raise `TrainingError` if the folder holds anything but a checkpoint that may be replaced."""
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder} is no folder", folder)
    foreign = sorted({path.name for path in folder.glob("*")} - CHECKPOINT_FILES)
    if foreign:
        raise TrainingError(f"{folder} holds {foreign[0]}; give a new or an empty folder", folder)


def command_line(arguments: Sequence[str]) -> str:
    """The command for the card; of an absolute path only the last two parts, cards get public."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    shown = ["/".join(Path(w).parts[-2:]) if Path(w).is_absolute() else w for w in words]
    return shlex.join(["python", "training/finetune.py", *shown])


FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command(context_settings={"show_default": True})
@click.option("--data", type=FOLDER, required=True, help="A folder of clips per label.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Checkpoint to write.")
@click.option("--model", default=DEFAULTS.model, help="Trained further: name, folder or hub id.")
@click.option("--scratch", type=click.Choice(sorted(SCRATCH)), help="Or a new network's shape.")
@click.option("--split", type=click.Choice(SPLITS), default=DEFAULTS.split, help=SPLIT_HELP)
@click.option("--epochs", type=POSITIVE, default=DEFAULTS.epochs, help="Times through all clips.")
@click.option("--steps", type=click.IntRange(min=1), help="Batches, instead of epochs.")
@click.option(
    "--batch-size", type=click.IntRange(min=2), default=DEFAULTS.batch_size, help="Windows."
)
@click.option(
    "--learning-rate",
    type=POSITIVE,
    show_default="0.0001, from scratch 0.001",
    help="At its highest, after the warm-up.",
)
@click.option(
    "--teacher",
    "soft_labels",
    type=FILE,
    multiple=True,
    help="Soft labels to learn from as well: an .npz as training/teacher.py describes.",
)
@click.option(
    "--teacher-embedding",
    "embeddings",
    type=FILE,
    multiple=True,
    help="A teacher's embeddings to learn from as well, likewise.",
)
@click.option("--unlabelled", type=FOLDER, help="More music, to learn from the teacher alone.")
@click.option("--seed", type=int, default=DEFAULTS.seed, help="Of weights, crops and split.")
@click.option("--device", type=click.Choice(DEVICES), default=DEFAULTS.device, help="To train on.")
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default=DEFAULTS.precision, help="To train in."
)
def main(**chosen: Any) -> None:
    """Train an AST genre classifier on folders of clips, with a folder per label."""
    options = FinetuneOptions(**chosen)
    try:
        finetune(options, command_line(sys.argv[1:]))
    except TaggerError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
