"""Frames of ID3v2 that hold texts, as bytes, and the texts of ID3v1."""

from __future__ import annotations

from collections.abc import Sequence

from tagger.errors import TagError
from tagger.tags.codepages import OldText

BLANK = b" \t\n\v\f\r\0"  # fills the rest of a field of fixed size; a no-break space is text
LATIN1, UTF16, UTF8 = 0, 1, 3  # encodings of a text, its first byte
_LONG_NAMES = {b"TCO": b"TCON", b"TXX": b"TXXX"}


def to_synchsafe(number: int) -> bytes:
    """A number as four bytes of 7 bits each."""
    if number >> 28:
        raise TagError("the ID3 tag would be larger than 256 MB")
    return bytes(number >> 7 * i & 0x7F for i in (3, 2, 1, 0))


def text_data(values: Sequence[str], major: int) -> bytes:
    """The content of a text frame: Latin-1 for ASCII, else UTF-8, or UTF-16 before ID3v2.4."""
    encoding, codec, mark, end = UTF8, "utf-8", b"", b"\0"
    if all(value.isascii() for value in values):
        encoding = LATIN1
    elif major < 4:
        encoding, codec, mark, end = UTF16, "utf-16-le", b"\xff\xfe", b"\0\0"
    return bytes([encoding]) + b"".join(mark + value.encode(codec) + end for value in values)


def make_frame(
    name: bytes, data: bytes, major: int, *, synchsafe: bool, flags: bytes = b"\0\0"
) -> bytes:
    """A frame with its header; `synchsafe` is false in a tag of iTunes, and before 2.4."""
    if major == 2:
        return name + len(data).to_bytes(3, "big") + data
    size = to_synchsafe(len(data)) if synchsafe else len(data).to_bytes(4, "big")
    return name + size + flags + data


def convert_frame(frame: bytes, old: int, new: int, *, synchsafe: bool) -> bytes | None:
    """A text frame of a tag of one version for a tag of another; `None` if that cannot hold it.

    The text keeps its bytes; in the same version, the frame does.
    """
    name, head = (frame[:3], 6) if old == 2 else (frame[:4], 10)
    flags, data = frame[8:head], frame[head:]
    if old != new:
        if flags.strip(b"\0") or (new < 4 and data[:1] > bytes([UTF16])):
            return None
        name = name[:3] if new == 2 else _LONG_NAMES.get(name, name)
    return make_frame(name, data, new, synchsafe=synchsafe, flags=flags or b"\0\0")


def v1_texts(block: bytes) -> dict[bytes, OldText]:
    """The texts of an ID3v1 block, except the genre, by frame name; none for an empty block."""
    raw = {b"TIT2": block[3:33], b"TPE1": block[33:63], b"TALB": block[63:93]}
    raw[b"TDRC"], comment = block[93:97], block[97:127]
    if comment[28:29] == b"\0" and comment[29:] > b"\0":  # ID3v1.1
        comment, raw[b"TRCK"] = comment[:28], str(comment[29]).encode()
    raw[b"COMM"] = comment
    texts = {
        name: OldText(field.split(b"\0")[0].strip(BLANK), is_cut=b"\0" not in field)
        for name, field in raw.items()
    }
    return {name: text for name, text in texts.items() if text.raw}


def new_text_frame(field: bytes, text: OldText, charset: str | None) -> bytes:
    """A frame of ID3v2.4 that repeats a text: as Unicode, or with its bytes as Latin-1.

    The name of a TXXX frame is followed by ":" and its description.
    """
    name, _, description = field.partition(b":")
    head = {b"COMM": b"eng\0", b"TXXX": description + b"\0"}.get(name, b"")
    known = text.unicode(charset)
    data = bytes([LATIN1]) + head + text.raw
    if known is not None:
        data = bytes([UTF8]) + head + known.encode()
    return make_frame(name, data, 4, synchsafe=True)
