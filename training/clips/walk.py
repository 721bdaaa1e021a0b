"""The audio files below a folder, through links, each file once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from tagger.files.ignore import is_system_folder
from tagger.files.scan import SUFFIXES, identity
from training.errors import TrainingError


def audio_files(folder: Path) -> list[Path]:
    """Every audio file below a folder, ordered by path; hidden files and folders are ignored.

    Links to files and folders are followed, except to a folder that contains this one. A file or
    folder that is reached twice counts once: where it really is, or by the first link to it.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder", folder)
    return sorted(_Walk(folder).files())


class _Walk:
    def __init__(self, folder: Path) -> None:
        self._above = {identity(parent) for parent in folder.resolve().parents}
        self._folders: deque[str] = deque([str(folder)])  # to walk: links come after real folders
        self._seen: set[tuple[int, int] | None] = set()  # folders
        self._links: list[str] = []  # to files

    def files(self) -> Iterator[Path]:
        found: set[str] = set()
        while self._folders:
            for path in self._in(self._folders.popleft()):
                found.add(os.path.realpath(path))
                yield Path(path)
        for path in self._links:
            real = os.path.realpath(path)
            if real not in found:  # a broken one too, which is reported where it is decoded
                found.add(real)
                yield Path(path)

    def _in(self, top: str) -> Iterator[str]:
        """The files of a folder that are no links; links are remembered."""
        for parent, folders, names in os.walk(top):
            place = identity(parent)
            if place in self._seen or place in self._above:
                folders.clear()
                continue
            self._seen.add(place)
            shown = sorted(name for name in folders if not _is_hidden(name))
            links = [name for name in shown if os.path.islink(os.path.join(parent, name))]
            self._folders += [os.path.join(parent, name) for name in links]
            folders[:] = [name for name in shown if name not in links]
            for name in sorted(names):
                path = os.path.join(parent, name)
                if name.startswith(".") or os.path.splitext(name)[1].lower() not in SUFFIXES:
                    continue
                if os.path.islink(path):
                    self._links.append(path)
                elif os.path.isfile(path):  # a pipe would be waited for
                    yield path


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or is_system_folder(name)
