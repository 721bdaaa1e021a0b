"""`tag-genres doctor`: what a run would find on this machine, and what would keep it from working.

It changes nothing, downloads nothing and contacts no server. `diagnosis` defines the values that
it fills, `probes` tries what may crash or hang, `usable` what options name, and `diagnosis_lines`
shows it as text.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tagger.app import diagnosis_lines as lines
from tagger.app import probes
from tagger.app.config import Fault, by_line
from tagger.app.diagnosis import (
    PLACES,
    ConfigFile,
    DefaultModel,
    Diagnosis,
    Package,
    Space,
)
from tagger.app.diagnosis_lines import Row
from tagger.app.models import folder_of
from tagger.app.state_file import look_at_state, nearest_folder
from tagger.app.usable import Named, faults, try_models
from tagger.models.device import count_cores
from tagger.models.presets import PRESETS
from tagger.state.store import default_state
from tagger.version import __version__

NETWORK = "nothing was contacted"
BEETS_PLUGIN = Path(__file__).parents[1] / "integrations" / "beets" / "beetsplug"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run would do without options, as its config file and the environment say."""

    path: Path  # of the config file
    exists: bool
    faults: tuple[Fault, ...]  # of its options, but not of what they name
    named: Named
    lines: Mapping[str, int | None]  # of the options that the config file sets, by their keys
    model_source: str = "default"  # where the model is set


def examine(asked: Asked, show: Callable[[Row], None] = lambda row: None) -> Diagnosis:
    """What `tag-genres doctor` reports; `show` gets each row of the text once it is known."""

    def shown(rows: Iterable[Row]) -> None:
        for row in rows:
            show(row)

    named, packages = asked.named, dict[str, Package]()
    with ThreadPoolExecutor() as threads:
        device = threads.submit(probes.try_device, named.device, named.precision)
        containers = threads.submit(probes.try_containers)
        config = look_at_config(asked)
        state = look_at_state(named.state or default_state(), is_default=named.state is None)
        space = look_at_space(Path(state.path))
        shown([*lines.config_rows(config), *lines.state_rows(state), *lines.space_rows(space)])
        shown([("beets pluginpath", str(BEETS_PLUGIN)), ("network", NETWORK)])
        for name, package in probes.try_packages():
            packages[name] = package
            shown(lines.package_rows(name, package))
        programs = {name: probes.program_version(name) for name in probes.PROGRAMS}
        shown(lines.program_rows(programs))
        models, default_model = look_at_models(), look_at_default_model(asked)
        shown(lines.model_rows(models, default_model))
        shown(lines.device_rows(device.result(), count_cores()))
        shown(lines.container_rows(containers.result()))
        return Diagnosis(
            tag_genres=__version__,
            python=platform.python_version(),
            platform=platform.platform(),
            packages=packages,
            device=device.result(),
            cores=count_cores(),
            containers=containers.result(),
            programs=programs,
            models=models,
            default_model=default_model,
            config=config,
            state=state,
            beets_plugin=str(BEETS_PLUGIN),
            network=NETWORK,
            space=space,
        )


def look_at_config(asked: Asked) -> ConfigFile:
    """The config file, also with what is wrong with the reports that it names."""
    wrong = faults(asked.named, {*asked.lines} & {"csv", "xlsx", "playlists"})
    more = (Fault(asked.path, reason, asked.lines[key]) for key, reason in wrong)
    error = "\n".join(map(str, by_line((*asked.faults, *more))))
    return ConfigFile(str(asked.path), asked.exists, error)


def look_at_models() -> dict[str, str | None]:
    """The folder of each preset, by name; None if it is not on disk."""
    folders: dict[str, str | None] = dict.fromkeys(PRESETS)
    for name, preset in PRESETS.items():
        with suppress(ImportError):  # of huggingface_hub, which the list of packages reports
            if folder := folder_of(preset):
                folders[name] = str(folder)
    return folders


def look_at_default_model(asked: Asked) -> DefaultModel:
    """The models that a run without `--model` uses, and whether they are on disk."""
    names = asked.named.model
    errors, missing = try_models(names, asked.named.labels)
    return DefaultModel(names, asked.model_source, next(iter(errors.values()), ""), missing)


def look_at_space(state: Path) -> dict[str, Space]:
    """Free space for the state file, downloaded models and temporary files."""
    places: dict[str, Callable[[], Path]] = {
        "state": lambda: state,
        "models": _model_cache,
        "temporary": lambda: Path(tempfile.gettempdir()) / "file",
    }
    spaces = dict.fromkeys(PLACES, Space())
    for name, place in places.items():
        with suppress(ImportError, OSError):
            folder = nearest_folder(place())
            spaces[name] = Space(str(folder), shutil.disk_usage(folder).free)
    return spaces


def _model_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / "models"
