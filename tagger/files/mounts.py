"""What Linux says about the mount that a file is on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Mount(NamedTuple):
    """The type of a file system, and the options that it was mounted with; "" if not known."""

    kind: str = ""
    options: str = ""


def mount_of(device: int) -> Mount:
    """The mount of a device, as `st_dev` gives it."""
    number = f" {os.major(device)}:{os.minor(device)} "
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(errors="replace").split("\n"):
            if number in line:
                kind, *_, options = line.partition(" - ")[2].split()
                return Mount(kind, options)
    return Mount()
