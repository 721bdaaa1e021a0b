"""An ID3v2 tag as bytes, split into its frames; only the genre and our note are ever replaced.

mutagen's save drops frames that it cannot parse, turns ID3v2.2 into 2.3 and forgets frame flags.
Here every other frame keeps its bytes and the tag its version. Source: id3.org, 2.2 to 2.4.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import mutagen
import mutagen.id3

from tagger.audio.id3 import FOOTER, from_synchsafe
from tagger.errors import TagError
from tagger.genres.provenance import FIELD
from tagger.tags.codepages import OldText, recoded
from tagger.tags.field_names import ID3_TEXTS
from tagger.tags.parts import check_count
from tagger.tags.text_frames import (
    LATIN1,
    convert_frame,
    make_frame,
    new_text_frame,
    text_data,
    to_synchsafe,
)

_mutagen: Any = mutagen  # half of it is untyped

NEW_PADDING = 1024  # spare bytes in a tag that must grow, so that the next edit moves no audio

UNSYNCHRONISED, EXTENDED, EXPERIMENTAL = 0x80, 0x40, 0x20  # flags of a tag
_NAME = {2: re.compile(rb"[A-Z0-9]{3}"), 3: re.compile(rb"[A-Z0-9]{3}[A-Z0-9 \0]")}
_NAME[4] = _NAME[3]
# Programs that turned 2.2 into 2.3 kept the short name, padded. TCOM is another frame.
_GENRE_NAMES = {2: (b"TCO",), 3: (b"TCON", b"TCO\0", b"TCO ")}
_GENRE_NAMES[4] = _GENRE_NAMES[3]
_UNKNOWN = {2: 0, 3: 0x1F, 4: 0x0F}  # flags of a tag that its version does not define
_COMPRESSED = {3: 0x80, 4: 0x08}  # flag of a frame, in the second flag byte
# Frames that are read: genre, note, album, artists, compilation; then their names in 2.2.
_READ = (b"TCON TXXX TALB TPE1 TPE2 TCMP TCO TXX TAL TP1 TP2 TCP").split()


def _described(*names: str) -> re.Pattern[bytes]:
    """TXXX frames with one of these descriptions: after header, encoding and byte order mark."""
    letters = (  # UTF-16 too
        rb"\0?".join(re.escape(bytes([letter])) for letter in name.encode()) for name in names
    )
    return re.compile(rb".{6,19}(%b)" % b"|".join(letters), re.DOTALL | re.IGNORECASE)


_NOTE, _TEXTS = _described(FIELD), _described(*ID3_TEXTS)
EXTENDED_SIZE = range(6, 16)  # bytes of an extended header
_FALSE_SYNC = re.compile(rb"\xff([\xe0-\xff]|\Z)")  # unsynchronisation prevents this

MOST_TEXT = 1 << 16  # bytes of the frames that are read, after decompression

DAMAGED = (
    "the ID3 tag is damaged (its sizes do not fit its extended header or its unsynchronisation), "
    "and most of it would be lost; first save it again in a tag editor such as Kid3 or Mp3tag"
)


@dataclass(frozen=True, slots=True)
class Id3:
    """A tag: `frames` with their headers, and the `rest` after the last one.

    `rest` is padding, or something unreadable that must stay. `room` is the size of the tag that
    was read, without its header.
    """

    major: int = 4
    flags: int = 0
    synchsafe: bool = True  # sizes of frames; iTunes once wrote plain ones in 2.4
    frames: tuple[bytes, ...] = ()
    rest: bytes = b""
    room: int = 0

    def only(self, frames: Iterable[bytes]) -> Id3:
        """A tag of the same kind with just these frames."""
        return replace(self, frames=tuple(frames), rest=b"", room=0)

    @property
    def others(self) -> tuple[bytes, ...]:
        """The frames that are neither the genre nor our note."""
        return tuple(frame for frame in self.frames if not self._is_own(frame))

    @property
    def own(self) -> tuple[tuple[int, bytes], ...]:
        """The frames of the genre and our note, each with its place among all."""
        return tuple(item for item in enumerate(self.frames) if self._is_own(item[1]))

    def with_fields(self, genre: Sequence[str] | None, note: Sequence[str] | None) -> Id3:
        """The tag with one frame of these raw values for each of the two; `None`: no frame."""
        # In front: a reader that fails at another frame has already seen these.
        new: list[bytes] = []
        if genre is not None:
            new.append(self._text_frame(_GENRE_NAMES[self.major][0], genre))
        if note is not None:
            new.append(self._text_frame(b"TXX" if self.major == 2 else b"TXXX", (FIELD, *note)))
        return replace(self, frames=(*new, *self.others), rest=self._rest)

    def _text_frame(self, name: bytes, values: Sequence[str]) -> bytes:
        data = text_data(values, self.major)
        return make_frame(name, data, self.major, synchsafe=self.synchsafe)

    def with_own(self, own: Sequence[tuple[int, bytes]], version: int) -> Id3 | None:
        """The tag with what `own` gave for a tag of that version; `None` if it cannot hold that."""
        frames = list(self.others)
        for place, frame in own:
            stored = convert_frame(frame, version, self.major, synchsafe=self.synchsafe)
            if stored is None:
                return None
            frames.insert(place, stored)
        return replace(self, frames=tuple(frames), rest=self._rest)

    @property
    def _rest(self) -> bytes:
        return self.rest if self.rest.strip(b"\0") else b""

    def _is_own(self, frame: bytes) -> bool:
        names = _GENRE_NAMES[self.major]
        return frame[: len(names[0])] in names or self._is_note(frame)

    def _is_note(self, frame: bytes) -> bool:
        """Whether mutagen reads a frame as our note, regardless of encoding and other flags."""
        if not frame.startswith(b"TXX"):
            return False
        if self._is_compressed(frame) or not _NOTE.match(frame):
            return False  # our note is never compressed
        return f"TXXX:{FIELD}" in load(self.only([frame]).to_bytes())

    def to_read(self) -> bytes:
        """A tag with only the frames that are read, so that mutagen need not parse the others.

        Raises `TagError` if they hold more than mutagen can parse in a few seconds.
        """
        frames, size = [], 0
        for frame in self.frames:
            if frame[: 3 if self.major == 2 else 4].rstrip(b"\0 ") not in _READ:
                continue
            if not frame.startswith(b"TXX") or self._is_note(frame) or _TEXTS.match(frame):
                plain = self.major == 4 and not self.synchsafe
                frames.append(_with_synchsafe_size(frame) if plain else frame)
                size += self._length(frame)
        # mutagen also reads the start of a frame that is cut off.
        is_genre = self.rest.startswith(_GENRE_NAMES[self.major])
        rest = self.rest[: MOST_TEXT + 1] if is_genre else b""
        if size + len(rest) > MOST_TEXT:
            raise TagError("the ID3 tag holds a genre or an artist that is too long to be real")
        return replace(self, frames=tuple(frames), rest=rest, room=0).to_bytes()

    def _is_compressed(self, frame: bytes) -> bool:
        return self.major > 2 and bool(frame[9] & _COMPRESSED[self.major])

    def _length(self, frame: bytes) -> int:
        """Bytes in a frame, after decompression; stops counting just above `MOST_TEXT`."""
        if not self._is_compressed(frame):
            return len(frame)
        size, data, longest = frame[10:14], frame[14:], 0
        plain = data.replace(b"\xff\0", b"\xff")
        for packed in (data, plain, size + data, size + plain):  # mutagen tries each of these
            with suppress(zlib.error):
                inflated = zlib.decompressobj().decompress(packed, MOST_TEXT + 1)
                longest = max(longest, len(inflated))
        return longest

    def to_bytes(self) -> bytes:
        """The whole tag; if possible, with the length of the tag that was read."""
        body = b"".join(self.frames) + self.rest
        if not self.rest:  # an unreadable rest must not be taken for padding
            grown = len(body) > self.room
            body = body.ljust(len(body) + NEW_PADDING if grown else self.room, b"\0")
        return b"ID3" + bytes([self.major, 0, self.flags]) + to_synchsafe(len(body)) + body


def is_synchsafe(data: bytes) -> bool:
    """Whether each byte holds 7 bits."""
    return not any(byte >> 7 for byte in data)


def parse(source: bytes) -> Id3:
    """Split a whole tag; no bytes give an empty one.

    Raises `TagError` if it is cut off, damaged or of an unknown version.
    """
    if not source:
        return Id3()
    size, major, flags = from_synchsafe(source[6:10]), source[3], source[5]
    body = source[10 : 10 + size]
    is_known = source.startswith(b"ID3") and major in _NAME and not flags & _UNKNOWN[major]
    if not is_known or not is_synchsafe(source[6:10]) or len(body) < size:
        raise TagError("the ID3 tag is cut off, or of an unknown version")
    if major == 2 and flags & EXTENDED:
        raise TagError("the ID3v2.2 tag is compressed, which no program reads")
    if major == 4 and flags & FOOTER and not source[10 + size :].startswith(b"3DI"):
        # Ten bytes of audio would be taken for it: by FFmpeg and TagLib as well as here.
        raise TagError("the ID3 tag claims a footer that it lacks; clear bit 4 of its flags first")
    # A tag that only claims to be unsynchronised is read as it is, as mutagen does.
    if flags & UNSYNCHRONISED and major < 4 and not _FALSE_SYNC.search(body):
        body = body.replace(b"\xff\x00", b"\xff")
    if flags & EXTENDED and not _NAME[major].match(body):  # a checksum and the like: dropped
        plain = int.from_bytes(body[:4], "big") + 4
        extended = from_synchsafe(body[:4]) if major == 4 else plain
        if extended not in EXTENDED_SIZE or (major == 4 and not is_synchsafe(body[:4])):
            raise TagError(DAMAGED)
        body = body[extended:]
    kept = flags & (UNSYNCHRONISED | EXPERIMENTAL if major == 4 else EXPERIMENTAL)
    frames, rest = _split(body, major, synchsafe=major == 4)
    if major == 4 and rest.strip(b"\0"):
        plain_frames, plain_rest = _split(body, major, synchsafe=False)
        if not plain_rest.strip(b"\0"):
            return Id3(major, kept, False, plain_frames, plain_rest, len(source) - 10)
    # The frames were read at the wrong offsets; some readers find the right ones.
    is_cut = rest.strip(b"\0") or (major == 3 and any(frame[3] == 0 for frame in frames))
    if body != source[10 : 10 + size] and is_cut:
        raise TagError(DAMAGED)
    return Id3(major, kept, major == 4, frames, rest, len(source) - 10)


def load(source: bytes, *, translate: bool = False) -> Any:
    """Mutagen's view of a tag; `translate` gives frames of older versions as those of 2.4."""
    return _mutagen.id3.ID3(BytesIO(source), translate=translate, load_v1=False)


def read_frames(tag: Id3, charset: str | None) -> Any:
    """Mutagen's view of the frames that are read; those that say Latin-1 are in that code page.

    Raises `TagError` for a text that is not.
    """
    found = load(tag.to_read())
    for frame in found.values():
        if getattr(frame, "encoding", None) == LATIN1 and charset is not None:
            frame.text = [recoded(text, charset) for text in frame.text]
    return found


def from_texts(texts: Mapping[bytes, OldText], charset: str | None) -> Id3:
    """A new tag with these texts by frame name, see `text_frames.new_text_frame`."""
    return Id3(frames=tuple(new_text_frame(*item, charset) for item in texts.items()))


def _split(body: bytes, major: int, *, synchsafe: bool) -> tuple[tuple[bytes, ...], bytes]:
    width, head = (3, 6) if major == 2 else (4, 10)
    frames, at = [], 0
    while _NAME[major].match(body, at) and at + head <= len(body):
        digits = body[at + width : at + 2 * width]
        size = from_synchsafe(digits) if synchsafe else int.from_bytes(digits, "big")
        if at + head + size > len(body):
            break
        frames.append(body[at : at + head + size])
        check_count(len(frames))
        at += head + size
    return tuple(frames), body[at:]


def _with_synchsafe_size(frame: bytes) -> bytes:
    return frame[:4] + to_synchsafe(len(frame) - 10) + frame[8:]
