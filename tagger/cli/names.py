"""Names of files, short enough for the lines of a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from tagger.report.escape import LONGEST, printable


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that a table is made of, and what a stream makes of other texts."""

    bar: tuple[str, ...] = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█")  # eighths of a character
    levels: str = "▁▂▃▄▅▆▇█"
    gap: str = "…"
    arrow: str = "→"
    dot: str = "·"
    encoding: str = "utf-8"
    errors: str = "backslashreplace"

    def plain(self, text: str, longest: int = LONGEST) -> str:
        """One line that the stream can show, with escapes for what it cannot."""
        shown = printable(text, longest).replace("·", self.dot).replace("…", self.gap)
        return shown.encode(self.encoding, self.errors).decode(self.encoding)


ASCII = Glyphs(("", "#"), ".:-=+*#@", "...", "->", "-", "ascii")


def glyphs_for(stream: IO[str]) -> Glyphs:
    """Those of Unicode, unless the encoding of the stream lacks one of them."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    errors = getattr(stream, "errors", None) or "strict"
    errors = "backslashreplace" if errors in ("strict", "surrogateescape") else errors
    glyphs = Glyphs(encoding=encoding, errors=errors)
    every = "".join((*glyphs.bar, glyphs.levels, glyphs.gap, glyphs.arrow, glyphs.dot))
    try:
        every.encode(encoding)
    except UnicodeEncodeError:
        return replace(ASCII, encoding=encoding, errors=errors)
    return glyphs


def roots_of(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The folders to which names are relative: the one that holds all paths, else the current."""
    roots: list[Path] = []
    folders = [path if path.is_dir() else path.parent for path in paths]
    for places in ([*map(Path.absolute, folders)], [*map(Path.resolve, folders)]):
        try:
            roots.append(Path(os.path.commonpath(places)))
        except ValueError:  # there are no paths, or they are on several drives
            continue
    return tuple(root for root in dict.fromkeys((*roots, Path.cwd())) if root != root.parent)


def relative_name(path: Path, roots: Iterable[Path]) -> str:
    """The name of a file or folder below the first of the folders that holds it."""
    found = (path.relative_to(root) for root in roots if path != root and path.is_relative_to(root))
    return str(next(found, path))


def cut_path(name: str, width: int, gap: str) -> str:
    """The name, of which the middle is left out if it is too wide; its last part stays longest."""
    from rich.cells import cell_len

    if cell_len(name) <= width:
        return name
    folders, slash, last = name.rpartition(os.sep)
    end = f"{gap}{slash}{last}"
    room = width - cell_len(end)
    if slash and room >= 0:
        return _start(folders, room) + end
    return cut_middle(last, width, gap)


def cut_middle(text: str, width: int, gap: str) -> str:
    """The text, of which the middle is left out if it is wider than so many columns."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    room = max(width - cell_len(gap), 0)
    end = _start(text[::-1], (room + 1) // 2)[::-1]
    return _start(text, room - cell_len(end)) + gap + end


def _start(text: str, width: int) -> str:
    """As many characters from the start as fit."""
    from rich.cells import cell_len

    # A character has at most two columns, and one without any may follow it.
    count = len(text) if cell_len(text) <= width else min(len(text), width)
    while count and cell_len(text[:count]) > width:
        count -= 1
    return text[:count]
