"""Measure a checkpoint on labelled clips: `python training/evaluate.py --data DIR [--model NAME]`.

The clips go through the tagger's own decoding and network, window by window, so the figures are
those of `tag-genres`. In float32, the default here, they are the same in every run.
"""

from __future__ import annotations

from pathlib import Path

import click

from tagger.audio.windows import Count
from tagger.cli.command import Command
from tagger.cli.values import window_count
from tagger.errors import TaggerError
from tagger.types import DEVICES, PRECISIONS
from training.app.shared_options import DATA, DATA_HELP, SEED, clip_options
from training.clips.splits import PARTS
from training.options import EvaluateOptions

OUTPUT = click.Path(dir_okay=False, path_type=Path)
DEFAULTS = EvaluateOptions(data=Path())


@click.command(cls=Command, context_settings={"show_default": True})
@click.option("--data", type=DATA, required=True, help=DATA_HELP)
@click.option("--model", default=DEFAULTS.model, help="Model name, folder or hub id.")
@click.option(
    "--part",
    type=click.Choice([*PARTS, "all"]),
    default=DEFAULTS.part,
    help="Part of the split to measure on.",
)
@clip_options
@click.option("--seed", type=SEED, default=DEFAULTS.seed, help="Seed of a random split.")
@click.option(
    "--windows",
    default=str(DEFAULTS.windows),
    callback=window_count,
    help="Windows per clip: a number, auto or all.",
)
@click.option("--confusion", type=OUTPUT, help="Draw the confusion matrix: a PNG.")
@click.option("--json", "figures", type=OUTPUT, help="Write all metrics: a JSON file.")
@click.option(
    "--device", type=click.Choice(DEVICES), default=DEFAULTS.device, help="Device to run on."
)
@click.option("--precision", type=click.Choice(PRECISIONS), default=DEFAULTS.precision)
def main(
    *, data: Path, artists: Path | None, split: str, folds: int, fold: int, seed: int, model: str,
    part: str, windows: Count, confusion: Path | None, figures: Path | None, device: str,
    precision: str,
) -> None:  # fmt: skip
    """Print the metrics of a checkpoint on one part of labelled clips, and its confusions."""
    from training.app.evaluate import evaluate  # torch takes seconds to import, --help must not

    options = EvaluateOptions(
        data=data, artists=artists, split=split, folds=folds, fold=fold, seed=seed, model=model,
        part=part, windows=windows, confusion=confusion, figures=figures, device=device,
        precision=precision,
    )  # fmt: skip
    try:
        evaluate(options)
    except TaggerError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
