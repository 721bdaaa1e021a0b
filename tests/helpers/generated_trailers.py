"""APEv2, ID3v1 and Lyrics3 tags at the end of a file, built from their specifications."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hypothesis import strategies as st

from helpers.generated_values import ASCII, BLOB, LATIN, NAME, TEXT, Draw


@st.composite
def ape_tags(draw: Draw, with_title: bool = False) -> bytes:
    """An APEv2 tag with at least one item, with a header or without."""
    names = ["Artist", "Album", "Comment", "Year", "Track", "REPLAYGAIN_TRACK_GAIN", "MP3GAIN_UNDO"]
    value = st.lists(TEXT, min_size=1, max_size=3).map("\0".join).map(str.encode)
    items = {"Title": (0, b"Title")} if with_title else {}
    for name in draw(st.lists(st.sampled_from(names) | NAME, min_size=1, max_size=4, unique=True)):
        items[name] = (0, draw(value))
    if draw(st.booleans()):
        items["Cover Art (Front)"] = (1, b"cover.png\0" + draw(BLOB))
    if draw(st.booleans()):
        items["Related"] = (2, b"http://elsewhere")
    if draw(st.booleans()):
        items[draw(st.sampled_from(["Genre", "GENRE", "genre"]))] = (0, draw(value))
    return ape_tag(dict(draw(st.permutations(list(items.items())))), draw(st.booleans()))


def ape_tag(items: dict[str, tuple[int, bytes]], has_header: bool) -> bytes:
    body = b""
    for name, (kind, value) in items.items():
        body += struct.pack("<2I", len(value), kind << 1) + name.encode() + b"\0" + value
    flags = 0x80000000 * has_header
    rest = struct.pack("<3I", 2000, len(body) + 32, len(items))
    header = b"APETAGEX" + rest + struct.pack("<I8x", flags | 0x20000000)
    footer = b"APETAGEX" + rest + struct.pack("<I8x", flags)
    return (header if has_header else b"") + body + footer


def read_ape(tag: bytes) -> dict[str, tuple[int, bytes]]:
    """The items of a whole tag, with their kind."""
    if not tag:
        return {}
    size, count, flags = struct.unpack("<3I", tag[-20:-8])
    at, found = len(tag) - size, {}
    for _ in range(count):
        length, kind = struct.unpack("<2I", tag[at : at + 8])
        stop = tag.index(b"\0", at + 8)
        found[tag[at + 8 : stop].decode()] = (kind >> 1 & 3, tag[stop + 1 : stop + 1 + length])
        at = stop + 1 + length
    assert at == len(tag) - 32, "an APEv2 tag whose sizes do not add up"
    assert flags >> 31 == (len(tag) > size)
    return found


@st.composite
def id3v1_blocks(draw: Draw, reader: str) -> bytes:
    """An ID3v1 or v1.1 block; in ASCII for FFmpeg, which reads other texts as broken UTF-8."""

    def field(size: int) -> bytes:
        text = draw(st.just("") | (ASCII if reader == "FFmpeg" else LATIN)).encode("latin-1")
        return text[:size].ljust(size, draw(st.sampled_from([b"\0", b" "])))

    block = b"TAG" + field(30) + field(30) + field(30)
    block += draw(st.sampled_from([b"1999", bytes(4)]))
    comment = field(30)
    if draw(st.booleans()):
        comment = comment[:28] + b"\0" + bytes([draw(st.integers(1, 255))])
    return block + comment + bytes([draw(st.sampled_from([0, 17, 80, 200, 255]))])


@st.composite
def lyrics(draw: Draw) -> bytes:
    words = draw(LATIN).encode("latin-1")
    body = b"LYRICSBEGININD0000210LYR%05d" % len(words) + words
    return body + b"%06dLYRICS200" % len(body)


@dataclass(frozen=True, slots=True)
class Ends:
    """What follows the audio."""

    ape: bytes
    words: bytes
    block: bytes

    @classmethod
    def of(cls, end: bytes) -> Ends:
        block = end[-128:] if end[-128:].startswith(b"TAG") and end[-131:-128] != b"APE" else b""
        end = end[: len(end) - len(block)]
        words = b""
        if end.endswith(b"LYRICS200"):
            words = end[-15 - int(end[-15:-9]) :]
        return cls(end[: len(end) - len(words)], words, block)
