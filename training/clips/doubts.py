"""Labels that are probably no genres: folders that were meant as something else. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from tagger.files.scan import SUFFIXES
from tagger.genres.albums import UNKNOWN, VARIOUS, is_disc
from training.clips.artists import artist_key, artist_keys
from training.clips.clip import Clip
from training.clips.parts import stated_part, words_of

SHOWN = 4  # labels in a message
FEW = 5  # labels, below which nothing can be said of them together
YEAR = re.compile(r"(?:19|20)\d\d(?:\W.*)?")
NO_GENRES = frozenset([
    "untitled", "untitled folder", "neuer ordner", "nouveau dossier", "nueva carpeta",
    "nova pasta", "nuova cartella", "nieuwe map", "unsorted", "unsortiert", "not sorted", "to sort",
    "sort me", "tbd", "todo", "misc", "miscellaneous", "inbox", "incoming", "download", "downloads",
    "temp", "tmp", "test", "backup", "old", "new", "audio", "audios", "songs", "tracks", "files",
    "clips", "samples", "wavs", "mp3s", "my music", "playlist", "playlists", "compilations",
    "unlabelled", "unlabeled", "unknown genre", "no genre", "genre", "genres", "none", "null",
    "nan", "other files",
    "album", "albums", "artist", "artists", "lossless", "lossy", "itunes", "itunes media",
])  # fmt: skip
PART_WORDS = frozenset(["train", "training", "test", "testing", "validation"])  # at the end
NEW_FOLDER = re.compile(r"new folder.*|untitled folder.*|neuer ordner.*|copy of .*|.* - copy")
NOBODY = frozenset(artist_key(name) for name in (*VARIOUS, *UNKNOWN))


def doubt(label: str) -> str:
    """Why a label is probably no genre, "" if it may be one."""
    plain = unicodedata.normalize("NFKC", " ".join(label.casefold().split()))
    words = " ".join(re.split(r"[\W_]+", plain)).strip()
    if stated_part(label) or PART_WORDS & set(words_of(label)[-1:]):
        return "names a part of a split"
    if is_disc(label):
        return "names a disc"
    if YEAR.fullmatch(plain):
        return "is a year"
    if not any(map(str.isalpha, plain)):
        return "is a number" if words else "has no letters"
    if plain in NOBODY:
        return "names no artist"
    if plain in NO_GENRES or words in NO_GENRES or NEW_FOLDER.fullmatch(plain):
        return "says nothing of the music"
    if f".{plain.lstrip('.')}" in SUFFIXES:
        return "names a kind of file"
    return ""


def doubts(clips: Sequence[Clip]) -> str:
    """What is wrong with the labels of these clips, in a few words; "" if they may be genres."""
    counts = Counter(clip.label for clip in clips)
    odd = [(label, why) for label in sorted(counts) if (why := doubt(label))]
    if odd:
        shown = [f"{label!r} ({counts[label]} clips) {why}" for label, why in odd[:SHOWN]]
        more = len(odd) - SHOWN
        return ", ".join(shown) + (f", and {more} more" if more > 0 else "")
    by_itself = [artist_key(clip.label) in artist_keys(clip) for clip in clips]
    if clips and all(by_itself):
        return f"all {len(counts)} labels are artists, such as {min(counts)!r}"
    if len(counts) < FEW:
        return ""
    if 2 * sum(count == 1 for count in counts.values()) > len(counts):
        return f"most of the {len(counts)} labels have a single clip, as artists or albums have"
    named = {clip.label for clip, artist in zip(clips, by_itself, strict=True) if artist}
    if 2 * len(named) > len(counts):
        return f"most of the {len(counts)} labels are artists, such as {min(named)!r}"
    return ""
