"""Train an AST genre classifier on folders of clips: `python training/finetune.py --data DIR --out DIR`.

Prepares everything first and stops with one line if something is wrong; then trains, averages the
weights, and writes a checkpoint that `tag-genres --model DIR` and transformers open.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path

import click

from tagger.errors import TaggerError
from tagger.windows import WindowPlan
from training.card import write_card
from training.crops import CropDataset, Teachers
from training.errors import TrainingError
from training.gtzan import Clip, find_clips, find_unlabelled, read_sounds
from training.splits import SPLITS, Split, make_split
from training.student import SCRATCH, save_checkpoint
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
        raise TrainingError(f"a label needs at least two clips to learn from; one only: {', '.join(single)}")
    return tuple(sorted(counts))


def check_output(folder: Path) -> None:
    """Raise `TrainingError` if the folder holds anything but a checkpoint that may be replaced."""
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder} is no folder", folder)
    foreign = sorted({path.name for path in folder.glob("*")} - KEPT)
    if foreign:
        raise TrainingError(f"{folder} holds other files ({foreign[0]}); give an empty folder", folder)


def make_teachers(options: FinetuneOptions, clips: list[Clip]) -> Teachers:
    """Read the teachers' targets for these clips. Raises `TrainingError` where one is missing."""
    soft, embeddings = options.soft_labels, options.embeddings
    return Teachers(
        soft_labels=read_soft_labels(soft, clips) if soft else None,
        embeddings=read_embeddings(embeddings, clips) if embeddings else None,
    )
