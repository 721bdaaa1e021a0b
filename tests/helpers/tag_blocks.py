"""Files with any tag that a format allows, as hypothesis strategies of bytes.

ID3, APEv2, Lyrics3, FLAC blocks and chunks are built here from their specifications, so that
neither the tagger's own code nor mutagen's vouches for itself. The rest is made by mutagen.
"""

from __future__ import annotations

import base64
import fractions
import io
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import mutagen
import numpy as np
from hypothesis import strategies as st
from mutagen import asf, mp4

from helpers import containers

Draw = Callable[..., Any]

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=20)
LATIN = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["Cc"]),
                min_size=1, max_size=20)  # fmt: skip
ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
NAME = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_ ", min_size=1, max_size=12).map("X-{}".format)
# Pictures and the like: any bytes, and what looks like the start of an MPEG frame or of a tag.
SEED = st.binary(min_size=1, max_size=40) | st.sampled_from(
    [
        b"\xff\xe0",
        b"\xff\xfb\x90\x00",
        b"\xff\0",
        b"\xff",
        b"\0",
        b"APETAGEX",
        b"ID3\4\0\0\0\0\0\x7f",
    ]
)
BLOB = st.builds(lambda seed, size: (seed * size)[:size], SEED, st.integers(0, 20_000))
SMALL_BLOB = st.builds(lambda seed, size: (seed * size)[:size], SEED, st.integers(0, 300))

# Each is stored as it is by every format: no control characters, nothing that ID3 takes for a
# number, and no "; ", which joins the names in ID3v2.3.
_FREE_NAME = TEXT.map(str.strip).filter(
    lambda name: (
        name
        and not name.isdecimal()
        and not name.startswith("(")
        and name not in ("RX", "CR")
        and "; " not in name
    )
)
GENRES = st.lists(
    st.sampled_from(["Jazz", "Drum & Bass", "Folk, World, & Country", "Tiếng Việt", "Élan"])
    | st.sampled_from(["音楽", "Hip-Hop", "rock", "🎷", "17th Century", "Hi/Lo;"])
    | _FREE_NAME,
    min_size=1,
    max_size=3,
    unique_by=str.casefold,
).map(tuple)


@dataclass(frozen=True, slots=True)
class Made:
    """A file: what precedes the audio, the name of the audio, and what follows it."""

    suffix: str
    front: bytes
    sound: str  # a key of AUDIO, so that a failing example is short
    end: bytes = b""
    id3: int = 0  # major version of the ID3v2 tag that takes the genre

    @property
    def audio(self) -> bytes:
        return AUDIO[self.sound]()

    @property
    def data(self) -> bytes:
        return self.front + self.audio + self.end


# --- ID3v2 ----------------------------------------------------------------------------------------

SHORT_NAMES = {
    "TIT2": "TT2", "TPE1": "TP1", "TPE2": "TP2", "TALB": "TAL", "TRCK": "TRK", "TCOM": "TCM",
    "TCOP": "TCR", "TCMP": "TCP", "TBPM": "TBP", "TYER": "TYE", "TENC": "TEN", "TXXX": "TXX",
    "COMM": "COM", "USLT": "ULT", "UFID": "UFI", "POPM": "POP", "APIC": "PIC", "WOAF": "WAF",
    "TCON": "TCO", "XABC": "XAB",
}  # fmt: skip
TEXTS = ("TIT2", "TPE1", "TPE2", "TALB", "TRCK", "TCOM", "TCOP", "TCMP", "TBPM", "TENC", "TYER")
PADDINGS = (0, 1, 9, 10, 500, 4000)
LATER_TEXTS = {2: (), 3: ("TSOP", "TORY", "TDAT"), 4: ("TDRC", "TSOP", "TMOO", "TMCL", "TIPL")}


def synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def unsynchronise(data: bytes) -> bytes:
    out = bytearray()
    for index, byte in enumerate(data):
        out.append(byte)
        follows = data[index + 1] if index + 1 < len(data) else 0
        if byte == 0xFF and (follows == 0 or follows >= 0xE0):
            out.append(0)
    return bytes(out)


def frame(major: int, name: str, body: bytes, flags: int = 0) -> bytes:
    if major == 2:
        return SHORT_NAMES[name].encode() + len(body).to_bytes(3, "big") + body
    size = synchsafe(len(body)) if major == 4 else len(body).to_bytes(4, "big")
    return name.encode() + size + flags.to_bytes(2, "big") + body


def is_empty(major: int, part: bytes) -> bool:
    return len(part) == (6 if major == 2 else 10)


def _coded(text: str, encoding: int, big: bool) -> bytes:
    if encoding == 1:
        return (
            b"\xfe\xff" + text.encode("utf-16-be")
            if big
            else b"\xff\xfe" + text.encode("utf-16-le")
        )
    return text.encode({0: "latin-1", 2: "utf-16-be", 3: "utf-8"}[encoding], "replace")


@st.composite
def texts(draw: Draw, major: int, count: int = 1, ended: bool = False) -> tuple[int, list[bytes]]:
    """An encoding that this version allows, and `count` coded texts, all but the last ended."""
    encoding = draw(st.sampled_from((0, 1) if major < 4 else (0, 1, 2, 3)))
    big = draw(st.booleans())
    end = b"\0\0" if encoding in (1, 2) else b"\0"
    coded = [_coded(draw(TEXT), encoding, big) + end for _ in range(count)]
    if not ended and draw(st.booleans()):
        coded[-1] = coded[-1][: -len(end)]
    return encoding, coded


@st.composite
def text_body(draw: Draw, major: int) -> bytes:
    encoding, values = draw(texts(major, draw(st.integers(1, 3 if major == 4 else 1))))
    return bytes([encoding]) + b"".join(values)


@st.composite
def described(draw: Draw, major: int, language: bytes) -> bytes:
    encoding, (description, value) = draw(texts(major, 2))
    if draw(st.booleans()):
        description = b"\0\0" if encoding in (1, 2) else b"\0"
    return bytes([encoding]) + language + description + value


@st.composite
def picture_body(draw: Draw, major: int) -> bytes:
    encoding, (description,) = draw(texts(major, 1, ended=True))
    mime = draw(
        st.sampled_from([b"PNG", b"JPG"] if major == 2 else [b"image/png\0", b"image/jpeg\0"])
    )
    kind = bytes([draw(st.integers(0, 20))])
    return bytes([encoding]) + mime + kind + description + draw(BLOB)


@st.composite
def chapter_frames(draw: Draw, major: int) -> list[bytes]:
    count = draw(st.integers(1, 3))
    marks = sorted(
        draw(st.lists(st.integers(0, 400), min_size=count + 1, max_size=count + 1, unique=True))
    )
    names = [b"ch%d\0" % index for index in range(count)]
    found = []
    for name, start, stop in zip(names, marks, marks[1:], strict=False):
        inner = draw(st.lists(st.just("TIT2"), max_size=1))
        body = name + struct.pack(">4I", start, stop, 2**32 - 1, 2**32 - 1)
        body += b"".join(frame(major, part, draw(text_body(major))) for part in inner)
        found.append(frame(major, "CHAP", body))
    toc = b"toc\0\3" + bytes([count]) + b"".join(names)
    return [*found, frame(major, "CTOC", toc)]


@st.composite
def other_frame(draw: Draw, major: int) -> bytes:
    names = TEXTS + LATER_TEXTS[major]
    bodies = {
        "text": st.tuples(st.sampled_from(names), text_body(major)),
        "TXXX": st.tuples(st.just("TXXX"), described(major, b"")),
        "COMM": st.tuples(st.sampled_from(["COMM", "USLT"]), described(major, b"eng")),
        "UFID": st.tuples(st.just("UFID"), SMALL_BLOB.map(b"http://owner\0".__add__)),
        "POPM": st.tuples(st.just("POPM"), st.just(b"me@home\0\xc4\0\0\0\7")),
        "WOAF": st.tuples(st.just("WOAF"), st.just(b"http://sound/of")),
        "APIC": st.tuples(st.just("APIC"), picture_body(major)),
        "XABC": st.tuples(st.just("XABC"), SMALL_BLOB),
        "empty": st.tuples(st.sampled_from(names), st.just(b"")),
    }
    if major > 2:
        bodies["PRIV"] = st.tuples(st.just("PRIV"), SMALL_BLOB.map(b"owner\0".__add__))
        gain = ("RVA2", b"track\0\1\xff\x80\0") if major == 4 else ("RVAD", b"\0\x10\0\1\0\1")
        bodies["gain"] = st.just(gain)
    kind = draw(st.sampled_from(sorted(bodies)))
    name, body = draw(bodies[kind])
    if major == 2 or not body or draw(st.integers(0, 3)):
        return frame(major, name, body)
    return frame(major, name, *draw(coded_body(major, body)))


@st.composite
def coded_body(draw: Draw, major: int, body: bytes) -> tuple[bytes, int]:
    """A body as flags of a frame allow: compressed, in a group, unsynchronised, or protected."""
    kind = draw(st.sampled_from(["compressed", "group", "protected", "unsynchronised"]))
    if kind == "compressed" and major == 4:
        return synchsafe(len(body)) + zlib.compress(body), 0x09
    if kind == "compressed":
        return len(body).to_bytes(4, "big") + zlib.compress(body), 0x80
    if kind == "group":
        return b"\x80" + body, 0x40 if major == 4 else 0x20
    if kind == "unsynchronised" and major == 4:
        return synchsafe(len(body)) + unsynchronise(body), 0x03
    return body, 0x4000 if major == 4 else 0x8000


@st.composite
def genre_frames(draw: Draw, major: int) -> list[bytes]:
    one = st.sampled_from([b"\0(17)", b"\0" + b"17", b"\0Rock", b"\0Rock\0", b"\0(4)Eurodisco"])
    one = one | text_body(major) | st.just(b"\1\xff\xfeR\0o\0c\0k\0")
    if major == 4:
        one = one | st.sampled_from([b"\0Rock\0Jazz", b"\x0317\0Own\0", b"\3\xc3\x89lan\0Jazz\0"])
    return [frame(major, "TCON", body) for body in draw(st.lists(one, max_size=2))]


@st.composite
def id3_tags(draw: Draw, reader: str) -> bytes:
    """A whole ID3v2 tag with at least one frame, and nothing in it that the reader misreads.

    TagLib 2 counts the extended header of 2.3 four bytes too short, and then sees no frame at all;
    counts a footer into the size that the header states, against section 3.1 of ID3v2.4,
    and then misses the last frame; sees none in a 2.2 tag of ten bytes, and none after one without
    a body. FFmpeg 5 takes the size of a frame in an unsynchronised 2.2 or 2.3 tag for that of its
    unsynchronised bytes, and then loses the frames after it.
    """
    major = draw(st.sampled_from((2, 3, 4)))
    found = [draw(other_frame(major)) for _ in range(draw(st.integers(0, 6)))]
    if major > 2 and draw(st.integers(0, 3)) == 0:
        found += draw(chapter_frames(major))
    found += draw(genre_frames(major))
    found = draw(st.permutations(found))
    if reader == "TagLib":
        found = sorted(found, key=lambda part: is_empty(major, part))
    found = [frame(major, "TPE1", b"\0First"), *found]
    flags = draw(st.sampled_from([0, 0, 0x20])) if major > 2 else 0
    has_footer = major == 4 and reader != "TagLib" and draw(st.integers(0, 3)) == 0
    padding = (
        b""
        if has_footer
        else bytes(draw(st.sampled_from(PADDINGS[4 if major == 2 and reader == "TagLib" else 0 :])))
    )
    is_unsynchronised = draw(st.integers(0, 2)) == 0 and (major == 4 or reader != "FFmpeg")
    if is_unsynchronised:
        flags |= 0x80
    if is_unsynchronised and major == 4:
        found = [_unsynchronised_frame(part) for part in found]
    body = b"".join(found)
    if major > (3 if reader == "TagLib" else 2) and draw(st.integers(0, 2)) == 0:
        flags |= 0x40
        head = draw(_extended_header(major, body, len(padding)))
        body = head + body
    if is_unsynchronised and major < 4:
        body = unsynchronise(body)
    body += padding
    header = bytes([major, 0, flags | 0x10 * has_footer]) + synchsafe(len(body))
    return b"ID3" + header + body + (b"3DI" + header if has_footer else b"")


def _unsynchronised_frame(part: bytes) -> bytes:
    flags = int.from_bytes(part[8:10], "big")
    if flags & 0x0F:  # coded already; every coding states the length of its content
        head = part[:4], unsynchronise(part[10:]) if not flags & 0x02 else part[10:]
        return head[0] + synchsafe(len(head[1])) + (flags | 2).to_bytes(2, "big") + head[1]
    body = unsynchronise(part[10:])
    return part[:4] + synchsafe(len(body)) + (flags | 2).to_bytes(2, "big") + body


@st.composite
def _extended_header(draw: Draw, major: int, frames: bytes, padding: int) -> bytes:
    checksum = zlib.crc32(frames)
    if major == 3:
        with_sum = draw(st.booleans())
        body = struct.pack(">HI", 0x8000 * with_sum, padding)
        body += struct.pack(">I", checksum) if with_sum else b""
        return struct.pack(">I", len(body)) + body
    update, with_sum, restricted = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    body = bytes([1, 0x40 * update | 0x20 * with_sum | 0x10 * restricted])
    body += b"\0" if update else b""
    body += b"\5" + bytes([checksum >> 28]) + synchsafe(checksum) if with_sum else b""
    body += b"\1\0" if restricted else b""
    return synchsafe(4 + len(body)) + body


# --- at the end of a file -------------------------------------------------------------------------


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
    """An ID3v1 or v1.1 block; in ASCII for FFmpeg, which takes other texts for broken UTF-8."""

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


# --- MP3 ------------------------------------------------------------------------------------------


@cache
def mpeg(*, with_info: bool) -> bytes:
    """A short MPEG stream without tags; `with_info` starts with LAME's info frame."""
    data = containers.sound("mp3")
    if data.startswith(b"ID3"):
        data = data[
            10
            + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)) :
        ]
    rate = (44100, 48000, 32000)[data[2] >> 2 & 3]
    bits = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[data[2] >> 4]
    length = 144_000 * bits // rate + (data[2] >> 1 & 1)
    assert data[length : length + 2] == data[:2]
    assert b"Info" in data[:length] or b"Xing" in data[:length]
    return data if with_info else data[length:]


@st.composite
def mp3_files(draw: Draw, reader: str) -> Made:
    front = draw(st.just(b"") | id3_tags(reader))
    ape = draw(st.just(b"") | st.just(b"") | ape_tags(with_title=not front))
    block = draw(st.just(b"") | id3v1_blocks(reader))
    words = draw(st.just(b"") | lyrics()) if block else b""
    if reader == "TagLib" and ape and not front:
        words = b""  # TagLib finds no APEv2 tag in front of Lyrics3
    if reader == "FFmpeg" and not block and ape[-128:].startswith(b"TAG"):
        ape = b""  # FFmpeg takes the "TAG" of "APETAGEX" for an ID3v1
    sound = draw(st.sampled_from(["mpeg", "mpeg with Info"]))
    return Made(".mp3", front, sound, ape + words + block, front[3] if front else 0)


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


def id3_size(data: bytes) -> int:
    """Bytes of the ID3v2 tag at the start of a file; only 2.4 has a footer."""
    if not data.startswith(b"ID3"):
        return 0
    size = sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    return 10 + size + 10 * (data[3] == 4 and data[5] >> 4 & 1)


# --- FLAC, and comments in Ogg --------------------------------------------------------------------

KEYS = ("TITLE", "Artist", "ALBUM", "date", "TRACKNUMBER", "Comment", "REPLAYGAIN_TRACK_GAIN")
COMMENTS = st.lists(
    st.tuples(st.sampled_from(KEYS) | NAME, TEXT)
    | st.tuples(st.sampled_from(["GENRE", "Genre", "genre"]), TEXT),
    max_size=8,
)


@cache
def flac_parts() -> tuple[bytes, bytes]:
    """STREAMINFO with its header, and the frames."""
    data = containers.sound("flac")
    at, is_last = 4, False
    while not is_last:
        is_last = bool(data[at] & 0x80)
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    return data[4:42], data[at:]


def flac_blocks(data: bytes) -> list[tuple[int, bytes]]:
    """Type and content of each block of a FLAC, after an ID3v2 tag or not."""
    at, is_last, found = id3_size(data) + 4, False, []
    while not is_last:
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        found.append((data[at] & 0x7F, data[at + 4 : at + 4 + size]))
        is_last, at = bool(data[at] & 0x80), at + 4 + size
    return found


def _comment_block(pairs: list[tuple[str, str]]) -> bytes:
    fields = [f"{key}={value}".encode() for key, value in pairs]
    head = b"\6\0\0\0vendor" + struct.pack("<I", len(fields))
    return head + b"".join(struct.pack("<I", len(field)) + field for field in fields)


@st.composite
def _picture_block(draw: Draw) -> bytes:
    mime, text, data = b"image/png", draw(TEXT).encode(), draw(BLOB)
    head = struct.pack(">2I", draw(st.integers(0, 20)), len(mime)) + mime
    head += struct.pack(">I", len(text)) + text + struct.pack(">4I", 4, 4, 24, 0)
    return head + struct.pack(">I", len(data)) + data


def _cue_sheet(catalog: bytes) -> bytes:
    def track(number: int, offset: int, *indexes: tuple[int, int]) -> bytes:
        head = struct.pack(">QB", offset, number) + bytes(12 + 14) + bytes([len(indexes)])
        return head + b"".join(struct.pack(">QB3x", *index) for index in indexes)

    head = catalog.ljust(128, b"\0") + struct.pack(">Q", 88200) + b"\x80" + bytes(258) + b"\2"
    return head + track(1, 0, (0, 1)) + track(170, 24000)


@st.composite
def flac_files(draw: Draw) -> Made:
    # As for TagLib, since mutagen finds no FLAC after an ID3 tag with a footer: it is refused.
    front = draw(st.just(b"") | st.just(b"") | id3_tags("TagLib"))
    pairs = draw(COMMENTS)
    if front:
        pairs.append(("TITLE", "Title"))  # else TagLib shows the ID3 tag until there is a genre
    found = [(4, _comment_block(pairs))]
    found += [(6, draw(_picture_block())) for _ in range(draw(st.integers(0, 2)))]
    found += [(1, bytes(draw(st.integers(0, 3000)))) for _ in range(draw(st.integers(0, 2)))]
    found += [(2, b"riff" + draw(SMALL_BLOB))] * draw(st.integers(0, 1))
    found += [(3, struct.pack(">2QH", 0, 0, 4096) * 2)] * draw(st.integers(0, 1))
    found += [(5, _cue_sheet(b"1234567890123"))] * draw(st.integers(0, 1))
    front += b"fLaC" + flac_parts()[0]
    found = draw(st.permutations(found))
    for index, (kind, content) in enumerate(found):
        is_last = index == len(found) - 1
        front += bytes([kind | 0x80 * is_last]) + len(content).to_bytes(3, "big") + content
    front = bytearray(front)
    front[id3_size(front) + 4] &= 0x7F  # STREAMINFO is not the last block
    return Made(".flac", bytes(front), "flac frames")


@st.composite
def ogg_files(draw: Draw, kind: str) -> Made:
    pairs = draw(COMMENTS)
    if draw(st.booleans()):  # larger than a page of Ogg
        big = draw(_picture_block()) * draw(st.integers(1, 4))
        pairs.append(("METADATA_BLOCK_PICTURE", base64.b64encode(big).decode()))
    pairs = draw(st.permutations(pairs))
    padding = draw(st.integers(0, 3000))
    return Made(containers.SUFFIX[kind], with_comments(kind, pairs, padding), "none")


def with_comments(kind: str, pairs: Sequence[tuple[str, str]], padding: int) -> bytes:
    buffer = io.BytesIO(containers.sound(kind))
    media = mutagen.File(buffer)
    media.tags.clear()
    media.tags.extend(pairs)
    buffer.seek(0)
    media.save(buffer, padding=lambda info: padding)
    return buffer.getvalue()


# --- MP4 and ASF ----------------------------------------------------------------------------------


@cache
def m4a(*, chapters: bool, moov_first: bool) -> bytes:
    """With `chapters`, both as a text track and as Nero's list."""
    rate, options = 48000, {"fflags": "bitexact"}
    if moov_first:
        options["movflags"] = "faststart"
    path = Path(tempfile.mkdtemp()) / "sound.m4a"  # FFmpeg opens it once more to move the audio
    with av.open(str(path), "w", format="ipod", options=options) as out:
        if chapters:
            out.set_chapters([_chapter(0, 0, 200, "One"), _chapter(1, 200, 500, "Two")])
        stream = out.add_stream("aac", rate=rate)
        stream.layout = "mono"
        wave = (np.sin(np.arange(rate // 2) / 20) / 4).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    data = path.read_bytes()
    shutil.rmtree(path.parent)
    return data


def _chapter(number: int, start: int, end: int, title: str) -> av.container.Chapter:
    time_base = fractions.Fraction(1, 1000)
    return {
        "id": number, "start": start, "end": end, "time_base": time_base,
        "metadata": {"title": title},
    }  # fmt: skip


ATOMS = st.dictionaries(
    st.sampled_from(
        ["©nam", "©ART", "©alb", "©day", "©cmt", "©lyr", "aART", "cprt", "soaa", "©too"]
    ),
    st.lists(TEXT, min_size=1, max_size=2),
    max_size=6,
)
FREEFORM = st.dictionaries(
    NAME.map("----:com.apple.iTunes:{}".format),
    st.lists(
        st.builds(mp4.MP4FreeForm, SMALL_BLOB, st.sampled_from([0, 1])), min_size=1, max_size=2
    ),
    max_size=3,
)
COVERS = st.lists(st.builds(mp4.MP4Cover, BLOB, st.sampled_from([13, 14])), max_size=2)


@st.composite
def m4a_files(draw: Draw) -> Made:
    tags = draw(ATOMS) | draw(FREEFORM)
    if covers := draw(COVERS):
        tags["covr"] = covers
    if draw(st.booleans()):
        tags |= {"trkn": [(3, 12)], "disk": [(1, 2)], "tmpo": [120], "cpil": True, "stik": [1]}
    if draw(st.booleans()):
        tags["©gen"] = draw(st.lists(TEXT, min_size=1, max_size=2))
    padding = draw(st.sampled_from([0, 8, 100, 3000]))
    source = m4a(chapters=draw(st.booleans()), moov_first=draw(st.booleans()))
    return Made(".m4a", with_atoms(source, tags, padding), "none")


def with_atoms(source: bytes, tags: dict[str, object], padding: int) -> bytes:
    buffer = io.BytesIO(source)
    media = mp4.MP4(buffer)
    media.tags.clear()
    media.tags.update(tags)
    buffer.seek(0)
    media.save(buffer, padding=lambda info: padding)
    return buffer.getvalue()


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["Title", "Author", "WM/AlbumTitle", "WM/Year", "WM/TrackNumber"]) | NAME,
    st.lists(
        st.builds(asf.ASFUnicodeAttribute, TEXT)
        | st.builds(asf.ASFByteArrayAttribute, BLOB)
        | st.builds(asf.ASFBoolAttribute, st.booleans())
        | st.builds(asf.ASFDWordAttribute, st.integers(0, 2**32 - 1))
        | st.builds(asf.ASFQWordAttribute, st.integers(0, 2**64 - 1)),
        min_size=1,
        max_size=2,
    ),
    max_size=5,
)


@st.composite
def asf_files(draw: Draw) -> Made:
    tags = draw(ATTRIBUTES)
    for name in {"Title", "Author"} & set(tags):  # kept in an object that holds only text
        tags[name] = [asf.ASFUnicodeAttribute(draw(TEXT))]
    if draw(st.booleans()):
        tags["WM/Genre"] = [
            asf.ASFUnicodeAttribute(text) for text in draw(st.lists(TEXT, min_size=1, max_size=2))
        ]
    if draw(st.booleans()):
        tags["X-foreign"] = [asf.ASFUnicodeAttribute(draw(TEXT), language=1, stream=1)]
    buffer = io.BytesIO(containers.sound("wma"))
    media = asf.ASF(buffer)
    media.tags.clear()
    media.tags.update(tags)
    buffer.seek(0)
    media.save(buffer, padding=lambda info: 0)
    data = bytearray(buffer.getvalue())
    at = data.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")) + 40
    data[at : at + 8] = struct.pack("<Q", len(data))  # mutagen leaves the old size there
    return Made(".wma", bytes(data), "none")


# --- chunks ---------------------------------------------------------------------------------------


def _chunk(layout: str, name: bytes, data: bytes) -> bytes:
    return name + struct.pack(layout, len(data)) + data + b"\0" * (len(data) % 2)


def chunks(data: bytes, layout: str) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk of a WAV ("<I") or an AIFF (">I")."""
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack(layout, data[at + 4 : at + 8])
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


# Items of a RIFF INFO list that TagLib knows, except the genre.
INFO_KEYS = (
    "INAM", "IART", "IPRD", "ICRD", "IPRT", "ICMT", "IBPM", "ICOP", "IDIT", "IEDT", "ILNG", "IMED",
    "IMUS", "IPUB", "ISFT", "ISRC", "ITCH", "IWRI", "PRT1", "IBSU", "ICNT", "IENG", "ISTR",
)  # fmt: skip


@st.composite
def wav_files(draw: Draw, reader: str) -> Made:
    parts = {name: data for name, data in chunks(containers.sound("wav"), "<I")}
    found = [(b"fmt ", parts[b"fmt "]), (b"data", parts[b"data"])]
    tag = draw(st.just(b"") | id3_tags(reader))
    items = draw(st.dictionaries(st.sampled_from((*INFO_KEYS, "IGNR")), LATIN, max_size=4))
    for name in draw(st.lists(st.sampled_from([b"junk", b"JUNK", b"PAD "]), unique=True)):
        found.insert(draw(st.integers(1, len(found))), (name, draw(SMALL_BLOB)))
    info = b"".join(
        _chunk("<I", key.encode(), text.encode() + b"\0") for key, text in items.items()
    )
    if items:
        found.insert(draw(st.integers(1, len(found))), (b"LIST", b"INFO" + info))
    if tag:
        found.insert(
            draw(st.integers(1, len(found))), (draw(st.sampled_from([b"id3 ", b"ID3 "])), tag)
        )
    major = tag[3] if tag else 0
    body = b"WAVE" + b"".join(_chunk("<I", *part) for part in found)
    return Made(".wav", b"RIFF" + struct.pack("<I", len(body)) + body, "none", b"", major)


@st.composite
def aiff_files(draw: Draw, reader: str) -> Made:
    parts = {name: data for name, data in chunks(containers.sound("aiff"), ">I")}
    found = [(b"COMM", parts[b"COMM"])]
    for name in draw(st.lists(st.sampled_from([b"NAME", b"AUTH", b"(c) ", b"ANNO"]), unique=True)):
        found.append((name, draw(LATIN).encode()))
    found.insert(draw(st.integers(1, len(found))), (b"SSND", parts[b"SSND"]))
    if tag := draw(st.just(b"") | id3_tags(reader)):
        found.insert(draw(st.integers(1, len(found))), (b"ID3 ", tag))
    major = tag[3] if tag else 0
    body = b"AIFF" + b"".join(_chunk(">I", *part) for part in found)
    return Made(".aiff", b"FORM" + struct.pack(">I", len(body)) + body, "none", b"", major)


# --- APEv2 as the main tag ------------------------------------------------------------------------


@st.composite
def ape_files(draw: Draw, kind: str, reader: str) -> Made:
    ape = draw(ape_tags())
    block = draw(st.just(b"") | id3v1_blocks(reader))
    return Made(containers.SUFFIX[kind], b"", kind, ape + block)


@cache
def untagged(kind: str) -> bytes:
    buffer = io.BytesIO(containers.sound(kind))
    mutagen.File(buffer).delete(buffer)
    return buffer.getvalue()


AUDIO: dict[str, Callable[[], bytes]] = {
    "none": bytes,
    "mpeg": lambda: mpeg(with_info=False),
    "mpeg with Info": lambda: mpeg(with_info=True),
    "flac": lambda: containers.sound("flac"),
    "flac frames": lambda: flac_parts()[1],
    "wavpack": lambda: untagged("wavpack"),
    "musepack": lambda: untagged("musepack"),
}
KINDS = ("mp3", "flac", "vorbis", "opus", "m4a", "wav", "aiff", "wavpack", "musepack", "wma")


def files(kind: str, reader: str = "") -> st.SearchStrategy[Made]:
    """Files of a kind; those that "TagLib" or "FFmpeg" misreads are left out for it."""
    strategies = {
        "mp3": lambda: mp3_files(reader),
        "flac": flac_files,
        "m4a": m4a_files,
        "wav": lambda: wav_files(reader),
        "aiff": lambda: aiff_files(reader),
        "wma": asf_files,
    }
    if kind in ("vorbis", "opus"):
        return ogg_files(kind)
    return strategies[kind]() if kind in strategies else ape_files(kind, reader)
