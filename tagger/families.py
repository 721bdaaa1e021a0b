"""Where each container keeps the genre: a row per family, and how its raw fields are read and put.

mutagen reads everything, and writes Vorbis comments, MP4, ASF and APEv2. An ID3v2 tag is edited as
bytes, see `id3v2`; so what stands behind it (APEv2, Lyrics3, ID3v1) is not touched either.
"""

from __future__ import annotations

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
import mutagen.tak
import mutagen.trueaudio
import mutagen.wave
import mutagen.wavpack

from tagger import blocks, id3v2, ilst
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


IGNR = "riff:IGNR"  # of a RIFF INFO list: where there is one, FFmpeg looks at nothing else

_m = _mutagen
FAMILIES = (
    Family((_m.mp3.MP3, _m.trueaudio.TrueAudio), "TCON", blocks.FRONT, ("ape:Genre", "id3v1")),
    Family((_m.wave.WAVE,), "TCON", blocks.WAV, (IGNR,)),
    Family((_m.aiff.AIFF,), "TCON", blocks.AIFF),
    Family((_m.dsdiff.DSDIFF,), "TCON", blocks.DSDIFF),
    Family((_m.dsf.DSF,), "TCON", blocks.DSF),
    Family((_m.wavpack.WavPack, _m.musepack.Musepack), "ape:Genre", None, ("id3v1",)),
    Family((_m.monkeysaudio.MonkeysAudio, _m.tak.TAK), "ape:Genre", None, ("id3v1",)),
    Family((_m.flac.FLAC, _m.oggflac.OggFLAC, _m.oggvorbis.OggVorbis), "GENRE"),
    Family((_m.oggopus.OggOpus, _m.oggspeex.OggSpeex, _m.oggtheora.OggTheora), "GENRE"),
    Family((_m.mp4.MP4,), "©gen"),
    Family((_m.asf.ASF,), "WM/Genre"),
)


def main_field(file: IO[bytes], family: Family) -> str:
    """The field that a genre goes to: that of the family, unless an MP3 is tagged by APEv2 alone.

    A new ID3v2 tag would hide the title and all else in that one.
    """
    if family.id3 != blocks.FRONT or blocks.read_id3(file, blocks.FRONT):
        return family.field
    named = {"Title", "Artist", "Album"} & {key.title() for key in read_ape(file)}
    return "ape:Genre" if named else family.field


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
    if family.has_ape and (value := read_ape(file).get("Genre")) is not None:
        fields["ape:Genre"] = tuple(value)
    if "id3v1" in family.older and (block := blocks.read_v1(file)):
        fields["id3v1"] = (str(block[-1]),)
    if IGNR in family.older and (raw := dict(blocks.read_info(file)).get(b"IGNR")) is not None:
        fields[IGNR] = (raw.decode("latin-1"),)  # byte for byte, whatever its encoding
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
    if IGNR in family.older:
        info = fields.get(IGNR)
        blocks.put_info(file, b"IGNR", info[0].encode("latin-1") if info else None)


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


# --- ID3v2, APEv2, and all else by mutagen --------------------------------------------------------


def holds_one_value(file: IO[bytes], family: Family) -> bool:
    """Whether the file has an ID3v2 tag from before 2.4, where a genre is one value."""
    source = blocks.read_id3(file, family.id3) if family.id3 is not None else b""
    return len(source) > 3 and source[3] < 4


def read_tag(file: IO[bytes], place: blocks.Place) -> id3v2.Id3:
    """The ID3v2 tag, or the one that would be made where there is none."""
    if source := blocks.read_id3(file, place):
        return id3v2.parse(source)
    return _new_tag(file, place)


def _new_tag(file: IO[bytes], place: blocks.Place) -> id3v2.Id3:
    """A new ID3v2 tag says what an ID3v1 or a RIFF INFO said, which it hides from many readers."""
    if place == blocks.WAV:
        info = dict(blocks.read_info(file))
        texts = {f: blocks.info_text(info[key]) for key, f in _INFO_FRAMES.items() if key in info}
        return id3v2.from_texts(texts)
    return id3v2.from_v1(blocks.read_v1(file)) if place == blocks.FRONT else id3v2.Id3()


_INFO_FRAMES = {
    b"INAM": b"TIT2",
    b"IART": b"TPE1",
    b"IPRD": b"TALB",
    b"ICRD": b"TDRC",
    b"ITRK": b"TRCK",
    b"ICMT": b"COMM",
}


def _put_id3(
    file: IO[bytes], place: blocks.Place, values: tuple[str, ...] | None, *, keep_empty: bool
) -> None:
    if not blocks.read_id3(file, place) and values is None:
        return
    tag = read_tag(file, place).with_genre(values)
    made = _new_tag(file, place)
    removable = not keep_empty and not tag.rest and tag.frames in ((), made.frames)
    blocks.place_id3(file, place, b"" if removable else tag.to_bytes())


def read_ape(file: IO[bytes]) -> Any:
    """Mutagen's view of the APEv2 tag at the end of a file; an empty one where there is none."""
    start, stop = blocks.find_ape(file)
    file.seek(start)
    try:
        return _mutagen.apev2.APEv2(BytesIO(file.read(stop - start)))
    except _mutagen.apev2.APENoHeaderError:  # none, or one without items
        return _mutagen.apev2.APEv2()


def _put_ape(file: IO[bytes], values: tuple[str, ...] | None, *, keep_empty: bool) -> None:
    (start, stop), tags = blocks.find_ape(file), read_ape(file)
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


def _put_values(
    file: IO[bytes],
    media: Any,
    family: Family,
    values: tuple[str, ...] | None,
    *,
    keep_empty: bool,
) -> None:
    if media.tags is None and values is None:
        return
    if isinstance(media, _mutagen.mp4.MP4):
        ilst.put_genres(file, media, values)
        return
    if media.tags is None:
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
    file.seek(0)
    head = file.read(1 << 24)
    if any("?" in key and f"{key}=".encode() not in head for key, _ in comments):
        raise TagError("the name of a Vorbis comment is not ASCII and would be lost; mend it first")
    replaced = sum(value.count("\ufffd") for _, value in comments)
    if replaced and head.count("\ufffd".encode()) < replaced:
        raise TagError("a Vorbis comment is not UTF-8 and would be lost; mend it first")
    if any(re.fullmatch(r"unknown\d+", key) for key, _ in comments):
        raise TagError("a Vorbis comment has no name and would be lost; mend it first")
