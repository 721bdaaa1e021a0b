"""Tagged files for tests, built by mutagen or from bytes, not by the code under test."""

from __future__ import annotations

import struct
from pathlib import Path

import mutagen
from mutagen import apev2, id3
from mutagen.asf import ASF
from mutagen.mp4 import MP4

from helpers.containers import make

GENRES = ("Drum & Bass", "Tiếng Việt", "Folk, World, & Country")


def tag_with_mutagen(path: Path, **fields: list[str]) -> None:
    """Set title and genre by mutagen's own interface, not ours."""
    media = mutagen.File(path)
    if media.tags is None:
        media.add_tags()
    ids = {
        "ID3": ("TIT2", "TCON"), "MP4": ("©nam", "©gen"), "ASF": ("Title", "WM/Genre"),
        "APE": ("Title", "Genre"), "": ("TITLE", "GENRE"),
    }  # fmt: skip
    is_id3 = isinstance(media.tags, id3.ID3)
    family = "ID3" if is_id3 else "MP4" if isinstance(media, MP4) else ""
    family = "ASF" if isinstance(media, ASF) else family
    family = "APE" if isinstance(media.tags, apev2.APEv2) else family
    for name, values in fields.items():
        key = ids[family][name == "genre"]
        if is_id3:
            media.tags.add(getattr(id3, key)(encoding=3, text=values))
        else:
            media.tags[key] = values
    media.save()


def prepare(path: Path, start: str) -> tuple[str, ...]:
    """Bring a file into a start state and return its genres."""
    genres = {"one genre": ["Rock"], "several genres": ["Rock", "Jazz"]}.get(start, [])
    if genres:
        tag_with_mutagen(path, title=["Title"], genre=genres)
    elif start == "no genre":
        tag_with_mutagen(path, title=["Title"])
    elif (media := mutagen.File(path)).tags is not None:
        media.delete()
    return tuple(genres)


ALBUM_KEYS = {
    "ID3": ("TALB", "TPE2", "TPE1", "TCMP"),
    "VComment": ("ALBUM", "ALBUMARTIST", "ARTIST", "COMPILATION"),
    "MP4Tags": ("©alb", "aART", "©ART", "cpil"),
    "APEv2": ("Album", "Album Artist", "Artist", "Compilation"),
    "ASFTags": ("WM/AlbumTitle", "WM/AlbumArtist", "Author", "WM/IsCompilation"),
}


def set_by_mutagen(path: Path, values: dict[str, object]) -> None:
    """Set fields, named as mutagen names them."""
    media = mutagen.File(path)
    if media.tags is None:
        media.add_tags()
    for key, value in values.items():
        if isinstance(media.tags, id3.ID3):
            media.tags.add(getattr(id3, key)(encoding=3, text=value))
        else:
            media.tags[key] = value
    media.save()


def album_keys(path: Path) -> tuple[str, ...]:
    """The names of album, album artist, artist and compilation in the tag of a file."""
    media = mutagen.File(path)
    if media.tags is None:
        media.add_tags()
    bases = {kind.__name__ for kind in type(media.tags).__mro__}
    return next(keys for base, keys in ALBUM_KEYS.items() if base in bases)


def frame(name: bytes, data: bytes, flags: int = 0) -> bytes:
    """A frame of ID3v2.3, of 2.2 if its name has three letters, or of 2.4 if below 128 bytes."""
    if len(name) == 3:
        return name + len(data).to_bytes(3, "big") + data
    return name + struct.pack(">IH", len(data), flags) + data


def id3_tag(major: int, body: bytes, flags: int = 0) -> bytes:
    size = len(body)
    digits = bytes(size >> 7 * i & 0x7F for i in (3, 2, 1, 0))
    return b"ID3" + bytes([major, 0, flags]) + digits + body


def with_front(folder: Path, tag: bytes, end: bytes = b"") -> Path:
    path = make("mp3", folder)
    audio = path.read_bytes()
    if audio.startswith(b"ID3"):
        audio = audio[10 + int("".join(f"{byte:07b}" for byte in audio[6:10]), 2) :]
    path.write_bytes(tag + audio + end)
    return path


def id3v1(genre: int) -> bytes:
    return b"TAG" + b"Only here".ljust(94, b" ") + b"ten years".ljust(30, b"\1") + bytes([genre])


def ape_tag(**items: str) -> bytes:
    return ape_of([ape_item(key, value) for key, value in items.items()])


def ape_item(key: str, value: str, flags: int = 0) -> bytes:
    return struct.pack("<2I", len(value), flags) + key.encode() + b"\0" + value.encode()


def ape_of(items: list[bytes], unstated: int = 0) -> bytes:
    """A tag that states fewer items than it holds, by `unstated`."""
    body, count = b"".join(items), len(items) - unstated
    return body + struct.pack("<8s4I8x", b"APETAGEX", 2000, len(body) + 32, count, 0)


def riff_info(value: bytes) -> bytes:
    item = b"IGNR" + struct.pack("<I", len(value)) + value + b"\0" * (len(value) % 2)
    return b"LIST" + struct.pack("<I", 4 + len(item)) + b"INFO" + item
