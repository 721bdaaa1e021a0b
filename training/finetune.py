"""Train a classifier: `python training/finetune.py --data DIR --out DIR`.

It reads and checks everything first, and stops with one line if something is wrong. Then it trains,
and writes a checkpoint for `tag-genres --model DIR`, with metrics and curves beside it. A killed
run continues with `--resume`.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":  # Ctrl-C while modules are imported ends the script without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from tagger.cli.command import Command
from tagger.report.escape import printable
from tagger.types import FrontEnd
from training.app.commands import script, shell_path
from training.app.run_folder import check_output
from training.app.shared_options import FILE, ModelOptions, clip_options, model_options
from training.augment.waveforms import KINDS, WaveformAugmenter
from training.console import ending
from training.errors import TrainingError
from training.options import (
    FEATURE_AUGMENTATION,
    HEADS,
    KEEP,
    METHODS,
    OPTIONS,
    REFIT_RATE,
    RUN,
    SHAPES,
    ClipOptions,
    FinetuneOptions,
    first_difference,
    load_options,
)

DEFAULTS = FinetuneOptions(data=Path(), out=Path())
AUGMENTATION = (*KINDS, *FEATURE_AUGMENTATION)


def resumed(context: click.Context, given: FinetuneOptions) -> FinetuneOptions:
    """The options that the unfinished run in `given.out` was started with.

    Raises `TrainingError` if an option on the command line differs from the run's; only those may
    that change no figure: folder, device, and how the windows of a step are split into batches.
    """
    path = given.out / RUN / OPTIONS
    if not path.exists():
        raise TrainingError(f"{given.out} holds no unfinished run to resume")
    stored = load_options(path)
    if not (stored.data.is_absolute() or stored.data.exists()):
        raise TrainingError(
            f"{stored.data} is not in this folder: resume the run where it was started"
        )
    flags = typed_options(context)
    names = flags.keys() - {"out", "device", "batch_size", "accumulate", "resume", "overwrite"}
    if name := first_difference(stored, given, names):
        raise TrainingError(f"the run in {given.out} was started with another {flags[name]}")
    device = given.device if "device" in flags else stored.device
    split = {name: getattr(given, name) for name in flags.keys() & {"batch_size", "accumulate"}}
    options = replace(stored, out=given.out, device=device, **split)
    if options.step_windows != stored.step_windows:
        raise TrainingError(
            f"the run in {given.out} was started with {stored.step_windows} windows per step: "
            "--batch-size times --accumulate must be that many"
        )
    return options


def typed_options(context: click.Context) -> dict[str, str]:
    """The options on the command line: name of the parameter, and its flag."""
    return {
        option.name: option.opts[0]
        for option in context.command.params
        if option.name is not None
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    }


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
@clip_options(needs_data=False, seed_help="Seed of the weights, the crops and the split.")
@click.option(
    "--labels-ok",
    is_flag=True,
    help="Train on labels that are probably no genres, such as test or CD2.",
)
@click.option(
    "--teacher",
    "soft_labels",
    type=FILE,
    multiple=True,
    help="Also learn from a teacher's soft labels: an .npz file with an array of frames for each "
    "clip. May be repeated.",
)
@click.option(
    "--teacher-embedding",
    "embeddings",
    type=FILE,
    multiple=True,
    help="Also learn from a teacher's embeddings, in the same form. May be repeated.",
)
@click.option(
    "--bank",
    type=FOLDER,
    help="Learn from the sounds of this bank in place of crops; training/bank.py makes it.",
)
@click.option("--unlabelled", type=FOLDER, help="More music, without labels; needs a teacher.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the checkpoint."
)
@click.option(
    "--method",
    type=click.Choice(tuple(METHODS)),
    default=DEFAULTS.method,
    help=f"What to train. {WHAT}.",
)
@model_options(
    DEFAULTS,
    model_help="Checkpoint to start from: name, folder or hub id.",
    verb="train",
    model_default="the bundled one; for GTZAN, its twin that learned only from the train part",
)
@click.option(
    "--shape",
    type=click.Choice(sorted(SHAPES)),
    default=DEFAULTS.shape,
    help="Size and windows of a network trained from scratch, those of its --bank.",
)
@click.option(
    "--head",
    type=click.Choice(HEADS),
    show_default=OWN,
    help="Layers of the head: one (linear) or two (mlp).",
)
@click.option(
    "--new-head", is_flag=True, help="With --method full: train a new head, for other labels."
)
@click.option(
    "--epochs", type=POSITIVE, show_default=OWN, help="Passes over the train part, or the bank."
)
@click.option("--steps", type=COUNT, help="Batches to train on, instead of --epochs.")
@click.option("--batch-size", type=COUNT, show_default=OWN, help="Windows computed at once.")
@click.option(
    "--accumulate",
    type=COUNT,
    default=DEFAULTS.accumulate,
    metavar="N",
    help="Add up the gradients of N batches per step. Half the batch size and twice the N need "
    "less memory, with the same result; where memory runs out, a run does this automatically.",
)
@click.option(
    "--learning-rate",
    type=POSITIVE,
    show_default=OWN,
    help="Peak learning rate, after the warm-up.",
)
@click.option(
    "--weight-decay",
    type=click.FloatRange(min=0),
    show_default=OWN,
    help="Decay of the weights per step.",
)
@click.option(
    "--augment",
    callback=kinds_of_augmentation,
    metavar="KIND,...",
    show_default=OWN,
    help=f"Augmentation of the crops: none, or any of {', '.join(AUGMENTATION)}.",
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
    help="After training, fit the linear head by logistic regression, with equal weight for all "
    "labels.",
)
@click.option(
    "--refit",
    is_flag=True,
    help="After training, train again on the train and valid parts together, for the same number "
    "of steps.",
)
@click.option(
    "--refit-steps",
    type=click.IntRange(min=2),  # the first one only starts the warm-up
    help="Train on the train and valid parts together as --refit does, but for this many steps "
    f"and starting from the trained weights, at {REFIT_RATE} times the learning rate.",
)
@click.option(
    "--search",
    type=click.IntRange(min=0),
    default=DEFAULTS.search,
    metavar="TRIALS",
    help="Try this many combinations of learning rate, weight decay, batch size and, unless only "
    "the head is trained, augmentation; then train with the one that is best on the valid part. "
    "Options that you give stay fixed.",
)
@click.option("--resume", is_flag=True, help="Continue the unfinished run in --out.")
@click.option(
    "--overwrite", is_flag=True, help="Replace the finished model or the unfinished run in --out."
)
@click.pass_context
def main(
    context: click.Context, model: ModelOptions, clips: ClipOptions, /, *, labels_ok: bool,
    out: Path, method: str, shape: str, head: str | None, new_head: bool, epochs: float | None,
    steps: int | None, batch_size: int | None, accumulate: int, learning_rate: float | None,
    weight_decay: float | None, augment: tuple[str, ...] | None, keep: str, logistic_head: bool,
    refit: bool, refit_steps: int | None, search: int, soft_labels: tuple[Path, ...],
    embeddings: tuple[Path, ...], unlabelled: Path | None, bank: Path | None, resume: bool,
    overwrite: bool,
) -> None:  # fmt: skip
    """Train an AST genre classifier on labelled music."""
    options = FinetuneOptions(
        data=clips.data, artists=clips.artists, split=clips.split, folds=clips.folds,
        fold=clips.fold, seed=clips.seed, out=out, labels_ok=labels_ok, method=method,
        model=model.model, labels=model.labels, shape=shape, head=head, new_head=new_head,
        epochs=epochs, steps=steps, batch_size=batch_size, accumulate=accumulate,
        learning_rate=learning_rate, weight_decay=weight_decay, augment=augment, keep=keep,
        logistic_head=logistic_head, refit=refit, refit_steps=refit_steps, search=search,
        soft_labels=soft_labels, embeddings=embeddings, unlabelled=unlabelled, bank=bank,
        device=model.device, precision=model.precision,
    )  # fmt: skip
    earlier = None if resume else when_started(options.out)
    with ending(lambda: how_to_go_on(options.out, earlier)):
        if resume:
            options = resumed(context, options)
        elif "data" not in typed_options(context):
            raise TrainingError("--data is missing: a folder of clips per label, an archive, a CSV")
        else:
            check_output(options.out, overwrite=overwrite)
        # torch takes seconds to import, --help must not
        from training.app.finetune import finetune

        finetune(options, command_line(sys.argv[1:]), resume=resume)


def when_started(out: Path) -> int | None:
    """When the options of the run in a folder were stored; None without a run to resume."""
    path = out / RUN / OPTIONS
    return path.stat().st_mtime_ns if path.exists() else None


def how_to_go_on(out: Path, earlier: int | None) -> str:
    """What to type after an interrupt; `earlier` is when an older run in the folder started."""
    if when_started(out) in (None, earlier):
        return "nothing was saved yet; start again with the same command"
    return f"continue with: {script('finetune')} --out {shell_path(out)} --resume"


if __name__ == "__main__":
    main()
