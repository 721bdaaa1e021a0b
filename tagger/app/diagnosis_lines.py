"""The findings of `tag-genres doctor` as rows of text: what was looked at, and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tagger.app.diagnosis import (
    PLACES,
    ConfigFile,
    Container,
    DefaultModel,
    Device,
    Diagnosis,
    Package,
    Space,
    StateFile,
)
from tagger.app.probes import DECODERS

Row = tuple[str, str]
CELL = 10  # columns for each decoder in the table of containers


def config_rows(config: ConfigFile) -> Iterator[Row]:
    """The config file."""
    reads = "is valid" if config.exists else "there is none"
    faults = len(config.error.splitlines())
    if faults:
        reads = f"{faults} fault{'s' * (faults > 1)}, see below"
    yield "config file", f"{config.path}: {reads}"


def state_rows(state: StateFile) -> Iterator[Row]:
    """The state file."""
    yield "state file", f"{state.path}: {_describe_state(state)}"


def space_rows(space: Mapping[str, Space]) -> Iterator[Row]:
    """Free space."""
    for name, place in space.items():
        free = "no folder" if place.bytes is None else f"{place.bytes / 1e9:.1f} GB free"
        yield "space", f"{free} for {PLACES[name]} ({place.path})"


def package_rows(name: str, package: Package) -> Iterator[Row]:
    """A Python package."""
    library = f" ({package.library})" if package.library else ""
    yield name, package.error or f"{package.version}{library}"


def program_rows(programs: Mapping[str, str | None]) -> Iterator[Row]:
    """The programs of FFmpeg."""
    for name, version in programs.items():
        yield name, version or "not on the PATH"


def model_rows(models: Mapping[str, str | None], default: DefaultModel) -> Iterator[Row]:
    """The models that have a short name, and the one of a run."""
    for name, folder in models.items():
        yield f"model {name}", folder or "not on disk"
    yield "default model", f"{' + '.join(default.names)} ({default.source})"


def device_rows(device: Device, cores: int) -> Iterator[Row]:
    """Torch, and where it computes."""
    if device.torch:
        build = f"CUDA {device.cuda_build}" if device.cuda_build else "built without CUDA"
        yield "torch", f"{device.torch} ({build})"
    yield "device", f"{device.name}: {device.error or device.reason}"
    for gpu in device.gpus:
        yield "GPU", f"{gpu.name}, {gpu.bytes / 1e9:.0f} GB"
    yield "precision", f"{device.precision}: {device.precision_reason}"
    yield "cores", str(cores)


def container_rows(containers: Mapping[str, Container]) -> Iterator[Row]:
    """A table: "used" marks the decoder of a run, and a row says why earlier decoders fail."""
    yield "container", "".join(f"{name:<{CELL}}" for name in DECODERS).rstrip()
    for name, container in containers.items():
        if container.decoders is None:
            yield f"  {name}", "no sample"
            continue
        cells, reasons, is_read = "", [], False
        for decoder, reason in container.decoders.items():
            is_used = decoder == container.used
            is_read = is_read or is_used
            cell = "-" if reason is None else "no" if reason else "used" if is_used else "reads"
            cells += f"{cell:<{CELL}}"
            reasons += [] if is_read else [f"{decoder}: {reason}"]
        yield f"  {name}", (cells + "; ".join(reasons)).rstrip()


def conclusions(found: Diagnosis) -> Iterator[str]:
    """The last lines; the very last says whether a run would work, or why not."""
    yield from (f"warning: {sentence}" for sentence in found.warnings)
    yield from (f"broken: {sentence}" for sentence in found.broken)
    if found.works:
        yield "a run would work"


def _describe_state(state: StateFile) -> str:
    if not state.exists:
        return "there is none yet"
    size = f"{state.bytes / 1e6:.1f} MB" if state.bytes is not None else "size unknown"
    counts = {"predictions": state.predictions, "runs": state.runs}
    counted = (f"{name}: {count:,}" for name, count in counts.items() if count is not None)
    return ", ".join([size, state.check or "empty", *counted])
