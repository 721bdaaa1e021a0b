"""An ID3v2 tag in another version: every frame but the genre and our note keeps its meaning.

A frame that both versions have keeps its content, byte for byte. mutagen translates dates and
people, and texts in an encoding that 2.3 lacks. Source: id3.org, 2.2 to 2.4.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import mutagen
import mutagen.id3

from tagger.errors import TagError
from tagger.tags.id3v2 import EXPERIMENTAL, UNSYNCHRONISED, Id3, load, parse
from tagger.tags.text_frames import UTF16, make_frame, text_data
from tagger.types import Id3Version, TagOptions

_mutagen: Any = mutagen  # half of it is untyped

VERSIONS: dict[int, Id3Version] = {3: "2.3", 4: "2.4"}
# Dates and people, which the versions split in different ways.
_TRANSLATED = (b"TYER", b"TDAT", b"TIME", b"TDRC", b"TORY", b"TDOR", b"IPLS", b"TIPL", b"TMCL")
_WITH_ENCODING = re.compile(rb"WXXX|IPLS|USLT|SYLT|COMM|APIC|GEOB|USER|OWNE|COMR")
_WITH_FRAMES = (b"CHAP", b"CTOC")  # frames in a frame
_OF_THE_FILE = (b"ASPI", b"SEEK", b"SIGN")  # they describe the bytes of the tag or of the file
# Neither differs for a reader: the encoding, and empty texts at the end, which mutagen sees in 2.4.
_ENCODING = re.compile(r"encoding=<[^>]*>|(?:, '')+(?=\])")
LOST = "cannot be converted; run without --id3"
MOST_CONTENT = 64 << 20  # bytes of a frame after decompression


def convert(tag: Id3, options: TagOptions) -> Id3:
    """The tag in the version that the options ask for, without genre and note.

    In the right version, the tag as it is. Raises `TagError` for a frame that would be lost.
    """
    major = next((major for major, name in VERSIONS.items() if name == options.id3), tag.major)
    if tag.major == major:
        return tag
    if tag.rest.strip(b"\0"):
        raise TagError(f"its ID3 tag has an unreadable part, which {LOST}")
    others = [frame for frame in tag.others if len(frame) > (6 if tag.major == 2 else 10)]
    if tag.major == 2:
        others = [_render(frame, 4) for frame in _loaded(replace(tag, frames=tuple(others)))]
        tag = Id3(flags=tag.flags, room=tag.room)
    frames = tuple(_converted(tag, others, major)) if tag.major != major else tuple(others)
    flags = tag.flags & EXPERIMENTAL
    return Id3(major, flags, major == 4, _translated(frames, major), b"", tag.room)


def decoded(tag: Id3) -> dict[str, str]:
    """What mutagen shows of each frame, except genre and note, the same in every version."""
    frames = load(tag.only(tag.others).to_bytes(), translate=True)
    found = {key: shown(frame) for key, frame in frames.items()}
    head = 6 if tag.major == 2 else 10
    for index, frame in enumerate(frames.unknown_frames):
        found[f"{index}:{frame[: head - 6]!r}"] = repr(frame[head:])
    return found


def shown(frame: Any) -> str:
    """The content of one of mutagen's frames, whatever the encoding of its texts."""
    return _ENCODING.sub("", repr(frame))


def _converted(tag: Id3, frames: Iterable[bytes], major: int) -> Iterator[bytes]:
    """Frames of 2.3 for 2.4 or the reverse; dates and people are still those of the old one."""
    for frame in frames:
        name, (group, data) = frame[:4], _content(tag, frame)
        if name in _OF_THE_FILE:
            raise TagError(f"its ID3 frame {name.decode()} {LOST}")
        is_new = major == 3 and data[:1] > bytes([UTF16])
        if is_new and name.startswith(b"T"):
            data = _recoded(name, data)
        elif (is_new and _WITH_ENCODING.fullmatch(name)) or name in _WITH_FRAMES:
            plain = make_frame(name, data, tag.major, synchsafe=tag.major == 4)
            source = replace(tag.only([plain]), flags=0, synchsafe=tag.major == 4)
            data = _render(_loaded(source)[0], major)[10:]
        status = frame[8] << 1 & 0xE0 if major == 3 else frame[8] >> 1 & 0x70
        form = (0x20 if major == 3 else 0x40) if group else 0
        flags = bytes([status, form])
        yield make_frame(name, group + data, major, synchsafe=major == 4, flags=flags)


def _recoded(name: bytes, data: bytes) -> bytes:
    """The content of a text frame in an encoding that 2.3 has."""
    try:
        text = data[1:].decode({2: "utf-16-be", 3: "utf-8"}[data[0]])
    except (KeyError, UnicodeDecodeError):
        raise TagError(f"its ID3 frame {name.decode()} has no known encoding and {LOST}") from None
    return text_data(text.removesuffix("\0").split("\0"), 3)


def _content(tag: Id3, frame: bytes) -> tuple[bytes, bytes]:
    """The group of a frame, if it has one, and its content: plain and without escapes."""
    form, data = frame[9], frame[10:]
    if form & (0x40 if tag.major == 3 else 0x04):
        raise TagError(f"its ID3 frame {frame[:4].decode('latin-1')} is encrypted and {LOST}")
    has_group = form & (0x20 if tag.major == 3 else 0x40)
    is_packed = form & (0x80 if tag.major == 3 else 0x08)
    if tag.major == 3:
        data = data[4:] if is_packed else data
    group, data = (data[:1], data[1:]) if has_group else (b"", data)
    if tag.major == 4:
        data = data[4:] if form & 0x01 else data  # the length of the plain content
        if form & 0x02 or tag.flags & UNSYNCHRONISED:
            data = data.replace(b"\xff\0", b"\xff")
    if is_packed:
        packed = zlib.decompressobj()
        data = packed.decompress(data, MOST_CONTENT)
        if not packed.eof:
            raise TagError(
                f"its compressed ID3 frame {frame[:4].decode('latin-1')} is damaged and {LOST}"
            )
    return group, data


def _translated(frames: tuple[bytes, ...], major: int) -> tuple[bytes, ...]:
    """The frames with the dates and people of a version.

    An old frame that the reverse translation would not give again is kept with the new ones.
    """
    special = [frame for frame in frames if frame[:4] in _TRANSLATED]
    if not special:
        return frames
    kinds = [_loaded(Id3(major, 0, major == 4, tuple(special))) for _ in range(3)]
    old, new, back = ({frame.HashKey: frame for frame in kind} for kind in kinds)
    for kind, steps in ((new, [major]), (back, [major, 7 - major])):
        tags = _mutagen.id3.ID3Tags()
        for frame in kind.values():
            tags.add(frame)
        for step in steps:
            tags.update_to_v23() if step == 3 else tags.update_to_v24()
        kind.clear()
        kind.update(tags)
    kept = [
        source
        for (key, frame), source in zip(old.items(), special, strict=True)
        if key in new or key not in back or shown(back[key]) != shown(frame)
    ]
    made = [_render(frame, major) for key, frame in new.items() if key not in old]
    at = frames.index(special[0])
    others = [frame for frame in frames if frame not in special]
    return (*others[:at], *made, *kept, *others[at:])


def _loaded(tag: Id3) -> list[Any]:
    """Mutagen's frames. Raises `TagError` if it does not know or cannot read one."""
    frames = load(tag.to_bytes())
    if frames.unknown_frames or len(frames) != len(tag.frames):
        names = ", ".join(sorted({repr(frame[:4])[1:] for frame in tag.frames})[:3])
        raise TagError(f"a frame of its ID3 tag (one of {names}) {LOST}")
    return list(frames.values())


def _render(frame: Any, major: int) -> bytes:
    """One of mutagen's frames as bytes; several values stay separate."""
    tags, buffer = _mutagen.id3.ID3(), BytesIO()
    tags.add(frame)
    tags.save(buffer, v1=0, v2_version=major, v23_sep=None)
    frames = parse(buffer.getvalue()).frames
    if not frames:
        raise TagError(f"its ID3 frame {frame.FrameID} {LOST}")
    return frames[0]
