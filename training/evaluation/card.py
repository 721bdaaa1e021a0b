"""The model card: README.md of a checkpoint, as the Hugging Face hub shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tagger.report.escape import printable
from training.clips.clip import Clip
from training.evaluation.metrics import Metrics
from training.evaluation.text import describe

TEMPLATE = """---
library_name: transformers
pipeline_tag: audio-classification
tags: [music, audio-spectrogram-transformer]
---

# {title}

An Audio Spectrogram Transformer for {count} labels: {labels}.
It reads mono music at {rate} Hz in windows of {seconds:.2f} s and has {parameters:.1f} million
parameters. Made with `training/finetune.py` of tag-genres ({method}{start}):

    {command}

## Learned from

{learned}

## Measured

{measured}
"""
CHOSEN = "Its best epoch was chosen on these clips, which flatters the figures. "
FITTED = "Its temperature was fitted to them: log loss and calibration error flatter it a little. "

SEARCHED = "Its hyperparameters were chosen on these clips as the best of {trials} trials. "
REFITTED = (
    "All figures are those of a twin that had not learned from the validation part: the same "
    "training on the train part alone, kept in run/measured. The weights here were then trained "
    "again, for the same number of steps, on train and valid together."
)
WENT_ON = (
    "All figures are those of a twin that had not learned from the validation part, kept in "
    "run/measured. The weights here went on from the twin's for {went_on}, on train and valid "
    "together."
)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a run knows about its checkpoint."""

    title: str
    labels: tuple[str, ...]
    rate: int  # Hz
    seconds: float  # per window
    parameters: int
    command: str
    method: str  # in words
    split: str
    learned: tuple[str, ...]  # parts
    chosen: bool  # whether the weights were chosen on the valid part
    start: str  # name of the initial model; empty from scratch
    kept: str  # which epoch, in words; empty without a history
    warnings: tuple[str, ...]  # that the network had learned from clips it is evaluated on
    trials: int = 0  # of a search on the valid part for the hyperparameters
    went_on: str = ""  # for how many steps, in words, if a refit started from what was measured
    bank: str = ""  # in words, if it learned from the sounds of one


def write_card(
    folder: Path,
    facts: CardFacts,
    clips: Sequence[Clip],
    valid: Metrics | None,
    test: Metrics | None,
) -> None:
    """Write README.md: the facts, the clips learned from, and the metrics on the other parts."""
    counts = Counter(clip.label for clip in clips)
    parts = " and ".join(facts.learned)
    noun = "part" if len(facts.learned) == 1 else "parts"
    learned = f"{len(clips)} clips, the {parts} {noun} of the {facts.split} split: " + ", ".join(
        f"{label} {count}" for label, count in sorted(counts.items())
    )
    if facts.bank:
        learned += f".\n\nIt learned from sounds that were {facts.bank}"
    sections = [*facts.warnings, *([facts.kept] if facts.kept else [])]
    if "valid" in facts.learned:
        sections.append(WENT_ON.format(went_on=facts.went_on) if facts.went_on else REFITTED)
    if valid is not None:
        notes = CHOSEN if facts.chosen else ""
        notes += SEARCHED.format(trials=facts.trials) if facts.trials else ""
        notes += "" if valid.known else FITTED
        sections.append(_section("On the validation part. " + notes, valid))
    if test is not None:
        chosen = "from which it had learned" if test.known else "on which nothing was chosen"
        sections.append(_section(f"On the test part, {chosen}.", test))
    text = TEMPLATE.format(
        title=_safe(facts.title),
        count=len(facts.labels),
        labels=_safe(", ".join(facts.labels)),
        rate=facts.rate,
        seconds=facts.seconds,
        parameters=facts.parameters / 1e6,
        method=facts.method,
        start=f", starting from {_safe(facts.start)}" if facts.start else "",
        command=facts.command,
        learned=_safe(learned + "."),
        measured="\n\n".join(sections) or "Nothing: no clip is in the other parts.",
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _safe(text: str) -> str:
    """A line of Markdown without HTML, whatever the text contains."""
    return printable(text).replace("<", "&lt;")


def _section(lead: str, metrics: Metrics) -> str:
    lines = "\n".join(f"    {line}".rstrip() for line in describe(metrics).splitlines())
    return f"{lead.strip()}\n\n{lines}"
