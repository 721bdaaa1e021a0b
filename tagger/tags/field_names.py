"""The names and texts of the fields that are read besides the genre, for each kind of tag."""

from __future__ import annotations

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
    """Names of fields in one kind of tag, in mutagen's spelling; the first that is set counts."""

    note: str  # our own field
    album: tuple[str, ...]
    album_artist: tuple[str, ...]
    artist: tuple[str, ...]
    compilation: tuple[str, ...]


ID3 = FieldNames(f"TXXX:{FIELD}", ("TALB",), ("TPE2",), ("TPE1",), ("TCMP",))
VORBIS = FieldNames(
    FIELD, ("album",), ("albumartist", "album artist"), ("artist",), ("compilation",)
)
APE = FieldNames(FIELD, ("Album",), ("Album Artist", "AlbumArtist"), ("Artist",), ("Compilation",))
MP4 = FieldNames(f"----:com.apple.iTunes:{FIELD}", ("©alb",), ("aART",), ("©ART",), ("cpil",))
ASF = FieldNames(FIELD, ("WM/AlbumTitle",), ("WM/AlbumArtist",), ("Author",), ("WM/IsCompilation",))

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


def first_text(tags: Any, keys: tuple[str, ...]) -> str:
    """The first value, stripped, of the first field that has one; else ""."""
    firsts = ("".join(texts(tags, key)[:1]).strip() for key in keys)
    return next(filter(None, firsts), "")


def is_set(tags: Any, keys: tuple[str, ...]) -> bool:
    """Whether the field is true: "1" or "true"."""
    return first_text(tags, keys).casefold() in ("1", "true")


def _text(value: Any) -> str | None:
    if isinstance(value, _mutagen.mp4.MP4FreeForm):
        return str(value, "utf-8", "replace")
    return str(value) if isinstance(value, _PLAIN) else None
