"""Options that both commands share: which clips are used, and how they are split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from training.clips.splits import SPLIT_HELP, SPLITS
from training.options import ClipOptions

DEFAULTS = ClipOptions(data=Path())
DATA_HELP = "A folder with one folder of clips per label, an archive of it, or a CSV of clips."
DATA = click.Path(exists=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SEED = click.IntRange(0, 2**32 - 1)

artists_option = click.option(
    "--artists", type=FILE, help="A CSV with the artist of each clip, for --split artist or kfold."
)
split_option = click.option(
    "--split", type=click.Choice(SPLITS), default=DEFAULTS.split, help=SPLIT_HELP
)
folds_option = click.option(
    "--folds",
    type=click.IntRange(min=2),
    default=DEFAULTS.folds,
    help="Number of folds, for --split kfold.",
)
fold_option = click.option(
    "--fold",
    type=click.IntRange(min=0),
    default=DEFAULTS.fold,
    help="Fold to validate on, counted from 0, for --split kfold.",
)


def clip_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `ClipOptions`, except `--data` and `--seed`, which differ."""
    for option in (fold_option, folds_option, split_option, artists_option):
        command = option(command)
    return command
