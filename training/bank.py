"""Compute what a teacher makes of very much music, to train a small network from scratch.

`python training/bank.py --data DIR --teacher FILE --out BANK`, then `training/finetune.py --method
scratch --bank BANK`. A killed run goes on with the same command.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":  # Ctrl-C while modules are imported ends the script without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pathlib import Path

import click

from tagger.cli.command import Command
from training.app.shared_options import FILE, clip_options
from training.console import ending
from training.options import SHAPES, BankOptions, ClipOptions

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
DEFAULTS = BankOptions(data=Path(), out=Path(), teacher=())


@click.command(cls=Command, context_settings={"show_default": True})
@clip_options(needs_data=True, seed_help="Seed of the split and of the sounds.")
@click.option("--unlabelled", type=FOLDER, help="More music, without labels.")
@click.option(
    "--teacher",
    type=FILE,
    required=True,
    multiple=True,
    help="musicnn's MSD weights (.npz) or YAMNet (.tflite). May be repeated.",
)
@click.option(
    "--shape",
    type=click.Choice(sorted(SHAPES)),
    default=DEFAULTS.shape,
    help="Network that will learn from the bank, which decides the length of the sounds.",
)
@click.option(
    "--crops", type=click.IntRange(min=2), default=DEFAULTS.crops, help="Sounds to compute."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the bank.")
def main(
    clips: ClipOptions, /, *, unlabelled: Path | None, teacher: tuple[Path, ...], shape: str,
    crops: int, out: Path,
) -> None:  # fmt: skip
    """Cut, change and mix music, and store what a teacher makes of each sound."""
    options = BankOptions(
        data=clips.data, artists=clips.artists, split=clips.split, folds=clips.folds,
        fold=clips.fold, seed=clips.seed, unlabelled=unlabelled, teacher=teacher, shape=shape,
        crops=crops, out=out,
    )  # fmt: skip
    with ending(lambda: "what was computed is kept; go on with the same command"):
        # torch takes seconds to import, --help must not
        from training.app.bank import make_bank

        make_bank(options)


if __name__ == "__main__":
    main()
