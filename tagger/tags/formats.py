"""The tags of each container, a row per family, and mutagen's view of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import mutagen
import mutagen.aac
import mutagen.ac3
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
import mutagen.smf
import mutagen.tak
import mutagen.trueaudio
import mutagen.wave
import mutagen.wavpack

from tagger.audio.id3 import skip_id3
from tagger.errors import TagError
from tagger.tags import containers, id3v2, mp4, trailers
from tagger.tags.ape import is_descriptive, read_ape
from tagger.tags.codepages import OldText
from tagger.tags.field_names import APE, ASF, ID3, MP4, VORBIS, FieldNames, Source
from tagger.tags.id3_versions import convert
from tagger.tags.parts import check_count, read_part
from tagger.tags.riff_info import info_texts, read_info
from tagger.tags.text_frames import v1_texts
from tagger.types import TagOptions

_mutagen: Any = mutagen  # half of it is untyped


@dataclass(frozen=True, slots=True)
class Family:
    """Where the containers of some of mutagen's types keep the genre.

    `field` is the main genre field, `id3` the place of an ID3v2 tag. `older` lists other tags,
    mostly at the end of the file: their genre counts if the main field is missing, and is updated
    with it.
    """

    types: tuple[Any, ...]
    names: FieldNames
    field: str
    id3: containers.Place | None = None
    older: tuple[str, ...] = ()

    @property
    def has_ape(self) -> bool:
        """Whether the file may end with an APEv2 tag."""
        return APE_GENRE in (self.field, *self.older)


APE_GENRE = "ape:Genre"
IGNR = "riff:IGNR"  # in a RIFF INFO list; () where the list has no genre

_m = _mutagen
FAMILIES = (
    Family(
        (_m.mp3.MP3, _m.trueaudio.TrueAudio), ID3, "TCON", containers.FRONT, (APE_GENRE, "id3v1")
    ),
    Family((_m.wave.WAVE,), ID3, "TCON", containers.WAV, (IGNR,)),
    Family((_m.aiff.AIFF,), ID3, "TCON", containers.AIFF),
    Family((_m.dsdiff.DSDIFF,), ID3, "TCON", containers.DSDIFF),
    Family((_m.dsf.DSF,), ID3, "TCON", containers.DSF),
    Family((_m.wavpack.WavPack, _m.musepack.Musepack), APE, APE_GENRE, None, ("id3v1",)),
    Family((_m.monkeysaudio.MonkeysAudio, _m.tak.TAK), APE, APE_GENRE, None, ("id3v1",)),
    Family((_m.flac.FLAC,), VORBIS, "GENRE", None, ("id3v1",)),
    Family((_m.oggflac.OggFLAC, _m.oggvorbis.OggVorbis), VORBIS, "GENRE"),
    Family((_m.oggopus.OggOpus, _m.oggspeex.OggSpeex, _m.oggtheora.OggTheora), VORBIS, "GENRE"),
    Family((_m.mp4.MP4,), MP4, mp4.MAIN),
    Family((_m.asf.ASF,), ASF, "WM/Genre"),
)
# Other types that mutagen knows; without them, such a file could be mistaken for one of the above.
_NO_FAMILY = (
    _m.aac.AAC,
    _m.ac3.AC3,
    _m.apev2.APEv2File,
    _m.id3.ID3FileType,
    _m.optimfrog.OptimFROG,
    _m.smf.SMF,
)
_FAMILY_OF: dict[Any, Family | None] = {
    **dict.fromkeys(_NO_FAMILY),
    **{kind: family for family in FAMILIES for kind in family.types},
}


# How files start that hold no tag in front; of the others, mutagen recognises those it knows.
_CONTAINER = re.compile(
    rb"OggS|RIFF|RF64|BW64|riff|FORM|FRM8|DSD |wvpk|MPCK|MP\+|MAC |OFR |tBaK|caff|\.snd"
    rb"|.{4}(ftyp|moov|mdat|free|skip|wide)|\x30\x26\xb2\x75|\x1a\x45\xdf\xa3",
    re.DOTALL,
)


# Other suffixes of the same kinds, for mutagen goes by the suffix where a file has no mark.
USUAL_SUFFIX = {
    ".mpga": ".mp3", ".mpa": ".mp3", ".mp1": ".mp3", ".mp+": ".mpc", ".mpp": ".mpc",
    ".adts": ".aac", ".bwf": ".wav",
}  # fmt: skip


# How Matroska, CAF, AU, Wave64, AC-3 and DTS start; with the suffix of another kind, mutagen takes
# them for that.
FOREIGN = (
    b"RF64",
    b"BW64",
    b"\x1aE\xdf\xa3",
    b"caff",
    b".snd",
    b"riff\x2e\x91",
    b"\x0bw",
    b"\x7f\xfe\x80\x01",
)


def recognise(file: IO[bytes], path: Path) -> tuple[Any, Family | None]:
    """The type that mutagen chooses by content and suffix, and its family; `None` for no match.

    Raises `TagError` for an ID3v2 tag in front of a container that has tags of its own: mutagen
    takes it for an MP3.
    """
    header = file.read(128)
    if header.startswith(FOREIGN):
        return None, None
    skip_id3(file)
    if (end := file.tell()) and _CONTAINER.match(read_part(file, end, end + 16)):
        raise TagError(
            "it begins with an ID3 tag, which only some players read, and has tags of its own too; "
            f"remove the first: tail -c +{end + 1} OLD > NEW"
        )
    name = str(path.with_suffix(USUAL_SUFFIX.get(path.suffix.lower(), path.suffix)))
    score, _, kind = max(
        (kind.score(name, file, header), kind.__name__, kind) for kind in _FAMILY_OF
    )
    return (kind, _FAMILY_OF[kind]) if score > 0 else (None, None)


@dataclass(frozen=True, slots=True)
class Stream:
    """Mutagen's view of a file with an ID3v2 or APEv2 tag, without that tag."""

    info: Any


def load(file: IO[bytes], kind: Any, family: Family) -> Any:
    """Mutagen's view of a file; for ID3v2 and APEv2 only the stream, see `read_tags`."""
    if family.names is MP4:
        return mp4.load(file)
    if isinstance(family.id3, containers.ChunkLayout):
        containers.find_id3(file, family.id3)  # raises `TagError` for too many chunks
    start = (
        containers.find_id3(file, containers.FRONT)[1] if family.id3 == containers.FRONT else None
    )
    file.seek(0)
    if kind in _STREAMS:
        return Stream(_STREAMS[kind](file) if start is None else _STREAMS[kind](file, start))
    media = kind(file)
    check_count(len(media.tags or ()))
    check_count(len(getattr(media, "metadata_blocks", ())))  # of a FLAC
    return media


# mutagen's own loading of an ID3v2 or APEv2 tag takes time quadratic in its size.
_STREAMS = {
    _m.mp3.MP3: _m.mp3.MPEGInfo,
    _m.trueaudio.TrueAudio: _m.trueaudio.TrueAudioInfo,
    _m.wave.WAVE: _m.wave.WaveStreamInfo,
    _m.aiff.AIFF: _m.aiff.AIFFInfo,
    _m.dsdiff.DSDIFF: _m.dsdiff.DSDIFFInfo,
    _m.dsf.DSF: lambda file: _m.dsf.DSFInfo(_m.dsf.DSFFile(file).fmt_chunk),
    _m.wavpack.WavPack: _m.wavpack.WavPackInfo,
    _m.musepack.Musepack: _m.musepack.MusepackInfo,
    _m.monkeysaudio.MonkeysAudio: _m.monkeysaudio.MonkeysAudioInfo,
    _m.tak.TAK: _m.tak.TAKInfo,
}


@dataclass(frozen=True, slots=True)
class Tags:
    """Mutagen's view of the tags of a file; a missing tag is empty.

    Genre and note go to the main tag. `ape`, at the end of the file, may be the main one.
    """

    main: Any
    names: FieldNames  # of the main tag
    ape: Any
    charset: str | None = None  # see `TagOptions`

    @property
    def has_one_genre(self) -> bool:
        """Whether the main tag is an ID3v2 tag before 2.4, where the genre is a single value."""
        return isinstance(self.main, _mutagen.id3.ID3) and self.main.version < (2, 4)


def read_tags(file: IO[bytes], media: Any, family: Family, charset: str | None = None) -> Tags:
    """Read each tag once. Raises `TagError` for a text that is not in the code page given."""
    ape = read_ape(file) if family.has_ape else {}
    if family.names is APE or is_ape_alone(file, family, ape):
        return Tags(ape, APE, ape, charset)
    if family.id3 is None:
        return Tags(media.tags or {}, family.names, ape, charset)
    source = read_id3(file, family.id3)
    main = id3v2.read_frames(id3v2.parse(source), charset) if source else {}
    return Tags(main, family.names, ape, charset)


def all_sources(
    file: IO[bytes], family: Family, tags: Tags, charset: str | None = None
) -> list[Source]:
    """All tags of a file that may hold texts besides the genre, the most important first."""
    found: list[Source] = [(tags.main, tags.names)]
    if tags.ape is not tags.main:
        found.append((tags.ape, APE))
    if IGNR in family.older:
        found.append((_plain(info_texts(read_info(file)), charset), ID3))
    if "id3v1" in family.older:
        found.append((_plain(v1_texts(trailers.read_v1(file)), charset), ID3))
    return found


def _plain(found: Mapping[bytes, OldText], charset: str | None) -> dict[str, str]:
    """Old texts by their names; those of no known code page only have to be equal if equal."""
    plain = {}
    for name, text in found.items():
        known = None
        with suppress(TagError):  # it is not in that code page
            known = text.unicode(charset)
        plain[name.decode("latin-1")] = known or text.raw.decode("latin-1")
    return plain


def is_ape_alone(file: IO[bytes], family: Family, ape: Any) -> bool:
    """Whether an MP3 has only an APEv2 tag, and a new ID3v2 tag would hide something in it."""
    return (
        family.id3 == containers.FRONT
        and is_descriptive(ape)
        and not read_id3(file, containers.FRONT)
    )


def read_id3(file: IO[bytes], place: containers.Place) -> bytes:
    """The ID3v2 tag; empty if there is none, or only one of empty frames, which hides nothing."""
    source = containers.read_id3(file, place)
    tag = id3v2.parse(source)
    head = 6 if tag.major == 2 else 10
    is_empty = all(len(frame) == head for frame in tag.frames) and not tag.rest.strip(b"\0")
    return b"" if is_empty else source


def parse_id3(file: IO[bytes], place: containers.Place, options: TagOptions) -> id3v2.Id3:
    """The ID3v2 tag as bytes, or a new one if the file has none, in the version to be written."""
    if source := read_id3(file, place):
        return convert(id3v2.parse(source), options)
    return new_id3(file, place, options)


def new_id3(file: IO[bytes], place: containers.Place, options: TagOptions) -> id3v2.Id3:
    """A new ID3v2 tag, with the texts of an ID3v1 or RIFF INFO, which it hides from readers."""
    tag = id3v2.Id3()
    if place == containers.WAV:
        tag = id3v2.from_texts(info_texts(read_info(file)), options.charset)
    if place == containers.FRONT:
        tag = id3v2.from_texts(v1_texts(trailers.read_v1(file)), options.charset)
    return convert(tag, options)
