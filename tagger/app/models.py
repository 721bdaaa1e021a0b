"""`tag-genres models`: the table of models with a short name, and the download of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from tagger.models import cache, hub
from tagger.models.checkpoint import BUNDLED
from tagger.models.find import find_model, from_hub
from tagger.models.presets import PRESETS, Preset
from tagger.models.weights import load_network
from tagger.types import DEFAULT_MODEL


def folder_of(preset: Preset) -> Path | None:
    """The folder of a preset; None if it is not on disk. Sends no request."""
    return cache.cached(preset.repo, preset.revision) if preset.repo else BUNDLED / DEFAULT_MODEL


def model_lines(verbose: bool) -> Iterator[str]:
    """A table of the presets, with details if `verbose`, and how to use one."""
    yield _row("name", "licence", "labels", "window", "MB", "revision", "on disk", "accuracy")
    for name, preset in PRESETS.items():
        folder = folder_of(preset)
        pinned = preset.revision[:8] if preset.revision else "not pinned" if preset.repo else "-"
        here = "yes" if folder else "no"
        size, window = str(preset.megabytes), f"{preset.window:.1f} s"
        about = name, preset.licence, str(preset.labels), window, size, pinned, here
        yield _row(*about, preset.accuracy)
        if verbose:
            yield f"    labels:   {preset.vocabulary}"
            yield f"    accuracy: {preset.source}"
            yield f"    weights:  {preset.weights}, for the front end {preset.front_end}"
            if preset.repo:
                yield f"    page:     {hub.page(preset.repo)}"
            yield f"    folder:   {folder or 'not on disk'}"
    yield "tag-genres PATH --model NAME uses one, and downloads it if it is not on disk"
    yield "-NC- is for non-commercial use only: tag-genres models get NAME --accept-licence"


def _row(*cells: str) -> str:
    widths = "<15", "<15", ">6", ">6", ">4", "<10", "<7", ""
    return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))


def models_json() -> str:
    """All presets as JSON, for scripts."""
    known = [
        {
            **asdict(preset),
            "non_commercial": preset.non_commercial,
            "folder": str(folder) if folder else None,
        }
        for preset in PRESETS.values()
        for folder in [folder_of(preset)]
    ]
    return json.dumps(known, indent=2)


def get_model(
    name: str,
    say: Callable[[str], None],
    *,
    labels: Path | None = None,
    accepted: bool,
    quiet: bool,
) -> Iterator[str]:
    """Download a model if necessary, check it, and describe it in lines of text.

    `labels` as in `find_model`, `accepted` and `quiet` as in `hub.fetch`. Raises `CheckpointError`.
    """
    want = from_hub(name)
    if want:
        if folder := cache.cached(want.repo, want.revision):
            cache.forget_damaged(folder)
        hub.fetch(want, say, accepted=accepted, quiet=quiet)
    info = find_model(name, say, quiet=quiet, labels=labels)
    load_network(info)  # raises for weights that are damaged or do not fit
    yield f"model:   {info.name}, {len(info.labels)} labels"
    if info.is_bundled:
        yield f"licence: {PRESETS[DEFAULT_MODEL].licence}"
    if want:
        page = hub.page(want.repo)
        yield f"licence: {want.licence or f'see {page}'}"
        yield f"page:    {page}"
    yield f"folder:  {info.own_folder}"
