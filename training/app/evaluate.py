"""Evaluate a checkpoint on labelled clips: choose them, measure, print, and write files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from tagger.cli.terminal import wrapped
from tagger.models.checkpoint import ModelInfo
from tagger.models.find import find_model
from tagger.models.model import GenreModel, load_model
from tagger.report.escape import printable
from tagger.types import PredictOptions
from training.app.data import labelled_clips
from training.clips.clip import Clip
from training.clips.leakage import leakage_warning, split_as_trained
from training.clips.split import PARTS
from training.clips.splits import make_split
from training.console import say, terminal_width
from training.errors import TrainingError
from training.evaluation.measure import Evaluation, measure
from training.evaluation.metrics import as_json
from training.evaluation.text import describe
from training.options import EvaluateOptions


def evaluate(options: EvaluateOptions) -> None:
    """Measure, print, and write the requested files. Raises `TaggerError`."""
    check_outputs(options)
    every = labelled_clips(options)
    info = find_model(options.model, say, labels=options.labels)
    options, clips, note = choose_clips(every, options, info)
    warning = leakage_warning(info, every, clips, options.draw)
    if warning:
        say(warning)
    as_tagged = PredictOptions(options.windows, device=options.device, precision=options.precision)
    model = load_model(info, as_tagged)
    evaluation = measure(clips, model, as_tagged, [clip.label for clip in every])
    evaluation = replace(evaluation, metrics=replace(evaluation.metrics, known=warning is not None))
    for failure in evaluation.failures:
        say(f"left out: {failure.path}: {failure.reason}")
    width = terminal_width(sys.stdout)
    for line in head_lines(options, model, evaluation, note):
        click.echo(wrapped(printable(line), width))
    click.echo(describe(evaluation.metrics, width))
    write_outputs(options, model, evaluation)


def choose_clips(
    every: Sequence[Clip], options: EvaluateOptions, info: ModelInfo
) -> tuple[EvaluateOptions, Sequence[Clip], str]:
    """The options with the split that was chosen, the clips to evaluate on, and a note on them.

    Raises `TrainingError` if there is no clip to evaluate on.
    """
    if options.part == "all":
        return options, every, ""
    draw = options.draw
    if options.split == "auto":
        split, draw = split_as_trained(info, every, draw)
        say(f"split: {split.name}, {split.reason}")
    else:
        split = make_split(every, options.split, draw)
    if not (clips := split.part(options.part)):
        sizes = ", ".join(f"{part} {len(split.part(part))}" for part in PARTS)
        raise TrainingError(
            f"{options.data} has no clip of the {options.part} part of the {split.name} split "
            f"({sizes}); choose another --part"
        )
    chosen = replace(options, split=split.name, seed=draw.seed, folds=draw.folds, fold=draw.fold)
    return chosen, clips, split.note


def head_lines(
    options: EvaluateOptions, model: GenreModel, evaluation: Evaluation, note: str
) -> list[str]:
    """The model, the clips, and the labels to choose from if they are not all of the model's."""
    windows = options.windows or "all"
    lines = [
        f"model              {options.model}, {windows} windows per clip, "
        f"{model.precision} on {model.device.type}",
        f"part               {part_name(options)}",
    ]
    if note:
        lines.append(f"split              {note}")
    match, count = evaluation.match, len(model.info.labels)
    if len(match.columns) < count:
        lines.append(f"labels             {len(match.columns)} of the model's {count}")
    if match.unknown:
        unknown = ", ".join(match.unknown)
        lines.append(f"unknown to it      {unknown} ({evaluation.left_out} clips left out)")
    return lines


def part_name(options: EvaluateOptions) -> str:
    """The evaluated clips, in words."""
    if options.part == "all":
        return "all"
    drawn = f", fold {options.fold}" if options.split == "kfold" else ""
    return f"{options.part} of the {options.split} split{drawn}"


def check_outputs(options: EvaluateOptions) -> None:
    """Raise `TrainingError` now if writing would fail after a long run."""
    for path in (options.confusion, options.figures):
        if path is not None and not path.absolute().parent.is_dir():
            raise TrainingError(f"{path} cannot be written: its folder is missing", path)
    if options.confusion is not None:
        try:
            import training.evaluation.plots  # noqa: F401 (is matplotlib installed?)
        except ImportError as error:
            raise TrainingError(f"--confusion needs matplotlib ({error})") from error


def write_outputs(options: EvaluateOptions, model: GenreModel, evaluation: Evaluation) -> None:
    """Write the picture and the JSON file, if requested. Raises `TrainingError`."""
    try:
        if options.confusion is not None:
            from training.evaluation.plots import confusion_png

            folder = Path(options.model)
            name = folder.name if folder.is_dir() else options.model
            heading = f"{name}, {part_name(options)}"
            confusion_png(evaluation.metrics, options.confusion, heading)
        if options.figures is not None:
            text = json.dumps(as_figures(options, model, evaluation), indent=2)
            options.figures.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{error.filename} cannot be written: {error.strerror}") from error


def as_figures(
    options: EvaluateOptions, model: GenreModel, evaluation: Evaluation
) -> dict[str, object]:
    """All metrics, and how they were measured, for JSON."""
    return {
        "model": options.model,
        "fingerprint": model.info.fingerprint,
        "split": options.split,
        "part": options.part,
        **asdict(options.draw),
        "windows_per_clip": options.windows,
        "dtype": model.precision,  # not "precision", which is a metric of each label
        "device": model.device.type,
        "unknown_labels": evaluation.match.unknown,
        "left_out": evaluation.left_out,
        "failures": {str(failure.path): failure.reason for failure in evaluation.failures},
        **as_json(evaluation.metrics),
    }
