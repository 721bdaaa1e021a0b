"""The functions that first read an untrusted tag, run in a child process: see `files.process`.

Each calls the function of the same name in another module and raises the same errors. If a file
crashes or hangs the process that reads it, that is an error of the file too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tagger.errors import Crashed, TagError
from tagger.files.process import SECONDS, run_isolated
from tagger.tags import genre_tag, rehearse, verify
from tagger.tags.fingerprint import fingerprint
from tagger.types import GenreFields, TagInfo, TagOptions, Track

T = TypeVar("T")
BYTES_A_SECOND = 5e6  # of the slowest disk


def read_tag(path: Path, options: TagOptions = genre_tag.DEFAULTS) -> TagInfo:
    """See `genre_tag.read_tag`."""
    return _of_tag(genre_tag.read_tag, path, options)


def read_fields(path: Path) -> GenreFields:
    """See `genre_tag.read_fields`."""
    return _of_tag(genre_tag.read_fields, path)


def check_write(path: Path, genres: Sequence[str], note: str, options: TagOptions) -> None:
    """See `rehearse.check_write`."""
    _of_tag(rehearse.check_write, path, tuple(genres), note, options)


def check_restore(path: Path, fields: GenreFields) -> None:
    """See `rehearse.check_restore`."""
    _of_tag(rehearse.check_restore, path, fields)


def digest_packets(path: Path) -> str | None:
    """See `verify.digest_packets`."""
    try:
        # It reads the whole file, except the holes of a sparse one.
        status = path.stat()
        stored = getattr(status, "st_blocks", status.st_size // 512) * 512  # no blocks on Windows
        seconds = SECONDS + stored / BYTES_A_SECOND
        return run_isolated(seconds, verify.digest_packets, path)
    except Crashed as error:
        raise TagError(f"its audio cannot be compared: {error}", path) from error


def with_audio(track: Track) -> Track:
    """The track with the fingerprint of its audio, if it can be read; see `fingerprint`."""
    try:
        return replace(track, audio=run_isolated(SECONDS, fingerprint, track.path))
    except Crashed as error:
        return replace(track, audio=b"" if error.lasting else None)


def _of_tag(function: Callable[..., T], path: Path, *others: object) -> T:
    try:
        return run_isolated(SECONDS, function, path, *others)
    except Crashed as error:
        raise TagError(f"its tag cannot be read: {error}", path) from error
