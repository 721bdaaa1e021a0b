"""Options that both commands share: the clips and their split, the model, and where it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click

from tagger.cli.command import option_group
from tagger.cli.rules import labels_option
from tagger.types import DEVICES, PRECISIONS
from training.clips.splits import SPLIT_HELP, SPLITS
from training.options import ClipOptions, EvaluateOptions, FinetuneOptions

P = ParamSpec("P")
R = TypeVar("R")

DEFAULTS = ClipOptions(data=Path())
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def clip_options(
    *, needs_data: bool, seed_help: str
) -> Callable[[Callable[Concatenate[ClipOptions, P], R]], Callable[P, R]]:
    """For a command that uses labelled clips: it takes `ClipOptions`.

    Without `needs_data`, `--data` may be missing, and `data` is then the current folder.
    """

    @option_group(
        click.option(
            "--data",
            type=click.Path(exists=True, path_type=Path),
            required=needs_data,
            help="A folder with one folder of clips per label or with a metadata.csv, an archive "
            "of such a folder, or a CSV of clips.",
        ),
        click.option(
            "--artists",
            type=FILE,
            help="A CSV with the artist of each clip, in place of those in the tags.",
        ),
        click.option("--split", type=click.Choice(SPLITS), default=DEFAULTS.split, help=SPLIT_HELP),
        click.option(
            "--folds",
            type=click.IntRange(min=2),
            default=DEFAULTS.folds,
            help="Number of folds, for --split kfold.",
        ),
        click.option(
            "--fold",
            type=click.IntRange(min=0),
            default=DEFAULTS.fold,
            help="Fold to validate on, counted from 0, for --split kfold and for given folds.",
        ),
        click.option(
            "--seed", type=click.IntRange(0, 2**32 - 1), default=DEFAULTS.seed, help=seed_help
        ),
    )
    def build(
        *, data: Path | None, artists: Path | None, split: str, folds: int, fold: int, seed: int
    ) -> ClipOptions:
        return ClipOptions(
            data=data or Path(), artists=artists, split=split, folds=folds, fold=fold, seed=seed
        )

    return build


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """A model, and how it is run."""

    model: str | None
    labels: Path | None
    device: str
    precision: str


def model_options(
    defaults: EvaluateOptions | FinetuneOptions,
    *,
    model_help: str,
    verb: str,
    model_default: str | bool = True,
) -> Callable[[Callable[Concatenate[ModelOptions, P], R]], Callable[P, R]]:
    """For a command that runs a model: it takes `ModelOptions`.

    `verb` says in the help texts what the model is run for.
    """

    @option_group(
        click.option(
            "--model", default=defaults.model, show_default=model_default, help=model_help
        ),
        labels_option,
        click.option(
            "--device",
            type=click.Choice(DEVICES),
            default=defaults.device,
            help=f"Device to {verb} on; auto uses a GPU if there is one.",
        ),
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            default=defaults.precision,
            help=f"Number format to {verb} in; auto uses bfloat16 where it is fast.",
        ),
    )
    def build(
        *, model: str | None, labels: Path | None, device: str, precision: str
    ) -> ModelOptions:
        return ModelOptions(model, labels, device, precision)

    return build
