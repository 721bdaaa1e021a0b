"""The INFO list of a WAV, where some programs keep texts beside or instead of an ID3 chunk."""

from __future__ import annotations

import struct
from typing import IO

from tagger.errors import TagError
from tagger.tags.containers import WAV, chunks, container_end
from tagger.tags.parts import check_count, read_part, splice

# TagLib shows these frames by the same names as the items.
_INFO_FRAMES = {
    b"INAM": b"TIT2", b"IART": b"TPE1", b"IPRD": b"TALB", b"ICRD": b"TDRC", b"ITRK": b"TRCK",
    b"IPRT": b"TRCK", b"ICMT": b"COMM", b"IBPM": b"TBPM", b"ICOP": b"TCOP", b"IDIT": b"TDEN",
    b"IEDT": b"TPE4", b"ILNG": b"TLAN", b"IMED": b"TMED", b"IMUS": b"TCOM", b"IPUB": b"TPUB",
    b"ISFT": b"TSSE", b"ISRC": b"TSRC", b"ITCH": b"TENC", b"IWRI": b"TEXT", b"PRT1": b"TSST",
    b"IBSU": b"TXXX:ARTISTWEBPAGE", b"ICNT": b"TXXX:RELEASECOUNTRY", b"IENG": b"TXXX:ARRANGER",
    b"ISTR": b"TXXX:PERFORMER",
}  # fmt: skip


def info_texts(info: dict[bytes, bytes]) -> dict[bytes, str]:
    """The items of a RIFF INFO list, except the genre, by frame name."""
    frames = {key: frame for key, frame in _INFO_FRAMES.items() if key in info}
    others = [key for key in info if key not in _INFO_FRAMES and key.isalnum() and key != b"IGNR"]
    frames |= {key: b"TXXX:" + key for key in others}
    return {frame: info_text(info[key]) for key, frame in frames.items()}


def info_text(raw: bytes) -> str:
    """A text of an INFO list: UTF-8 from FFmpeg, Windows-1252 from most other programs."""
    raw = raw.split(b"\0")[0]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def read_info(file: IO[bytes]) -> list[tuple[bytes, bytes]]:
    """Key and text, as stored, of each item in the INFO list of a WAV."""
    start, stop = _find_info(file)
    data, at, found = read_part(file, start + 12, stop), 0, []
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        check_count(len(found))
        at += 8 + size + size % 2
    return found


def put_info(file: IO[bytes], key: bytes, value: bytes | None) -> None:
    """Set a text in the INFO list of a WAV, or remove it; does nothing without a list."""
    start, stop = _find_info(file)
    texts = read_info(file)
    if start == stop or dict(texts).get(key) == value:
        return
    length = file.seek(0, 2)
    if read_part(file, start, stop).rstrip(b"\0") != _info_chunk(texts).rstrip(b"\0"):
        raise TagError("its RIFF INFO list is damaged and would be lost; fix it first")
    new_texts = [(key, value)] if value is not None else []
    new = _info_chunk([item for item in texts if item[0] != key] + new_texts)
    end, stop = max(min(container_end(file, WAV), length), stop), min(stop + stop % 2, length)
    splice(file, start, stop, new)
    file.seek(4)
    file.write(struct.pack("<I", end + len(new) - (stop - start) - 8))


def _info_chunk(texts: list[tuple[bytes, bytes]]) -> bytes:
    sizes = (struct.pack("<I", len(text)) for _, text in texts)
    parts = (name + next(sizes) + text + b"\0" * (len(text) % 2) for name, text in texts)
    body = b"INFO" + b"".join(parts)
    return b"LIST" + struct.pack("<I", len(body)) + body


def _find_info(file: IO[bytes]) -> tuple[int, int]:
    """Offsets of the INFO list's header and after its data; equal if there is none."""
    for name, at, stop in chunks(file, WAV):
        file.seek(at + 8)
        if name == b"LIST" and file.read(4) == b"INFO":
            return at, stop
    return 0, 0
