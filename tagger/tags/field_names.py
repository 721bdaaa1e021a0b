"""The names and texts of the fields that are read besides the genre, for each kind of tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.mp4

from tagger.genres.provenance import FIELD
from tagger.tags.parts import check_count

_mutagen: Any = mutagen  # half of it is untyped


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Names of fields in one kind of tag, in mutagen's spelling; the first that is set counts.

    Case makes no difference. Programs that know no field for something use one of their own.
    """

    note: str  # our own field
    album: tuple[str, ...]
    album_artist: tuple[str, ...]
    artist: tuple[str, ...]
    compilation: tuple[str, ...]
    release: tuple[str, ...]  # its id at MusicBrainz


def _variants(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{name}" for name in names)


_ARTISTS = ("albumartist", "album artist", "album_artist")
_COMPILATIONS = ("compilation", "itunescompilation")
_RELEASES = ("MusicBrainz Album Id", "MUSICBRAINZ_ALBUMID")
# The texts of ID3 that have no frame of their own.
ID3_TEXTS = (*_ARTISTS, *_COMPILATIONS, *_RELEASES)
_FREE = "----:com.apple.iTunes:"

ID3 = FieldNames(
    f"TXXX:{FIELD}",
    ("TALB",),
    ("TPE2", *_variants("TXXX:", *_ARTISTS)),
    ("TPE1",),
    ("TCMP", *_variants("TXXX:", *_COMPILATIONS)),
    _variants("TXXX:", *_RELEASES),
)
VORBIS = FieldNames(FIELD, ("album",), _ARTISTS, ("artist",), _COMPILATIONS, _RELEASES[1:])
APE = FieldNames(FIELD, ("Album",), _ARTISTS, ("Artist",), _COMPILATIONS, _RELEASES[1:])
MP4 = FieldNames(
    f"{_FREE}{FIELD}",
    ("©alb",),
    ("aART", *_variants(_FREE, *_ARTISTS)),
    ("©ART",),
    ("cpil", *_variants(_FREE, *_COMPILATIONS)),
    _variants(_FREE, *_RELEASES),
)
ASF = FieldNames(
    FIELD,
    ("WM/AlbumTitle", "Album"),
    ("WM/AlbumArtist", *_ARTISTS),
    ("Author", "Artist"),
    ("WM/IsCompilation", *_COMPILATIONS),
    ("MusicBrainz/Album Id", *_RELEASES),
)

_asf = _mutagen.asf
_NUMBERS = (_asf.ASFBoolAttribute, _asf.ASFWordAttribute, _asf.ASFDWordAttribute)
_PLAIN = (str, bool, _asf.ASFUnicodeAttribute, _asf.ASFQWordAttribute, *_NUMBERS)


def texts(tags: Any, key: str) -> tuple[str, ...]:
    """The values of a field in one of mutagen's tags, without those that are not text.

    Raises `TagError` if there are more than any real tag has.
    """
    value = tags.get(key)
    value = getattr(value, "text", value)  # of an ID3 frame
    many = isinstance(value, (list, _mutagen.apev2.APETextValue))
    if many:
        check_count(len(value))
    found = (_text(item) for item in (value if many else [value]))
    return tuple(text for text in found if text is not None)


Source = tuple[Any, FieldNames]  # one of mutagen's tags, or texts by name


def first_text(sources: Sequence[Source], field: str) -> str:
    """The first value, stripped, of the first tag and name that has one; else "".

    `field` is a field of `FieldNames`.
    """
    return next(iter(all_texts(sources, field)), "")


def all_texts(sources: Sequence[Source], field: str) -> tuple[str, ...]:
    """As `first_text`, but every value of that tag and name which is not empty."""
    for tags, names in sources:
        spelled = {key.casefold(): key for key in tags.keys()}  # noqa: SIM118, no mapping
        for name in getattr(names, field):
            values = texts(tags, spelled.get(name.casefold(), name))
            if found := tuple(filter(None, map(str.strip, values))):
                return found
    return ()


def is_set(sources: Sequence[Source]) -> bool:
    """Whether a tag says that the album is a compilation: "1", "true" or "yes"."""
    return first_text(sources, "compilation").casefold() in ("1", "true", "yes")


def _text(value: Any) -> str | None:
    if isinstance(value, _mutagen.mp4.MP4FreeForm):
        return str(value, "utf-8", "replace")
    return str(value) if isinstance(value, _PLAIN) else None
