"""The INFO list of a WAV, where some programs keep texts, with or without an ID3 chunk."""

from __future__ import annotations

import re
import struct
from typing import IO, Any

import mutagen
import mutagen.id3

from tagger.errors import TagError
from tagger.tags import id3v2
from tagger.tags.codepages import OldText, recoded, unicode_text, western
from tagger.tags.containers import WAV, chunks, container_end, is_id3, set_end
from tagger.tags.parts import check_count, read_part, splice
from tagger.tags.text_frames import BLANK, LATIN1

_mutagen: Any = mutagen  # half of it is untyped
Items = list[tuple[bytes, bytes]]  # key and text, as stored
GENRE_KEYS = (b"IGNR", b"GENR")  # the first is the usual one; exiftool shows both

# TagLib shows these frames by the same names as the items.
_INFO_FRAMES = {
    b"INAM": b"TIT2", b"IART": b"TPE1", b"IPRD": b"TALB", b"ICRD": b"TDRC", b"ITRK": b"TRCK",
    b"IPRT": b"TRCK", b"ICMT": b"COMM", b"IBPM": b"TBPM", b"ICOP": b"TCOP", b"IDIT": b"TDEN",
    b"IEDT": b"TPE4", b"ILNG": b"TLAN", b"IMED": b"TMED", b"IMUS": b"TCOM", b"IPUB": b"TPUB",
    b"ISFT": b"TSSE", b"ISRC": b"TSRC", b"ITCH": b"TENC", b"IWRI": b"TEXT", b"PRT1": b"TSST",
    b"IBSU": b"TXXX:ARTISTWEBPAGE", b"ICNT": b"TXXX:RELEASECOUNTRY", b"IENG": b"TXXX:ARRANGER",
    b"ISTR": b"TXXX:PERFORMER",
}  # fmt: skip


def info_texts(items: Items | None) -> dict[bytes, OldText]:
    """The items of a RIFF INFO list, except the genre, by frame name; none without a list."""
    info = dict(items or ())
    frames = {key: frame for key, frame in _INFO_FRAMES.items() if key in info}
    others = [key for key in info if key.isalnum() and not is_genre(key)]
    frames |= {key: b"TXXX:" + key for key in others if key not in _INFO_FRAMES}
    texts = {frame: info_bytes(info[key]).strip(BLANK) for key, frame in frames.items()}
    return {frame: OldText(raw) for frame, raw in texts.items() if raw}


def is_genre(key: bytes) -> bool:
    """Whether an item is the genre; FFmpeg and GStreamer know it in small letters too."""
    return key.upper() in GENRE_KEYS


def info_bytes(raw: bytes) -> bytes:
    """A text of an INFO list, without what ends it."""
    return raw.split(b"\0")[0]


def info_text(raw: bytes, charset: str | None = None) -> str:
    """A text of an INFO list: UTF-8 from FFmpeg, Windows-1252 from most other programs."""
    known = unicode_text(info_bytes(raw), charset)
    return western(info_bytes(raw).decode("latin-1")) if known is None else known


def read_info(file: IO[bytes]) -> Items | None:
    """Key and text, as stored, of each item in the INFO list of a WAV; `None` without a list."""
    start, stop = _find_info(file)
    if start == stop:
        return None
    data, at, found = read_part(file, start + 12, stop), 0, []
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        check_count(len(found))
        at += 8 + size + size % 2
    return found


def put_info(file: IO[bytes], value: bytes | None, made: Items | None) -> None:
    """Set the genre in the INFO list of a WAV, or remove it.

    `made` are the other texts of a list that is added. For `None`, none is added. A list that holds
    nothing else is removed with the text.
    """
    start, stop = _find_info(file)
    texts = read_info(file) or []
    if start == stop and (value is None or made is None):
        return
    new_item = [] if value is None else [(GENRE_KEYS[0], value)]
    old_item = [item for item in texts if is_genre(item[0])]
    if old_item == new_item and (value is not None or texts != made):
        return
    length = file.seek(0, 2)
    if start == stop:
        # Before an ID3 chunk: minidlna finds nothing after a chunk of odd size.
        every, texts = list(chunks(file, WAV)), made or []
        last = every[-1][2]
        start, stop = next(
            ((begin, begin) for name, begin, _ in every if is_id3(name)), (last + last % 2, last)
        )
    elif read_part(file, start, stop).rstrip(b"\0") != _info_chunk(texts).rstrip(b"\0"):
        raise TagError("its RIFF INFO list is damaged and would be lost; fix it first")
    others = [item for item in texts if not is_genre(item[0])]
    is_removed = value is None and others == made
    new = b"" if is_removed else _info_chunk([*others, *new_item])
    end, stop = max(min(container_end(file, WAV), length), stop), min(stop + stop % 2, length)
    splice(file, start, stop, new)
    set_end(file, WAV, end + len(new) - (stop - start))


# If there is an INFO list, FFmpeg 5 and MPD show nothing of an ID3 tag, so a new list repeats what
# they showed. FFmpeg shows these items by the same names as the frames.
_REPEATED = {
    "TIT2": b"INAM", "TPE1": b"IART", "TALB": b"IPRD", "TDRC": b"ICRD", "TRCK": b"ITRK",
    "COMM": b"ICMT", "TCOP": b"ICOP", "TLAN": b"ILNG", "TSSE": b"ISFT", "TENC": b"ITCH",
}  # fmt: skip
UNSYNCHRONISED = 0x03  # flags of a frame in 2.4: this, and that the plain length is stated
_DATE = re.compile(r"\d{4}(-\d\d){0,2}")


def repeated_texts(tag: id3v2.Id3, charset: str | None) -> Items | None:
    """The items for the texts of an ID3 tag, except the genre.

    `None` if some have no item, or are in an unknown code page. Raises `TagError` for a text that
    is not in the given one.
    """
    shown = [frame for frame in tag.others if frame.startswith((b"T", b"COM", b"ULT", b"USLT"))]
    frames: Any = _mutagen.id3.ID3()
    is_plain = all(tag.major == 2 or not frame[9] & ~UNSYNCHRONISED for frame in shown)
    if not is_plain or sum(map(len, shown)) > id3v2.MOST_TEXT:
        return None
    if shown:
        frames = id3v2.load(tag.only(shown).to_bytes(), translate=True)
    found = {}
    for frame in frames.values():
        texts = [str(text) for text in frame.text] if hasattr(frame, "text") else []
        key = _REPEATED.get(frame.FrameID)
        has_description = bool(getattr(frame, "desc", ""))
        if key is None or key in found or len(texts) != 1 or has_description:
            return None
        if key == b"ICRD" and not _DATE.fullmatch(texts[0]):
            return None
        is_old = frame.encoding == LATIN1 and not texts[0].isascii()
        if is_old and charset is None:
            return None
        text = recoded(texts[0], charset) if is_old else texts[0]
        found[key] = text.encode() + b"\0"
    return None if frames.unknown_frames else sorted(found.items())


def _info_chunk(texts: Items) -> bytes:
    sizes = (struct.pack("<I", len(text)) for _, text in texts)
    parts = (name + next(sizes) + text + b"\0" * (len(text) % 2) for name, text in texts)
    body = b"INFO" + b"".join(parts)
    return b"LIST" + struct.pack("<I", len(body)) + body


def _find_info(file: IO[bytes]) -> tuple[int, int]:
    """Offsets of the INFO list's header and after its data; equal if there is none."""
    found = (chunk for chunk in chunks(file, WAV) if is_info(file, chunk))
    return next((chunk[1:] for chunk in found), (0, 0))


def is_info(file: IO[bytes], chunk: tuple[bytes, int, int]) -> bool:
    """Whether a chunk (its id and offsets) is an INFO list."""
    file.seek(chunk[1] + 8)
    return chunk[0] == b"LIST" and file.read(4) == b"INFO"
