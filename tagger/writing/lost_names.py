"""Find the file whose path a spreadsheet could not save: it writes "?" for what it lacks."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from tagger.report.code_pages import USUAL, Saving
from tagger.report.escape import plain_text

# What Windows writes for bytes that its double-byte code pages do not define.
LOST_BYTES = re.compile(rb"(?:\?|\x81\x45)+")
# What it writes for letters without a decomposition.
SIMILAR = dict(zip("đĐłŁħĦ\u0131øØ", "dDlLhHioO", strict=True))
MOST = 10  # paths that are followed


def find_lost(path: str, savings: Sequence[Saving]) -> list[Path]:
    """The files that a path cell may name, if characters of it were lost."""
    # Where UTF-8 was opened as text in a single-byte code page, each byte was kept.
    cells = {
        (saving.typed(path), saving.opened if saving.opened in USUAL else "") for saving in savings
    }
    found = {name for shown, page in cells if shown for name in _walk(plain_text(shown), page)}
    return sorted(map(Path, found))


def may_be_shown_as(texts: Sequence[str], shown: Sequence[str]) -> bool:
    """Whether a spreadsheet may have saved these texts so: unchanged, or with letters lost."""
    if len(texts) != len(shown):
        return False
    pairs = zip(texts, shown, strict=True)
    return all(a == b or ("?" in b and re.fullmatch(_shown_as(a), b)) for a, b in pairs)


def _walk(path: str, page: str) -> list[str]:
    root, *parts = Path(os.path.abspath(path)).parts
    places = [root]
    for part in parts:
        found = [
            os.path.join(place, name) for place in places for name in _named(place, part, page)
        ]
        places = found[:MOST]
    return places


def _named(folder: str, part: str, page: str) -> list[str]:
    if os.path.lexists(os.path.join(folder, part)):
        return [part]
    if part.isascii() and "?" not in part:
        return []
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    if page:
        pattern = _bytes_shown_as(part, page)
        return [name for name in names if pattern and pattern.fullmatch(os.fsencode(name))]
    return [name for name in names if not name.isascii() and re.fullmatch(_shown_as(name), part)]


def _shown_as(name: str) -> str:
    """A pattern of what a name becomes: each character beyond ASCII may be lost."""
    return "".join(map(_character_shown_as, name))


def _character_shown_as(character: str) -> str:
    if character.isascii():
        return re.escape(character)
    # Excel counts units of UTF-16, LibreOffice characters, and other programs bytes.
    units, size = len(character.encode("utf-16-le")) // 2, len(os.fsencode(character))
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
    # A lost byte takes the one behind it along.
    return re.compile(b".{1,8}".join(map(re.escape, LOST_BYTES.split(data))), re.DOTALL)
