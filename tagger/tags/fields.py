"""Read and write the raw genre fields of a file, and our own field (the note).

mutagen reads everything, and writes Vorbis comments, ASF and APEv2. ID3v2 and MP4 are edited as
bytes (see `id3v2` and `mp4`), so the tags after the audio (APEv2, Lyrics3, ID3v1) are not touched.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.flac

from tagger.errors import TagError
from tagger.tags import containers, id3v2, mp4, trailers
from tagger.tags.ape import new_ape, put_items, read_ape
from tagger.tags.field_names import APE, ASF, MP4, texts
from tagger.tags.formats import (
    APE_GENRE,
    IGNR,
    Family,
    Tags,
    is_ape_alone,
    new_id3,
    parse_id3,
    read_id3,
)
from tagger.tags.id3_versions import VERSIONS
from tagger.tags.riff_info import is_genre, put_info, read_info, repeated_texts
from tagger.tags.stray import stray_tags
from tagger.types import GenreFields, TagOptions

STRAY = "stray:TCON"
NOTE = "note"  # our own field, in whichever tag is the main one
Values = tuple[str, ...]
PADDING, VORBIS_COMMENT, PICTURE = 1, 4, 6  # types of a FLAC block
MOST_ODD = 100  # names of comments that are searched for in the file, one by one
MOST_COMMENTS = 32 << 20  # characters; mutagen's time for Ogg is quadratic, and 10 s at this size

_mutagen: Any = mutagen  # half of it is untyped


def get_fields(file: IO[bytes], media: Any, family: Family, tags: Tags) -> dict[str, Values]:
    """Raw values of each genre field in the file, the most important first, and the note.

    The genre of a tag that is never written (see `stray`) is the last.

    Raises `TagError` for a genre that is not text.
    """
    fields = mp4.get_fields(file) if family.names is MP4 else {}
    if tags.main is not tags.ape and family.field in tags.main:
        fields[family.field] = texts(tags.main, family.field)
    fields |= {key: texts(tags.main, key) for key in _second_keys(family, tags.main)}
    if "Genre" in tags.ape:
        fields[APE_GENRE] = texts(tags.ape, "Genre")
        if not fields[APE_GENRE]:
            raise TagError("its APEv2 genre is not text and would be lost; remove it first")
    if "id3v1" in family.older and (block := trailers.read_v1(file)):
        fields["id3v1"] = (str(block[-1]),)
    if IGNR in family.older and (info := read_info(file)) is not None:
        raw = [text for key, text in info if is_genre(key)][-1:]
        fields[IGNR] = tuple(text.decode("latin-1") for text in raw)  # bytes, whatever its encoding
    stray = (tag.genres(tags.charset) for tag in stray_tags(file, media, family))
    if values := next(filter(None, stray), ()):
        fields[STRAY] = values
    if note := texts(tags.main, tags.names.note):
        fields[NOTE] = note
    return fields


def put_fields(
    file: IO[bytes],
    media: Any,
    family: Family,
    stored: GenreFields,
    *,
    keep_empty: bool = True,
) -> None:
    """Set these fields and remove the others; without `keep_empty`, remove an empty tag.

    ID3v2 frames that are known keep their bytes and places.
    """
    fields = stored.values
    note = fields.get(NOTE)
    if family.names is MP4:
        mp4.put_fields(file, fields, note, keep_empty=keep_empty)
        return
    ape_alone = family.has_ape and is_ape_alone(file, family, read_ape(file))
    if family.has_ape:
        is_main = family.names is APE
        changes = {"Genre": fields.get(APE_GENRE)}
        if is_main or ape_alone:
            changes[APE.note] = note
        made = _made_ape(file, stored.options) if is_main else _mutagen.apev2.APEv2()
        put_items(file, changes, made, keep_empty=keep_empty or not is_main)
    if family.id3 is not None:
        names = ("TCON",) if ape_alone else ("TCON", NOTE)
        frames = {name: fields[name] for name in names if name in fields}
        _put_id3(file, family.id3, replace(stored, values=frames), keep_empty=keep_empty)
    elif not family.has_ape:
        changes = {family.field: fields.get(family.field), family.names.note: note}
        known = _second_keys(family, media.tags or {})
        changes |= {key: fields[key] for key in known if key in fields}
        _put_values(file, media, changes, keep_empty=keep_empty)
    if IGNR in family.older:
        info = fields.get(IGNR)
        tag = id3v2.parse(read_id3(file, containers.WAV))
        made = repeated_texts(tag, stored.options.charset)
        made = None if info == () else made  # () says that there was a list
        put_info(file, info[0].encode("latin-1") if info else None, made)
    if "id3v1" in family.older and trailers.read_v1(file):
        # Another program may have added the tag meanwhile, with the genre that is removed here.
        (number,) = fields.get("id3v1", (str(trailers.V1_UNKNOWN),))
        file.seek(-1, 2)
        file.write(bytes([int(number)]))


def has_tags(file: IO[bytes], media: Any, family: Family) -> bool:
    """Whether the main tag exists and is not empty."""
    if family.id3 is not None:
        return bool(read_id3(file, family.id3))
    if family.has_ape:
        return len(read_ape(file)) > 0
    return mp4.has_list(file) if family.names is MP4 else media.tags is not None


def _second_keys(family: Family, tags: Any) -> list[str]:
    """Attributes of an ASF that readers show besides WM/Genre; they get the same genres."""
    keys = tags.keys() if family.names is ASF else ()
    return [key for key in keys if key.casefold() == "genre"]


def _made_ape(file: IO[bytes], options: TagOptions) -> Any:
    """The new APEv2 tag for a file without one; also compared with one that was made before."""
    try:
        return new_ape(file, options.charset)
    except TagError:
        if len(read_ape(file)) == 0:
            raise
        return _mutagen.apev2.APEv2()


# --- one function for each kind of tag; `None` removes a field ------------------------------------


def _put_id3(
    file: IO[bytes], place: containers.Place, stored: GenreFields, *, keep_empty: bool
) -> None:
    genre, note = (stored.values.get(field) for field in ("TCON", NOTE))
    if not read_id3(file, place) and (genre, note) == (None, None):
        return
    old = parse_id3(file, place, stored.options)
    kept = old.with_own(stored.frames, stored.version) if stored.frames else None
    tag = old.with_fields(genre, note) if kept is None else kept
    removable = False
    if not keep_empty:
        options = replace(stored.options, id3=VERSIONS.get(old.major, "keep"))
        removable = not tag.rest and tag.frames in ((), new_id3(file, place, options).frames)
    containers.put_id3(file, place, b"" if removable else tag.to_bytes())


def _put_values(
    file: IO[bytes], media: Any, changes: Mapping[str, Values | None], *, keep_empty: bool
) -> None:
    if media.tags is None and not any(changes.values()):
        return
    if hasattr(media.tags, "vendor"):
        _check_comments(file, media.tags)
    if isinstance(media, _mutagen.flac.FLAC):
        _check_flac_blocks(file, media.metadata_blocks)
    if media.tags is None:
        media.add_tags()
    _change(media.tags, changes)
    if isinstance(media, _mutagen.flac.FLAC) and not keep_empty and not media.tags:
        media.metadata_blocks.remove(media.tags)  # its delete() would remove the padding as well
    size = file.seek(0, 2)
    file.seek(0)
    media.save(file)
    if isinstance(media, _mutagen.asf.ASF):
        _correct_size(file, size)


def _change(tags: Any, changes: Mapping[str, Values | None]) -> None:
    for key, values in changes.items():
        if values is not None:
            tags[key] = list(values)
        elif key in tags:
            del tags[key]


def _check_comments(file: IO[bytes], comments: Any) -> None:
    """Refuse Vorbis comments that mutagen altered while reading: a save would lose them."""
    if sum(len(value) for _, value in comments) > MOST_COMMENTS:
        raise TagError("its Vorbis comments are too large to be written; are there huge pictures?")
    file.seek(0)
    head = file.read(1 << 24)
    odd = {f"{key}=".encode() for key, _ in comments if "?" in key}
    if len(odd) > MOST_ODD or any(name not in head for name in odd):
        raise TagError("the name of a Vorbis comment is not ASCII and would be lost; fix it first")
    replaced = sum(value.count("\ufffd") for _, value in comments)
    if replaced and head.count("\ufffd".encode()) < replaced:
        raise TagError("a Vorbis comment is not UTF-8 and would be lost; fix it first")
    if any(re.fullmatch(r"unknown\d+", key) for key, _ in comments):
        raise TagError("a Vorbis comment has no name and would be lost; fix it first")


def _check_flac_blocks(file: IO[bytes], known: Sequence[Any]) -> None:
    """Refuse blocks that mutagen would not write unchanged, such as texts that are not UTF-8."""
    file.seek(containers.find_id3(file, containers.FRONT)[1] + len(b"fLaC"))
    for block in known:
        size, new = int.from_bytes(file.read(4)[1:], "big"), block.write()
        # Some programs state a wrong size for these two, which mutagen detects and fixes.
        raw = file.read(len(new) if block.code in (VORBIS_COMMENT, PICTURE) else size)
        if raw != new and block.code != PADDING:
            raise TagError(
                f"its FLAC block of type {block.code} would not keep its bytes (6 is a picture, "
                "often with a description that is not UTF-8); first remove it, or add it again, in "
                "a tag editor such as Kid3 or Mp3tag"
            )


# --- ASF ------------------------------------------------------------------------------------------

_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # the id of that object


def _correct_size(file: IO[bytes], old: int) -> None:
    """Update the file size that an ASF states, if it was right when the file had `old` bytes."""
    file.seek(0)
    found = file.read(1 << 16).find(_FILE_PROPERTIES)
    file.seek(found + 40)
    if found >= 0 and file.read(8) == struct.pack("<Q", old):
        size = file.seek(0, 2)
        file.seek(found + 40)
        file.write(struct.pack("<Q", size))
