"""Proof that a write changed only genre and note.

The other tags and the encoded audio, in a form that is equal before and after a write.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import mutagen
import mutagen.flac

from tagger.audio.pyav import open_container
from tagger.audio.reader import check_start
from tagger.errors import AudioError, TagError
from tagger.genres.provenance import FIELD
from tagger.tags import containers, id3v2, mp4, trailers, verify_mp4
from tagger.tags.ape import new_ape, render_ape_items
from tagger.tags.field_names import APE
from tagger.tags.formats import Family, new_id3, parse_id3, read_id3, recognise
from tagger.tags.id3_versions import decoded
from tagger.tags.parts import MOST_PARTS, read_part
from tagger.tags.riff_info import is_genre, is_info, read_info, repeated_texts
from tagger.types import TagOptions

_mutagen: Any = mutagen  # half of it is untyped


def other_parts(file: IO[bytes], media: Any, family: Family, options: TagOptions) -> dict[str, str]:
    """Everything in the tags besides the genre and our note, and the properties of the stream.

    A file without a tag has what a new one would repeat of older tags.
    """
    found = {f"info:{name}": str(getattr(media.info, name, "")) for name in _INFO}
    if family.id3 == containers.FRONT:
        del found["info:length"]  # without a Xing header it is guessed from the file's size
    if family.id3 is not None:
        found |= _other_frames(file, family.id3, options)
    if family.has_ape:
        found |= _other_trailers(file, family, options)
    if isinstance(family.id3, containers.ChunkLayout):
        found |= _other_chunks(file, family.id3, options)
    if family.id3 is None and not family.has_ape:
        found |= _other_values(file, media, family)
    return found


# These patterns are separate from those of a write, so that a fault in the latter shows here.
_LETTERS = rb"\0?".join(re.escape(bytes([letter])) for letter in FIELD.encode())  # UTF-16 too
_OWN_FRAME = re.compile(
    rb"TCON|TCO(?![A-Z])|(TXX.{3}|TXX.{7}(.{4})?)[\0-\3](\xff\0?\xfe|\xfe\xff)?\0?%b\0" % _LETTERS,
    re.DOTALL,
)
_INFO = ("length", "sample_rate", "channels", "bits_per_sample", "codec")


def _digest(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:16]


def _other_frames(file: IO[bytes], place: containers.Place, options: TagOptions) -> dict[str, str]:
    if options.id3 != "keep":  # the content of each frame, read without our conversion
        source = read_id3(file, place)
        tag = id3v2.parse(source) if source else new_id3(file, place, options)
        return {f"id3:{key}": _digest(text) for key, text in decoded(tag).items()}
    tag = parse_id3(file, place, options)
    kept = [frame for frame in tag.frames if not _OWN_FRAME.match(frame)]
    found = {f"id3:{i}:{frame[:4]!r}": _digest(frame) for i, frame in enumerate(kept)}
    if found:
        found["id3:version"] = f"2.{tag.major}"
    if tag.rest.strip(b"\0"):
        found["id3:rest"] = _digest(tag.rest)
    return found


def _other_chunks(
    file: IO[bytes], layout: containers.ChunkLayout, options: TagOptions
) -> dict[str, str]:
    found = {}
    others = [chunk for chunk in containers.chunks(file, layout) if not containers.is_id3(chunk[0])]
    is_wav = layout == containers.WAV
    info = [item for item in (is_wav and read_info(file)) or () if not is_genre(item[0])]
    # A list that we add holds the genre and texts of the ID3 tag, which are compared there.
    tag = parse_id3(file, layout, options)
    if is_wav and sorted(info) == repeated_texts(tag, options.charset):
        others = [chunk for chunk in others if not is_info(file, chunk)]
    for index, (name, at, stop) in enumerate(others):
        size = min(stop - at, 64) if name in containers.AUDIO else stop - at  # audio is large
        data = read_part(file, at, at + size)
        if name == b"LIST" and data[8:12] == b"INFO":
            data = repr(info).encode()
        found[f"chunk:{index}:{name!r}"] = _digest(data)
    return found


def _other_trailers(file: IO[bytes], family: Family, options: TagOptions) -> dict[str, str]:
    # As stored, not as mutagen reads them: a change to items that mutagen skips must show here.
    items = trailers.read_ape_items(file)
    if items == [] and family.names is APE:
        items = render_ape_items(new_ape(file, options.charset))
    start, stop = trailers.find_ape(file)
    file.seek(start)
    found = {"ape": _digest(file.read(stop - start))} if items is None else {}
    for item in sorted(items or []):
        key = item[8:].partition(b"\0")[0].decode()
        if key.casefold() not in ("genre", FIELD.casefold()):
            found[f"ape:{key}"] = found.get(f"ape:{key}", "") + _digest(item)
    file.seek(trailers.find_v1_start(file))
    if data := file.read():
        found["end"] = _digest(data[:-1])  # the last byte is the genre of ID3v1
    return found


def _other_values(file: IO[bytes], media: Any, family: Family) -> dict[str, str]:
    """The other values of Vorbis comments, MP4 or ASF, and the other blocks of a FLAC."""
    if isinstance(media, mp4.Media):
        return verify_mp4.other_atoms(file)
    tags = media.tags if media.tags is not None else {}
    pairs = list(tags) if isinstance(tags, list) else list(tags.items())
    own = (family.field.casefold(), FIELD.casefold(), "genre")
    pairs = [(key, value) for key, value in pairs if key.casefold() not in own]
    values: dict[str, list[str]] = {f"tag:{key}": [] for key, _ in pairs}
    for key, value in pairs:
        text = f"{value}\0" if isinstance(value, str) else _digest(repr(value))
        values[f"tag:{key}"].append(text)
    found = {key: "".join(texts) for key, texts in values.items()}
    if hasattr(tags, "vendor") and pairs:
        found["vendor"] = tags.vendor
    if isinstance(media, _mutagen.flac.FLAC):
        blocks_kept = [block for block in media.metadata_blocks if block.code not in (1, 4)]
        found |= {f"block:{i}:{b.code}": _digest(b.write()) for i, b in enumerate(blocks_kept)}
        found["front"] = _digest(containers.read_id3(file, containers.FRONT))
        found["end"] = _digest(trailers.read_v1(file)[:-1])
    return found


def flac_start(path: Path) -> bytes:
    """The first bytes of the audio of a FLAC; others, if a block states a wrong size."""
    with path.open("rb") as file:
        at = containers.find_id3(file, containers.FRONT)[1]
        if read_part(file, at, at + 4) != b"fLaC":
            return b""
        at += 4
        for _ in range(MOST_PARTS):
            head = read_part(file, at, at + 4)
            at += 4 + int.from_bytes(head[1:], "big")
            if head[:1] >= b"\x80":  # the last block
                break
        return read_part(file, at, at + 64)


def digest_packets(path: Path) -> str | None:
    """A hash of the encoded audio, without decoding it; None if PyAV does not know the format.

    Equal before and after a change of tags, unless the change damaged the audio.
    """
    import av

    digest = hashlib.sha256()
    try:
        check_start(path)
        end = _audio_end(path)
        span = (0, end) if end is not None else None
        with closing(open_container(path, span, corrects=False)) as container:
            for packet in container.demux(container.streams.audio[0]):
                digest.update(bytes(packet))
    except (AudioError, TagError, OSError, av.error.FFmpegError, ValueError):
        return None
    return digest.hexdigest()


def _audio_end(path: Path) -> int | None:
    """Where the tags at the end start, since FFmpeg reads some as audio; None if it has none."""
    with path.open("rb") as file:
        family = recognise(file, path)[1]
        has_end = family is not None and "id3v1" in family.older
        return trailers.find_audio_end(file) if has_end else None
