"""Paths from a list, as other programs print them."""

from __future__ import annotations

import codecs
import os
import sys
from pathlib import Path

from tagger.errors import LibraryError

STDIN = Path("-")


def read_paths(source: Path, *, null: bool = False) -> list[Path]:
    """The paths in a file, or in standard input for "-": one per line, or each ended by NUL.

    Relative ones count from the working folder; empty lines are skipped. Bytes that are no text are
    kept, since a file may have such a name. Raises `LibraryError` if there is none, if `null` is
    wrong, and for an extended playlist.
    """
    name = "standard input" if source == STDIN else str(source)
    try:
        data = _read_input() if source == STDIN else source.read_bytes()
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise LibraryError(f"--from-file {source}: {reason}") from error
    text = _decode(data)
    if not null and "\0" in text:
        raise LibraryError(f"{name} separates paths by NUL characters; add -0")
    if null and "\n" in text and "\0" not in text:
        raise LibraryError(f"{name} lists one path per line, without NUL characters; leave out -0")
    if text.startswith("#EXTM3U"):
        raise LibraryError(
            f"{name} is a playlist; --from-file takes paths alone, one per line, and relative ones "
            "from the working folder"
        )
    lines = text.split("\0") if null else [line.rstrip("\r") for line in text.split("\n")]
    paths = [Path(line) for line in lines if line]
    if not paths:
        raise LibraryError(f"{name} lists no paths, so there is nothing to do")
    return paths


def _read_input() -> bytes:
    return sys.stdin.buffer.read() if sys.stdin else b""  # it may be closed


def _decode(data: bytes) -> str:
    # Windows PowerShell redirects to UTF-16.
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return os.fsdecode(data.removeprefix(codecs.BOM_UTF8))
