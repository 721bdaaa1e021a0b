"""Names of files, other texts and bars, fitted to the columns of a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import IO
from unicodedata import category, combining, east_asian_width

from tagger.report.escape import LONGEST, printable

FIRST_EMOJI = "\u2600"
BLOCKS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█")  # eighths of a character


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that a table is made of, and what a stream makes of other texts."""

    bar: tuple[str, ...] = BLOCKS
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
    """The glyphs of Unicode, or of ASCII if the encoding of the stream lacks one of them."""
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


def width(text: str) -> int:
    """Columns that a terminal takes for a printable text, or fewer, but never more."""
    return sum(map(_columns, text))


def fit(text: str, columns: int) -> str:
    """The beginning of a text, with "…" if it takes more than so many columns."""
    if width(text) <= columns:
        return text
    return f"{_start(text, columns - 1)}…" if columns > 0 else ""


def fit_end(text: str, columns: int) -> str:
    """The end of a text, with "…" if it takes more than so many columns."""
    return text if width(text) <= columns else f"…{_end(text, columns - 1)}"


def cut_middle(text: str, columns: int, gap: str) -> str:
    """The text, of which the middle is left out if it takes more than so many columns."""
    if width(text) <= columns:
        return text
    room = max(columns - width(gap), 0)
    end = _end(text, (room + 1) // 2)
    return _start(text, room - width(end)) + gap + end


def cut_path(name: str, columns: int, gap: str) -> str:
    """The name, of which the middle is left out if it is too wide; its last part stays longest."""
    if width(name) <= columns:
        return name
    folders, slash, last = name.rpartition(os.sep)
    end = f"{gap}{slash}{last}"
    room = columns - width(end)
    if slash and room >= 0:
        return _start(folders, room) + end
    return cut_middle(last, columns, gap)


def blocks(share: float, columns: int, parts: tuple[str, ...] = BLOCKS) -> str:
    """A bar of so many columns, of which a share is filled; something, unless the share is 0."""
    *started, full = parts
    units = round(min(max(share, 0), 1) * columns * len(started))
    whole, part = divmod(max(units, 1) if share > 0 else 0, len(started))
    return (full * whole + started[part]).ljust(columns)


def _start(text: str, columns: int) -> str:
    """As many characters from the start as fit."""
    for end, taken in enumerate(accumulate(map(_columns, text))):
        if taken > columns:
            return text[:end]
    return text


def _end(text: str, columns: int) -> str:
    return _start(text[::-1], columns)[::-1]


def _columns(character: str) -> int:
    if combining(character):
        return 0
    # Newer versions of Unicode make more symbols wide, and know more characters, than this Python.
    may_be_wide = character >= FIRST_EMOJI and category(character) in ("So", "No", "Cn")
    return 2 if may_be_wide or east_asian_width(character) in "WF" else 1
