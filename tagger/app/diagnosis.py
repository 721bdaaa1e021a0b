"""What `tag-genres doctor` finds on a machine, as values, and which of it breaks a run.

The fields and their order are those of `doctor --json`. A value is None if it could not be found
out or does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

LOW_SPACE = 100 << 20  # bytes
PLACES = {"state": "state file", "models": "downloaded models", "temporary": "temporary files"}
OPTIONAL_DECODERS = ("soundfile", "pydub")  # PyAV reads almost everything that these read


@dataclass(frozen=True, slots=True)
class Package:
    """A Python package, imported."""

    version: str | None = None
    library: str = ""  # the C library that it includes, with its version
    error: str = ""  # why it cannot be imported


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that torch can use."""

    name: str
    bytes: int  # of memory


@dataclass(frozen=True, slots=True)
class Device:
    """Where a run computes, in which precision, and why."""

    name: str | None = None  # as torch writes it
    reason: str = ""
    gpus: tuple[Gpu, ...] = ()
    torch: str | None = None  # version
    cuda_build: str | None = None  # version of the CUDA that torch was built for
    trouble: str | None = None  # why torch cannot use an NVIDIA GPU of this machine; "" for none
    error: str = ""  # why nothing can be computed
    precision: str | None = None
    precision_reason: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """Which decoders read a container."""

    used: str | None = None  # the decoder that a run uses
    # Per decoder, why it cannot read the sample: "" if it can, None if a run would not try it; None
    # for all if there is no sample.
    decoders: Mapping[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class DefaultModel:
    """The models of a run without `--model`."""

    names: tuple[str, ...]
    source: str  # where they are set
    error: str = ""  # why one of them cannot be used
    missing: tuple[str, ...] = ()  # not on disk; a run downloads them


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The config file of a run."""

    path: str
    exists: bool
    error: str = ""  # each fault on a line of its own


@dataclass(frozen=True, slots=True)
class StateFile:
    """The state file of a run."""

    path: str
    exists: bool
    bytes: int | None = None
    check: str | None = None  # "ok", or what is wrong with it; None where it does not exist
    writable: bool = True
    fatal: bool = False  # a run refuses it; a file whose damage is not fatal is set aside
    predictions: int | None = None
    runs: int | None = None

    @property
    def fault(self) -> str:
        """Why a run cannot use it; "" if it can."""
        if self.fatal:
            return f"the state file {self.path}: {self.check}; name another with --state"
        if not self.writable:
            return f"the state file {self.path} cannot be written; name another with --state"
        return ""


@dataclass(frozen=True, slots=True)
class Space:
    """Free space on a disk."""

    path: str = ""
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings; the properties draw the conclusions."""

    tag_genres: str  # version, as are the next two
    python: str
    platform: str
    packages: Mapping[str, Package]
    device: Device
    cores: int  # that a run may use
    containers: Mapping[str, Container]
    programs: Mapping[str, str | None]  # versions of ffmpeg and ffprobe; None: not on the PATH
    models: Mapping[str, str | None]  # preset to its folder; None: not on disk
    default_model: DefaultModel
    config: ConfigFile
    state: StateFile
    beets_plugin: str  # the folder for `pluginpath` in the config of beets
    network: str
    space: Mapping[str, Space]  # by the keys of `PLACES`

    @property
    def broken(self) -> tuple[str, ...]:
        """What keeps a run from working, in sentences."""
        return tuple(_broken(self))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a run lacks, or warns about, in sentences."""
        return tuple(_warnings(self))

    @property
    def works(self) -> bool:
        """Whether a run would work."""
        return not self.broken

    def as_json(self) -> dict[str, object]:
        """The object that `doctor --json` prints: all fields, then the three properties."""
        conclusions = {"broken": self.broken, "warnings": self.warnings, "works": self.works}
        return {**asdict(self), **conclusions}


def _broken(found: Diagnosis) -> Iterator[str]:
    for name, package in found.packages.items():
        if package.error and name not in OPTIONAL_DECODERS:
            yield f"{name} cannot be imported: {package.error}"
    if found.device.error:
        yield f"the device: {found.device.error}"
    if not any(container.used for container in found.containers.values()):
        yield "no decoder reads any container"
    if found.config.error:
        yield from (f"the config file: {fault}" for fault in found.config.error.splitlines())
    if found.default_model.error:
        yield f"the default model: {found.default_model.error}"
    if found.state.fault:
        yield found.state.fault


def _warnings(found: Diagnosis) -> Iterator[str]:
    for name in OPTIONAL_DECODERS:
        if error := found.packages[name].error:
            yield f"{name} cannot be imported: {error}"
    if found.device.trouble:
        yield f"the NVIDIA GPU cannot be used: {found.device.trouble}"
    tried = {name: row for name, row in found.containers.items() if row.decoders}
    unread = [name for name, row in tried.items() if not row.used]
    if unread:
        yield f"no decoder reads {', '.join(unread)}"
    if absent := [name for name, version in found.programs.items() if version is None]:
        yield (
            f"{' and '.join(absent)} not on the PATH: pydub needs both for what no other decoder "
            f"reads ({', '.join(unread) or 'none of the containers that were tried'})"
        )
    for name in found.default_model.missing:
        yield f"the default model {name} is not on disk; a run downloads it"
    state = found.state
    if state.check not in (None, "ok") and not state.fatal:
        yield f"the state file is damaged ({state.check}); a run sets it aside and starts a new one"
    for name, space in found.space.items():
        if space.bytes is None or space.bytes < LOW_SPACE:
            yield f"little space for {PLACES[name]} in {space.path or 'any folder'}"
