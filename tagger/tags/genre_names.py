"""The genres in raw fields, as names."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import IO, Any

import mutagen
import mutagen.id3

from tagger.errors import TagError
from tagger.genres.labels import unique_names
from tagger.tags import mp4
from tagger.tags.fields import NOTE, STRAY, get_fields
from tagger.tags.formats import IGNR, Family, Tags, parse_id3, read_id3
from tagger.tags.new_fields import JOIN, V1_NAMES, Wanted, new_fields
from tagger.tags.riff_info import info_text, read_info, repeated_texts
from tagger.tags.stray import check_stray

_mutagen: Any = mutagen  # half of it is untyped


def genres_in(
    field: str,
    values: Iterable[str],
    *,
    joins: tuple[str, ...] = (JOIN,),
    charset: str | None = None,
) -> tuple[str, ...]:
    """The genres in the raw values of a field."""
    if mp4.is_place(field):
        values = mp4.names_in(field, list(values))
    if field == "id3v1":
        values = [value for value in values if int(value) < len(V1_NAMES)]
    if field in ("TCON", "id3v1", STRAY):
        values = list(values)
        with suppress(ValueError):  # thousands of digits are a name
            values = _mutagen.id3.TCON(encoding=3, text=values).genres
    if field == IGNR:
        values = [info_text(value.encode("latin-1"), charset) for value in values]
    for join in joins if field == "TCON" else ():
        values = [part for value in values for part in value.split(join)]
    return unique_names(values)


def outdated_fields(
    file: IO[bytes], media: Any, family: Family, tags: Tags, present: Wanted
) -> tuple[str, ...]:
    """The genre fields in which a write of the present genres would change or add a name.

    That of ID3v1 is left out: no program prefers it. None for a file that cannot be written.
    """
    if not present.genres:
        return ()
    try:
        check_stray(file, media, family)
        old = get_fields(file, media, family, tags)
        new = new_fields(file, media, family, tags, present).values
    except TagError:
        return ()

    def split(field: str, values: Iterable[str]) -> list[str]:
        names = genres_in(field, values, joins=(), charset=present.options.charset)
        for join in (JOIN, present.options.id3v23_join):
            names = tuple(part for name in names for part in name.split(join))
        return list(names)

    ignored = ["id3v1", NOTE]
    if family.id3 is not None and not read_id3(file, family.id3):
        ignored.append(family.field)  # programs show the older tag where there is no ID3v2 tag
    found = [name for name in new if name not in ignored]
    if IGNR in found and read_info(file) is None and not _may_add_info(file, family, present):
        found.remove(IGNR)
    return tuple(name for name in found if split(name, old.get(name, ())) != split(name, new[name]))


def _may_add_info(file: IO[bytes], family: Family, present: Wanted) -> bool:
    """Whether a write adds a RIFF INFO list to a WAV without one."""
    if family.id3 is None:
        return False
    tag = parse_id3(file, family.id3, present.options)
    try:
        return repeated_texts(tag, present.options.charset) is not None
    except TagError:
        return False
