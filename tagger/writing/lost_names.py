"""Find the file whose path a spreadsheet could not save: it writes "?" for what it lacks."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

from tagger.report.code_pages import USUAL, Saving
from tagger.report.escape import plain_text

# What Windows writes for bytes that its double-byte code pages do not define.
LOST_BYTES = re.compile(rb"(?:\?|\x81\x45)+")
# What it writes for letters without a decomposition.
SIMILAR = dict(zip("đĐłŁħĦ\u0131øØ", "dDlLhHioO", strict=True))
MOST = 10  # paths that are followed


class LostNames:
    """Remembers the folders in which it looked, since the tracks of a report share them."""

    def __init__(self) -> None:
        self._names = lru_cache(1024)(_names)
        self._fitting = lru_cache(4096)(self._find_fitting)

    def find(self, path: str, savings: Sequence[Saving]) -> list[Path]:
        """The files that a path cell may name, if characters of it were lost."""
        # Where UTF-8 was opened as text in a single-byte code page, each byte was kept.
        pages = (saving.opened if saving.opened in USUAL else "" for saving in savings)
        cells = set(zip((saving.typed(path) for saving in savings), pages, strict=True))
        found = {name for shown, page in cells if shown for name in self._walk(shown, page)}
        return sorted(map(Path, found))

    def _walk(self, shown: str, page: str) -> list[str]:
        root, *parts = Path(os.path.abspath(plain_text(shown))).parts
        places = [root]
        for part in parts:
            found = ((place, name) for place in places for name in self._fitting(place, part, page))
            places = [os.path.join(place, name) for place, name in islice(found, MOST)]
        return places

    def _find_fitting(self, folder: str, part: str, page: str) -> list[str]:
        """The names in a folder that may have been shown as this part of a path."""
        if os.path.lexists(os.path.join(folder, part)):
            return [part]
        if part.isascii() and "?" not in part:
            return []
        if page:
            pattern = _bytes_shown_as(part, page)
            names = self._names(folder)
            return [name for name in names if pattern and pattern.fullmatch(os.fsencode(name))]
        return [
            name for name, shape in self._names(folder).items() if shape and shape.fullmatch(part)
        ]


def _names(folder: str) -> dict[str, re.Pattern[str] | None]:
    """The names in a folder, with a pattern of what those beyond ASCII become."""
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    return {name: None if name.isascii() else re.compile(_shown_as(name)) for name in names}


def may_be_shown_as(texts: Sequence[str], shown: Sequence[str]) -> bool:
    """Whether a spreadsheet may have saved these texts so that they look like this."""
    if len(texts) != len(shown):
        return False
    pairs = zip(texts, shown, strict=True)
    return all(a == b or ("?" in b and re.fullmatch(_shown_as(a), b)) for a, b in pairs)


def _shown_as(name: str) -> str:
    """A pattern of what a name becomes: each character beyond ASCII may be lost."""
    return "".join(map(_character_shown_as, name))


def _character_shown_as(character: str) -> str:
    if character.isascii():
        return re.escape(character)
    # Excel counts units of UTF-16, LibreOffice characters, and other programs bytes.
    units, size = (
        len(character.encode("utf-16-le", "surrogatepass")) // 2,
        len(os.fsencode(character)),
    )
    lost = rf"\?{{1,{units}}}|\ufffd{{1,{size}}}"
    if unicodedata.combining(character):
        return f"(?:{character}|{lost}|[\u00b4`^¨~]?)"
    base = unicodedata.normalize("NFKD", character)[0]
    similar = SIMILAR.get(character, base if base.isascii() else character)
    return f"(?:{re.escape(character)}|{lost}|[{re.escape(similar)}])"


def _bytes_shown_as(part: str, page: str) -> re.Pattern[bytes] | None:
    """A pattern of the UTF-8 that a program took for this text: some of its bytes may be lost."""
    try:
        data = part.encode(page)
    except UnicodeEncodeError:
        return None
    # With a lost byte, the next one is lost too.
    return re.compile(b".{1,8}".join(map(re.escape, LOST_BYTES.split(data))), re.DOTALL)
