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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import mutagen
import numpy as np
from hypothesis import strategies as st
from mutagen import asf, mp4

from helpers import containers
from helpers.generated_id3 import id3_tags
from helpers.generated_trailers import ape_tags, id3v1_blocks, lyrics
from helpers.generated_values import BLOB, LATIN, NAME, SMALL_BLOB, TEXT, Draw


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
    # Another genre there is a reason not to write, as some players would show both.
    front = draw(st.just(b"") | st.just(b"") | id3_tags("TagLib", with_genre=False))
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
    """Files of a kind; without those that the reader, "TagLib" or "FFmpeg", misreads."""
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
