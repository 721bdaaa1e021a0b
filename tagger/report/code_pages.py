"""How a spreadsheet may have opened and saved a report, and what its cells say then.

A spreadsheet saves "CSV" in the code page of its system; which one, nothing in the file says. If it
opened a UTF-8 file without a byte order mark, cells that nobody touched keep the bytes of UTF-8.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

# Letters besides a to z, by language: a word is written in those of one language.
WESTERN = (
    "äöüß", "àâæçèéêëîïôœùûüÿ", "áéíñóúü", "àáâãçéêíóôõúü", "àèéìíîòóùú", "äëïöüéèêáíóú",
    "åäöéàü", "æøåéèêòóôü", "áðéíóúýþæöø", "àçèéíïòóúü", "äöõüšž",
)  # fmt: skip
CENTRAL = (
    "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž", "çë",
    "äöüß", "ćčěłńóřŕšśžź",
)  # fmt: skip
TURKISH = ("çğ\u0131öşüâîûİ",)
BALTIC = ("āčēģīķļņšūž", "ąčęėįšųūž", "äöõüšž")
VIETNAMESE = ("àáâăãèéêìíòóôơõùúưýđ",)
LATIN = (*WESTERN, *CENTRAL, *TURKISH, *BALTIC, *VIETNAMESE)

# A region's code page on Windows, then those of "CSV (MS-DOS)", then of "CSV (Macintosh)"; with the
# letters of its languages. Other scripts need no list: their letters are all in one place.
REGIONS: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    (("cp1252", "cp850", "cp437"), ("mac_roman",), WESTERN),
    (("cp1250", "cp852"), ("mac_latin2",), CENTRAL),
    (("cp1251", "cp866"), ("mac_cyrillic",), ()),
    (("cp1253", "cp737"), ("mac_greek",), ()),
    (("cp1254", "cp857"), ("mac_turkish",), TURKISH),
    (("cp1257", "cp775"), (), BALTIC),
    (("cp1255", "cp862"), (), ()),
    (("cp1256", "cp720"), (), ("àâçèéêëîïôœùûü",)),
    (("cp1258",), (), VIETNAMESE),
    (("cp874",), (), ()),
    (("cp932",), (), ()),
    (("cp936",), (), ()),
    (("cp949",), (), ()),
    (("cp950",), (), ()),
)
LETTERS = {page: letters for dos, mac, letters in REGIONS for page in (*dos, *mac)}
# Bytes of the characters that people use; the rest are rare, and what other texts look like.
USUAL = {
    "cp932": re.compile(rb"(?:[\x00-\x7f]|[\x81-\x84\x88-\x97][\x40-\xfc])*"),
    "cp936": re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xa3\xb0-\xd7][\xa1-\xfe])*"),
    "cp949": re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xa3\xb0-\xc8][\xa1-\xfe])*"),
    "cp950": re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xc6][\x40-\xfe])*"),
}
WIDE = (
    "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "FULLWIDTH",
    "IDEOGRAPHIC",
)  # fmt: skip
# Not the punctuation of East Asian scripts, which separates words.
WORD = re.compile(
    "[A-Za-z\x80-\u2fff\u3005\u3040-\u30fa\u30fc-\ufeff\uff21-\uff3a\uff41-\uff5a\uff66-\U0010ffff]+"
)
QUOTES = (
    "\u201c\u201d", "\u2018\u2019", "\u201e\u201c", "\u201a\u2018", "\u00ab\u00bb",
    "\u2039\u203a",
)  # fmt: skip
STARTS, APOSTROPHE, ELLIPSIS = "\u00bf\u00a1", "\u2019", "\u2026"  # what may touch a word
DASHES = ("\u2013", "\u2014")
UNDEFINED = "tag-genres-undefined"  # the handler of bytes that a code page does not define


@dataclass(frozen=True, slots=True)
class Saving:
    """How a report was saved, and how it had been opened before: in which code pages.

    "" stands for UTF-8, and for UTF-16. A cell is text, with a surrogate (PEP 383) for each byte
    that is not UTF-8.
    """

    saved: str = ""
    opened: str = ""

    def typed(self, cell: str) -> str | None:
        """What a person typed into a cell; None if this encoding cannot give these bytes."""
        if cell.isascii():
            return cell
        if not self.saved:
            return None if has_bytes(cell) else cell
        return _decode(cell.encode("utf-8", "surrogateescape"), self.saved)

    def untouched(self, cell: str) -> str | None:
        """What an unedited cell said; None if this encoding cannot give these bytes."""
        shown = self.typed(cell)
        if shown is None or not self.opened or shown.isascii():
            return shown
        try:
            return (_encode(shown, self.opened) or b"").decode("utf-8") or None
        except UnicodeDecodeError:
            return None

    def is_plausible(self, text: str) -> bool:
        """Whether a person can have typed this: its words are in the letters of one language."""
        usual = USUAL.get(self.saved)
        if usual and not usual.fullmatch(_encode(text, self.saved) or b"\xff"):
            return False
        letters = LETTERS.get(self.saved, LATIN)
        for quotes in QUOTES:  # a single one is part of the word
            if all(quote in text for quote in quotes):
                text = text.translate(dict.fromkeys(map(ord, quotes), " "))
        return all(_is_word(word, letters) for word in WORD.findall(text) if not word.isascii())


def all_savings(*, has_bytes: bool, encoding: str | None = None) -> list[Saving]:
    """All that is possible, for a report with or without cells that are not UTF-8.

    `encoding` names the code page, if a person knows it.
    """
    opened = [page for windows, mac, _ in REGIONS for page in (windows[0], *mac)]
    if not has_bytes:
        return [Saving(), *(Saving("", page) for page in opened)]
    if encoding:
        return [Saving(encoding), *(Saving(encoding, page) for page in opened)]
    return list(_usual_savings())


def _usual_savings() -> Iterator[Saving]:
    for (windows, *dos), mac, _ in REGIONS:
        yield from (Saving(windows), Saving(windows, windows))
        for page in (*dos, *mac):
            yield from (Saving(page), Saving(page, windows))
        yield from (Saving(page, page) for page in mac)


def is_code_page(encoding: str) -> bool:
    """Whether it keeps ASCII, so that rows and cells can be found before it is known."""
    text = bytes(range(0x20, 0x7F)).decode()
    return text.encode(encoding, "replace") == text.encode()


def has_bytes(text: str) -> bool:
    """Whether some bytes of a cell were not UTF-8."""
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)


@lru_cache(maxsize=4096)
def _decode(data: bytes, page: str) -> str | None:
    try:
        return data.decode(page, _handler(page))
    except UnicodeDecodeError:
        return None


def _encode(text: str, page: str) -> bytes | None:
    try:
        return text.encode(page, _handler(page))
    except UnicodeEncodeError:
        return None


def _handler(page: str) -> str:
    return UNDEFINED if page in LETTERS and page not in USUAL else "strict"


def _keep_undefined(error: UnicodeError) -> tuple[str | bytes, int]:
    """Windows turns a byte that a code page does not define into a character, and back."""
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return chr(byte if byte < 0xA0 else 0xF700 + byte), error.start + 1
    if isinstance(error, UnicodeEncodeError):
        code = ord(error.object[error.start])
        if 0x80 <= code < 0xA0 or 0xF7A0 <= code <= 0xF7FF:
            return bytes([code & 0xFF]), error.start + 1
    raise error


codecs.register_error(UNDEFINED, _keep_undefined)


def _is_word(word: str, letters: tuple[str, ...]) -> bool:
    """Whether a run of letters and of other characters beyond ASCII is a word."""
    if word in DASHES or (len(word) == 1 and unicodedata.category(word) in ("So", "Po", "Sc")):
        return True
    parts = word.lstrip(STARTS).rstrip(ELLIPSIS).split(APOSTROPHE)
    return all(part.isascii() or _is_of_one_language(part, letters) for part in parts)


def _is_of_one_language(word: str, letters: tuple[str, ...]) -> bool:
    if any(unicodedata.category(character)[0] not in "LM" for character in word):
        return False
    scripts = {_script(character) for character in word} - {"COMBINING"}
    if unicodedata.category(word[0]).startswith("M") or len(scripts) != 1:
        return False
    pairs = pairwise(word)
    if any(a.islower() and b.isupper() and not (a + b).isascii() for a, b in pairs):
        return False
    if scripts == {"THAI"}:
        return "\u0e01" <= word[0] <= "\u0e2e" or "\u0e40" <= word[0] <= "\u0e44"
    if scripts != {"LATIN"}:
        return True
    foreign = {c for c in word if not c.isascii() and not unicodedata.combining(c)}
    return any(foreign <= {*language, *language.upper()} for language in letters)


def _script(character: str) -> str:
    name = unicodedata.name(character, "?").split()[0]
    return "WIDE" if name in WIDE else name
