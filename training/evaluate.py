"""Measure a checkpoint on labelled clips: `python training/evaluate.py --data DIR [--model NAME]`.

The clips go through the tagger's own decoding and network, window by window, so the figures are
those of `tag-genres`. In float32, the default here, they are the same in every run.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":  # Ctrl-C while modules are imported ends the script without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pathlib import Path

import click

from tagger.audio.windows import Count
from tagger.cli.command import Command
from tagger.cli.values import window_count
from training.app.shared_options import ModelOptions, clip_options, model_options
from training.clips.split import PARTS
from training.console import ending
from training.options import ClipOptions, EvaluateOptions

OUTPUT = click.Path(dir_okay=False, path_type=Path)
DEFAULTS = EvaluateOptions(data=Path())


@click.command(cls=Command, context_settings={"show_default": True})
@clip_options(needs_data=True, seed_help="Seed of a random, artist or kfold split.")
@model_options(DEFAULTS, model_help="Model name, folder or hub id.", verb="run")
@click.option(
    "--part",
    type=click.Choice([*PARTS, "all"]),
    default=DEFAULTS.part,
    help="Part of the split to evaluate on, or all clips.",
)
@click.option(
    "--windows",
    default=str(DEFAULTS.windows),
    callback=window_count,
    help="Windows per clip: a number, auto or all.",
)
@click.option("--confusion", type=OUTPUT, help="Draw the confusion matrix to this PNG file.")
@click.option("--json", "figures", type=OUTPUT, help="Write all metrics to this JSON file.")
def main(
    model: ModelOptions, clips: ClipOptions, /, *, part: str, windows: Count,
    confusion: Path | None, figures: Path | None,
) -> None:  # fmt: skip
    """Print the metrics and the confusion matrix of a checkpoint on one part of labelled clips."""
    options = EvaluateOptions(
        data=clips.data, artists=clips.artists, split=clips.split, folds=clips.folds,
        fold=clips.fold, seed=clips.seed, model=model.model or DEFAULTS.model,
        labels=model.labels, part=part,
        windows=windows, confusion=confusion, figures=figures, device=model.device,
        precision=model.precision,
    )  # fmt: skip
    with ending(lambda: "nothing was saved; start again with the same command"):
        # torch takes seconds to import, --help must not
        from training.app.evaluate import evaluate

        evaluate(options)


if __name__ == "__main__":
    main()
