"""Whether a run can use what its options name: reports, a device, a state file, models.

Nothing is written or downloaded, and no server is contacted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tagger.app.probes import describe
from tagger.app.state_file import look_at_state
from tagger.errors import DeviceError, StateError, TaggerError, one_line
from tagger.models import cache, hub
from tagger.models.find import find_model, from_hub
from tagger.models.names import read_names
from tagger.models.presets import is_non_commercial
from tagger.report.playlists import check_folder
from tagger.report.target import check_target
from tagger.report.workbook import check_workbook
from tagger.types import DEFAULT_MODEL

LONGEST = 500  # characters of a reason, as in `probes.describe`


@dataclass(frozen=True, slots=True)
class Named:
    """The files, models and devices that the options of a run name."""

    model: tuple[str, ...] = (DEFAULT_MODEL,)
    labels: Path | None = None
    csv: Path | None = None
    xlsx: Path | None = None
    playlists: Path | None = None
    state: Path | None = None  # the default one
    device: str = "auto"
    precision: str = "auto"


def faults(named: Named, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """The options whose value a run cannot use, with the reason that it would print."""
    for key, check in _checks(named):
        if key in keys:
            try:
                check()
            except TaggerError as error:
                yield key, one_line(error, LONGEST)
    if "model" in keys:
        reasons, _ = try_models(named.model, named.labels)
        for reason in reasons.values():
            is_of_labels = named.labels and _is_of_labels(named.labels, reason)
            yield "labels" if is_of_labels else "model", reason


def _checks(named: Named) -> Iterator[tuple[str, Callable[[], object]]]:
    if named.csv:
        yield "csv", partial(check_target, named.csv)
    if named.xlsx:
        yield "xlsx", partial(check_workbook, named.xlsx)
    if named.playlists:
        yield "playlists", partial(check_folder, named.playlists, make=False)
    if named.device not in ("auto", "cpu"):
        yield "device", partial(_try_device, named.device)
    if named.state:
        yield "state", partial(_try_state, named.state)


def try_models(
    models: Collection[str], labels: Path | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Why some of the models cannot be used, by name, and those that a run would download.

    `labels` names the outputs of the only model. Weights are not loaded.
    """
    errors, missing = {}, []
    for name in models:
        try:
            want = from_hub(name)
            if want and not cache.cached(want.repo, want.revision) and _may_be_downloaded(want):
                missing.append(want.name)
            else:
                find_model(name, labels=labels)  # on disk, or refused before any request to a hub
        except Exception as error:  # a package that it needs may be broken
            errors[name] = describe(error)
    return errors, tuple(missing)


def _may_be_downloaded(want: hub.Wanted) -> bool:
    from huggingface_hub import constants

    return not constants.is_offline_mode() and not is_non_commercial(want.licence)


def _is_of_labels(labels: Path, error: str) -> bool:
    try:
        read_names(labels)
    except TaggerError:
        return True
    return error.startswith("--labels")


def _try_state(path: Path) -> None:
    if wrong := look_at_state(path, is_default=False).fault:
        raise StateError(wrong, path)


def _try_device(name: str) -> None:
    from tagger.models.device import choose_device, try_device

    try:
        try_device(choose_device(name))
    except (ImportError, OSError) as error:  # a broken installation
        raise DeviceError(f"torch cannot be imported: {describe(error)}") from error
