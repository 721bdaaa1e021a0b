"""Which tracks belong to one album, and the mean of their predictions. Pure: no files, no model."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from operator import add
from pathlib import Path

from tagger.genres.labels import LONGEST, genre_columns
from tagger.types import Prediction, TagInfo, common_precision

BY = ("track", "album", "folder")
# The album artist that taggers and shops write for a compilation.
VARIOUS = frozenset(map(str.casefold, [
    "Various Artists", "Various Artist", "Various", "VA", "V.A.", "V/A", "V. A.",
    "Verschiedene Interpreten", "Verschiedene Künstler", "Diverse Interpreten", "Diverse",
    "Artistes divers", "Artistes variés", "Divers", "Varios artistas", "Vários artistas",
    "Artistas vários", "Varios", "Vários", "Varios intérpretes", "Artisti vari", "AA.VV.",
    "Diverse artiesten", "Verschillende artiesten", "Diverse artister", "Diverse kunstnere",
    "Eri esittäjiä", "Różni wykonawcy", "Různí interpreti", "Různí umělci", "Rôzni interpreti",
    "Különböző előadók", "Διάφοροι", "Διάφοροι καλλιτέχνες", "Разные исполнители", "Сборник",
    "Різні виконавці", "ヴァリアス・アーティスト", "オムニバス", "群星", "合辑", "合輯",
]))  # fmt: skip
# The names that rippers write for an unknown album or artist.
UNKNOWN = frozenset(map(str.casefold, [
    "Unknown", "Unknown Album", "Unknown Artist", "[unknown]", "<unknown>", "Unknown Title",
    "Unbekannt", "Unbekanntes Album", "Unbekannter Interpret", "Unbekannter Künstler",
    "Album inconnu", "Artiste inconnu", "Álbum desconocido", "Artista desconocido",
    "Álbum desconhecido", "Artista desconhecido", "Album sconosciuto", "Artista sconosciuto",
]))  # fmt: skip
# What a disc is called in general, and how its kinds are named by MusicBrainz, and so by Picard.
DISC_WORDS = (
    "CD", "Disc", "Disk", "Disque", "Diskette", "Диск", "ディスク", "Side", "Seite", "Face", "Lato",
    "Lado", "Cara", "LP", "DVD", "Vinyl", "Shellac", "Acetate", "Cassette", "Tape", "Kassette",
    "Other", "Cartridge", "VHS", "DAT", "DCC", "UMD", "VCD",
)  # fmt: skip
# A folder with such a name is a disc even without a number: no album has such a name.
MEDIA = (
    "CD-R", "CD+G", "8cm CD", "8cm CD+G", "Copy Control CD", "Data CD", "DTS CD", "Enhanced CD",
    "HDCD", "Mixed Mode CD", "Minimax CD", "Minimax DVD", "SHM-CD", "Blu-spec CD", "Blu-spec CD2",
    "HQCD", "UHQCD", "SACD", "Super Audio CD", "Hybrid SACD", "SHM-SACD", "DVD-Audio", "DVD-Video",
    "DVDplus", "HD-DVD", "Blu-ray", "Blu-ray-R", "DualDisc", "VinylDisc", "CDV", "SVCD",
    "LaserDisc", "Digital Media", "Download Card", "USB Flash Drive", "slotMusic", "SD Card",
    "Microcassette", "8-Track Cartridge", "MiniDisc", "Reel-to-reel", "PlayTape", "HiPac",
    "Flexi-disc", "Floppy Disk", "Edison Diamond Disc", "Pathé disc", "Wax Cylinder", "Piano Roll",
    "Zip Disk", "Betamax", "Betacam SP", "Videotape", "VHD", "CED", "Phonograph record", "Elcaset",
    "Wire recording", "Playbutton", "KiT Album", "Tefifon", "MQA-CD", "Bonus CD", "Bonus Disc",
    "Bonus Disk", "Bonus DVD",
)  # fmt: skip
# After 12" and the like.
SIZED = ("Vinyl", "Shellac", "Acetate", "Flexi-disc", "LaserDisc", "Floppy Disk")
# File systems that allow no quotation mark have another sign in its place.
INCHES = r"\d{1,2}(?:[.,]\d{1,2})? ?(?:[\"'_\u2032\u2033\u201d]{1,2}|in(?:ch)?)[ _-]"
DIGITS = r"\d{1,3}(?![^\W_])"
WORDS = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[ivx]{1,4}|[a-h]"


def _any_of(names: Iterable[str]) -> str:
    """A regular expression for these names, longest first; "-" may be " ", "_" or nothing."""
    escaped = (re.escape(name) for name in sorted(names, key=len, reverse=True))
    return "|".join(re.sub(r"\\[ -]", "[ _-]*", name) for name in escaped)


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """For the folder of a disc, and for the discs in an album's name; made where they are used."""
    part = r"(?:[ _]\([^()]*(?:layer|side|channels?)\))?"
    sole = rf"(?:{_any_of(MEDIA)}|{INCHES}(?:{_any_of(SIZED)})){part}"
    numbered = (
        rf"(?:{_any_of(DISC_WORDS)}|{sole})"
        rf"(?:[\s_.#-]*{DIGITS}|[\s_.#-]+(?:{WORDS})(?![^\W_]))"
        rf"(?:[\s_,-]*side[\s_-]*[a-h1-8](?![^\W_]))?(?:\s*(?:of|/)\s*\d{{1,3}})?"
    )
    title, plain = r"(?:\s*[-\u2013\u2014:_.,(\[].*)?", r"(?:cd|dis[ck])[\s_.#-]*"
    folder = rf"{numbered}{title}|{plain}\d{{1,2}}\s+\D.*|{sole}|[(\[]{numbered}[)\]]"
    in_name = (
        rf"\s*[(\[](?:{numbered}|bonus (?:cd|dis[ck]|dvd))[^)\]]*[)\]]"  # in brackets, anywhere
        rf"|(?:\s*[,:;]|\s[-\u2013\u2014])\s*{numbered}(?:\s*[-\u2013\u2014:].*)?$"  # at the end
        rf"|\s+{plain}\d{{1,2}}$"
    )
    return re.compile(folder, re.IGNORECASE), re.compile(in_name, re.IGNORECASE)


GUESTS = r"(?is)\s[(\[]?(?:feat\.|ft\.|featuring)\s.*"

Key = tuple[str, ...]


def group_key(path: Path, tag: TagInfo, by: str) -> Key | None:
    """The key that all tracks of a group share, by one of `BY`; None for a track without a group.

    By folder, a disc's folder counts as its parent folder. By album, tracks without an album artist
    are grouped only within a folder, tracks without an album by folder, and compilations are not
    grouped. Case, whitespace and disc numbers in names make no difference. By album, the id of a
    MusicBrainz release decides, where a tag has one.
    """
    if by not in BY:
        raise ValueError(f"by is one of {BY}, not {by!r}")
    folder = path.parent
    while is_disc(folder.name):  # a side may lie in the folder of its disc
        folder = folder.parent
    if by == "folder":
        return "folder", str(folder)
    artist = _known(tag.album_artist)
    if by == "track" or tag.compilation or artist in VARIOUS:
        return None
    if tag.release:
        return "release", tag.release.casefold()
    # A name of a megabyte would take hours.
    plain = "" if len(tag.album) > LONGEST else _patterns()[1].sub("", tag.album)
    album = _known(plain or tag.album)
    if not album:
        return "folder", str(folder)
    return ("album", artist, album) if artist else ("album in", str(folder), album)


def is_disc(name: str) -> bool:
    """Whether a folder with this name holds one disc of an album: "CD 2", "Disc 1 - Live"."""
    # File systems change the form of letters.
    return _patterns()[0].fullmatch(unicodedata.normalize("NFKC", name)) is not None


@dataclass(slots=True)
class _Group:
    """Sums over the tracks of one group; its size does not grow with their number."""

    sums: array[float]  # of the probabilities, one per label
    tracks: int = 0
    best: Counter[int] = field(default_factory=Counter)  # label -> tracks whose best genre it is
    precisions: set[str] = field(default_factory=set)
    artist: str = ""
    mixed: bool = False  # its tracks have different artists

    def add(self, prediction: Prediction, artist: str) -> None:
        self.sums = array("d", map(add, self.sums, prediction.probabilities))
        self.tracks += 1
        self.precisions.add(prediction.precision)
        self.best[_best(prediction.labels, prediction.probabilities)] += 1
        self.mixed = self.mixed or bool(artist and self.artist and artist != self.artist)
        self.artist = self.artist or artist


class Albums:
    """Predictions averaged over groups of tracks. Memory grows with the groups, not the tracks.

    First `add` every track once, then call `mean_for` for each; all predictions come from one
    model.
    """

    def __init__(self, by: str) -> None:
        self.by = by
        self._groups: dict[Key, _Group] = {}

    def add(self, prediction: Prediction, tag: TagInfo) -> None:
        """Add a track to its group, unless it is silent."""
        if prediction.is_silent:
            return
        key = group_key(prediction.track.path, tag, self.by)
        if key is not None:
            empty = array("d", bytes(8 * len(prediction.labels)))
            self._groups.setdefault(key, _Group(empty)).add(prediction, _main_artist(tag))

    def mean_for(self, prediction: Prediction, tag: TagInfo) -> tuple[Prediction, str]:
        """A track's prediction with the mean probabilities of its group, and a text that says so.

        `agreement` is then the share of the group's tracks whose best genre is that of the mean. A
        track without others in its group keeps its prediction, and the text is ""; so do the tracks
        of an album (or its folder) that has several artists and no album artist, and silent ones.
        """
        key = group_key(prediction.track.path, tag, self.by)
        group = None if key is None else self._groups.get(key)
        if key is None or group is None or group.tracks < 2 or prediction.is_silent:
            return prediction, ""
        if group.mixed and self.by == "album":
            return prediction, ""
        mean = tuple(total / group.tracks for total in group.sums)
        agreement = group.best[_best(prediction.labels, mean)] / group.tracks
        whole = "folder" if key[0] == "folder" else "album"
        text = f"mean of {group.tracks} tracks of its {whole}"
        precision = common_precision(group.precisions)
        mean_of = replace(prediction, probabilities=mean, agreement=agreement, precision=precision)
        return mean_of, text


def _best(labels: tuple[str, ...], probabilities: tuple[float, ...]) -> int:
    """Index of the best label that is a genre; of equal ones the first, as in `rank_genres`."""
    places = genre_columns(labels) or range(len(labels))
    return max(places, key=probabilities.__getitem__)


def _main_artist(tag: TagInfo) -> str:
    return _known(tag.album_artist) or _known(re.sub(GUESTS, "", tag.artist))


def _known(name: str) -> str:
    """A name in the form that is compared; "" if it only means "unknown"."""
    plain = unicodedata.normalize("NFC", " ".join(name.casefold().split()))
    return "" if plain in UNKNOWN else plain
