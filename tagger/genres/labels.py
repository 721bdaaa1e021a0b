"""How a music library spells the labels of well-known models, and when two names are one genre.

No name contains ";", "/" or ",", since players split values there. A model's labels show which data
set they come from: AudioSet's by their names, Discogs' by their form, "Parent---Style". Any other
label that is not listed here is used as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

GTZAN_NAMES = {
    "blues": "Blues",
    "classical": "Classical",
    "country": "Country",
    "disco": "Disco",
    "hiphop": "Hip-Hop",
    "jazz": "Jazz",
    "metal": "Metal",
    "pop": "Pop",
    "reggae": "Reggae",
    "rock": "Rock",
}
# The labels of AudioSet that are genres; the others are sounds, instruments, roles and moods.
AUDIOSET_NAMES = {
    "Pop music": "Pop",
    "Hip hop music": "Hip-Hop",
    "Rock music": "Rock",
    "Heavy metal": "Heavy Metal",
    "Punk rock": "Punk Rock",
    "Grunge": "Grunge",
    "Progressive rock": "Progressive Rock",
    "Rock and roll": "Rock & Roll",
    "Psychedelic rock": "Psychedelic Rock",
    "Rhythm and blues": "R&B",
    "Soul music": "Soul",
    "Reggae": "Reggae",
    "Country": "Country",
    "Swing music": "Swing",
    "Bluegrass": "Bluegrass",
    "Funk": "Funk",
    "Folk music": "Folk",
    "Middle Eastern music": "Middle Eastern",
    "Jazz": "Jazz",
    "Disco": "Disco",
    "Classical music": "Classical",
    "Opera": "Opera",
    "Electronic music": "Electronic",
    "House music": "House",
    "Techno": "Techno",
    "Dubstep": "Dubstep",
    "Drum and bass": "Drum & Bass",
    "Electronica": "Electronica",
    "Electronic dance music": "EDM",
    "Ambient music": "Ambient",
    "Trance music": "Trance",
    "Music of Latin America": "Latin",
    "Salsa music": "Salsa",
    "Flamenco": "Flamenco",
    "Blues": "Blues",
    "Music for children": "Children's Music",
    "New-age music": "New Age",
    "Vocal music": "Vocal",
    "A capella": "A Cappella",
    "Music of Africa": "African",
    "Afrobeat": "Afrobeat",
    "Christian music": "Christian",
    "Gospel music": "Gospel",
    "Music of Asia": "Asian",
    "Carnatic music": "Carnatic",
    "Music of Bollywood": "Bollywood",
    "Ska": "Ska",
    "Traditional music": "Traditional",
    "Independent music": "Indie",
}
# Parents and styles of Discogs that the lists above spell differently.
DISCOGS_NAMES = {"Hip Hop": "Hip-Hop", "Drum n Bass": "Drum & Bass", "Rhythm & Blues": "R&B"}
LABEL_NAMES = GTZAN_NAMES | AUDIOSET_NAMES
MUSIC = "Music"  # AudioSet's label for music of any kind
PARENT_SEPARATOR = "---"  # between parent and style in a Discogs label
NON_MUSIC = "Non-Music"  # the parent of Discogs labels that are not genres: speech, sounds
STYLES = ("style", "parent", "both")  # which part of a Discogs label is written
LONGEST = 1000  # characters; longer names are compared as they are


def is_audioset(labels: Sequence[str]) -> bool:
    """Whether these are AudioSet's labels: its genres and "Music" are among them.

    A model that was trained only on the genres has no label for other sounds.
    """
    return _source(tuple(labels)) == "AudioSet"


def is_discogs(labels: Sequence[str]) -> bool:
    """Whether each label is a style below its parent: "Electronic---House"."""
    return _source(tuple(labels)) == "Discogs"


def are_independent(labels: Sequence[str]) -> bool:
    """Whether a model with these labels gives each its own probability, by a sigmoid.

    The configs of such checkpoints may not say so; a `problem_type` in a config takes precedence.
    """
    return _source(tuple(labels)) != ""


@lru_cache(maxsize=64)  # this and the functions below are called for every track
def _source(labels: tuple[str, ...]) -> str:
    if {*AUDIOSET_NAMES, MUSIC} <= set(labels):
        return "AudioSet"
    return "Discogs" if labels and all(all(parent_and_style(label)) for label in labels) else ""


def genre_columns(labels: Sequence[str]) -> tuple[int, ...] | None:
    """The indices of the labels that are genres; None if all of them are."""
    return _genre_columns(tuple(labels))


@lru_cache(maxsize=64)
def _genre_columns(labels: tuple[str, ...]) -> tuple[int, ...] | None:
    if is_discogs(labels):
        parents = [parent_and_style(label)[0] for label in labels]
        return tuple(place for place, parent in enumerate(parents) if parent != NON_MUSIC)
    if is_audioset(labels):
        return tuple(place for place, label in enumerate(labels) if label in AUDIOSET_NAMES)
    return None


def genres_of(labels: Sequence[str], style: str = "style") -> list[tuple[str, tuple[int, ...]]]:
    """The genres of a model, each with the indices of the labels whose probabilities add up to it.

    `style` is one of `STYLES`. Unless it is "parent", a genre has the index of one label, or those
    of one style under several Discogs parents. A genre may occur several times.
    """
    places = genre_columns(labels)
    if places is None:
        places = tuple(range(len(labels)))
    if not is_discogs(labels):
        return [(LABEL_NAMES.get(labels[place], labels[place]), (place,)) for place in places]
    if style == "parent":
        return [(parent_of(labels[place]), (place,)) for place in places]
    names = {place: _of_discogs(parent_and_style(labels[place])[1]) for place in places}
    same: dict[str, list[int]] = {}
    for place, name in names.items():
        same.setdefault(name_key(name), []).append(place)
    return [(names[places[0]], tuple(places)) for places in same.values()]


def parent_of(label: str) -> str:
    """The genre above the style in a Discogs label."""
    return _of_discogs(parent_and_style(label)[0])


def parent_and_style(label: str) -> tuple[str, str]:
    """The two parts of a Discogs label; for any other label the second is ""."""
    parent, _, style = label.partition(PARENT_SEPARATOR)
    return parent.strip(), style.strip()


def _of_discogs(name: str) -> str:
    """The name without characters where players split: "Funk / Soul" becomes "Funk & Soul"."""
    plain = " & ".join(map(str.strip, re.split("[/;]", name.replace(",", ""))))
    return DISCOGS_NAMES.get(plain, plain)


def name_key(name: str) -> str:
    """Equal for two spellings of one genre: "Hip-Hop", "hip hop" and "hiphop" give "hiphop".

    It is the letters and digits of the name, case-folded; or the whole name, case-folded, if it has
    none of these, or more than `LONGEST` characters: normalising 80,000 accents takes 30 s.
    """
    return _key(name) if len(name) <= LONGEST else name.casefold()


@lru_cache(maxsize=1 << 14)
def _key(name: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    # Marks (M) belong to letters: the vowels of Devanagari and Thai are marks.
    kept = "".join(char for char in folded if unicodedata.category(char)[0] in "LMN")
    return kept or folded


def unique_names(names: Iterable[str], key: Callable[[str], str] = str.casefold) -> tuple[str, ...]:
    """The names, stripped, without empty ones; only the first of several names with the same key.

    By default, names that differ only in case have the same key.
    """
    first: dict[str, str] = {}
    for name in map(str.strip, names):
        if name:
            first.setdefault(key(name), name)
    return tuple(first.values())
