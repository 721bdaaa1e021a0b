"""A fingerprint of the encoded audio of a file.

It stays the same when any program changes tags, and when the file is renamed, moved or touched; it
differs for other audio. It is a hash of pieces at fixed places of the audio, and of its length:
that takes about a millisecond, where a hash of everything would read the whole library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO

from tagger.audio.chunks import AIFF, CAF, DSDIFF, WAVE
from tagger.audio.extent import read_at, skip_front
from tagger.tags import audio_boxes, audio_chunks, audio_pages
from tagger.tags.audio_parts import Audio, Part

VERSION = b"1"  # to be changed with the result
DIGEST_BYTES = 16
SMALL = 1 << 18  # bytes of audio that are hashed as a whole
PIECES, PIECE = 4, 8192  # places, and bytes at each
MORE_PIECES = 96  # places where most pieces are one byte, repeated: the silence of PCM
FINDERS = (
    (re.compile(rb"fLaC"), audio_chunks.flac),
    (re.compile(rb"OggS"), audio_pages.ogg),
    (re.compile(rb"....(ftyp|moov|mdat|free|skip|wide|pnot)", re.DOTALL), audio_boxes.mp4),
    (
        re.compile(rb"(RIFF|RF64|BW64)....WAVE", re.DOTALL),
        audio_chunks.chunks((b"data",), 12, WAVE),
    ),
    (
        re.compile(rb"FORM....(AIFF|AIFC|8SVX)", re.DOTALL),
        audio_chunks.chunks((b"SSND", b"BODY"), 12, AIFF),
    ),
    (re.compile(rb"FRM8.{8}DSD ", re.DOTALL), audio_chunks.chunks((b"DSD ", b"DST "), 16, DSDIFF)),
    (re.compile(rb"caff"), audio_chunks.chunks((b"data",), 8, CAF)),
    (re.compile(rb"DSD "), audio_chunks.dsf),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), audio_chunks.asf),
    (re.compile(rb"\x1a\x45\xdf\xa3"), audio_pages.matroska),
)


def fingerprint(path: Path) -> bytes | None:
    """The fingerprint of the audio in a file; b"" if there is none, None if it cannot be read."""
    try:
        with path.open("rb") as file:
            audio = find_audio(file)
            return _digest(file, audio) if audio.parts else b""
    except OSError:
        return None
    except Exception:  # a damaged file: it is only not recognised
        return b""


def find_audio(file: IO[bytes]) -> Audio:
    """Where the audio is; no parts if there is none. A damaged file may raise any exception."""
    end = file.seek(0, 2)
    # An MP4 starts with zeros, which in front of other kinds are junk.
    for blanks in (False, True):
        start = skip_front(file, end, blanks=blanks)
        head = read_at(file, start, 16)
        if find := next((find for mark, find in FINDERS if mark.match(head)), None):
            break
    audio = (find or audio_chunks.bare)(file, start, end)
    audio.parts = [(at, min(stop, end)) for at, stop in audio.parts if at < min(stop, end)]
    return audio


def _digest(file: IO[bytes], audio: Audio) -> bytes:
    size = audio.size
    found = blake2b(VERSION + size.to_bytes(8, "big") + audio.length, digest_size=DIGEST_BYTES)
    if size <= SMALL:
        pieces = list(_read(file, audio.parts, [(0, size)]))
    else:
        pieces = list(_read(file, audio.parts, _places(size, PIECES)))
        if sum(piece.count(piece[:1]) == len(piece) for piece in pieces) > PIECES / 2:
            pieces += _read(file, audio.parts, _places(size, MORE_PIECES))
    for piece in pieces:
        found.update(piece)
    return found.digest()


def _places(size: int, count: int) -> list[Part]:
    """Pieces from the start to the end of the audio, equally far apart."""
    starts = [(size - PIECE) * number // (count - 1) for number in range(count)]
    return [(start, start + PIECE) for start in starts]


def _read(file: IO[bytes], parts: list[Part], places: list[Part]) -> Iterator[bytes]:
    """The bytes at places of the audio, which are in ascending order."""
    parts_left = iter(parts)
    passed, (start, stop) = 0, next(parts_left)
    for first, last in places:
        found, at = [], first
        while at < last:
            while at >= passed + stop - start:
                passed += stop - start
                start, stop = next(parts_left)
            file.seek(start + at - passed)
            found.append(file.read(min(last - at, passed + stop - start - at)))
            at += len(found[-1])
            if not found[-1]:
                break
        yield b"".join(found)
