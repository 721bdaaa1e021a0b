"""Measure a checkpoint on labelled clips: `python training/evaluate.py --data DIR [--model NAME]`.

The clips go through the tagger's own decoding and network, window by window, so that the figure is
that of `tag-genres`. In float32, the default here, it is the same on every run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from tagger.audio.windows import Count
from tagger.cli.command import Command
from tagger.cli.values import window_count
from tagger.errors import TaggerError
from tagger.models.find import DEFAULT_MODEL, find_model
from tagger.models.model import GenreModel, load_model
from tagger.report.escape import printable
from tagger.types import DEVICES, PRECISIONS, PredictOptions
from training.clips.find import Clip, find_clips
from training.clips.leakage import learned_warning
from training.clips.splits import PARTS, SPLIT_HELP, SPLITS, make_split
from training.errors import TrainingError
from training.evaluation.measure import Evaluation, measure
from training.evaluation.scores import describe


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What is measured, on which clips, and where the figures go besides stdout."""

    data: Path
    model: str = DEFAULT_MODEL
    split: str = "filtered"  # one of SPLITS
    part: str = "valid"  # one of PARTS, or "all"
    artists: Path | None = None
    folds: int = 5
    fold: int = 0
    seed: int = 0
    windows: Count = 8  # per clip; see `tagger.windows.WindowPlan`
    confusion: Path | None = None  # PNG
    figures: Path | None = None  # JSON
    device: str = "cpu"
    precision: str = "float32"

    @property
    def draw(self) -> dict[str, int]:
        """The numbers that a split is drawn by."""
        return {"seed": self.seed, "folds": self.folds, "fold": self.fold}


def run(options: EvaluateOptions) -> None:
    """Measure, print, and write what was asked for. Raises `TaggerError`."""
    check_outputs(options)
    every = find_clips(options.data, options.artists)
    clips, note = choose_clips(every, options)
    if not clips:
        raise TrainingError(f"no clip of the {options.part} part is in {options.data}")
    info = find_model(options.model, say)
    warning = learned_warning(info, every, clips, options.draw)
    if warning:
        say(warning)
    as_tagged = PredictOptions(options.windows, device=options.device, precision=options.precision)
    model = load_model(info, as_tagged)
    measured = measure(clips, model, as_tagged, [clip.label for clip in every])
    for failure in measured.failures:
        say(f"left out: {failure.path}: {failure.reason}")
    click.echo("\n".join(map(printable, head_lines(options, model, measured, note))))
    click.echo(describe(measured.scores))
    write_outputs(options, model, measured)


def choose_clips(every: Sequence[Clip], options: EvaluateOptions) -> tuple[Sequence[Clip], str]:
    """The clips to measure on, and what the reader should know of their split."""
    if options.part == "all":
        return every, ""
    split = make_split(every, options.split, **options.draw)
    return split.part(options.part), split.note


def head_lines(
    options: EvaluateOptions, model: GenreModel, measured: Evaluation, note: str
) -> list[str]:
    """What was measured, on what, and among which labels where those are not the model's."""
    windows = options.windows or "all"
    lines = [
        f"model              {options.model}, {windows} windows a clip, "
        f"{model.precision} on {model.device.type}",
        f"part               {part_name(options)}",
    ]
    if note:
        lines.append(f"split              {note}")
    match, count = measured.match, len(model.info.labels)
    if len(match.columns) < count:
        lines.append(f"labels             {len(match.columns)} of the model's {count}")
    if match.unknown:
        unknown = ", ".join(match.unknown)
        lines.append(f"unknown to it      {unknown} ({measured.left_out} clips left out)")
    return lines


def part_name(options: EvaluateOptions) -> str:
    """Which clips were measured, in words."""
    if options.part == "all":
        return "all"
    drawn = f", fold {options.fold}" if options.split == "kfold" else ""
    return f"{options.part} of the {options.split} split{drawn}"


def check_outputs(options: EvaluateOptions) -> None:
    """Raise `TrainingError` for what would be in the way only after a long run."""
    for path in (options.confusion, options.figures):
        if path is not None and not path.absolute().parent.is_dir():
            raise TrainingError(f"{path} cannot be written: its folder is missing", path)
    if options.confusion is not None:
        try:
            import training.evaluation.plots  # noqa: F401 (to see whether it is there)
        except ImportError as error:
            raise TrainingError(f"--confusion needs matplotlib ({error})") from error


def write_outputs(options: EvaluateOptions, model: GenreModel, measured: Evaluation) -> None:
    """Write the picture and the figures, where they were asked for. Raises `TrainingError`."""
    try:
        if options.confusion is not None:
            from training.evaluation.plots import confusion_png

            folder = Path(options.model)
            name = folder.name if folder.is_dir() else options.model
            heading = f"{name}, {part_name(options)}"
            confusion_png(measured.scores, options.confusion, heading)
        if options.figures is not None:
            text = json.dumps(as_figures(options, model, measured), indent=2)
            options.figures.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{error.filename} cannot be written: {error.strerror}") from error


def as_figures(
    options: EvaluateOptions, model: GenreModel, measured: Evaluation
) -> dict[str, object]:
    """All that was measured, and how, as JSON holds it."""
    return {
        "model": options.model,
        "fingerprint": model.info.fingerprint,
        "split": options.split,
        "part": options.part,
        **options.draw,
        "windows_per_clip": options.windows,
        "dtype": model.precision,  # not "precision", which each label has one of
        "device": model.device.type,
        "unknown_labels": measured.match.unknown,
        "left_out": measured.left_out,
        "failures": {str(failure.path): failure.reason for failure in measured.failures},
        **asdict(measured.scores),
    }


def say(message: str) -> None:
    """Whatever is no figure goes to stderr."""
    click.echo(printable(message), err=True)


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SEED = click.IntRange(0, 2**32 - 1)
OUTPUT = click.Path(dir_okay=False, path_type=Path)
DEFAULTS = EvaluateOptions(data=Path())


@click.command(cls=Command, context_settings={"show_default": True})
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="A folder of clips per label, an archive of one, or a CSV that lists clips.",
)
@click.option("--model", default=DEFAULTS.model, help="Name, folder or hub id.")
@click.option("--split", type=click.Choice(SPLITS), default=DEFAULTS.split, help=SPLIT_HELP)
@click.option(
    "--part",
    type=click.Choice([*PARTS, "all"]),
    default=DEFAULTS.part,
    help="Which part of the split to measure on.",
)
@click.option("--artists", type=FILE, help="A CSV of who plays on each clip, for --split artist.")
@click.option("--folds", type=click.IntRange(min=2), default=DEFAULTS.folds, help="Of kfold.")
@click.option("--fold", type=click.IntRange(min=0), default=DEFAULTS.fold, help="Of kfold, from 0.")
@click.option("--seed", type=SEED, default=DEFAULTS.seed, help="Of a split that is drawn.")
@click.option("--windows", default="8", callback=window_count, help="Per clip; or auto, all.")
@click.option("--confusion", type=OUTPUT, help="Draw the confusion matrix: a PNG.")
@click.option("--json", "figures", type=OUTPUT, help="Write all figures: a JSON file.")
@click.option("--device", type=click.Choice(DEVICES), default=DEFAULTS.device)
@click.option("--precision", type=click.Choice(PRECISIONS), default=DEFAULTS.precision)
def main(**chosen: Any) -> None:
    """Print how good a checkpoint is on one part of labelled clips, and its confusions."""
    try:
        run(EvaluateOptions(**chosen))
    except TaggerError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
