"""`tag-genres models`: the models with a short name, what is known about one, and its download."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tagger.errors import CheckpointError
from tagger.genres.labels import genre_columns, genres_of, is_discogs, parent_and_style
from tagger.models import cache, hub
from tagger.models.checkpoint import BUNDLED, ModelInfo
from tagger.models.find import find_model, from_hub
from tagger.models.presets import PRESETS, Preset, find_preset, nearest_name
from tagger.models.weights import load_network
from tagger.report.escape import json_text
from tagger.types import DEFAULT_MODEL

NO_BREAK = "\u00a0"  # a space within a genre's name, where no line ends
HOW_TO_USE = (
    "tag-genres models show NAME: its genres, its licence, and how good it is",
    "tag-genres PATH --model NAME: uses it, and downloads it if it is not on disk",
    "not for commercial use: first tag-genres models get NAME --accept-licence",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A model in the list."""

    name: str
    suits: str  # for whom it is
    facts: tuple[str, ...]  # genres, size, licence, whether it is on disk
    details: tuple[tuple[str, str], ...]  # what else is known: a heading, and a text

    @property
    def about(self) -> str:
        """The facts in one line."""
        return " · ".join(self.facts)


def folder_of(preset: Preset) -> Path | None:
    """The folder of a preset; None if it is not on disk. Sends no request."""
    return cache.cached(preset.repo, preset.revision) if preset.repo else BUNDLED / DEFAULT_MODEL


def list_models() -> list[Entry]:
    """The presets. Sends no request."""
    return [
        Entry(
            name,
            preset.suits,
            (
                preset.offers,
                f"{preset.megabytes} MB",
                preset.licence,
                "on disk" if folder_of(preset) else "not on disk",
            ),
            tuple(_of_preset(preset)),
        )
        for name, preset in PRESETS.items()
    ]


def models_json() -> str:
    """All presets as JSON, for scripts."""
    known = [
        {
            **asdict(preset),
            "non_commercial": preset.non_commercial,
            "folder": str(folder) if folder else None,
            "genres": _genres(preset.genre_labels),
        }
        for preset in PRESETS.values()
        for folder in [folder_of(preset)]
    ]
    return json_text(known, indent=2)


def show_model(name: str) -> Iterator[tuple[str, str]]:
    """What is known about a model before any download: headings, each with a text.

    `name` is a preset, a folder, or a hub id that is on disk. Sends no request. Raises
    `CheckpointError`.
    """
    preset, info = find_preset(name), _on_disk(name)
    yield "name", preset.name if preset else name
    if preset:
        yield "for", preset.suits
        yield from _of_preset(preset)
    elif info:
        yield from _of_folder(name, info)
    labels = info.labels if info else preset.genre_labels if preset else ()
    yield from _genre_lines(labels)
    yield "use it", f"tag-genres ~/Music --model {shlex.quote(preset.name if preset else name)}"
    if preset and not info:
        accept = " --accept-licence" if preset.non_commercial else ""
        yield "get it", f"tag-genres models get {preset.name}{accept}"


def _on_disk(name: str) -> ModelInfo | None:
    """A model that needs no download; None for a preset that does."""
    want = from_hub(name)
    if want is None or cache.cached(want.repo, want.revision):
        return find_model(name, quiet=True)
    if find_preset(name):
        return None
    meant = nearest_name(name)
    hint = f"did you mean {meant}? Otherwise " if meant else ""
    raise CheckpointError(
        f"{want.repo} is not on disk, so nothing is known about it here; {hint}get it with: "
        f"tag-genres models get {want.name}"
    )


def _of_preset(preset: Preset) -> Iterator[tuple[str, str]]:
    window = f"{preset.window:g} s of audio, predicted in {preset.cpu_seconds:g} s on two cores"
    yield "licence", preset.licence
    yield "size", f"{preset.megabytes} MB of weights ({preset.weights})"
    yield "window", window
    yield "published", f"{preset.accuracy} ({preset.source})"
    yield "labels", f"{preset.labels}: {preset.vocabulary}"
    if preset.repo:
        revision = preset.revision or "of its first download"
        yield "from", f"{hub.page(preset.repo)}, revision {revision}"
    yield "folder", str(folder_of(preset) or "not on disk")


def _of_folder(name: str, info: ModelInfo) -> Iterator[tuple[str, str]]:
    if want := from_hub(name):
        yield "licence", want.licence or f"see {hub.page(want.repo)}"
        yield "from", hub.page(want.repo)
    size = sum(path.stat().st_size for path in info.own_folder.iterdir() if path.is_file())
    yield "size", f"{size / 1e6:,.0f} MB"
    yield "window", f"{info.front_end.window_samples / info.front_end.rate:g} s of audio"
    genres = genre_columns(info.labels) or info.labels
    yield "labels", f"{len(info.labels)}, of which {len(genres)} are genres"
    yield "folder", str(info.own_folder)


def _genre_lines(labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The genres of a model, as they are written; those of Discogs below their parents."""
    columns = genre_columns(labels)
    chosen = labels if columns is None else [labels[place] for place in columns]
    if not is_discogs(labels):
        yield "genres", _listed(chosen)
        return
    below: dict[str, list[str]] = {}
    for label in chosen:
        below.setdefault(parent_and_style(label)[0], []).append(label)
    for styles in below.values():
        yield genres_of([styles[0]], "parent")[0][0], _listed(styles)


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(name.replace(" ", NO_BREAK) for name in _genres(labels))


def _genres(labels: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name for name, _ in genres_of(labels)))


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
