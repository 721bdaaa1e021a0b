"""The functions that first look into a file, run where it can do no harm: see `child`.

Each is the function of the same name elsewhere, and raises the same errors. What a file does to the
process that reads it, is an error of that file too.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from tagger.audio import reader
from tagger.audio.reader import Waveforms
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError, Crashed, TagError
from tagger.files.process import Child
from tagger.tags import genre_tag
from tagger.types import GenreFields, TagInfo

T = TypeVar("T")
SECONDS = 120.0  # for one call
BYTES_A_SECOND = 5e6  # what the slowest disk reads

log = logging.getLogger(__name__)
_lock = threading.Lock()


def read_tag(path: Path) -> TagInfo:
    """See `tags.read_tag`."""
    return _of_tag(genre_tag.read_tag, path)


def read_fields(path: Path) -> GenreFields:
    """See `tags.read_fields`."""
    return _of_tag(genre_tag.read_fields, path)


def digest_packets(path: Path) -> str | None:
    """See `audio.digest_packets`."""
    try:
        # It reads the whole file, but for the holes of a sparse one.
        status = path.stat()
        there = getattr(status, "st_blocks", status.st_size // 512) * 512  # no blocks on Windows
        seconds = SECONDS + there / BYTES_A_SECOND
        return _call(seconds, reader.digest_packets, path)
    except Crashed as error:
        raise TagError(f"its audio cannot be compared: {error}", path) from error


def read_windows(path: Path, plan: WindowPlan, part: int = 0) -> Waveforms:
    """See `audio.read_windows`; for many tracks at once, there is `dataset.Readers`."""
    try:
        return _call(SECONDS, reader.read_windows, path, plan, part)
    except Crashed as error:
        raise AudioError(str(error), path) from error


def _of_tag(function: Callable[[Path], T], path: Path) -> T:
    try:
        return _call(SECONDS, function, path)
    except Crashed as error:
        raise TagError(f"its tag cannot be read: {error}", path) from error


def _call(seconds: float, function: Callable[..., T], path: Path, *others: object) -> T:
    with _lock:
        child = _child()
        try:
            return child.call(seconds, function, path, *others)
        finally:
            if child.noise:
                log.info("%s: %s", path, child.noise)


@cache
def _child() -> Child:
    child = Child()
    atexit.register(child.close)
    return child
