"""Tags where only some readers look: another ID3v2 tag behind junk, a first one, or the audio.

TagLib searches up to the first frame of an MP3, MediaInfo further; FFmpeg and mutagen read only at
the start. Of two tags in a row FFmpeg merges both, TagLib and mutagen read the first, MediaInfo the
second. MPD also reads one at the end of a file, if it has a footer and there is none in front.
The genre there counts if no other tag has one. A new tag could hide the title from some readers, so
such files are not written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

import mutagen
import mutagen.flac
import mutagen.id3

from tagger.audio.id3 import HEADER, id3_size
from tagger.errors import TagError
from tagger.tags import containers, id3v2, trailers
from tagger.tags.field_names import texts
from tagger.tags.parts import read_part

JUNK = 1 << 20  # bytes in front of the first frame of an MP3; mutagen searches no further

_mutagen: Any = mutagen  # half of it is untyped


@dataclass(frozen=True, slots=True)
class StrayTag:
    """An ID3v2 tag that is not the main one."""

    source: bytes
    problem: str = ""  # why the file cannot be written, and what to do; "" if it can

    def genres(self, charset: str | None) -> tuple[str, ...]:
        """The raw values of its genre."""
        with suppress(TagError, _mutagen.MutagenError):
            return texts(id3v2.read_frames(id3v2.parse(self.source), charset), "TCON")
        return ()


def stray_tags(file: IO[bytes], media: Any, place: containers.Place | None) -> list[StrayTag]:
    """Every ID3v2 tag with frames besides the one at `place`."""
    found: list[StrayTag] = []
    if isinstance(place, containers.ChunkLayout):
        found = list(_other_chunks(file, place))
    elif place == containers.FRONT:
        found = [*_before_audio(file, media), *_at_end(file)]
    elif isinstance(media, _mutagen.flac.FLAC):
        # Most readers see it only if there is no Vorbis comment, see `fields`.
        found = [StrayTag(containers.read_id3(file, containers.FRONT))]
    return [tag for tag in found if _holds_frames(tag.source)]


def check_stray(file: IO[bytes], media: Any, place: containers.Place | None) -> None:
    """Raise `TagError` if a change of the main tag would hide another one, or be hidden by it."""
    for tag in stray_tags(file, media, place):
        if tag.problem:
            raise TagError(tag.problem)


def _holds_frames(source: bytes) -> bool:
    if not source:
        return False
    try:
        tag = id3v2.parse(source)
    except TagError:
        return True  # some reader may make sense of it
    return bool(tag.frames or tag.rest.strip(b"\0"))


def _before_audio(file: IO[bytes], media: Any) -> Iterator[StrayTag]:
    """Between the main tag, or the start of an MP3, and the first frame."""
    start = containers.find_id3(file, containers.FRONT)[1]
    data = read_part(file, start, min(getattr(media.info, "frame_offset", 0), start + JUNK))
    at = data.find(b"ID3")
    while at >= 0:
        size = _size(data[at:])
        if size:
            first, stop = start + at, start + at + size
            source = read_part(file, first, stop)
            yield StrayTag(
                source,
                f"it has another ID3 tag behind the first, and players read different ones; remove "
                f"the one that you do not need (bytes {first + 1:,} to {stop:,} are the second)"
                if start
                else f"{first:,} bytes precede its ID3 tag, so only some players find it, and a "
                f"new one would hide it; remove them first: tail -c +{first + 1} OLD > NEW",
            )
        at = data.find(b"ID3", at + max(size, 1))


def _at_end(file: IO[bytes]) -> Iterator[StrayTag]:
    length = file.seek(0, 2)
    places = {length, length - len(trailers.read_v1(file))}
    with suppress(TagError):
        places.add(trailers.find_audio_end(file))
    for stop in sorted(places):
        footer = read_part(file, stop - HEADER, stop) if stop >= HEADER else b""
        size = _size(b"ID3" + footer[3:]) if footer.startswith(b"3DI") else 0
        source = read_part(file, stop - size, stop) if 0 < size < stop else b""
        if source.startswith(b"ID3"):
            yield StrayTag(
                source,
                "it has an ID3 tag at its end, which only some players read, and not if there is "
                "one in front; move it to the front, or remove it (bytes "
                f"{stop - size + 1:,} to {stop:,})",
            )


def _other_chunks(file: IO[bytes], layout: containers.ChunkLayout) -> Iterator[StrayTag]:
    found = [part for part in containers.chunks(file, layout) if containers.is_id3(part[0])]
    for _, at, stop in found[1:]:
        yield StrayTag(
            read_part(file, at + layout.head, stop),
            "it has several ID3 chunks, and players read different ones; remove the one that you "
            f"do not need (bytes {at + 1:,} to {stop:,} are the second)",
        )


def _size(header: bytes) -> int:
    """Bytes of a tag that starts with this header; 0 if it cannot be one."""
    is_sound = header[3:4] in (b"\2", b"\3", b"\4") and id3v2.is_synchsafe(header[6:10])
    return id3_size(header[:HEADER]) if is_sound else 0
