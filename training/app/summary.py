"""What a finished run prints: its figures, its files, and what to do next."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tagger.models.presets import is_short_name
from training.app.commands import script, shell_path
from training.console import say, terminal_width
from training.evaluation.metrics import Metrics
from training.evaluation.results import PartMetrics
from training.evaluation.text import confusion_lines, headline
from training.options import RUN, FinetuneOptions

FILES = {
    "model.safetensors": "the model, with config.json and preprocessor_config.json",
    "README.md": "its card: what it learned from, and how it was measured",
    "metrics.json": "all figures, of every epoch",
    "learning-curve.png": "loss and accuracy per epoch",
    "confusion.png": "which label was taken for which",
    "clips.json": "the clips of each part, so that evaluate.py splits them alike",
    f"{RUN}/": "TensorBoard's curves",
}
TWIN = ", and the model that was measured, before the refit"


def summarise(options: FinetuneOptions, measured: PartMetrics, how: str) -> None:
    """Print the figures of a finished run, what lies in its folder, and the next commands.

    `how` says which weights the figures are of.
    """
    for line in _lines(options, measured, how, terminal_width(sys.stderr) or 80):
        say(line)


def _lines(options: FinetuneOptions, measured: PartMetrics, how: str, width: int) -> Iterator[str]:
    parts = {"valid": measured.valid, "test": measured.test}
    known = {name: metrics for name, metrics in parts.items() if metrics is not None}
    if how:
        yield how
    if options.refits:
        yield (
            f"The figures are those of {_judged(options)}, before the refit: the saved model has "
            "learned from the valid part too."
        )
    for name, metrics in known.items():
        yield f"{name}: {headline(metrics)}"
    if not known:
        yield "not measured: no clip is in the valid or the test part"
    else:
        name, metrics = list(known.items())[-1]
        yield f"confusions in the {name} part:"
        yield from (f"    {line}".rstrip() for line in confusion_lines(metrics, width - 4))
    yield f"saved {options.out}:"
    for name, what in FILES.items():
        if (options.out / name).exists():
            yield f"  {name}: {what}" + (TWIN if options.refits and name == f"{RUN}/" else "")
    yield "next:"
    for command in _next_commands(options, known):
        yield f"    {command}"


def _judged(options: FinetuneOptions) -> Path:
    """The model that the figures are of."""
    return options.out / RUN / "measured" if options.refits else options.out


def _next_commands(options: FinetuneOptions, known: dict[str, Metrics]) -> Iterator[str]:
    model = shell_path(options.out)
    if is_short_name(model):
        model = f"./{model}"  # else it is the model of that name
    if known:
        judged = shell_path(_judged(options)) if options.refits else model
        yield (
            f"{script('evaluate')} --data {shell_path(options.data)} --model {judged} "
            f"--part {list(known)[-1]}"
        )
    yield f"tag-genres ~/Music --model {model} --dry-run"
