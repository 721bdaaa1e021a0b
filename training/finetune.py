"""Train a classifier: `python training/finetune.py --data DIR --out DIR`.

It reads and checks everything first, and stops with one line if something is wrong. Then it trains,
and writes a checkpoint for `tag-genres --model DIR`, with metrics and curves beside it. A killed
run continues with `--resume`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from tagger.cli.command import Command
from tagger.errors import TaggerError
from tagger.report.escape import printable
from tagger.types import DEVICES, PRECISIONS, FrontEnd
from training.app.run_folder import check_output
from training.app.shared_options import DATA, DATA_HELP, FILE, SEED, clip_options
from training.augment.waveforms import KINDS, WaveformAugmenter
from training.errors import TrainingError
from training.options import (
    FEATURE_AUGMENTATION,
    HEADS,
    KEEP,
    METHODS,
    OPTIONS,
    RUN,
    SHAPES,
    FinetuneOptions,
    difference,
    load_options,
)

DEFAULTS = FinetuneOptions(data=Path(), out=Path())
AUGMENTATION = (*KINDS, *FEATURE_AUGMENTATION)


def resumed(asked: FinetuneOptions, explicit: Collection[str]) -> FinetuneOptions:
    """The options that the unfinished run in `asked.out` was started with.

    `explicit` names the options on the command line. Raises `TrainingError` if one of them differs
    from the run's; only folder and device may.
    """
    path = asked.out / RUN / OPTIONS
    if not path.exists():
        raise TrainingError(f"{asked.out} holds no unfinished run to resume")
    stored = load_options(path)
    if other := difference(stored, asked, explicit):
        flag = next(option.opts[0] for option in main.params if option.name == other)
        raise TrainingError(f"the run in {asked.out} was started with another {flag}")
    device = asked.device if "device" in explicit else stored.device
    return replace(stored, out=asked.out, device=device)


def command_line(arguments: Sequence[str]) -> str:
    """The command for the card, which is public: only the last two parts of absolute paths."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    shown = ["/".join(Path(w).parts[-2:]) if Path(w).is_absolute() else w for w in words]
    return printable(shlex.join(["python", "training/finetune.py", *shown]))


def kinds_of_augmentation(
    _: click.Context, __: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    """`none`, or names separated by commas."""
    if value is None:
        return None
    names = () if value == "none" else tuple(value.split(","))
    unknown = set(names) - set(AUGMENTATION)
    if unknown:
        raise click.BadParameter(f"{min(unknown)!r} is not one of {', '.join(AUGMENTATION)}")
    if "mix" in names:
        try:
            WaveformAugmenter([name for name in names if name in KINDS], FrontEnd().rate)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
    return names


FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
POSITIVE = click.FloatRange(min=0, min_open=True)
COUNT = click.IntRange(min=1)
OWN = "the method's own"
WHAT = "; ".join(f"{name}: {method.what}" for name, method in METHODS.items())


@click.command(cls=Command, context_settings={"show_default": True})
@click.option("--data", type=DATA, help=DATA_HELP)
@clip_options
@click.option(
    "--teacher",
    "soft_labels",
    type=FILE,
    multiple=True,
    help="Also learn from these soft labels: an .npz with an array of frames per clip.",
)
@click.option(
    "--teacher-embedding",
    "embeddings",
    type=FILE,
    multiple=True,
    help="Also learn from a teacher's embeddings: an .npz too.",
)
@click.option("--unlabelled", type=FOLDER, help="More music, to learn from only with a teacher.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Checkpoint to write.")
@click.option(
    "--method",
    type=click.Choice(tuple(METHODS)),
    default=DEFAULTS.method,
    help=f"What to train. {WHAT}.",
)
@click.option(
    "--model", default=DEFAULTS.model, help="Checkpoint to start from: name, folder or hub id."
)
@click.option(
    "--shape",
    type=click.Choice(sorted(SHAPES)),
    default=DEFAULTS.shape,
    help="Size of a network from scratch.",
)
@click.option("--head", type=click.Choice(HEADS), show_default=OWN, help="Layers of the head.")
@click.option("--new-head", is_flag=True, help="With full: train a new head, for other labels.")
@click.option("--epochs", type=POSITIVE, show_default=OWN, help="Passes through the train part.")
@click.option("--steps", type=COUNT, help="Batches, instead of epochs.")
@click.option("--batch-size", type=COUNT, show_default=OWN, help="Windows per step.")
@click.option(
    "--learning-rate", type=POSITIVE, show_default=OWN, help="Its maximum, after the warm-up."
)
@click.option("--weight-decay", type=click.FloatRange(min=0), show_default=OWN, help="Per step.")
@click.option(
    "--augment",
    callback=kinds_of_augmentation,
    metavar="KIND,...",
    show_default=OWN,
    help=f"How to change crops: none, or some of {', '.join(AUGMENTATION)}.",
)
@click.option(
    "--keep",
    type=click.Choice(KEEP),
    default=DEFAULTS.keep,
    help="Which weights to keep: the best on the valid part, or the last.",
)
@click.option(
    "--logistic-head",
    is_flag=True,
    help="Finally fit the linear head by logistic regression, with equal weight for all labels.",
)
@click.option(
    "--refit",
    is_flag=True,
    help="Finally train again on train and valid together, for the same number of steps.",
)
@click.option(
    "--search",
    type=click.IntRange(min=0),
    default=DEFAULTS.search,
    metavar="TRIALS",
    help="Try this many sets of learning rate, weight decay, batch size and, unless only the head "
    "learns, augmentation; then train with the best on the valid part. Given options stay fixed.",
)
@click.option("--resume", is_flag=True, help="Continue the unfinished run in --out.")
@click.option("--seed", type=SEED, default=DEFAULTS.seed, help="Seed of weights, crops and split.")
@click.option(
    "--device", type=click.Choice(DEVICES), default=DEFAULTS.device, help="Device to train on."
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=DEFAULTS.precision,
    help="Precision to train in.",
)
@click.pass_context
def main(
    context: click.Context, /, *, data: Path | None, artists: Path | None, split: str, folds: int,
    fold: int, seed: int, out: Path, method: str, model: str, shape: str, head: str | None,
    new_head: bool, epochs: float | None, steps: int | None, batch_size: int | None,
    learning_rate: float | None, weight_decay: float | None, augment: tuple[str, ...] | None,
    keep: str, logistic_head: bool, refit: bool, search: int, soft_labels: tuple[Path, ...],
    embeddings: tuple[Path, ...], unlabelled: Path | None, device: str, precision: str,
    resume: bool,
) -> None:  # fmt: skip
    """Train an AST genre classifier on labelled music."""
    from training.app.finetune import finetune  # torch takes seconds to import, --help must not

    options = FinetuneOptions(
        data=data or Path(), artists=artists, split=split, folds=folds, fold=fold, seed=seed,
        out=out, method=method, model=model, shape=shape, head=head, new_head=new_head,
        epochs=epochs, steps=steps, batch_size=batch_size, learning_rate=learning_rate,
        weight_decay=weight_decay, augment=augment, keep=keep, logistic_head=logistic_head,
        refit=refit, search=search, soft_labels=soft_labels, embeddings=embeddings,
        unlabelled=unlabelled, device=device, precision=precision,
    )  # fmt: skip
    try:
        if resume:
            source = context.get_parameter_source
            typed = {name for name in context.params if source(name) is ParameterSource.COMMANDLINE}
            options = resumed(options, typed)
        elif data is None:
            raise TrainingError("--data is missing: a folder of clips per label, an archive, a CSV")
        else:
            check_output(options)
        finetune(options, command_line(sys.argv[1:]))
    except TaggerError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
