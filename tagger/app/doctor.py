"""`tag-genres doctor`: what a run would find on this machine, and what would keep it from working.

Nothing is changed, downloaded or asked of anybody.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagger.app import probes
from tagger.app.config import default_config, read_config
from tagger.app.models import folder_of
from tagger.errors import ConfigError
from tagger.models import hub
from tagger.models.device import count_cores
from tagger.models.find import DEFAULT_MODEL, find_model
from tagger.models.presets import PRESETS, is_non_commercial
from tagger.state.store import default_state
from tagger.version import __version__

Report = dict[str, Any]

LOW = 100 << 20  # bytes of free space
PLACES = {"state": "state file", "models": "downloaded models", "temporary": "temporary files"}


def examine(state: Path | None = None, config: Path | None = None) -> Report:
    """What `tag-genres doctor --json` prints; `state` and `config` as on the command line.

    `tag_genres`, `python`, `platform`: versions.
    `packages`: each with `version`, `library` (the one in C that it brings) and `error`.
    `device`: `name`, `reason`, `gpus` (`name`, `bytes`), `torch`, `cuda_build` (version or null),
    `trouble` (why an NVIDIA GPU cannot be used), `error` (why nothing computes), `precision`,
    `precision_reason`. `cores`: how many a run may use.
    `containers`: each with `used` (the decoder of a run, or null) and `decoders` (each with "", or
    why it cannot read it; null where there is no sample to try).
    `programs`: the versions of `ffmpeg` and `ffprobe`, or null.
    `models`: presets with their folder, null where they are not on disk; `default_model`: `names`,
    `source`, `error`, and `missing`, of which a run downloads each.
    `config`: `path`, `exists`, `error`. `state`: see `probes.look_at_state`.
    `space`: `state`, `models` and `temporary` with `path` and `bytes` that are free, or null.
    `network`; `broken` and `warnings`: sentences; `works`: whether nothing is broken.
    """
    with ThreadPoolExecutor() as threads:
        device = threads.submit(probes.try_device)
        packages = threads.submit(probes.try_packages)
        containers = threads.submit(probes.try_containers)
        settings, options = look_at_config(config)
        given = state or options.get("state")
        report: Report = {
            "tag_genres": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": packages.result(),
            "device": device.result(),
            "cores": count_cores(),
            "containers": containers.result(),
            "programs": {name: probes.program_version(name) for name in ("ffmpeg", "ffprobe")},
            "models": look_at_models(),
            "default_model": look_at_default_model(options.get("model")),
            "config": settings,
            "state": probes.look_at_state(Path(given or default_state()), ours=given is None),
            "network": "nothing was contacted",
        }
    report["space"] = look_at_space(Path(report["state"]["path"]))
    report |= {"broken": [*broken(report)], "warnings": [*doubtful(report)]}
    return report | {"works": not report["broken"]}


def look_at_config(path: Path | None) -> tuple[Report, Report]:
    """How the config file does, and the options in it."""
    chosen = path or default_config()
    found: Report = {"path": str(chosen), "exists": chosen.exists(), "error": ""}
    if path is None and not found["exists"]:
        return found, {}
    try:
        options = read_config(chosen)
    except ConfigError as error:
        return {**found, "error": str(error)}, {}
    for name, kinds in {"state": (Path,), "model": (str, list)}.items():
        if not isinstance(options.get(name, kinds[0]()), kinds):
            found["error"] = f"{chosen}: {name} must be a text, not {options.pop(name)!r}"
    return found, options


def look_at_models() -> Report:
    """Name of each preset to the folder that it is in, or None."""
    found: Report = {}
    for name, preset in PRESETS.items():
        found[name] = None
        with suppress(ImportError):  # of huggingface_hub, which is told
            folder = folder_of(preset)
            found[name] = folder and str(folder)
    return found


def look_at_default_model(configured: Any) -> Report:
    """What a run without `--model` takes, and whether it is there; a hub is not asked."""
    names, source = [DEFAULT_MODEL], "built in"
    if configured:
        names, source = [configured] if isinstance(configured, str) else configured, "config file"
    if named := os.environ.get("TAG_GENRES_MODEL"):
        names, source = [named], "TAG_GENRES_MODEL"
    found: Report = {
        "names": [os.path.expanduser(str(name)) for name in names],
        "source": source,
        "error": "",
        "missing": [],
    }
    for name in found["names"]:
        is_folder = name not in PRESETS and os.path.isdir(name)
        want = None if is_folder else hub.wanted(name)
        try:
            if want and not hub.cached(want.repo, want.revision) and _is_free_to_get(want):
                found["missing"].append(name)
            else:
                # Nobody is asked of what is on disk, or may not be got. Weights are not read.
                find_model(name)
        except Exception as error:  # a package that it needs may be broken
            found["error"] = found["error"] or probes.one_line(error)
    return found


def _is_free_to_get(want: hub.Wanted) -> bool:
    from huggingface_hub import constants

    return not constants.is_offline_mode() and not is_non_commercial(want.licence)


def look_at_space(state: Path) -> Report:
    """Bytes that are free at the state file, where models are downloaded to, and for a while."""
    found: Report = {name: {"path": "", "bytes": None} for name in PLACES}
    places = {"state": lambda: state, "models": _model_cache, "temporary": _temporary}
    for name, place in places.items():
        with suppress(ImportError, OSError):
            folder = probes.nearest_folder(place())
            found[name] = {"path": str(folder), "bytes": shutil.disk_usage(folder).free}
    return found


def _model_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / "models"


def _temporary() -> Path:
    return Path(tempfile.gettempdir()) / "file"


def broken(report: Report) -> Iterator[str]:
    """What keeps a run from working."""
    for name, package in report["packages"].items():
        # What soundfile and pydub read, PyAV reads too.
        if package["error"] and name not in ("soundfile", "pydub"):
            yield f"{name} cannot be imported: {package['error']}"
    if report["device"]["error"]:
        yield f"the device: {report['device']['error']}"
    if not any(row["used"] for row in report["containers"].values()):
        yield "no decoder reads anything"
    if report["config"]["error"]:
        yield f"the config file: {report['config']['error']}"
    if report["default_model"]["error"]:
        yield f"the default model: {report['default_model']['error']}"
    state = report["state"]
    if state["fatal"]:
        yield f"the state file {state['path']}: {state['check']}; name another by --state"
    elif not state["writable"]:
        yield f"the state file {state['path']} cannot be written; name another by --state"


def doubtful(report: Report) -> Iterator[str]:
    """What a run does without, or would tell."""
    for name in ("soundfile", "pydub"):
        if error := report["packages"][name]["error"]:
            yield f"{name} cannot be imported: {error}"
    if trouble := report["device"]["trouble"]:
        yield f"the NVIDIA GPU cannot be used: {trouble}"
    containers = report["containers"].items()
    unread = [name for name, row in containers if row["decoders"] and not row["used"]]
    if unread:
        yield f"no decoder reads {', '.join(unread)}"
    if absent := [name for name, version in report["programs"].items() if version is None]:
        yield (
            f"{' and '.join(absent)} not on the PATH: pydub needs both for what no other decoder "
            f"reads ({', '.join(unread) or 'none of the containers that were tried'})"
        )
    for name in report["default_model"]["missing"]:
        yield f"the default model {name} is not on disk; a run downloads it"
    state = report["state"]
    if state["check"] not in (None, "ok") and not state["fatal"]:
        yield f"the state file is damaged ({state['check']}); a run sets it aside and begins anew"
    for name, place in report["space"].items():
        if place["bytes"] is None or place["bytes"] < LOW:
            yield f"little space for {PLACES[name]} in {place['path'] or 'any folder'}"


def told(report: Report) -> Iterator[str]:
    """The report as text."""
    yield f"tag-genres {report['tag_genres']}, Python {report['python']}, {report['platform']}"
    yield from _told_packages(report)
    yield from _told_device(report["device"], report["cores"])
    yield from _told_containers(report["containers"])
    for name, version in report["programs"].items():
        yield _line(name, version or "not on the PATH")
    for name, folder in report["models"].items():
        yield _line(f"model {name}", folder or "not on disk")
    model, config, state = report["default_model"], report["config"], report["state"]
    yield _line("default model", f"{' + '.join(model['names'])} ({model['source']})")
    reads = config["error"] or ("can be read" if config["exists"] else "there is none")
    yield _line("config file", f"{config['path']}: {reads}")
    yield _line("state file", f"{state['path']}: {_told_state(state)}")
    for name, place in report["space"].items():
        free = "no folder" if place["bytes"] is None else f"{place['bytes'] / 1e9:.1f} GB free"
        yield _line("space", f"{free} for {PLACES[name]} ({place['path']})")
    yield _line("network", report["network"])
    yield from (f"warning: {sentence}" for sentence in report["warnings"])
    yield from (f"broken: {sentence}" for sentence in report["broken"])
    if report["works"]:
        yield "a run would work"


def _line(name: str, text: str) -> str:
    return f"{name:<24}{text}"


def _told_packages(report: Report) -> Iterator[str]:
    device = report["device"]
    if device["torch"]:
        build = f"CUDA {device['cuda_build']}" if device["cuda_build"] else "built without CUDA"
        yield _line("torch", f"{device['torch']} ({build})")
    for name, package in report["packages"].items():
        library = f" ({package['library']})" if package["library"] else ""
        yield _line(name, package["error"] or f"{package['version']}{library}")


def _told_device(device: Report, cores: int) -> Iterator[str]:
    yield _line("device", f"{device['name']}: {device['error'] or device['reason']}")
    for gpu in device["gpus"]:
        yield _line("GPU", f"{gpu['name']}, {gpu['bytes'] / 1e9:.0f} GB")
    yield _line("precision", f"{device['precision']}: {device['precision_reason']}")
    yield _line("cores", str(cores))


def _told_containers(containers: Report) -> Iterator[str]:
    """A table, the decoder that a run takes as "used", and why those before it cannot."""
    yield _line("container", "".join(f"{name:<11}" for name in probes.DECODERS)).rstrip()
    for container, row in containers.items():
        if row["decoders"] is None:
            yield _line(f"  {container}", "no sample")
            continue
        cells, reasons, is_read = "", [], False
        for name, reason in row["decoders"].items():
            is_read = is_read or name == row["used"]
            cells += f"{'no' if reason else 'used' if name == row['used'] else 'reads':<11}"
            reasons += [] if is_read else [f"{name}: {reason}"]
        yield _line(f"  {container}", cells + "; ".join(reasons)).rstrip()


def _told_state(state: Report) -> str:
    if not state["exists"]:
        return "there is none yet"
    size = f"{state['bytes'] / 1e6:.1f} MB" if state["bytes"] is not None else "size unknown"
    counts = "".join(
        f", {name}: {state[name]:,}" for name in ("predictions", "runs") if state[name] is not None
    )
    return f"{size}, {state['check'] or 'empty'}{counts}"
