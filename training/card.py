"""The model card: README.md of a checkpoint, as the Hugging Face hub shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.gtzan import Clip
from training.scores import Scores, describe

TEMPLATE = """---
library_name: transformers
pipeline_tag: audio-classification
tags: [music, audio-spectrogram-transformer]
---

# {title}

An Audio Spectrogram Transformer that tells {count} labels apart: {labels}.
It hears mono music at {rate} Hz in windows of {seconds:.2f} s and has {parameters:.1f} million
parameters. Made by `training/finetune.py` of tag-genres:

    {command}

## Learned from

{learned}

## Measured

{measured}
"""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a run knows of its checkpoint."""

    title: str
    labels: tuple[str, ...]
    rate: int  # Hz
    seconds: float  # per window
    parameters: int
    command: str
    split: str


def write_card(
    folder: Path, facts: CardFacts, clips: Sequence[Clip], scores: Scores | None
) -> None:
    """Write README.md: the facts, the clips learned from, and the scores on the validation part."""
    counts = Counter(clip.label for clip in clips)
    learned = f"{len(clips)} clips, the train part of the {facts.split} split: " + ", ".join(
        f"{label} {count}" for label, count in sorted(counts.items())
    )
    if scores is None:
        measured = "Nothing: the validation part has no clip."
    else:
        lines = describe(scores).splitlines()
        measured = "On the validation part, which the run did not learn from:\n\n" + "\n".join(
            f"    {line}".rstrip() for line in lines
        )
    text = TEMPLATE.format(
        title=facts.title,
        count=len(facts.labels),
        labels=", ".join(facts.labels),
        rate=facts.rate,
        seconds=facts.seconds,
        parameters=facts.parameters / 1e6,
        command=facts.command,
        learned=learned + ".",
        measured=measured,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
