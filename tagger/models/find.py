"""From the value of `--model` to a checkpoint on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tagger.errors import CheckpointError
from tagger.models import checkpoint, names
from tagger.models.adapters import Adapter, base_name, read_adapter
from tagger.models.checkpoint import BUNDLED, ModelInfo
from tagger.models.folders import (
    ADAPTER,
    config_file,
    features_file,
    find_checkpoint,
    read_config,
    read_json,
    weight_files,
)
from tagger.models.presets import ALIASES, PRESETS, is_short_name, nearest_name
from tagger.types import FrontEnd

if TYPE_CHECKING:
    from tagger.models.hub import Wanted

Say = Callable[[str], None]


def find_model(
    name: str,
    say: Say = lambda message: None,
    *,
    quiet: bool = False,
    labels: Path | None = None,
    needs_names: bool = True,
) -> ModelInfo:
    """Find and check a checkpoint; a hub model is downloaded if it is not in the cache.

    `name` is a preset, a bundled model, a folder, a hub id, or `id@revision`; a folder with the
    name of a preset is written `./name`. A folder may also be that of a Trainer, or of an adapter.
    `labels` is a file with the names of its outputs, see `names.read_names`; without `needs_names`,
    for a head that is replaced, outputs may lack names. `say` gets a line before anything is
    downloaded; `quiet` hides the progress bar. Raises `CheckpointError`, which says what to do.
    """
    name, own = _find_folder(name, say, quiet)
    adapter = read_adapter(own, name)
    folder = own if adapter is None else _find_base(adapter, name, say, quiet)
    whole = name if adapter is None else f"the base of {name}"
    config = read_config(folder, whole)
    architecture = checkpoint.classifier(config, whole)
    weights = [*weight_files(folder, whole), *([adapter.weights] if adapter else [])]
    features = features_file(own) or features_file(folder)
    found = _labels(_naming(own, config, name), weights, adapter, _Asked(name, labels, needs_names))
    try:
        sizes = checkpoint.settings(config)
        front_end = _front_end(features, config, sizes, name)
        temperature = checkpoint.temperature(config)
        multi_label = checkpoint.is_multi_label(config, found)
        checkpoint.check_size(sizes, len(found), weights, name)
        files = _files(folder, own, features, weights)
        fingerprint = checkpoint.fingerprint(files, found if labels is not None else ())
    except ValueError as error:
        raise CheckpointError(f"{name} has an unusable config: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{name} cannot be read: {error}") from error
    return ModelInfo(
        name=name,
        folder=folder,
        labels=found,
        front_end=front_end,
        multi_label=multi_label,
        fingerprint=fingerprint,
        architecture=architecture,
        temperature=temperature,
        adapter=adapter,
    )


def from_hub(name: str) -> Wanted | None:
    """What `find_model` takes from the hub: the model, or the base of an adapter; None for neither.

    Sends no request. Raises `CheckpointError` for an adapter that cannot be used.
    """
    from tagger.models import hub

    if _is_folder(name):
        adapter = read_adapter(find_checkpoint(Path(name), lambda message: None), name)
        name = base_name(adapter) if adapter else ""
    return None if _is_folder(name) else hub.wanted(name)


def _is_folder(name: str) -> bool:
    # A preset comes first: the meaning of a name must not depend on the current folder.
    if is_short_name(name):
        return False
    return os.path.isdir(name)  # no error for a name too long for a path


def _front_end(
    path: Path | None, config: dict[str, Any], sizes: dict[str, Any], name: str
) -> FrontEnd:
    """The front end, which gives what the network takes. Raises `CheckpointError`, `ValueError`."""
    front_end = checkpoint.front_end(checkpoint.read_features(path, config, name))
    frames, bins = sizes["max_length"], sizes["num_mel_bins"]
    if (front_end.frames, front_end.mel_bins) != (frames, bins):
        raise CheckpointError(
            f"{name} contradicts itself: its config expects {frames} x {bins} features, its "
            f"preprocessor_config gives {front_end.frames} x {front_end.mel_bins}"
        )
    return front_end


def _files(folder: Path, own: Path, features: Path | None, weights: list[Path]) -> list[Path]:
    """All files that decide on predictions; those of an adapter are in `own`."""
    configs = {config_file(folder): None, config_file(own): None, features: None}
    of_adapter = [own / ADAPTER] if own != folder else []
    return [path for path in configs if path and path.exists()] + weights + of_adapter


def _naming(own: Path, config: dict[str, Any], name: str) -> dict[str, Any]:
    """The config that names the outputs: an adapter's own, if a person put one beside it."""
    path = config_file(own)
    return read_json(path, name) if path.exists() else config


class _Asked(NamedTuple):
    """Which model's labels are wanted, and from where."""

    name: str
    file: Path | None
    needs_names: bool


def _labels(
    config: dict[str, Any], weights: Iterable[Path], adapter: Adapter | None, asked: _Asked
) -> tuple[str, ...]:
    """The names of the outputs, from a file or from the config. Raises `CheckpointError`."""
    if asked.file is not None:
        found, outputs = names.read_names(asked.file), _outputs(weights) or names.stated(config)
        if outputs not in (None, len(found)):
            raise CheckpointError(
                f"--labels {asked.file} has {len(found)} names, and {asked.name} has {outputs} "
                "outputs"
            )
        return found
    try:
        own_head = _outputs([adapter.weights]) if adapter else None
        return names.config_names(config, partial(_outputs, weights), own_head)
    except names.UnusableNames as error:
        count = _outputs(weights) or names.stated(config)
        if not asked.needs_names and count:
            return tuple(f"output {index}" for index in range(count))
        raise CheckpointError(
            f"the labels of {asked.name} cannot be used: {error}; {names.ADVICE}"
        ) from error


def _outputs(weights: Iterable[Path]) -> int | None:
    """How many outputs the last of these files with a head has; None if no header says so."""
    from safetensors import SafetensorError, safe_open

    count = None
    for path in weights:
        if path.suffix != ".safetensors":
            continue
        try:
            with safe_open(path, "np") as file:
                for key in file.keys():  # noqa: SIM118 (it is no dict)
                    if key.endswith(checkpoint.LAST):
                        count = int(file.get_slice(key).get_shape()[0])
        except (SafetensorError, OSError, IndexError):
            return None  # a damaged file, for which loading it has a better message
    return count


def _find_base(adapter: Adapter, name: str, say: Say, quiet: bool) -> Path:
    """The folder of an adapter's base. Raises `CheckpointError`."""
    try:
        found, folder = _find_folder(base_name(adapter), say, quiet)
    except CheckpointError as error:
        raise CheckpointError(
            f"{name} is an adapter, and its base is missing: {error}; or write its folder behind "
            f"base_model_name_or_path in {adapter.files[0]}"
        ) from error
    if read_adapter(folder, found) is not None:
        raise CheckpointError(f"{name} is an adapter whose base, {found}, is an adapter itself")
    return folder


def _find_folder(name: str, say: Say, quiet: bool) -> tuple[str, Path]:
    """The name of a model, with the commit of one from the hub, and its folder."""
    bundled = sorted(path.parent.name for path in BUNDLED.glob("*/config.json"))
    if (name := ALIASES.get(name, name)) in bundled:
        return name, BUNDLED / name
    if _is_folder(name):
        folder = find_checkpoint(Path(name), say)
        return str(folder) if folder != Path(name) else name, folder
    from tagger.models import hub  # neither --help nor a run with a model on disk needs it

    if want := hub.wanted(name):
        folder = hub.fetch(want, say, quiet=quiet)
        return f"{want.repo}@{folder.name}", folder
    meant = nearest_name(name)
    hint = f"did you mean {meant}? Otherwise " if meant else ""
    known = ", ".join(PRESETS)
    raise CheckpointError(
        f"no model {name!r}: {hint}use one that `tag-genres models` lists ({known}), a folder with "
        f"config.json and model.safetensors, or a hub id such as {PRESETS['audioset'].repo}"
    )
