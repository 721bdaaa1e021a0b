"""Where readers find a genre in an MP4, and how each place stores its text.

Besides the list of iTunes there are QuickTime's user data and keys (Apple's file format reference),
the user data of 3GPP (TS 26.244) and ID3 (mp4ra.org). FFmpeg, MediaInfo and exiftool look in all of
them, in the movie, in its tracks and in the file itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

import mutagen
import mutagen.id3

from tagger.errors import TagError
from tagger.tags import id3v2
from tagger.tags.atoms import Atom, box, split
from tagger.tags.parts import check_count, read_part

LIST, KEY, FREEFORM, QUICKTIME, GPP, ID3 = "list", "key", "freeform", "quicktime", "3gpp", "id3"
MEAN = b"com.apple.iTunes"  # the "mean" of a freeform item: who defines its name
GENRE = (b"\xa9gen", b"gnre")  # the name, and the number that old iTunes wrote
# 3GPP's names of texts, and those of iTunes.
GPP_NAMES = {
    b"titl": b"\xa9nam", b"perf": b"\xa9ART", b"auth": b"\xa9wrt", b"albm": b"\xa9alb",
    b"dscp": b"desc", b"cprt": b"cprt",
}  # fmt: skip
JOIN = "; "  # where a place holds one text
UTF8, UTF16 = 1, 2  # types of a data atom; 0 is UTF-8 too
MAC_LANGUAGES, UNSPECIFIED, UNDEFINED = 0x400, 0x7FFF, 0x55C4  # QuickTime's codes; "und"

_mutagen: Any = mutagen  # half of it is untyped


@dataclass(frozen=True, slots=True)
class Names:
    """What a text is called in each kind of place."""

    items: tuple[bytes, ...]  # of the list
    quicktime: tuple[bytes, ...]
    gpp: tuple[bytes, ...]
    keys: tuple[str, ...]  # also of freeform items
    frame: str  # of ID3


GENRES = Names(GENRE, (b"\xa9gen",), (b"gnre",), ("genre",), "TCON")
OTHERS = {
    "©alb": Names((b"\xa9alb",), (b"\xa9alb",), (b"albm",), ("album",), "TALB"),
    "aART": Names((b"aART",), (b"aART",), (), ("album_artist", "albumartist"), "TPE2"),
    "©ART": Names((b"\xa9ART",), (b"\xa9ART",), (b"perf",), ("artist",), "TPE1"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Atoms of one name in one parent; `raw` is the name and the content of each."""

    kind: str
    path: str
    parents: tuple[Atom, ...]
    atoms: tuple[Atom, ...]
    raw: tuple[bytes, ...]


def main_list(root: Atom) -> tuple[Atom, ...] | None:
    """The list of iTunes and its parents, from the outermost; None if there is none.

    As for TagLib, only the first `moov` and the first `udta` in it count.
    """
    moov = root.child(b"moov")
    udta = moov and moov.child(b"udta")
    for meta in udta.children if udta else ():
        listed = meta.child(b"ilst")
        if moov and udta and listed and _label(meta) == "meta":
            return moov, udta, meta, listed
    return None


def find_places(file: IO[bytes], root: Atom, names: Names) -> list[Place]:
    """All places with a text of these names, in file order; some have the same name."""
    keys = {
        meta.start: _key_names(file, key_atom)
        for meta in root.walk()
        if (key_atom := meta.child(b"keys")) is not None
    }
    found: dict[tuple[str, str], list[tuple[tuple[Atom, ...], Atom]]] = {}
    for label, parents, atom in _labelled(root, "", ()):
        known = keys.get(parents[-2].start, ()) if len(parents) > 1 else ()
        kind, name = _kind(file, parents, atom, names, known)
        if kind:
            found.setdefault((kind, f"{label}/{name}"), []).append((parents, atom))
    return [
        Place(kind, path, group[0][0], tuple(atom for _, atom in group), _raw(file, group))
        for (kind, path), group in found.items()
    ]


def _raw(file: IO[bytes], group: Sequence[tuple[object, Atom]]) -> tuple[bytes, ...]:
    return tuple(atom.name + read_part(file, atom.body, atom.stop) for _, atom in group)


def _labelled(
    atom: Atom, label: str, parents: tuple[Atom, ...]
) -> Iterator[tuple[str, tuple[Atom, ...], Atom]]:
    """Each atom with the path of its parent, where the second of a name is "trak2"."""
    if atom.name in (b"ilst", b"udta"):
        check_count(len(atom.children))
    numbers: dict[str, int] = {}
    for child in atom.children:
        yield label, parents, child
        name = _label(child)
        numbers[name] = numbers.get(name, 0) + 1
        name += str(numbers[name]) if numbers[name] > 1 else ""
        yield from _labelled(child, f"{label}/{name}".lstrip("/"), (*parents, child))


def _label(atom: Atom) -> str:
    """Its name; a "meta" without a list of iTunes has another, for a write may add one that has."""
    if atom.name != b"meta":
        return atom.name.decode("latin-1")
    listed = atom.child(b"ilst")
    if listed is None:
        return "other"
    # The items of a list of keys have the numbers of the keys for names.
    has_keys = atom.child(b"keys") is not None
    return "keys" if has_keys and all(item.name < b"\1" for item in listed.children) else "meta"


def _kind(
    file: IO[bytes], parents: tuple[Atom, ...], atom: Atom, names: Names, keys: Sequence[str]
) -> tuple[str, str]:
    """The kind of a place and the last part of its path; empty if it has none of the names."""
    parent, name = parents[-1].name if parents else b"", names.keys[0]
    if parent == b"udta" and atom.name in names.quicktime:
        return QUICKTIME, name
    if parent == b"udta" and atom.name in names.gpp:
        return GPP, name
    if parent == b"meta" and atom.name == b"ID32":
        is_there = names.frame in _id3(read_part(file, atom.body, atom.stop))
        return (ID3, name) if is_there else ("", "")
    if parent != b"ilst":
        return "", ""
    if atom.name in names.items:
        return LIST, name
    if atom.name == b"----":
        mean, freeform = _freeform_name(read_part(file, atom.body, atom.stop))
        is_named = freeform.casefold() in names.keys
        return (FREEFORM, f"{mean}:{freeform}") if is_named else ("", "")
    number = int.from_bytes(atom.name, "big")  # from 1
    key = keys[number - 1] if 0 < number <= len(keys) else ""
    is_named = key.casefold().removeprefix("com.apple.quicktime.") in names.keys
    return (KEY, key) if is_named else ("", "")


def _key_names(file: IO[bytes], keys: Atom) -> list[str]:
    found = [name for _, name in split(read_part(file, keys.body + 8, keys.stop))]
    check_count(len(found))
    return [name.decode("latin-1") for name in found]


def _freeform_name(content: bytes) -> tuple[str, str]:
    head = [text[4:].decode("latin-1") for _, text in split(content)][:2]
    return (head[0], head[1]) if len(head) == 2 else ("", "")


def _id3(content: bytes) -> Any:
    """The ID3 tag in an ID32 atom, after its version and language; empty if it is damaged."""
    try:
        return id3v2.load(id3v2.parse(content[6:]).to_read())
    except (TagError, _mutagen.id3.error):
        return {}


def repeated_items(file: IO[bytes], udta: Atom) -> bytes:
    """Items for the texts in user data besides the genre: a list would hide them from GStreamer."""
    found: dict[bytes, bytes] = {}
    for atom in udta.children:
        name = atom.name if atom.name.startswith(b"\xa9") else GPP_NAMES.get(atom.name, b"")
        read = _gpp_texts if atom.name in GPP_NAMES else _quicktime_texts
        if name in (b"", *GENRE, *found):
            continue
        with suppress(ValueError, struct.error):
            texts = list(read(atom.name + read_part(file, atom.body, atom.stop)))
            if texts and texts[0]:
                found[name] = box(name, data_atoms(texts[:1]))
    return b"".join(found.values())


# --- texts ----------------------------------------------------------------------------------------


def texts_of(kind: str, raw: Sequence[bytes]) -> tuple[str, ...]:
    """The texts in a place, those that are not empty. Raises `ValueError` for other data."""
    read = {QUICKTIME: _quicktime_texts, GPP: _gpp_texts, ID3: _id3_genres}.get(kind, _data_texts)
    return tuple(text for item in raw for text in read(item) if text)


def _data_texts(raw: bytes) -> Iterator[str]:
    for name, content in split(raw[4:]):
        if name != b"data":
            continue
        kind, data = int.from_bytes(content[1:4], "big"), content[8:]
        if raw.startswith(b"gnre"):
            number = int.from_bytes(data, "big") - 1
            yield dict(enumerate(_mutagen.id3.TCON.GENRES)).get(number, "")
        elif kind in (0, UTF8):
            yield data.decode()
        elif kind == UTF16:
            yield data.decode("utf-16-be")
        else:
            raise ValueError("not text")


def _quicktime_texts(raw: bytes) -> Iterator[str]:
    content, at = raw[4:], 0
    if content[4:8] == b"data":  # an item of the list in the wrong place
        yield from _data_texts(raw)
        return
    while at + 4 <= len(content):
        size, language = struct.unpack_from(">2H", content, at)
        if at + 4 + size > len(content):  # a text without a header: FFmpeg shows it
            yield content[at:].decode()
            return
        yield _quicktime_text(content[at + 4 : at + 4 + size].rstrip(b"\0"), language)
        at += 4 + size


def _quicktime_text(data: bytes, language: int) -> str:
    if data[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return data.decode("utf-16")
    is_mac = language < MAC_LANGUAGES or language == UNSPECIFIED
    return data.decode("mac-roman" if is_mac else "utf-8")


def _gpp_texts(raw: bytes) -> Iterator[str]:
    data = raw[10:]  # after version and language
    if data[:2] in (b"\xfe\xff", b"\xff\xfe"):
        yield data[: len(data) // 2 * 2].decode("utf-16").split("\0")[0]
    else:
        yield data.split(b"\0")[0].decode()


def _id3_genres(raw: bytes) -> list[str]:
    frame = _id3(raw[4:]).get("TCON")
    return list(frame.genres) if frame is not None else []


def data_atoms(texts: Sequence[str]) -> bytes:
    """The content of an item of a list."""
    head = struct.pack(">2I", UTF8, 0)  # type, locale
    return b"".join(box(b"data", head + text.encode()) for text in texts)


def render(kind: str, old: Sequence[bytes], genres: Sequence[str]) -> list[bytes]:
    """What a place with this content must hold to show these genres.

    Several are one text, joined with "; ", where other readers would show the last or none.
    """
    text = JOIN.join(genres)
    if kind == LIST:
        return [GENRE[0] + data_atoms(genres)]
    if kind == KEY:
        return [old[0][:4] + data_atoms([text])]
    if kind == FREEFORM:
        head = [box(name, content) for name, content in split(old[0][4:])][:2]
        return [b"----" + b"".join(head) + data_atoms(genres)]
    if kind == GPP:
        return [old[0][:10] + text.encode() + b"\0"]
    if kind == QUICKTIME:
        return [old[0][:4] + _quicktime_content(old[0][4:], text)]
    raise TagError(
        "its genre is in an ID3 tag inside the MP4 (ID32), which cannot be changed here; make a "
        "file without that tag: ffmpeg -i OLD -c copy -map_metadata 0 NEW.m4a"
    )


def _quicktime_content(old: bytes, text: str) -> bytes:
    language = int.from_bytes(old[2:4], "big")
    is_whole = len(old) >= 4 and int.from_bytes(old[:2], "big") + 4 <= len(old)
    data = text.encode()
    if not is_whole or language == UNSPECIFIED or (language < MAC_LANGUAGES and not text.isascii()):
        language = UNDEFINED  # texts of old Mac languages are not UTF-8
    return struct.pack(">2H", len(data), language) + data
