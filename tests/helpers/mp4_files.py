"""MP4 files with a genre wherever a reader finds one, made from bytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from helpers.generated_files import m4a

INNER = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
ENGLISH, MAC_ENGLISH, UNDEFINED = 0x15C7, 0, 0x55C4


def box(name: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I", 8 + len(data)) + name + data


def full(name: bytes, *content: bytes) -> bytes:
    return box(name, bytes(4), *content)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def handler(kind: bytes) -> bytes:
    return box(b"hdlr", bytes(8) + kind + bytes(13))


def data(text: str, kind: int = 1) -> bytes:
    codec = "utf-16-be" if kind == 2 else "utf-8"
    return box(b"data", struct.pack(">2I", kind, 0), text.encode(codec))


def item(name: bytes, *texts: str, kind: int = 1) -> bytes:
    return box(name, *(data(text, kind) for text in texts))


def freeform(name: bytes, *texts: str, mean: bytes = b"com.apple.iTunes") -> bytes:
    head = full(b"mean", mean) + full(b"name", name)
    return box(b"----", head, *(data(text) for text in texts))


def listed(*items: bytes, version: bytes = bytes(4), handled: bool = True) -> bytes:
    """The "meta" of iTunes."""
    return box(b"meta", version, handler(b"mdir") if handled else b"", box(b"ilst", *items))


def keyed(version: bytes = bytes(4), **texts: str) -> bytes:
    """The "meta" of QuickTime's keys; "com_apple" stands for "com.apple"."""
    names = [re.sub("(?<=com|ple|ime)_", ".", name).encode() for name in texts]
    keys = b"".join(box(b"mdta", name) for name in names)
    items = [item(struct.pack(">I", i), text) for i, text in enumerate(texts.values(), 1)]
    head = handler(b"mdta") + full(b"keys", struct.pack(">I", len(names)), keys)
    return box(b"meta", version, head, box(b"ilst", *items))


def quicktime(name: bytes, *texts: str, language: int = UNDEFINED, codec: str = "utf-8") -> bytes:
    raw = [text.encode(codec) for text in texts]
    return box(name, *(struct.pack(">2H", len(text), language) + text for text in raw))


def gpp(name: bytes, text: str, codec: str = "utf-8") -> bytes:
    return full(name, struct.pack(">H", ENGLISH), text.encode(codec) + b"\0")


def udta(*content: bytes) -> bytes:
    return box(b"udta", *content)


GEN, TITLE = b"\xa9gen", quicktime(b"\xa9nam", "Title")
# Each place by name: what is added to the movie, to its track, and to the file. All say Jazz.
PLACES: dict[str, tuple[bytes, bytes, bytes]] = {
    "list": (udta(listed(item(GEN, "Jazz"))), b"", b""),
    "list, number": (udta(listed(box(b"gnre", box(b"data", bytes(8), b"\0\x09")))), b"", b""),
    "list, UTF-16": (udta(listed(item(GEN, "Jazz", kind=2))), b"", b""),
    "list without handler": (udta(listed(item(GEN, "Jazz"), handled=False)), b"", b""),
    "list without version": (udta(listed(item(GEN, "Jazz"), version=b"")), b"", b""),
    "freeform": (udta(listed(freeform(b"GENRE", "Jazz"))), b"", b""),
    "freeform, lower case": (udta(listed(freeform(b"genre", "Jazz"))), b"", b""),
    "freeform, another mean": (udta(listed(freeform(b"Genre", "Jazz", mean=b"a.b"))), b"", b""),
    "user data": (udta(TITLE, quicktime(GEN, "Jazz")), b"", b""),
    "user data, Mac": (udta(quicktime(GEN, "Jazz", language=MAC_ENGLISH), TITLE), b"", b""),
    "user data, UTF-16": (udta(TITLE, quicktime(GEN, "\ufeffJazz", codec="utf-16-be")), b"", b""),
    "user data, closing zeros": (udta(TITLE, quicktime(GEN, "Jazz"), bytes(4)), b"", b""),
    "user data, no header": (udta(TITLE, box(GEN, b"Jazz")), b"", b""),
    "user data, an item": (udta(TITLE, item(GEN, "Jazz")), b"", b""),
    "user data of 3GPP": (udta(gpp(b"titl", "Title"), gpp(b"gnre", "Jazz")), b"", b""),
    "user data of 3GPP, UTF-16": (udta(gpp(b"gnre", "\ufeffJazz", "utf-16-be")), b"", b""),
    "keys of the movie": (keyed(com_apple_quicktime_genre="Jazz"), b"", b""),
    "keys of the movie, no version": (keyed(b"", title="T", genre="Jazz") + udta(TITLE), b"", b""),
    "keys in user data": (udta(keyed(title="Title", genre="Jazz", encoder="Lavf")), b"", b""),
    "keys in user data, GENRE": (udta(keyed(GENRE="Jazz")), b"", b""),
    "list of the movie": (listed(item(GEN, "Jazz")), b"", b""),
    "second user data": (udta(TITLE) + udta(listed(item(GEN, "Jazz"))), b"", b""),
    "user data of the track": (b"", udta(quicktime(GEN, "Jazz")), b""),
    "user data of 3GPP of the track": (b"", udta(gpp(b"gnre", "Jazz")), b""),
    "list of the track": (b"", udta(listed(item(GEN, "Jazz"))), b""),
    "keys of the track": (b"", keyed(com_apple_quicktime_genre="Jazz"), b""),
    "list of the file": (b"", b"", listed(item(GEN, "Jazz"))),
    "keys of the file": (b"", b"", keyed(genre="Jazz")),
}


def with_places(
    *places: tuple[bytes, bytes, bytes], moov_first: bool = False, wide: bool = False
) -> bytes:
    """A sound file with chapters and these places; `wide` has offsets of 64 bits."""
    movie, track, end = (b"".join(parts) for parts in zip(*places, strict=True))
    top = list(boxes(m4a(chapters=True, moov_first=moov_first)))
    old = next(content for name, content in top if name == b"moov")
    moov = _remade(old, movie, track, wide, 0)
    if moov_first:
        moov = _remade(old, movie, track, wide, len(moov) - len(old))
    return b"".join(box(name, moov if name == b"moov" else content) for name, content in top) + end


def _remade(content: bytes, added: bytes, track: bytes, wide: bool, shift: int) -> bytes:
    """The boxes in these bytes, without tags, with what is added and offsets that are shifted."""
    new = b""
    for name, inner in boxes(content):
        if name == b"stco":
            offsets = [at + shift for (at,) in struct.iter_unpack(">I", inner[8:])]
            form = f">{len(offsets)}{'Q' if wide else 'I'}"
            name = b"co64" if wide else b"stco"
            new += box(name, inner[:8], struct.pack(form, *offsets))
        elif name in INNER:
            new += box(name, _remade(inner, track if name == b"trak" else b"", b"", wide, shift))
        elif name != b"udta":
            new += box(name, inner)
    return new + added
