"""ID3v2 tags of every version and flag, built from the specification, as hypothesis strategies."""

from __future__ import annotations

import struct
import zlib

from hypothesis import strategies as st

from helpers.generated_values import BLOB, SMALL_BLOB, TEXT, Draw

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
    """An encoding of this version, and `count` coded texts, all but the last terminated."""
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
def id3_tags(draw: Draw, reader: str, *, with_genre: bool = True) -> bytes:
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
    found += draw(genre_frames(major)) if with_genre else []
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
