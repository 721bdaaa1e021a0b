"""Texts without Unicode: ID3v1, RIFF INFO and ID3v2 frames that say Latin-1.

Programs put the code page of their computer there, such as Windows-1251 or Shift-JIS, and players
on such a computer show it so. Only a person knows which it is; until then the bytes must stay.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tagger.errors import TagError

HINT = "name the code page, for example --charset cp1251 (cp1252 for Western texts)"
_NOT_ASCII, _HIGH = re.compile(r"[^\x00-\x7f]+"), re.compile(rb"[\x80-\xff]+")
# The characters of Windows-1252 where Latin-1 has control characters; five of them it lacks.
_WINDOWS = {
    number: char
    for number in range(0x80, 0xA0)
    if (char := bytes([number]).decode("cp1252", "replace")) != "\ufffd"
}
_LATIN = {char: chr(number) for number, char in _WINDOWS.items()}


@dataclass(frozen=True, slots=True)
class OldText:
    """A text as stored; `is_cut` says that it fills its field and may end within a character."""

    raw: bytes
    is_cut: bool = False

    def unicode(self, charset: str | None) -> str | None:
        """See `unicode_text`."""
        return unicode_text(self.raw, charset, is_cut=self.is_cut)


def unicode_text(raw: bytes, charset: str | None, *, is_cut: bool = False) -> str | None:
    """A text as Unicode; `None` if it is neither UTF-8 nor is its code page given.

    `is_cut` says that it may end within a character. Raises `TagError` for a text that is not in
    that code page.
    """
    with suppress(UnicodeDecodeError):
        text = _decoded(raw, "utf-8", is_cut)
        if raw.isascii() or not text.isascii():  # one byte at the end is no evidence of UTF-8
            return text
    if charset is None:
        return None
    try:
        return _decoded(raw, charset, is_cut)
    except UnicodeDecodeError as error:
        shown = raw[:40].decode("latin-1").encode("unicode_escape").decode()
        raise TagError(f"its text '{shown}' is not in {charset}; {HINT}") from error


def _decoded(raw: bytes, charset: str, is_cut: bool) -> str:
    return codecs.getincrementaldecoder(charset)().decode(raw, final=not is_cut)


def old_text(raw: bytes, charset: str | None) -> str:
    """A text for people; if its code page is not known, as if it were in Latin-1."""
    text = unicode_text(raw, charset)
    return raw.decode("latin-1") if text is None else text


def western(text: str) -> str:
    """A text that was read as Latin-1, with the quotes and dashes of Windows-1252."""
    return text.translate(_WINDOWS)


def recoded(text: str, charset: str | None) -> str:
    """A text that was read as Latin-1, in the given code page."""
    return text if charset is None or text.isascii() else old_text(text.encode("latin-1"), charset)


def keeps_bytes(names: Sequence[str], old: Iterable[bytes]) -> bool:
    """Whether names repeat an old text whose code page is not known, so that its bytes must stay.

    `old` are such texts of the file. Raises `TagError` if a further name needs Unicode, or if only
    a part of a word would stay.
    """
    runs, words = not_ascii(names), {word for text in old for word in _HIGH.findall(text)}
    repeated = {run for run in runs if any((raw := old_bytes(run)) and raw in w for w in words)}
    if repeated and not {old_bytes(run) for run in runs} <= words:
        raise TagError(
            "its old genre is in an unknown code page, so only names in ASCII can be added to it; "
            f"to add others, {HINT}"
        )
    return bool(repeated)


def not_ascii(names: Iterable[str]) -> set[str]:
    """The parts of names between ASCII characters."""
    return {run for name in names for run in _NOT_ASCII.findall(name)}


def old_bytes(text: str) -> bytes:
    """The bytes of a text that `old_text` gave without a code page; empty if it is not one."""
    try:
        return "".join(_LATIN.get(char, char) for char in text).encode("latin-1")
    except UnicodeEncodeError:
        return b""
