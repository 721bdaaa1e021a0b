"""Where each container keeps the genre: a row per family, and how its raw fields are read and put.

mutagen reads everything, and writes Vorbis comments, MP4, ASF and APEv2. An ID3v2 tag is edited as
bytes, see `id3v2`; so what stands behind it (APEv2, Lyrics3, ID3v1) is not touched either.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

import mutagen
import mutagen.aiff
import mutagen.apev2
import mutagen.asf
import mutagen.dsdiff
import mutagen.dsf
import mutagen.flac
import mutagen.id3
import mutagen.monkeysaudio
import mutagen.mp3
import mutagen.mp4
import mutagen.musepack
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggspeex
import mutagen.oggtheora
import mutagen.oggvorbis
import mutagen.optimfrog
import mutagen.tak
import mutagen.trueaudio
import mutagen.wave
import mutagen.wavpack

from tagger import blocks, id3v2
from tagger.errors import TagError

_mutagen: Any = mutagen  # half of it is untyped


@dataclass(frozen=True, slots=True)
class Family:
    """Where the containers of some of mutagen's types keep the genre.

    `id3` is the place of an ID3v2 tag. `older` are tags at the end of the file: what they say about
    the genre counts if the main field is missing, and is corrected with it.
    """

    types: tuple[Any, ...]
    field: str
    id3: blocks.Place | None = None
    older: tuple[str, ...] = ()

    @property
    def has_ape(self) -> bool:
        """Whether an APEv2 tag can be at the end."""
        return "ape:Genre" in (self.field, *self.older)


_m = _mutagen
FAMILIES = (
    Family((_m.mp3.MP3, _m.trueaudio.TrueAudio), "TCON", blocks.FRONT, ("ape:Genre", "id3v1")),
    Family((_m.wave.WAVE,), "TCON", blocks.WAV),
    Family((_m.aiff.AIFF,), "TCON", blocks.AIFF),
    Family((_m.dsdiff.DSDIFF,), "TCON", blocks.DSDIFF),
    Family((_m.dsf.DSF,), "TCON", blocks.DSF),
    Family((_m.wavpack.WavPack, _m.musepack.Musepack), "ape:Genre", None, ("id3v1",)),
    Family((_m.monkeysaudio.MonkeysAudio,), "ape:Genre", None, ("id3v1",)),
    Family((_m.optimfrog.OptimFROG, _m.tak.TAK), "ape:Genre", None, ("id3v1",)),
    Family((_m.flac.FLAC, _m.oggflac.OggFLAC, _m.oggvorbis.OggVorbis), "GENRE"),
    Family((_m.oggopus.OggOpus, _m.oggspeex.OggSpeex, _m.oggtheora.OggTheora), "GENRE"),
    Family((_m.mp4.MP4,), "©gen"),
    Family((_m.asf.ASF,), "WM/Genre"),
)


def get_fields(file: IO[bytes], media: Any, family: Family) -> dict[str, tuple[str, ...]]:
    """Raw values of each genre field that is there, the one that counts most first."""
    fields: dict[str, tuple[str, ...]] = {}
    if family.id3 is not None:
        if source := blocks.read_id3(file, family.id3):
            tags = _mutagen.id3.ID3(BytesIO(source), translate=False, load_v1=False)
            if frames := tags.getall("TCON"):
                fields["TCON"] = tuple(text for frame in frames for text in frame.text)
    elif not family.has_ape and media.tags is not None and family.field in media.tags:
        fields[family.field] = tuple(str(value) for value in media.tags[family.field])
    if family.has_ape and (value := _read_ape(file).get("Genre")) is not None:
        fields["ape:Genre"] = tuple(value)
    if "id3v1" in family.older and (block := blocks.read_v1(file)):
        fields["id3v1"] = (str(block[-1]),)
    return fields


def put_fields(
    file: IO[bytes],
    media: Any,
    family: Family,
    fields: Mapping[str, tuple[str, ...]],
    *,
    keep_empty: bool = True,
) -> None:
    """Make the genre fields what is given; without `keep_empty`, remove a tag with nothing else."""
    if "id3v1" in fields and blocks.read_v1(file):
        file.seek(-1, 2)
        file.write(bytes([int(fields["id3v1"][0])]))
    if family.has_ape:
        is_main = family.field == "ape:Genre"
        _put_ape(file, fields.get("ape:Genre"), keep_empty=keep_empty or not is_main)
    if family.id3 is not None:
        _put_id3(file, family.id3, fields.get("TCON"), keep_empty=keep_empty)
    elif not family.has_ape:
        _put_values(file, media, family, fields.get(family.field), keep_empty=keep_empty)


def has_tags(file: IO[bytes], media: Any, family: Family) -> bool:
    """Whether the tag block that is written to is there."""
    if family.id3 is not None:
        return bool(blocks.read_id3(file, family.id3))
    if family.has_ape:
        start, stop = blocks.find_ape(file)
        return start < stop
    # mutagen cannot remove the list of an MP4, only empty it
    empty = isinstance(media, _mutagen.mp4.MP4) and not media.tags
    return media.tags is not None and not empty


def others(file: IO[bytes], media: Any, family: Family) -> dict[str, str]:
    """All that the tags hold besides the genre, and the stream's figures."""
    found = {f"info:{name}": str(getattr(media.info, name, "")) for name in _INFO}
    if family.id3 == blocks.FRONT:
        del found["info:length"]  # of an MP3 without a Xing header: guessed from the file's size
    if family.id3 is not None:
        found |= _other_frames(file, family.id3)
    if family.has_ape:
        found |= _other_trailers(file)
    if isinstance(family.id3, blocks.Chunks):
        found |= _other_chunks(file, family.id3)
    if family.id3 is None and not family.has_ape:
        found |= _other_values(file, media, family)
    return found


_INFO = ("length", "sample_rate", "channels", "bits_per_sample", "codec")


def _digest(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:16]


# --- ID3v2, APEv2, and all else by mutagen --------------------------------------------------------


def holds_one_value(file: IO[bytes], family: Family) -> bool:
    """Whether the file has an ID3v2 tag from before 2.4, where a genre is one value."""
    source = blocks.read_id3(file, family.id3) if family.id3 is not None else b""
    return len(source) > 3 and source[3] < 4


def _read_tag(file: IO[bytes], place: blocks.Place) -> id3v2.Id3:
    """The ID3v2 tag, or the one that would be made where there is none."""
    if source := blocks.read_id3(file, place):
        return id3v2.parse(source)
    return id3v2.from_v1(blocks.read_v1(file) if place == blocks.FRONT else b"")


def _put_id3(
    file: IO[bytes], place: blocks.Place, values: tuple[str, ...] | None, *, keep_empty: bool
) -> None:
    if not blocks.read_id3(file, place) and values is None:
        return
    tag = _read_tag(file, place).with_genre(values)
    made = id3v2.from_v1(blocks.read_v1(file) if place == blocks.FRONT else b"")
    removable = not keep_empty and not tag.rest and tag.frames in ((), made.frames)
    blocks.place_id3(file, place, b"" if removable else tag.to_bytes())


def _other_frames(file: IO[bytes], place: blocks.Place) -> dict[str, str]:
    tag = _read_tag(file, place)
    found = {f"id3:{i}:{frame[:4]!r}": _digest(frame) for i, frame in enumerate(tag.others)}
    if found:
        found["id3:version"] = f"2.{tag.major}"
    if tag.rest.strip(b"\0"):
        found["id3:rest"] = _digest(tag.rest)
    return found


def _other_chunks(file: IO[bytes], layout: blocks.Chunks) -> dict[str, str]:
    found = {}
    others = [chunk for chunk in blocks.chunks(file, layout) if not blocks.is_id3(chunk[0])]
    for index, (name, at, stop) in enumerate(others):
        file.seek(at)
        size = min(stop - at, 64) if name in blocks.AUDIO else stop - at  # sound is large
        found[f"chunk:{index}:{name!r}"] = _digest(file.read(size))
    return found


def _read_ape(file: IO[bytes]) -> Any:
    start, stop = blocks.find_ape(file)
    file.seek(start)
    try:
        return _mutagen.apev2.APEv2(BytesIO(file.read(stop - start)))
    except _mutagen.apev2.APENoHeaderError:  # none, or one without items
        return _mutagen.apev2.APEv2()


def _put_ape(file: IO[bytes], values: tuple[str, ...] | None, *, keep_empty: bool) -> None:
    (start, stop), tags = blocks.find_ape(file), _read_ape(file)
    if values is not None:
        tags["Genre"] = list(values)
    elif "Genre" in tags:
        del tags["Genre"]
    else:
        return  # a tag without a genre keeps its bytes
    new = BytesIO()
    if len(tags) > 0 or keep_empty:
        tags.save(new)
    blocks.splice(file, start, stop, new.getvalue())


def _other_trailers(file: IO[bytes]) -> dict[str, str]:
    found = {
        f"ape:{key}": _digest(f"{value.kind} {value.value!r}")
        for key, value in _read_ape(file).items()
        if key.casefold() != "genre"
    }
    file.seek(blocks.trailers(file))
    if data := file.read():
        found["end"] = _digest(data[:-1])  # the last byte is the genre of ID3v1
    return found


def _put_values(
    file: IO[bytes],
    media: Any,
    family: Family,
    values: tuple[str, ...] | None,
    *,
    keep_empty: bool,
) -> None:
    if media.tags is None:
        if values is None:
            return
        media.add_tags()
    if hasattr(media.tags, "vendor"):
        _check_comments(file, media.tags)
    if values is not None:
        media.tags[family.field] = list(values)
    elif family.field in media.tags:
        del media.tags[family.field]
    if isinstance(media, _mutagen.flac.FLAC) and not keep_empty and not media.tags:
        media.metadata_blocks.remove(media.tags)  # its delete() would remove the padding as well
    file.seek(0)
    media.save(file)


def _check_comments(file: IO[bytes], comments: Any) -> None:
    """Refuse Vorbis comments that mutagen replaced at reading: to save them would lose them."""
    replaced = sum(value.count("\ufffd") for _, value in comments)
    file.seek(0)
    if replaced and file.read(1 << 24).count("\ufffd".encode()) < replaced:
        raise TagError("a Vorbis comment is not UTF-8 and would be lost; mend it first")
    if any(re.fullmatch(r"unknown\d+", key) for key, _ in comments):
        raise TagError("a Vorbis comment has no name and would be lost; mend it first")


def _other_values(file: IO[bytes], media: Any, family: Family) -> dict[str, str]:
    """What Vorbis comments, MP4 or ASF hold besides the genre, and the other blocks of a FLAC."""
    tags = media.tags if media.tags is not None else {}
    pairs = list(tags) if isinstance(tags, list) else list(tags.items())
    pairs = [(key, value) for key, value in pairs if key.casefold() != family.field.casefold()]
    found = {f"tag:{key}": "" for key, _ in pairs}
    for key, value in pairs:
        found[f"tag:{key}"] += f"{value}\0" if isinstance(value, str) else _digest(repr(value))
    if hasattr(tags, "vendor") and pairs:
        found["vendor"] = tags.vendor
    if isinstance(media, _mutagen.flac.FLAC):
        kept = [block for block in media.metadata_blocks if block.code not in (1, 4)]
        found |= {f"block:{i}:{b.code}": _digest(b.write()) for i, b in enumerate(kept)}
        found["front"] = _digest(blocks.read_id3(file, blocks.FRONT))
    return found
