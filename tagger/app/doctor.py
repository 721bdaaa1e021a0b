"""`tag-genres doctor`: what a run would find on this machine, and what would keep it from working.

It changes nothing, downloads nothing and contacts no server. `diagnosis` defines the values that
it fills, `probes` tries what may crash or hang.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tagger.app import probes
from tagger.app.config import default_config, read_config
from tagger.app.diagnosis import (
    PLACES,
    ConfigFile,
    Container,
    DefaultModel,
    Device,
    Diagnosis,
    Space,
    StateFile,
)
from tagger.app.models import folder_of
from tagger.errors import ConfigError
from tagger.models import cache, hub
from tagger.models.device import count_cores
from tagger.models.find import find_model, from_hub
from tagger.models.presets import PRESETS, is_non_commercial
from tagger.state.store import default_state
from tagger.types import DEFAULT_MODEL
from tagger.version import __version__

BEETS_PLUGIN = Path(__file__).parents[1] / "integrations" / "beets" / "beetsplug"


def examine(state: Path | None = None, config: Path | None = None) -> Diagnosis:
    """What `tag-genres doctor` reports; `state` and `config` as on the command line."""
    with ThreadPoolExecutor() as threads:
        device = threads.submit(probes.try_device)
        packages = threads.submit(probes.try_packages)
        containers = threads.submit(probes.try_containers)
        config_file, options = look_at_config(config)
        chosen = state or options.get("state")
        state_file = probes.look_at_state(
            Path(str(chosen or default_state())), is_default=chosen is None
        )
        return Diagnosis(
            tag_genres=__version__,
            python=platform.python_version(),
            platform=platform.platform(),
            packages=packages.result(),
            device=device.result(),
            cores=count_cores(),
            containers=containers.result(),
            programs={name: probes.program_version(name) for name in ("ffmpeg", "ffprobe")},
            models=look_at_models(),
            default_model=look_at_default_model(options.get("model"), options.get("labels")),
            config=config_file,
            state=state_file,
            beets_plugin=str(BEETS_PLUGIN),
            network="nothing was contacted",
            space=look_at_space(Path(state_file.path)),
        )


def look_at_config(path: Path | None) -> tuple[ConfigFile, Mapping[str, object]]:
    """The config file, and the options in it."""
    chosen = path or default_config()
    exists = chosen.exists()
    if path is None and not exists:
        return ConfigFile(str(chosen), exists), {}
    try:
        options = read_config(chosen)
    except ConfigError as error:
        return ConfigFile(str(chosen), exists, str(error)), {}
    wrong = ""
    for name, kinds in {"state": (Path,), "model": (str, list)}.items():
        if not isinstance(options.get(name, kinds[0]()), kinds):
            wrong = f"{chosen}: {name} must be a text, not {options.pop(name)!r}"
    return ConfigFile(str(chosen), exists, wrong), options


def look_at_models() -> dict[str, str | None]:
    """The folder of each preset, by name; None if it is not on disk."""
    folders: dict[str, str | None] = dict.fromkeys(PRESETS)
    for name, preset in PRESETS.items():
        with suppress(ImportError):  # of huggingface_hub, which the list of packages reports
            if folder := folder_of(preset):
                folders[name] = str(folder)
    return folders


def look_at_default_model(configured: object, labels: object = None) -> DefaultModel:
    """The models that a run without `--model` uses, and whether they are on disk.

    `configured` is `model` in the config file: a name, several, or nothing; `labels` is the path of
    the names of its outputs there, which do not belong to any other model. Sends no request.
    """
    names, source = [DEFAULT_MODEL], "built in"
    if configured:
        names = [*configured] if isinstance(configured, list) else [str(configured)]
        source = "config file"
    if name := os.environ.get("TAG_GENRES_MODEL"):
        names, source = [name], "TAG_GENRES_MODEL"
    paths = tuple(os.path.expanduser(str(name)) for name in names)
    of_outputs = labels if isinstance(labels, Path) and source == "config file" else None
    missing, first_error = [], ""
    for name in paths:
        try:
            want = from_hub(name)
            if want and not cache.cached(want.repo, want.revision) and _may_be_downloaded(want):
                missing.append(want.name)
            else:
                # On disk, or refused before any request to a hub. Weights are not loaded.
                find_model(name, labels=of_outputs)
        except Exception as error:  # a package that it needs may be broken
            first_error = first_error or probes.describe(error)
    return DefaultModel(paths, source, first_error, tuple(missing))


def _may_be_downloaded(want: hub.Wanted) -> bool:
    from huggingface_hub import constants

    return not constants.is_offline_mode() and not is_non_commercial(want.licence)


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
            folder = probes.nearest_folder(place())
            spaces[name] = Space(str(folder), shutil.disk_usage(folder).free)
    return spaces


def _model_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / "models"


def text_lines(found: Diagnosis) -> Iterator[str]:
    """The diagnosis as text; the last line says whether a run would work, or why not."""
    yield f"tag-genres {found.tag_genres}, Python {found.python}, {found.platform}"
    yield from _package_lines(found)
    yield from _device_lines(found.device, found.cores)
    yield from _container_lines(found.containers)
    for name, version in found.programs.items():
        yield _row(name, version or "not on the PATH")
    for name, folder in found.models.items():
        yield _row(f"model {name}", folder or "not on disk")
    model, config, state = found.default_model, found.config, found.state
    yield _row("default model", f"{' + '.join(model.names)} ({model.source})")
    reads = config.error or ("can be read" if config.exists else "there is none")
    yield _row("config file", f"{config.path}: {reads}")
    yield _row("state file", f"{state.path}: {_describe_state(state)}")
    yield _row("beets pluginpath", found.beets_plugin)
    for name, space in found.space.items():
        free = "no folder" if space.bytes is None else f"{space.bytes / 1e9:.1f} GB free"
        yield _row("space", f"{free} for {PLACES[name]} ({space.path})")
    yield _row("network", found.network)
    yield from (f"warning: {sentence}" for sentence in found.warnings)
    yield from (f"broken: {sentence}" for sentence in found.broken)
    if found.works:
        yield "a run would work"


def _row(name: str, text: str) -> str:
    return f"{name:<24}{text}"


def _package_lines(found: Diagnosis) -> Iterator[str]:
    device = found.device
    if device.torch:
        build = f"CUDA {device.cuda_build}" if device.cuda_build else "built without CUDA"
        yield _row("torch", f"{device.torch} ({build})")
    for name, package in found.packages.items():
        library = f" ({package.library})" if package.library else ""
        yield _row(name, package.error or f"{package.version}{library}")


def _device_lines(device: Device, cores: int) -> Iterator[str]:
    yield _row("device", f"{device.name}: {device.error or device.reason}")
    for gpu in device.gpus:
        yield _row("GPU", f"{gpu.name}, {gpu.bytes / 1e9:.0f} GB")
    yield _row("precision", f"{device.precision}: {device.precision_reason}")
    yield _row("cores", str(cores))


def _container_lines(containers: Mapping[str, Container]) -> Iterator[str]:
    """A table: "used" marks the decoder of a run, and a row says why earlier decoders fail."""
    yield _row("container", "".join(f"{name:<11}" for name in probes.DECODERS)).rstrip()
    for name, container in containers.items():
        if container.decoders is None:
            yield _row(f"  {name}", "no sample")
            continue
        cells, reasons, is_read = "", [], False
        for decoder, reason in container.decoders.items():
            is_used = decoder == container.used
            is_read = is_read or is_used
            cells += f"{'no' if reason else 'used' if is_used else 'reads':<11}"
            reasons += [] if is_read else [f"{decoder}: {reason}"]
        yield _row(f"  {name}", cells + "; ".join(reasons)).rstrip()


def _describe_state(state: StateFile) -> str:
    if not state.exists:
        return "there is none yet"
    size = f"{state.bytes / 1e6:.1f} MB" if state.bytes is not None else "size unknown"
    counts = {"predictions": state.predictions, "runs": state.runs}
    counted = (f"{name}: {count:,}" for name, count in counts.items() if count is not None)
    return ", ".join([size, state.check or "empty", *counted])
