"""What a stream can show: any character, in some spelling, and a line that is drawn over."""

from __future__ import annotations

import codecs
import io
import os
from typing import IO

DUMB = ("dumb", "unknown")  # of TERM
# What our own messages, bars and tables contain, for streams whose encoding has no such character.
SPELLED = str.maketrans(
    {
        **dict.fromkeys("·–—─", "-"),  # noqa: RUF001
        **{"…": "...", "→": "->", "←": "<-", "≥": ">=", "≤": "<=", "│": "|", "✓": "+"},
        **dict.fromkeys("×✗", "x"),  # noqa: RUF001
        **{chr(block): "#" for block in range(0x2580, 0x2596)},
    }
)
NARROW = "tagger_narrow"  # the name of an error handler: one character for each, for a bar
_READABLE = "tagger_readable"  # the name of an error handler, and of ASCII under another name


def can_redraw(stream: IO[str] | None) -> bool:
    """Whether the stream is a terminal on which a line can be drawn over, as a progress bar is."""
    return bool(stream and stream.isatty() and os.environ.get("TERM") not in DUMB)


def accept_any_text(stream: IO[str] | None) -> None:
    r"""Let a stream take text that its encoding does not have: "->" for an arrow, else `\u65e5`.

    In an ASCII or Latin locale, the name of a file would end a run by a `UnicodeEncodeError`.
    """
    if isinstance(stream, io.TextIOWrapper):
        is_ascii = codecs.lookup(stream.encoding).name == "ascii"
        # click takes ASCII for a mistake, and writes UTF-8 to such a stream.
        stream.reconfigure(encoding=_READABLE if is_ascii else None, errors=_READABLE)


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(SPELLED)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def _narrow(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(SPELLED.get(ord(character), "?")[:1] for character in lacking), error.end


def _own_codec(name: str) -> codecs.CodecInfo | None:
    if name != _READABLE:
        return None
    ascii = codecs.lookup("ascii")
    return codecs.CodecInfo(
        ascii.encode, ascii.decode, name=name, incrementalencoder=ascii.incrementalencoder,
        incrementaldecoder=ascii.incrementaldecoder,
    )  # fmt: skip


codecs.register_error(_READABLE, _readable)
codecs.register_error(NARROW, _narrow)
codecs.register(_own_codec)
