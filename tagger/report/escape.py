"""Untrusted text, made safe for a terminal, a log and a spreadsheet, and back."""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST = 5000  # signs of a line on a terminal or in the log: any path fits
# Control characters other than a newline, separators of lines, marks that turn the direction of
# text, signs that cannot be seen, and surrogates. The joiners U+200C and U+200D are none of them:
# Persian, many scripts of India and emoji are spelled with them.
UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff]"
)
# By these a formula begins in a spreadsheet, in Japanese ones by the wide ones too. An apostrophe
# in front makes the cell a text. A text that has apostrophes in that place gets one more, so that
# taking one off always gives the text back.
SIGNS = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
FORMULA = re.compile(rf"'*\s*{SIGNS}")
# Where another reader may begin a cell: a spreadsheet that expects semicolons sees no quotes.
# The sign comes first: there are few to look behind.
INNER_FORMULA = re.compile(rf"{SIGNS}(?:(?<=[;\n].)|(?<=[;\n] .))")
ESCAPE = r"x[0-9a-f]{2}|u[0-9a-f]{4}"  # what stands behind the backslash of an escape
BACKSLASH = re.compile(rf"\\(?={ESCAPE})")


@lru_cache(maxsize=1024)  # genres and reasons come again and again
def csv_text(text: str) -> str:
    r"""Text that a CSV reader gives back and a spreadsheet does not run; see `plain_text`.

    What is not printable becomes `\xNN` below 0x80 and `\uNNNN` above; `\x80` to `\xff` stand for
    bytes of file names that are not UTF-8. A text that looks so already has its backslash written
    as `\x5c`, and so has a formula in the middle of a text its first sign. Newlines stay.
    """
    escaped = UNSAFE.sub(_escape, BACKSLASH.sub(r"\\x5c", text))
    escaped = INNER_FORMULA.sub(_escape, escaped)
    return f"'{escaped}" if FORMULA.match(escaped) else escaped


def plain_text(cell: str) -> str:
    """The text of which `csv_text` made this cell: its exact inverse."""
    if cell.startswith("'") and FORMULA.match(cell):
        cell = cell[1:]
    return re.sub(rf"\\({ESCAPE})", _unescape, cell)


def printable(text: str, longest: int = LONGEST) -> str:
    r"""One line without anything that a terminal would obey; see `csv_text` for the escapes.

    A backslash stays one. The middle of a text of more than `longest` signs gives way to "…".
    """
    shown = UNSAFE.sub(_escape, text).replace("\n", r"\x0a")
    if len(shown) <= longest:
        return shown
    half = longest // 2
    return f"{shown[:half]}…{shown[-half:]}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _unescape(match: re.Match[str]) -> str:
    code = int(match[1][1:], 16)
    is_byte = match[1].startswith("x") and code >= 0x80
    return chr(0xDC00 + code if is_byte else code)
