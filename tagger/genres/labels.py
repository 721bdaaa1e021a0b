"""How a music library spells the labels of well-known models, and when two names are one genre.

No name holds ";", "/" or ",", at which players split a value. Where labels come from, they tell
themselves: those of AudioSet by their names, those of Discogs by their form, "Parent---Style". Any
other that is not here is taken as it is.
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
# Those of AudioSet's labels that are genres; its others are sounds, instruments, roles and moods.
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
# Parents and styles of Discogs that the lists above spell otherwise.
DISCOGS_NAMES = {"Hip Hop": "Hip-Hop", "Drum n Bass": "Drum & Bass", "Rhythm & Blues": "R&B"}
LABEL_NAMES = GTZAN_NAMES | AUDIOSET_NAMES
MUSIC = "Music"  # AudioSet's label for music of any kind
PARENT_SEPARATOR = "---"  # what stands between parent and style in a label of Discogs
NON_MUSIC = "Non-Music"  # the parent of those of its labels that are no genres: speech, sounds
STYLES = ("style", "parent", "both")  # what of a label of Discogs is written
LONGEST = 1000  # signs of a name that is looked at


def is_audioset(labels: Sequence[str]) -> bool:
    """Whether they are AudioSet's: its genres and "Music" are among them, and sounds beside them.

    A model that was trained on the genres alone has no label for what is no music.
    """
    return _source(tuple(labels)) == "AudioSet"


def is_discogs(labels: Sequence[str]) -> bool:
    """Whether each is a style below its parent: "Electronic---House"."""
    return _source(tuple(labels)) == "Discogs"


def are_independent(labels: Sequence[str]) -> bool:
    """Whether a model with these labels gives each a probability of its own, by a sigmoid.

    The configs of such checkpoints may not say so (`problem_type`); if one says anything, it wins.
    """
    return _source(tuple(labels)) != ""


@lru_cache(maxsize=64)  # this and what follows is asked of every track
def _source(labels: tuple[str, ...]) -> str:
    if {*AUDIOSET_NAMES, MUSIC} <= set(labels):
        return "AudioSet"
    return "Discogs" if labels and all(all(parent_and_style(label)) for label in labels) else ""


def genre_columns(labels: Sequence[str]) -> tuple[int, ...] | None:
    """Which of the labels are genres, by their places; None where each of them is one."""
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
    """The genres of a model, each with the places of the labels whose probabilities add up to it.

    `style` is one of `STYLES`. Where it is not "parent", that is one label, or the labels of one
    style under several parents of Discogs. A name comes once for each that stands for it.
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
    """The genre above the style in a label of Discogs."""
    return _of_discogs(parent_and_style(label)[0])


def parent_and_style(label: str) -> tuple[str, str]:
    """The two parts of a label of Discogs; of any other one "" is the second."""
    parent, _, style = label.partition(PARENT_SEPARATOR)
    return parent.strip(), style.strip()


def _of_discogs(name: str) -> str:
    """Without what players split at: "Funk / Soul" is "Funk & Soul"."""
    plain = " & ".join(map(str.strip, re.split("[/;]", name.replace(",", ""))))
    return DISCOGS_NAMES.get(plain, plain)


def name_key(name: str) -> str:
    """Equal for two spellings of one genre: "Hip-Hop", "hip hop" and "hiphop" give "hiphop".

    Letters and digits alone, without case; of a name that has none, the name without case. So too
    of one of more than `LONGEST` signs, which is no genre: normalising 80,000 accents takes 30 s.
    """
    return _key(name) if len(name) <= LONGEST else name.casefold()


@lru_cache(maxsize=1 << 14)
def _key(name: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    # Marks (M) belong to the letters: the vowels of Devanagari or Thai are such.
    kept = "".join(sign for sign in folded if unicodedata.category(sign)[0] in "LMN")
    return kept or folded


def unique_names(names: Iterable[str], key: Callable[[str], str] = str.casefold) -> tuple[str, ...]:
    """The first of those that have one key, without blanks around it; none that is blank.

    By default those are one that differ in case alone.
    """
    first: dict[str, str] = {}
    for name in map(str.strip, names):
        if name:
            first.setdefault(key(name), name)
    return tuple(first.values())
