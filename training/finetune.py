"""Train a classifier: `python training/finetune.py --data DIR --out DIR`.

Reads and checks everything first, and stops with one line if something is wrong; then trains, and
leaves a checkpoint that `tag-genres --model DIR` opens, with its figures and curves beside it. A
run that was killed goes on with `--resume`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tagger.cli.command import Command
from tagger.errors import TaggerError
from tagger.report.escape import printable
from tagger.types import DEVICES, PRECISIONS, FrontEnd
from training.app.run_folder import check_output
from training.augment.waveforms import KINDS, WaveformAugmenter
from training.clips.splits import SPLIT_HELP, SPLITS
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


def start_or_resume(chosen: dict[str, Any], explicit: set[str]) -> FinetuneOptions:
    """The options of a new run, or with `resume` those that it was started with.

    Raises `TrainingError` if what is asked for is not what an unfinished run was started with.
    """
    resume = chosen.pop("resume")
    if not resume:
        if chosen["data"] is None:
            raise TrainingError("--data is missing: a folder of clips per label, an archive, a CSV")
        options = FinetuneOptions(**chosen)
        check_output(options)
        return options
    out: Path = chosen["out"]
    if not (out / RUN / OPTIONS).exists():
        raise TrainingError(f"{out} holds no unfinished run to go on with")
    stored = load_options(out / RUN / OPTIONS)
    asked = replace(stored, **{name: chosen[name] for name in explicit if name in chosen})
    other = difference(stored, asked)
    if other is not None:
        flag = next(of.opts[0] for of in main.params if of.name == other)
        raise TrainingError(f"the run in {out} was started with another {flag}")
    return replace(asked, out=out)


def command_line(arguments: Sequence[str]) -> str:
    """The command for the card; of an absolute path only the last two parts, cards get public."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    shown = ["/".join(Path(w).parts[-2:]) if Path(w).is_absolute() else w for w in words]
    return printable(shlex.join(["python", "training/finetune.py", *shown]))


def kinds_of_augmentation(
    _: click.Context, __: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    """`none`, or names with commas between them."""
    if value is None:
        return None
    names = () if value == "none" else tuple(value.split(","))
    unknown = set(names) - set(AUGMENTATION)
    if unknown:
        raise click.BadParameter(f"{min(unknown)!r} is none of {', '.join(AUGMENTATION)}")
    if "mix" in names:
        try:
            WaveformAugmenter([name for name in names if name in KINDS], FrontEnd().rate)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
    return names


AUGMENTATION = (*KINDS, *FEATURE_AUGMENTATION)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SEED = click.IntRange(0, 2**32 - 1)
POSITIVE = click.FloatRange(min=0, min_open=True)
COUNT = click.IntRange(min=1)
OWN = "the method's own"
WHAT = "; ".join(f"{name}: {method.what}" for name, method in METHODS.items())


@click.command(cls=Command, context_settings={"show_default": True})
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="A folder of clips per label, an archive of one, or a CSV that lists clips.",
)
@click.option("--artists", type=FILE, help="A CSV of who plays on each clip.")
@click.option("--split", type=click.Choice(SPLITS), default=DEFAULTS.split, help=SPLIT_HELP)
@click.option("--folds", type=click.IntRange(min=2), default=DEFAULTS.folds, help="Of kfold.")
@click.option(
    "--fold",
    type=click.IntRange(min=0),
    default=DEFAULTS.fold,
    help="Of kfold, from 0.",
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
@click.option("--unlabelled", type=FOLDER, help="More music, to learn from a teacher alone.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Checkpoint to write.")
@click.option(
    "--method",
    type=click.Choice(tuple(METHODS)),
    default=DEFAULTS.method,
    help=f"What learns. {WHAT}.",
)
@click.option("--model", default=DEFAULTS.model, help="Where it begins: name, folder or hub id.")
@click.option(
    "--shape",
    type=click.Choice(sorted(SHAPES)),
    default=DEFAULTS.shape,
    help="Of a network from scratch.",
)
@click.option("--head", type=click.Choice(HEADS), show_default=OWN, help="Its layers.")
@click.option("--new-head", is_flag=True, help="With full: for labels that the model has not.")
@click.option("--epochs", type=POSITIVE, show_default=OWN, help="Times through it all.")
@click.option("--steps", type=COUNT, help="Batches, instead of epochs.")
@click.option("--batch-size", type=COUNT, show_default=OWN, help="Windows.")
@click.option("--learning-rate", type=POSITIVE, show_default=OWN, help="After the warm-up.")
@click.option("--weight-decay", type=click.FloatRange(min=0), show_default=OWN, help="Per step.")
@click.option(
    "--augment",
    callback=kinds_of_augmentation,
    metavar="KIND,...",
    show_default=OWN,
    help=f"How crops are changed: none, or some of {', '.join(AUGMENTATION)}.",
)
@click.option(
    "--keep",
    type=click.Choice(KEEP),
    default=DEFAULTS.keep,
    help="Which weights: those best on the valid part, or the last.",
)
@click.option(
    "--logistic-head",
    is_flag=True,
    help="Then fit the linear head anew by logistic regression, all labels weighing the same.",
)
@click.option(
    "--refit",
    is_flag=True,
    help="In the end, train anew on train and valid together, for as many steps as were kept.",
)
@click.option(
    "--search",
    type=click.IntRange(min=0),
    default=DEFAULTS.search,
    metavar="TRIALS",
    help="Try as many sets of learning rate, weight decay, batch size and, unless only the head "
    "learns, augmentation; then train by the best on the valid part. What is given stays fixed.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out that was stopped.")
@click.option("--seed", type=SEED, default=DEFAULTS.seed, help="Of weights, crops and split.")
@click.option("--device", type=click.Choice(DEVICES), default=DEFAULTS.device, help="To train on.")
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default=DEFAULTS.precision, help="To train in."
)
@click.pass_context
def main(context: click.Context, /, **chosen: Any) -> None:
    """Train an AST genre classifier on labelled music."""
    from training.app.finetune import (
        finetune,  # torch and transformers take seconds, --help must not
    )

    source = context.get_parameter_source
    explicit = {name for name in chosen if source(name) is ParameterSource.COMMANDLINE}
    try:
        options = start_or_resume(chosen, explicit)
        finetune(options, command_line(sys.argv[1:]))
    except TaggerError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
