"""A machine on which `doctor` finds no fault, without trying anything."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tagger.app import probes
from tagger.app.diagnosis import Container, Device, Package

CPU = Device(name="cpu", torch="2.13.0", reason="torch finds no GPU", precision="float32")
CONTAINERS = {
    "mp2": Container("PyAV", {"soundfile": "an MP3 without a header", "PyAV": "", "pydub": None}),
    "mp3": Container("soundfile", {"soundfile": "", "PyAV": "", "pydub": None}),
}


def packages() -> Iterator[tuple[str, Package]]:
    """What `probes.try_packages` finds."""
    return ((name, Package(version="1.0")) for name in probes.PACKAGES)


def pretend(seconds: float = 0.0) -> None:
    """Replace the probes, the one of the device by one that takes so many seconds."""

    def device(device: str, precision: str) -> Device:
        time.sleep(seconds)
        return CPU

    probes.try_packages, probes.try_device = packages, device
    probes.try_containers = lambda: CONTAINERS
