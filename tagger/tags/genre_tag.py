"""Read, write and restore the genre of one file; nothing else in the file changes.

Beside the genre there is our own field, the note, see `genres.provenance`.

Files are edited in place: a caller passes a private copy, and discards it after an error.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from tagger.errors import TagError, UnsupportedFormat
from tagger.files.patch import apply_patch
from tagger.genres.labels import unique_names
from tagger.genres.provenance import FIELD
from tagger.tags import containers, id3v2
from tagger.tags.codepages import old_bytes
from tagger.tags.field_names import all_texts, first_text, is_set
from tagger.tags.fields import NOTE, get_fields, has_tags, put_fields
from tagger.tags.formats import Family, all_sources, load, parse_id3, read_tags, recognise
from tagger.tags.genre_names import genres_in, outdated_fields
from tagger.tags.new_fields import JOIN, Wanted, new_fields
from tagger.tags.parts import splice
from tagger.tags.read_only import is_read_only, read_shown, why_not_written
from tagger.tags.stray import check_stray
from tagger.tags.verify import other_parts
from tagger.types import GenreFields, TagInfo, TagOptions

DEFAULTS = TagOptions()
C1 = "".join(map(chr, range(0x80, 0xA0)))  # control characters that old code pages use for letters


def read_genres(path: Path) -> tuple[str, ...]:
    """The names of the genres, in file order, each once; `()` if there are none.

    ID3 numbers are turned into names. Older tags count only if the main one has no genre: in an MP3
    the ID3v2 tag, then APEv2, then ID3v1; in a WAV the ID3 chunk, then RIFF INFO. Last
    come tags that only some readers see, such as an ID3v2 tag behind junk (see `stray`).
    Of a container whose tags are never written, they are what FFmpeg shows (see `read_only`).
    Raises `UnsupportedFormat` for what is not a sound file, else `TagError` if it is damaged.
    """
    return read_tag(path).genres


def read_tag(path: Path, options: TagOptions = DEFAULTS) -> TagInfo:
    """Genres as in `read_genres`, and everything else that a run needs from a tag, in one read.

    Everything but the genres comes from the main tag; the first of several values counts, and a
    value that is not text counts as "". Texts that are not in Unicode are in the code page of the
    options, or shown as Latin-1 if they name none. Before ID3v2.4, both "; " and `id3v23_join`
    separate genres. Raises the errors of `read_genres`, and `TagError` for a text that is not in
    the code page.
    """
    try:
        return _read_tag(path, options)
    except UnsupportedFormat:
        if (shown := read_shown(path)) is None:
            raise
        return replace(shown, genres=unique_names(shown.genres))


def _read_tag(path: Path, options: TagOptions) -> TagInfo:
    charset = options.charset
    with _opened(path, "rb") as (file, media, family):
        tags = read_tags(file, media, family, charset)
        fields = get_fields(file, media, family, tags)
        note = "".join(fields.pop(NOTE, ())[:1])
        joins = (JOIN, options.id3v23_join) if tags.has_one_genre else ()
        names = (genres_in(*item, joins=joins, charset=charset) for item in fields.items())
        sources = all_sources(file, family, tags, charset)
        genres = next(filter(None, names), ())
        return TagInfo(
            genres=genres,
            outdated=outdated_fields(file, media, family, tags, Wanted(genres, note, options)),
            note=note,
            album=first_text(sources, "album"),
            album_artist=first_text(sources, "album_artist"),
            artist=first_text(sources, "artist"),
            compilation=is_set(sources),
            release=first_text(sources, "release"),
        )


def read_artists(path: Path) -> tuple[str, ...]:
    """All values of the album artist, then those of the artist. Raises the errors of `read_tag`."""
    try:
        with _opened(path, "rb") as (file, media, family):
            sources = all_sources(file, family, read_tags(file, media, family))
            return all_texts(sources, "album_artist") + all_texts(sources, "artist")
    except UnsupportedFormat:
        if (shown := read_shown(path)) is None:
            raise
        return tuple(filter(None, (shown.album_artist, shown.artist)))


def read_fields(path: Path) -> GenreFields:
    """The genre fields as stored, for `restore_fields`. Raises the errors of `read_genres`.

    Raises `UnsupportedFormat` for a container whose tags are never written.
    """
    with _opened(path, "rb") as (file, media, family):
        fields = get_fields(file, media, family, read_tags(file, media, family))
        tag = id3v2.Id3() if family.id3 is None else parse_id3(file, family.id3, DEFAULTS)
        return GenreFields(fields, has_tags(file, media, family), tag.major, tag.own)


def write_genres(
    path: Path, genres: Sequence[str], note: str = "", options: TagOptions = DEFAULTS
) -> None:
    """Store genres, best first, and the note in our own field, and read both back.

    Several genres stay separate values; in ID3v2.3 and 2.2 they are one, joined as `options` say.
    These also say in which version an ID3v2 tag is written. A file without a tag, or with an empty
    one, gets a new one. This repeats the texts of an ID3v1 block or a RIFF INFO list, since it
    would hide them. An MP3 whose texts are only in an APEv2 tag gets its genre there; if players
    show that tag in place of an ID3v2 tag, it goes into both. An older tag at the end is updated,
    never added. A WAV also gets a RIFF INFO list, if `options` ask for it and it hides nothing. The
    note goes only to the main tag; "" removes it.

    Raises the errors of `read_genres`, and `TagError` for no genre, for a name that readers would
    misread (a number, a leading "(", control characters), and for a file that would lose other tags
    or does not read back as written.
    """
    wanted = unique_names(genres)
    if not wanted:
        raise TagError("no genre to write", path)
    for name in wanted:
        _check_name(name, path)
    _check_controls(wanted, path, allowed=C1)
    with _opened(path, "r+b") as (file, media, family):
        tags = read_tags(file, media, family, options.charset)
        check_stray(file, media, family)
        fields = new_fields(file, media, family, tags, Wanted(wanted, note, options))
        if not fields.frames:
            _check_controls(wanted, path)
        put_fields(file, media, family, fields)
    stored = read_tag(path, options)
    if stored.genres != wanted:  # a name may hold that separator
        stored = read_tag(path, replace(options, id3v23_join=JOIN))
    same = old_bytes if fields.frames else str  # as one may be shown like Windows-1252
    if list(map(same, stored.genres)) != list(map(same, wanted)):
        raise TagError(f"{wanted} would read back as {stored.genres}; choose other names", path)
    if stored.note != note:
        raise TagError(f"its field {FIELD} would not read back as written", path)


def field_genres(fields: GenreFields) -> tuple[str, ...]:
    """The genres in raw fields, as `read_genres` would return them."""
    return next(filter(None, genres_by_field(fields)), ())


def genres_by_field(fields: GenreFields) -> list[tuple[str, ...]]:
    """The genres in each raw field, the main one first."""
    raw = ((field, values) for field, values in fields.values.items() if field != NOTE)
    return [genres_in(field, values) for field, values in raw]


def restore_fields(path: Path, fields: GenreFields, source: Path | None = None) -> None:
    """Restore what `read_fields` returned; a tag that is new and now empty is removed.

    If `source`, of which the file is a copy, has not changed since, it gets back every byte. Else
    its genre fields are restored: the frames of an ID3v2 tag with their bytes, of other tags the
    values. A converted ID3v2 tag then keeps its new version.
    """
    if fields.patch and source and apply_patch(path, fields.patch, source):
        return
    with _opened(path, "r+b") as (file, media, family):
        kept = replace(fields, options=replace(fields.options, id3="keep"))
        put_fields(file, media, family, kept, keep_empty=fields.has_tags)
        file.seek(0)
        if family.id3 == containers.FRONT and recognise(file, path)[1] is not family:
            # The suffix is wrong, and only an ID3 tag without frames showed the type of the file.
            splice(file, 0, 0, id3v2.Id3().to_bytes())


def other_tags(path: Path, options: TagOptions = DEFAULTS) -> dict[str, str]:
    """Everything in the tags but genre and note, and the properties of the stream.

    A write with these options must not change the result. Texts are kept, everything else becomes
    a digest. The audio itself is not included.
    """
    with _opened(path, "rb") as (file, media, family):
        return other_parts(file, media, family, options)


# --- names ----------------------------------------------------------------------------------------


def _check_name(name: str, path: Path) -> None:
    if name.isdecimal() or name.startswith("(") or name in ("RX", "CR"):
        raise TagError(f"ID3 readers read {name!r} as a genre number; choose another name", path)


def _check_controls(names: Iterable[str], path: Path, *, allowed: str = "") -> None:
    for name in names:
        kinds = {unicodedata.category(char) for char in name if char not in allowed}
        if kinds & {"Cc", "Cs"}:
            reason = f"the genre {name!r} contains control characters; choose another name"
            raise TagError(reason, path)


# --- opening --------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[tuple[IO[bytes], Any, Family]]:
    """The open file, mutagen's view of it, and its family; other errors become `TagError`."""
    try:
        with path.open(mode) as file:
            kind, family = recognise(file, path)
            if family is None or _is_adts(file, family):
                raise UnsupportedFormat(why_not_written(path), path)
            yield file, load(file, kind, family), family
    except TagError as error:
        error.path = error.path or path
        raise
    except OSError as error:
        raise TagError(f"cannot be read or written: {error.strerror or error}", path) from error
    # On damaged files mutagen's parsers raise IndexError, ValueError, KeyError, struct.error,
    # ZeroDivisionError, AssertionError, MemoryError ...; so may our own parsers.
    except Exception as error:
        if is_read_only(path):  # and has the suffix of another kind
            raise UnsupportedFormat(why_not_written(path), path) from error
        reason = str(error) if len(str(error)) > len("error") else "it is cut off or broken"
        raise TagError(f"the file or its tag cannot be read: {reason}", path) from error


def _is_adts(file: IO[bytes], family: Family) -> bool:
    """Whether the audio is bare AAC, which mutagen mistakes for MP3 after an ID3 tag."""
    if family.id3 != containers.FRONT:
        return False
    file.seek(containers.find_id3(file, containers.FRONT)[1])
    sync = file.read(2)
    return len(sync) == 2 and sync[0] == 0xFF and sync[1] & 0xF6 == 0xF0
