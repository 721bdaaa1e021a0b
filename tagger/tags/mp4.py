"""The genre in every place of an MP4 where a reader finds one, and our note, as bytes.

The main place is the list of iTunes, `moov.udta.meta.ilst`: a write adds the genre there, and keeps
the other places (see `mp4_places`) in step. All other atoms keep their bytes: mutagen, which only
reads here, would relabel pictures, merge repeated items and forget what it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

import mutagen
import mutagen.mp4

from tagger.errors import TagError
from tagger.genres.provenance import FIELD
from tagger.tags.atoms import Atom, Change, apply, box, check_movable, read_atoms
from tagger.tags.mp4_places import (
    GENRE,
    GENRES,
    MEAN,
    OTHERS,
    Place,
    data_atoms,
    find_places,
    main_list,
    render,
    repeated_items,
    texts_of,
)
from tagger.tags.parts import read_part

MAIN_PATH = "moov/udta/meta/ilst"
MAIN = f"mp4:list:{MAIN_PATH}/genre"
OLD_MAIN = "©gen"  # texts of the main place, in entries of the journal by earlier versions
READ = (b"\xa9alb", b"aART", b"\xa9ART", b"cpil", b"----")  # items of the list besides the genre
# mutagen treats the first two atoms of an item as "mean" and "name", whatever their names.
_NOTE = re.compile(
    rb"----.{12}%b.{12}%b(.{4}data|\Z)" % (re.escape(MEAN), FIELD.encode()), re.DOTALL
)

NO_INDEX = "its index (moov) is missing: the MP4 is cut off, or was never finished"

_mutagen: Any = mutagen  # half of it is untyped
Values = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Media:
    """The texts of an MP4 besides the genre, by mutagen's names."""

    tags: Any
    info: None = None


def load(file: IO[bytes]) -> Media:
    """Read the texts: from the list of iTunes, else from another place."""
    root = read_atoms(file)
    if root.child(b"moov") is None:
        raise TagError(NO_INDEX)
    listed = [data for name, data in _items(file, root) if name in READ]
    content = bytes(4) + box(b"ilst", b"".join(listed))
    plain = BytesIO(box(b"moov", box(b"udta", box(b"meta", content))))
    tags = _mutagen.mp4.MP4Tags(_mutagen.mp4.Atoms(plain), plain)
    for key, names in OTHERS.items():
        for place in find_places(file, root, names):
            with suppress(ValueError):
                if key not in tags and (found := texts_of(place.kind, place.raw)):
                    tags[key] = list(found)
    return Media(tags)


def items(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Name and bytes of each item of the main list, in file order; none if there is no list."""
    return _items(file, read_atoms(file))


def _items(file: IO[bytes], root: Atom) -> Iterator[tuple[bytes, bytes]]:
    path = main_list(root)
    for atom in path[-1].children if path else ():
        yield atom.name, read_part(file, atom.start, atom.stop)


def has_list(file: IO[bytes]) -> bool:
    """Whether there is a main list."""
    return main_list(read_atoms(file)) is not None


def get_fields(file: IO[bytes]) -> dict[str, Values]:
    """The genre of each place, the most important first.

    A field names the kind of the place and its path; a value is the name and the content of an
    atom, byte for byte. Raises `TagError` for a genre that is not text.
    """
    places = find_places(file, read_atoms(file), GENRES)
    for place in places:
        try:
            texts_of(place.kind, place.raw)
        except ValueError as error:
            raise TagError(
                f"its genre in {place.path} cannot be read and would be lost; remove it first"
            ) from error
    places.sort(key=lambda place: (_field(place) != MAIN, not place.path.startswith(MAIN_PATH)))
    return {_field(place): tuple(map(_to_text, place.raw)) for place in places}


def _field(place: Place) -> str:
    return f"mp4:{place.kind}:{place.path}"


def is_place(field: str) -> bool:
    """Whether a field is one of `get_fields`."""
    return field.startswith("mp4:")


def names_in(field: str, values: Sequence[str]) -> Values:
    """The genres in a field of `get_fields`."""
    return texts_of(field.split(":")[1], [*map(_to_bytes, values)])


def with_genres(fields: Mapping[str, Values], genres: Sequence[str]) -> dict[str, Values]:
    """The fields with these genres in each of them, and in the main one.

    Raises `TagError` for a place that cannot be changed.
    """
    return {
        field: tuple(map(_to_text, render(field.split(":")[1], [*map(_to_bytes, values)], genres)))
        for field, values in {MAIN: (), **fields}.items()
    }


def _to_text(raw: bytes) -> str:
    return raw.decode("latin-1")


def _to_bytes(text: str) -> bytes:
    return text.encode("latin-1")


def put_fields(
    file: IO[bytes], fields: Mapping[str, Values], note: Sequence[str] | None, *, keep_empty: bool
) -> None:
    """Set these fields and the note; the main list loses those that are missing.

    Another place is never added or removed. Without `keep_empty`, an empty main list is removed.
    """
    root = read_atoms(file)
    check_movable(root)
    wanted = {field: [*map(_to_bytes, values)] for field, values in fields.items()
              if is_place(field)}  # fmt: skip
    if OLD_MAIN in fields:
        wanted[MAIN] = [GENRE[0] + data_atoms(fields[OLD_MAIN])]
    places = find_places(file, root, GENRES)
    changes = [
        change
        for place in places
        if _field(place) in wanted and _field(place) != MAIN
        for change in _replace(file, place.parents, place.atoms, wanted[_field(place)])
    ]
    genre, notes = wanted.get(MAIN, []), [] if note is None else [_note(note)]
    path, is_left = main_list(root), keep_empty or bool(genre or notes)
    if path is None:
        changes += [_new_list(file, root, _boxes(genre + notes))] if genre or notes else []
    elif not is_left and (whole := _removable(file, path)):
        changes.append(whole)
    else:
        changes += _list_changes(file, path, genre, notes)
    if changes:
        apply(file, root, changes)


def _list_changes(
    file: IO[bytes], path: Sequence[Atom], genre: list[bytes], notes: list[bytes]
) -> list[Change]:
    """Genre and note take the places of the old ones; without an old one, they come last."""
    changes, added = [], b""
    atoms = path[-1].children
    for new, old in (
        (genre, [atom for atom in atoms if atom.name in GENRE]),
        (notes, [atom for atom in atoms if _is_note(file, atom)]),
    ):
        changes += _replace(file, path, old, new)
        added += b"" if old else _boxes(new)
    end = atoms[-1].stop if atoms else path[-1].body
    return [*changes, Change(path, end, end, added)] if added else changes


def _replace(
    file: IO[bytes], parents: Sequence[Atom], old: Sequence[Atom], new: list[bytes]
) -> list[Change]:
    """Put new atoms in the places of the old ones; if there are fewer or more, all in the first."""
    if [atom.name + read_part(file, atom.body, atom.stop) for atom in old] == new:
        return []
    parts = [_boxes([raw]) for raw in new]
    if len(new) != len(old):
        parts = [b"".join(parts), *[b""] * len(old)]
    return [
        Change(parents, atom.start, atom.stop, part) for atom, part in zip(old, parts, strict=False)
    ]


def _boxes(raw: Sequence[bytes]) -> bytes:
    return b"".join(box(data[:4], data[4:]) for data in raw)


def _new_list(file: IO[bytes], root: Atom, content: bytes) -> Change:
    """A new main list, in front: readers stop at the first of its name."""
    moov = root.child(b"moov")
    if moov is None:
        raise TagError(NO_INDEX)
    udta = moov.child(b"udta")
    repeated = repeated_items(file, udta) if udta else b""
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    meta = box(b"meta", bytes(4) + handler + box(b"ilst", repeated + content))
    if udta is None:
        return Change((moov,), moov.stop, moov.stop, box(b"udta", meta))
    return Change((moov, udta), udta.body, udta.body, meta)


def _removable(file: IO[bytes], path: Sequence[Atom]) -> Change | None:
    """Remove the main list, and what holds only that; None if there is anything else in it."""
    moov, udta, meta, listed = path
    others = [atom for atom in listed.children
              if atom.name not in GENRE and not _is_note(file, atom)]  # fmt: skip
    left = b"".join(read_part(file, atom.start, atom.stop) for atom in others)
    has_more = {atom.name for atom in meta.children} - {b"hdlr", b"ilst", b"free"}
    if has_more or left not in (b"", repeated_items(file, udta)):
        return None
    if udta.children == (meta,):
        return Change((moov,), udta.start, udta.stop, b"")
    return Change((moov, udta), meta.start, meta.stop, b"")


def _is_note(file: IO[bytes], atom: Atom) -> bool:
    raw = read_part(file, atom.start, atom.stop) if atom.name == b"----" else b""
    return bool(_NOTE.match(raw[4:]))


def _note(values: Sequence[str]) -> bytes:
    head = box(b"mean", bytes(4) + MEAN) + box(b"name", bytes(4) + FIELD.encode())
    return b"----" + head + data_atoms(values)
