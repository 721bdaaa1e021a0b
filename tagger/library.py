"""Which files under the given paths are tracks, in a stable order, each once."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from tagger.types import Failure, Track

Key = tuple[int, int, str, str]

# fmt: off
SUFFIXES = frozenset([
    ".aac", ".ac3", ".afc", ".aif", ".aifc", ".aiff", ".ape", ".asf", ".au", ".caf", ".dff", ".dsf",
    ".flac", ".m4a", ".m4b", ".mka", ".mp1", ".mp2", ".mp3", ".mp4", ".mpc", ".oga", ".ogg",
    ".opus", ".snd", ".spx", ".tak", ".tta", ".w64", ".wav", ".wma", ".wv",
])
# fmt: on
NO_SUCH_PATH = "no such file or folder"
# Folders that servers and systems keep beside the music; hidden ones are left out anyway.
NOT_MUSIC = frozenset(
    ["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"]
)


def find_tracks(paths: Iterable[Path], *, follow_links: bool = False) -> Iterator[Track | Failure]:
    """Every track under `paths`: by name within a folder, folders where their name stands.

    In folders, files are chosen by suffix and hidden ones are left out; a file that is named itself
    is taken whatever it is called. Links are followed, paths are those of the real files, and a
    file reached twice counts once, by the spelling that was met first. What cannot be read is a
    `Failure` with its path as found.
    """
    seen: set[Key] = set()
    for path in paths:
        given = os.path.abspath(path)
        if not os.path.lexists(given):
            yield Failure(Path(given), NO_SUCH_PATH, lasting=False)
        else:
            yield from _visit(given, seen)


def _visit(given: str, seen: set[Key]) -> Iterator[Track | Failure]:
    """Depth first, with a stack of its own: folders may lie deeper than Python recurses."""
    stack: list[Iterator[str]] = [iter([given])]
    while stack:
        path = next(stack[-1], None)
        if path is None:
            stack.pop()
            continue
        found = _look_at(path, seen, named=len(stack) == 1)
        if isinstance(found, list):
            stack.append(iter(found))
        elif found is not None:
            yield found


def _look_at(path: str, seen: set[Key], *, named: bool) -> Track | Failure | list[str] | None:
    """What one path is: a track, a failure, a folder's entries to visit, or nothing of interest."""
    is_music = named or os.path.splitext(path)[1].lower() in SUFFIXES
    try:
        real = os.path.realpath(path, strict=True)
        status = os.stat(real)
    except OSError as error:
        # A loop has no suffix that would tell what it was meant to be.
        wanted = is_music or error.errno == errno.ELOOP or not os.path.splitext(path)[1]
        return Failure(Path(path), _reason(path, error), lasting=False) if wanted else None
    is_folder = stat.S_ISDIR(status.st_mode)
    if is_folder and os.path.islink(path) and _contains(real, os.path.dirname(path)):
        return Failure(Path(path), "a link to a folder that holds it", lasting=False)
    key = _key(real, status)
    if key in seen or not (is_folder or is_music):
        return None
    seen.add(key)
    if is_folder:
        return _list_folder(real)
    if not stat.S_ISREG(status.st_mode):
        return Failure(Path(real), "not a regular file", lasting=False)
    if not os.access(real, os.R_OK):
        return Failure(Path(real), "permission denied", lasting=False)
    return Track.of(Path(real), status)


def _key(real: str, status: os.stat_result) -> Key:
    """Equal for two paths of one file that differ only in case or in Unicode normalisation.

    Where those make different files, the inode differs. Hard links share it, and may be in one
    folder: for them the spelling counts. Folders have none, though their count of links is high.
    """
    folded = unicodedata.normalize("NFC", real.casefold())
    linked = status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)
    return status.st_dev, status.st_ino, folded, real if linked else ""


def _list_folder(folder: str) -> list[str] | Failure:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        return Failure(Path(folder), _reason(folder, error), lasting=False)
    return [
        os.path.join(folder, name)
        for name in names
        if not name.startswith(".") and name not in NOT_MUSIC
    ]


def _contains(folder: str, inner: str) -> bool:
    inner = os.path.realpath(inner)
    return inner == folder or inner.startswith(folder.rstrip(os.sep) + os.sep)


def _reason(path: str, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a link that leads back to itself"
    if error.errno == errno.ENOENT and os.path.islink(path):
        return "a broken link"
    return (error.strerror or "cannot be read").lower()
