"""The genre fields that a write puts into a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import mutagen
import mutagen.id3
import mutagen.trueaudio

from tagger.errors import TagError
from tagger.genres.provenance import FIELD
from tagger.tags import mp4, trailers
from tagger.tags.ape import needs_genre
from tagger.tags.codepages import HINT, keeps_bytes, not_ascii, old_bytes, unicode_text
from tagger.tags.field_names import APE, MP4, texts
from tagger.tags.fields import NOTE, STRAY, get_fields
from tagger.tags.formats import APE_GENRE, IGNR, Family, Tags, parse_id3
from tagger.tags.riff_info import info_bytes
from tagger.tags.text_frames import LATIN1, make_frame, text_data
from tagger.types import GenreFields, TagOptions

JOIN = TagOptions().id3v23_join  # "/" and "," occur in names
Values = tuple[str, ...]

_mutagen: Any = mutagen  # half of it is untyped
V1_NAMES: list[str] = _mutagen.id3.TCON.GENRES
_V1_NUMBERS = {name.casefold(): number for number, name in enumerate(V1_NAMES)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be written."""

    genres: Values
    note: str
    options: TagOptions


def new_fields(
    file: IO[bytes], media: Any, family: Family, tags: Tags, wanted: Wanted
) -> GenreFields:
    """The fields of a file after a write.

    Raises `TagError` for genres that repeat a text in an unknown code page, where their bytes
    cannot stay.
    """
    genres, options = wanted.genres, wanted.options
    old = get_fields(file, media, family, tags)
    main = APE_GENRE if tags.names is APE else family.field
    values = dict.fromkeys([main, *old], genres)
    values.pop(NOTE, None)
    values.pop(STRAY, None)
    # In a TTA, FFmpeg shows any APEv2 tag alone. So would MPD, and hide other texts.
    is_tta = isinstance(media.info, _mutagen.trueaudio.TrueAudioInfo)
    alone = is_tta and not tags.main and not trailers.read_v1(file)
    if main == "TCON" and needs_genre(file, tags.ape, instead_of_any=alone):
        values[APE_GENRE] = genres
    if family.names is MP4:
        values = mp4.with_genres(mp4.get_fields(file), genres)
    if wanted.note:
        values[NOTE] = (wanted.note,)
    tag = None if family.id3 is None else parse_id3(file, family.id3, options)
    join = options.id3v23_join
    if "TCON" in values and tag is not None and tag.major < 4 and join != "\0":
        # A name may hold the separator itself.
        values["TCON"] = ((JOIN if any(join in name for name in genres) else join).join(genres),)
    keeps = options.charset is None and keeps_bytes(genres, _texts_in_old_code_pages(tags, old))
    # A new list would hide an old genre of the ID3 tag from FFmpeg, as its bytes are not UTF-8.
    if IGNR in family.older and (IGNR in values or (options.wav_info and not keeps)):
        text = f"{JOIN.join(genres)}\0"
        values[IGNR] = ((old_bytes(text) if keeps else text.encode()).decode("latin-1"),)
    if "id3v1" in values:
        numbers = (_V1_NUMBERS.get(name.casefold()) for name in genres)
        known = next((number for number in numbers if number is not None), trailers.V1_UNKNOWN)
        values["id3v1"] = (str(known),)
    if not keeps or tag is None or main != "TCON":
        return GenreFields(values, has_tags=True, options=options)
    if APE_GENRE in values and not not_ascii(genres) <= not_ascii(old.get(APE_GENRE, ())):
        raise TagError(
            "its old genre is in an unknown code page, and its APEv2 tag, which gets it too, "
            f"holds only Unicode; {HINT}"
        )
    frames = _frames(values, tag.major)
    return GenreFields(values, has_tags=True, version=tag.major, frames=frames, options=options)


def _texts_in_old_code_pages(tags: Tags, old: Mapping[str, Values]) -> list[bytes]:
    """The genres of a file that are neither ASCII nor Unicode."""
    frame = tags.main.get("TCON")
    is_old = getattr(frame, "encoding", None) == LATIN1
    found = [text.encode("latin-1") for text in texts(tags.main, "TCON")] if is_old else []
    info = [info_bytes(text.encode("latin-1")) for text in old.get(IGNR, ())]
    found += [raw for raw in info if unicode_text(raw, None) is None]
    return [raw for raw in found if not raw.isascii()]


def _frames(values: Mapping[str, Values], major: int) -> tuple[tuple[int, bytes], ...]:
    """The genre with its old bytes, and our note, as frames of an ID3v2 tag of this version."""
    names = (b"TCO", b"TXX") if major == 2 else (b"TCON", b"TXXX")
    genre = bytes([LATIN1]) + b"".join(old_bytes(text) + b"\0" for text in values["TCON"])
    contents: Sequence[bytes] = [genre]
    if NOTE in values:
        contents = [genre, text_data((FIELD, *values[NOTE]), major)]
    frames = (
        make_frame(name, data, major, synchsafe=major == 4)
        for name, data in zip(names, contents, strict=False)
    )
    return tuple(enumerate(frames))
