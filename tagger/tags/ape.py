"""The APEv2 tag at the end of a file: mutagen's view of it, and what players do with it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import IO, Any

import mutagen
import mutagen.apev2

from tagger.errors import TagError
from tagger.genres.provenance import FIELD
from tagger.tags import trailers
from tagger.tags.codepages import HINT
from tagger.tags.parts import read_part, splice
from tagger.tags.text_frames import v1_texts

Values = tuple[str, ...]

_mutagen: Any = mutagen  # half of it is untyped

# MPD 0.23 shows nothing of an ID3v2 tag if there is an APEv2 tag with one of these items (each was
# tried; with others, such as "Lyrics", "Publisher" or "BPM", it shows the ID3v2 tag).
_SHOWN = {
    "title", "artist", "album", "albumartist", "album artist", "artistsort", "albumsort",
    "albumartistsort", "composer", "composersort", "performer", "conductor", "ensemble", "work",
    "movement", "movementnumber", "grouping", "name", "comment", "genre", "year", "date",
    "originaldate", "track", "disc", "label", "location", "musicbrainz_artistid",
    "musicbrainz_albumid", "musicbrainz_albumartistid", "musicbrainz_trackid",
    "musicbrainz_releasetrackid", "musicbrainz_workid",
}  # fmt: skip
# Further items that say what the music is, most of them from the APEv2 specification. Any other was
# measured or noted by a program: replay gain, MP3GAIN_*, R128_*, an encoder, a rating.
_DESCRIPTIVE = _SHOWN | {
    "subtitle", "publisher", "copyright", "publicationright", "catalog", "lc", "isrc", "isbn",
    "ean/upc", "media", "language", "abstract", "lyrics", "lyricist", "debut album",
    "record date", "record location", "cover art (front)", "cover art (back)",
}  # fmt: skip


def needs_genre(file: IO[bytes], tags: Any, *, instead_of_any: bool) -> bool:
    """Whether a player shows an APEv2 tag in place of the ID3v2 tag, and it can be edited.

    `instead_of_any` says that it does so whatever the items are.
    """
    is_shown = any(key.casefold() in _SHOWN for key in tags) or (instead_of_any and len(tags) > 0)
    return is_shown and _editable_items(file, tags) is not None


def is_descriptive(tags: Any) -> bool:
    """Whether an APEv2 tag says what the music is, apart from its genre, or has our own field.

    One of mp3gain, of an encoder or of a fingerprinter does not.
    """
    texts = (_DESCRIPTIVE - {"genre"}) | {FIELD.casefold()}
    return any(
        key.casefold() in texts and not key.casefold().startswith("musicbrainz_") for key in tags
    )


def new_ape(file: IO[bytes], charset: str | None) -> Any:
    """A new APEv2 tag, with the texts of an ID3v1 block, which it hides from many readers.

    Raises `TagError` for a text that it cannot hold, since its code page is not known.
    """
    tags = _mutagen.apev2.APEv2()
    for name, text in v1_texts(trailers.read_v1(file)).items():
        known = text.unicode(charset)
        if known is None:
            raise TagError(
                "its ID3v1 tag is in an unknown code page, and a new APEv2 tag, which would hide "
                f"it, holds only Unicode; {HINT}"
            )
        tags[_APE_NAMES[name]] = known
    return tags


_APE_NAMES = {
    b"TIT2": "Title", b"TPE1": "Artist", b"TALB": "Album", b"TDRC": "Year", b"COMM": "Comment",
    b"TRCK": "Track",
}  # fmt: skip


def read_ape(file: IO[bytes]) -> Any:
    """Mutagen's view of the APEv2 tag at the end of a file; an empty one if there is none."""
    start, stop = trailers.find_ape(file)
    if start == stop:
        return _mutagen.apev2.APEv2()
    items, adds_up = trailers.split_ape(file)
    source = read_part(file, start, stop)
    if not adds_up and len(items) < int.from_bytes(source[-16:-12], "little"):
        # mutagen reports this too, but only after it searched for the end of a name at each byte.
        raise TagError("an item of the APEv2 tag has no name")
    try:
        # mutagen seeks back to the header, which some tags claim to have but lack.
        return _mutagen.apev2.APEv2(BytesIO(bytes(trailers.APE_SIZE) + source))
    except _mutagen.apev2.APENoHeaderError:  # it has no items
        return _mutagen.apev2.APEv2()


def render_ape_items(tags: Any) -> list[bytes]:
    """The items of an APEv2 tag as mutagen would save them."""
    found = []
    for key, value in tags.items():
        data = bytes(value._write())
        found.append(struct.pack("<2I", len(data), value.kind << 1) + f"{key}\0".encode() + data)
    return found


def put_items(
    file: IO[bytes], changes: Mapping[str, Values | None], made: Any, *, keep_empty: bool
) -> None:
    """Set these items and remove those that are `None`; all others keep their bytes and places.

    `made` is the new tag for a file without one. Without `keep_empty`, remove a tag that has
    nothing else.
    """
    (start, stop), tags = trailers.find_ape(file), read_ape(file)
    if all(values is None and key not in tags for key, values in changes.items()):
        return  # a tag without such a field keeps its bytes
    raw = _editable_items(file, tags)
    if raw is None:
        raise TagError(
            "its APEv2 tag holds items that would be lost or changed (two with the same name, more "
            "than it declares, or a read-only one); first remove those, or the whole tag, in a tag "
            "editor such as Kid3 or Mp3tag"
        )
    if len(tags) == 0:
        tags.update(made)
    for key, values in changes.items():
        if values is not None:
            tags[key] = list(values)
        elif key in tags:
            del tags[key]
    if not keep_empty and tags in ({}, made):
        new = b""
    elif raw:
        new = _replaced(read_part(file, start, stop), raw, render_ape_items(tags))
    else:
        buffer = BytesIO()
        tags.save(buffer)
        new = buffer.getvalue()
    splice(file, start, stop, new)


def _editable_items(file: IO[bytes], tags: Any) -> list[bytes] | None:
    """The items as bytes; `None` if mutagen, which gave `tags`, would lose or change one."""
    raw = trailers.read_ape_items(file)
    return raw if raw is not None and sorted(raw) == sorted(render_ape_items(tags)) else None


def _replaced(source: bytes, old: Sequence[bytes], items: Sequence[bytes]) -> bytes:
    """A tag with these items in place of the old ones, in the old order; new ones come last."""
    rendered = {_name(item): item for item in items}
    kept = [rendered.pop(name) for name in map(_name, old) if name in rendered]
    body = b"".join([*kept, *rendered.values()])
    size = struct.pack("<2I", len(body) + trailers.APE_SIZE, len(items))
    header, footer = source[: trailers.APE_SIZE], source[-trailers.APE_SIZE :]
    if not source.startswith(trailers.APE_MARK):
        header = b""
    ends = (part[:12] + size + part[20:] if part else b"" for part in (header, footer))
    return body.join(ends)


def _name(item: bytes) -> bytes:
    return item[8:].partition(b"\0")[0].lower()
