"""Proof that a write changed only genre and note of an MP4: a digest of every other atom.

It shares no code with the write, so that a fault there shows here.
"""

from __future__ import annotations

import hashlib
import re
import struct
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from tagger.genres.provenance import FIELD
from tagger.tags.parts import read_part

INNER = ("moov", "trak", "mdia", "minf", "stbl", "udta", "meta", "ilst")
MOST = 1 << 20  # bytes of an atom outside of `moov` that are read; audio is compared as packets
NEAR = 8  # bytes that are read where an offset points to
_OWN_ITEM = re.compile(
    rb"(\xa9gen|gnre|----.{12}com\.apple\.iTunes.{12}%b(.{4}data|\Z)"
    rb"|----(.{4}mean.{4}[^\0]*).{4}name.{4}(?i:genre)(.{4}data|\Z))" % FIELD.encode(),
    re.DOTALL,
)
_OWN_KEY = re.compile(rb"(com\.apple\.quicktime\.)?genre", re.IGNORECASE)


# Texts in user data are repeated in a new list, by these names.
_NAMES = {
    b"titl": b"\xa9nam", b"perf": b"\xa9ART", b"auth": b"\xa9wrt", b"albm": b"\xa9alb",
    b"dscp": b"desc",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Around:
    """What the parents of an atom hold: the keys of a list, and the texts of user data."""

    keys: bytes = b""
    texts: frozenset[tuple[bytes, str]] = frozenset()


def other_atoms(file: IO[bytes]) -> dict[str, str]:
    """A digest of each atom that a write must not change, by its path and number."""
    size = file.seek(0, 2)
    rows = _rows(file, "", 0, size, _Around())
    return {f"atom:{number}:{path}": digest for number, (path, digest) in enumerate(rows)}


def _rows(
    file: IO[bytes], path: str, at: int, stop: int, around: _Around
) -> Iterator[tuple[str, str]]:
    """Path and digest of each atom from `at` to `stop`, and of what is left at the end."""
    while at + 8 <= stop:
        size, name = struct.unpack(">I4s", read_part(file, at, at + 8))
        body = at + 8
        if size == 1:
            size, body = int.from_bytes(read_part(file, at + 8, at + 16), "big"), at + 16
        elif size == 0 and not path:
            size = stop - at
        if size < body - at:
            break
        at = min(at + size, stop)
        text = name.decode("latin-1")
        inner = f"{path}/{text}"
        if path.count("/") > 60:
            yield inner, _digest(read_part(file, body, at))
        elif name == b"meta":
            yield from _meta_rows(file, inner, body, at, around)
        elif text in INNER:
            if name == b"udta":
                around = _Around(texts=frozenset(_texts(read_part(file, body, at))))
            yield from _rows(file, inner, body, at, around)
        elif not _is_own(file, path, name, (body, at), around):
            yield inner, _leaf(file, path, name, body, at)
    if rest := read_part(file, at, min(stop, at + MOST)):
        yield f"{path}/rest", _digest(rest)


def _meta_rows(
    file: IO[bytes], path: str, body: int, stop: int, around: _Around
) -> Iterator[tuple[str, str]]:
    """Nothing for a list of which nothing but padding would be left without genre and note."""
    head = read_part(file, body, body + 4)
    body += 4 if head == bytes(4) else 0
    found = re.search(rb".{4}keys.{8}", read_part(file, body, min(stop, body + MOST)), re.DOTALL)
    keys = b""
    if found:
        size = int.from_bytes(found[0][:4], "big")
        keys = read_part(file, body + found.end(), min(stop, body + found.start() + size))
    rows = list(_rows(file, path, body, stop, replace(around, keys=keys)))
    if [name for name, _ in rows if name != f"{path}/free"] != [f"{path}/hdlr"]:
        yield from rows


def _is_own(
    file: IO[bytes], path: str, name: bytes, place: tuple[int, int], around: _Around
) -> bool:
    """Whether an atom is a genre, or our note."""
    body, stop = place
    if path.endswith("/udta"):
        return name in (b"\xa9gen", b"gnre")
    if not path.endswith("/ilst"):
        return False
    keys = around.keys
    if keys and name < b"\1":
        number, at = int.from_bytes(name, "big"), 0
        for _ in range(number - 1):
            at += max(int.from_bytes(keys[at : at + 4], "big"), 8)
        size = int.from_bytes(keys[at : at + 4], "big")
        return bool(_OWN_KEY.fullmatch(keys[at + 8 : at + size]))
    data = read_part(file, body, min(stop, body + MOST))
    text = data[16:].decode("utf-8", "replace")
    is_repeated = path == "/moov/udta/meta/ilst" and (name, text) in around.texts
    return is_repeated or bool(_OWN_ITEM.match(name + data))


def _texts(content: bytes) -> Iterator[tuple[bytes, str]]:
    """Name and text, in each encoding that is possible, of the atoms in user data."""
    at = 0
    while at + 8 <= len(content) and (size := int.from_bytes(content[at : at + 4], "big")) >= 8:
        name, data = content[at + 4 : at + 8], content[at + 8 : at + size]
        at += size
        end = 4 + int.from_bytes(data[:2], "big")
        for text in (data[4:end], data[6:].split(b"\0")[0], data[6:-2]):
            for codec in ("utf-8", "mac-roman", "utf-16"):
                yield _NAMES.get(name, name), text.decode(codec, "replace").strip("\0\ufeff")


def _leaf(file: IO[bytes], path: str, name: bytes, body: int, stop: int) -> str:
    if name in (b"stco", b"co64"):
        data, width = read_part(file, body, stop), 4 if name == b"stco" else 8
        places = range(8, len(data) - width + 1, width)
        offsets = [int.from_bytes(data[at : at + width], "big") for at in places]
        return _digest(data[:8] + b"".join(_sound_at(file, offsets)))
    if path:
        return _digest(read_part(file, body, stop))
    return _digest(read_part(file, body, min(stop, body + MOST)) + b"%d" % (stop - body))


def _sound_at(file: IO[bytes], offsets: list[int]) -> Iterator[bytes]:
    """The first bytes of each chunk of audio: its offset may change, but not what is there."""
    spans, at = [], 0
    while len(header := read_part(file, at, at + 16)) >= 8:
        size = int.from_bytes(header[:4], "big")
        size = int.from_bytes(header[8:], "big") if size == 1 else size
        if header[4:8] == b"mdat":
            spans.append((at, at + size if size else file.seek(0, 2)))
        if size < 8:
            break
        at += size
    for offset in offsets:
        index = bisect(spans, (offset, 1 << 64)) - 1
        is_inside = index >= 0 and offset < spans[index][1]
        yield read_part(file, offset, min(offset + NEAR, spans[index][1])) if is_inside else b"?"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
