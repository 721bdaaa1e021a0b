"""Tags where only some readers look: after junk, after a first one, or after the audio.

TagLib searches an MP3 for an ID3v2 tag up to the first frame, MediaInfo further; FFmpeg and mutagen
read only at the start. Of two tags in a row FFmpeg merges both, TagLib and mutagen read the first,
MediaInfo the second. MPD shows the ID3v1, APEv2 or ID3v2 tag at the end of any file (with a footer,
if it is ID3v2) that has no tag of its own. The genre there counts if no other tag has one. A new
tag could hide the title from some readers, so such files are not written.
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
from tagger.tags import containers, id3v2, mp4, trailers
from tagger.tags.ape import is_descriptive, read_ape
from tagger.tags.field_names import MP4, texts
from tagger.tags.formats import Family, read_id3
from tagger.tags.parts import read_part
from tagger.tags.riff_info import is_genre, read_info
from tagger.tags.second_genres import second_genres
from tagger.tags.text_frames import v1_texts

JUNK = 1 << 20  # bytes in front of the first frame of an MP3; mutagen searches no further
# Title, artist, album and genre in each kind of tag.
_FRAMES = (b"TIT2", b"TPE1", b"TALB", b"TCON", b"TT2", b"TP1", b"TAL", b"TCO")
_ITEMS = (b"\xa9nam", b"\xa9ART", b"\xa9alb", b"\xa9gen", b"gnre")
_KEYS = ("title", "artist", "album", "author", "wm/albumtitle", "genre", "wm/genre")
_INFO = (b"INAM", b"IART", b"IPRD")

_mutagen: Any = mutagen  # half of it is untyped


@dataclass(frozen=True, slots=True)
class StrayTag:
    """A tag that is not written: an ID3v2 tag with its source, or another with its genre."""

    source: bytes = b""
    problem: str = ""  # why the file cannot be written, and what to do; "" if it can
    values: tuple[str, ...] = ()

    def genres(self, charset: str | None) -> tuple[str, ...]:
        """The raw values of its genre; numbers are those of ID3."""
        with suppress(TagError, _mutagen.MutagenError):
            if self.source:
                return texts(id3v2.read_frames(id3v2.parse(self.source), charset), "TCON")
        return self.values


def stray_tags(file: IO[bytes], media: Any, family: Family) -> list[StrayTag]:
    """Every tag with a content besides those that the family of this file has."""
    is_shown = _is_described(file, media, family)
    found: list[StrayTag] = []
    if isinstance(family.id3, containers.ChunkLayout):
        found += _other_chunks(file, family.id3)
    elif family.id3 == containers.FRONT:
        found += _before_audio(file, media)
    elif isinstance(media, _mutagen.flac.FLAC):
        found.append(_before_flac(file, is_shown=is_shown))
    found = [tag for tag in found if _holds_frames(tag.source)]
    for tag in _at_end(file):
        if family.id3 == containers.FRONT or not is_shown:
            found.append(tag)
    if not family.has_ape:
        found += [
            StrayTag(values=values, problem="" if is_shown else _END)
            for values in _other_ends(file)
        ]
    found += [StrayTag(values=values, problem=why) for values, why in second_genres(file, family)]
    return found


def check_stray(file: IO[bytes], media: Any, family: Family) -> None:
    """Raise `TagError` if a change of the main tag would hide another one, or be hidden by it."""
    for tag in stray_tags(file, media, family):
        if tag.problem:
            raise TagError(tag.problem)


_FLAC = (
    "it has only an ID3v2 tag, which a Vorbis comment with the genre would hide; "
    "rewrite it with: ffmpeg -i OLD.flac -c copy -map_metadata 0 NEW.flac"
)
_FLAC_GENRE = (
    "it begins with an ID3v2 tag that has a genre too, which some players show as well as that of "
    "the Vorbis comment; first remove that tag: tail -c +{start} OLD.flac > NEW.flac"
)
_END = (
    "its texts are in a tag at its end (ID3v1 or APEv2), which another tag would hide from some "
    "players; first add title and artist in a tag editor such as Kid3 or Mp3tag"
)


def _is_described(file: IO[bytes], media: Any, family: Family) -> bool:
    """Whether the tag of its own has a title or the like; then players show no other."""
    if family.names is MP4:
        return any(name in _ITEMS for name, _ in mp4.items(file))
    if family.id3 == containers.WAV:  # MPD reads no ID3 chunk there
        return any(key in _INFO or is_genre(key) for key, _ in read_info(file) or ())
    if family.id3 is not None:
        tag = id3v2.parse(read_id3(file, family.id3))
        return any(frame.startswith(_FRAMES) for frame in tag.frames)
    tags = read_ape(file) if family.has_ape else media.tags or {}
    return any(key.casefold() in _KEYS for key in tags.keys())  # noqa: SIM118, no mapping


def _other_ends(file: IO[bytes]) -> Iterator[tuple[str, ...]]:
    """The genre of each tag at the end with a title, an artist or the like."""
    if v1_texts(block := trailers.read_v1(file)):
        yield (str(block[-1]),) if block[-1] < len(_mutagen.id3.TCON.GENRES) else ()
    with suppress(TagError):
        if is_descriptive(tags := read_ape(file)):
            yield texts(tags, "Genre")


def _holds_frames(source: bytes) -> bool:
    try:
        tag = id3v2.parse(source)
    except TagError:
        return True  # some reader may make sense of it
    return bool(tag.frames or tag.rest.strip(b"\0"))


def _before_flac(file: IO[bytes], *, is_shown: bool) -> StrayTag:
    start, stop = containers.find_id3(file, containers.FRONT)
    source = read_part(file, start, stop)
    if not is_shown:
        return StrayTag(source, _FLAC)
    has_genre = any(StrayTag(source).genres(None))
    return StrayTag(source, _FLAC_GENRE.format(start=stop + 1) if has_genre else "")


def _before_audio(file: IO[bytes], media: Any) -> Iterator[StrayTag]:
    """Between the main tag, or the start of an MP3, and the first frame."""
    start = containers.find_id3(file, containers.FRONT)[1]
    data = read_part(file, start, min(getattr(media.info, "frame_offset", 0), start + JUNK))
    at = data.find(b"ID3")
    while at >= 0:
        size = _size(data[at : at + HEADER])
        if size:
            first, stop = start + at, start + at + size
            source = read_part(file, first, stop)
            yield StrayTag(
                source,
                f"it has another ID3 tag after the first, and players read different ones; remove "
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
                "it has an ID3 tag at its end, which only some players read, and not beside "
                "another tag; copy its texts to the usual place and remove it (bytes "
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
