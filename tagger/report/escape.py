"""Untrusted text, made safe for a terminal, a log, JSON and a spreadsheet; from there also back."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from math import isfinite
from typing import Any

LONGEST = 5000  # characters of a line on a terminal or in the log; any path fits
# Control characters other than a newline, line separators, marks that change the direction of text,
# invisible characters, what XML cannot hold, and surrogates. The joiners U+200C and U+200D are not
# among them: Persian, many Indian scripts and emoji are spelled with them.
UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
# Characters that start a formula in a spreadsheet; the wide ones do in Japanese spreadsheets. An
# apostrophe in front turns the cell into text. Text that already has apostrophes there gets one
# more, so that removing one always restores the text.
STARTS = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
FORMULA = re.compile(rf"'*\s*{STARTS}")
# Where another reader may start a cell: a spreadsheet that expects semicolons ignores the quotes.
# The character comes before the lookbehind in the pattern, so that few lookbehinds are tried.
INNER_FORMULA = re.compile(rf"{STARTS}(?:(?<=[;\n].)|(?<=[;\n] .))")
ESCAPE = r"x[0-9a-f]{2}|u[0-9a-f]{4}"  # what follows the backslash of an escape
BACKSLASH = re.compile(rf"\\(?={ESCAPE})")
# Half of a pair; Python's form of a byte in a name that is not UTF-8.
SURROGATE = re.compile("[\ud800-\udfff]")


@lru_cache(maxsize=1024)  # genres and reasons recur
def csv_text(text: str) -> str:
    r"""Text for a CSV file that no spreadsheet evaluates; `plain_text` is the inverse.

    Unprintable characters become `\xNN` below 0x80 and `\uNNNN` above; `\x80` to `\xff` are bytes
    of file names that are not UTF-8. A backslash that already looks like such an escape becomes
    `\x5c`, and the first character of a formula inside a text is escaped too. Newlines stay.
    """
    escaped = UNSAFE.sub(_escape, BACKSLASH.sub(r"\\x5c", text))
    escaped = INNER_FORMULA.sub(_escape, escaped)
    return f"'{escaped}" if FORMULA.match(escaped) else escaped


def plain_text(cell: str) -> str:
    """The text from which `csv_text` made this cell: its exact inverse."""
    if cell.startswith("'") and FORMULA.match(cell):
        cell = cell[1:]
    return re.sub(rf"\\({ESCAPE})", _unescape, cell)


def printable(text: str, longest: int = LONGEST) -> str:
    r"""One line without anything that a terminal would execute; see `csv_text` for the escapes.

    Backslashes stay. If the text has more than `longest` characters, "…" replaces its middle.
    """
    shown = UNSAFE.sub(_escape, text).replace("\n", r"\x0a")
    if len(shown) <= longest:
        return shown
    half = longest // 2
    return f"{shown[:half]}…{shown[-half:]}"


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON in ASCII, so that it is the same in any encoding, and a terminal executes nothing in it.

    A byte of a name that is not UTF-8 becomes U+FFFD, a number that is not finite null.
    """
    try:
        text = json.dumps(value, allow_nan=False, indent=indent)
    except ValueError:  # a number that is not finite
        text = json.dumps(_valid(value), allow_nan=False, indent=indent)
    if "\\ud" in text:  # characters beyond U+FFFF, or halves of a pair, which no program takes
        text = json.dumps(_valid(value), allow_nan=False, indent=indent)
    return text.replace("\x7f", "\\u007f")


def valid_text(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair."""
    return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _valid(value: Any) -> Any:
    if isinstance(value, dict):
        return {valid_text(name): _valid(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_valid(each) for each in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return valid_text(value) if isinstance(value, str) else value


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # Python's form of a byte in a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _unescape(match: re.Match[str]) -> str:
    code = int(match[1][1:], 16)
    is_byte = match[1].startswith("x") and code >= 0x80
    return chr(0xDC00 + code if is_byte else code)
