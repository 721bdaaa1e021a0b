"""Several genres in one value, as taggers and stores join them: "Audiobook, Fantasy". Pure.

A value is split at the separators that the user chose. Genres whose own name contains a separator
stay whole: those below, those of the models, and those in the user's vocabulary.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from tagger.genres.labels import AUDIOSET_NAMES, DISCOGS_NAMES, LABEL_NAMES, LONGEST

# Lastgenre, Mp3tag, stores, Navidrome and Jellyfin join or split the genres of a value at these.
SEPARATORS = ";,/|\\"
# The same separators in Chinese, Japanese, Greek and Arabic texts.
VARIANTS = {
    ";": "\uff1b\u037e\u061b", ",": "\uff0c\u3001\uff64\u060c", "/": "\uff0f\u2215\u2044",
    "|": "\uff5c", "\\": "\uff3c",
}  # fmt: skip
# Spaces around "/" count: Discogs' "Funk / Soul" is one genre, "Funk/Soul" is two joined ones. Not
# listed is "Pop/Rock" of AllMusic and iTunes: whoever protects Rock means these tracks too.
KNOWN = (
    # ID3v1
    "Pop/Funk",
    # Discogs: genres and styles
    "Folk, World, & Country", "Folk, World & Country", "Funk / Soul", "RnB/Swing", "Cut-up/DJ",
    # iTunes and Apple Music
    "R&B/Soul", "Hip-Hop/Rap", "Singer/Songwriter", "Contemporary Singer/Songwriter",
    "Electronica/Dance", "Jungle/Drum'n'Bass", "IDM/Experimental", "Prog-Rock/Art Rock",
    "Death Metal/Black Metal", "Gospel/Religious",
    # AllMusic, which Windows Media Player and other programs copied
    "Alternative/Indie Rock", "Alternative Pop/Rock", "Adult Alternative Pop/Rock",
    "Contemporary Pop/Rock", "Early Pop/Rock", "American Punk/New Wave", "Art-Rock/Experimental",
    "Club/Dance", "Comedy/Spoken", "Comedy/Spoken Word", "Folk/Country Rock", "Punk/New Wave",
    "Psychedelic/Garage", "Rock & Roll/Roots", "Post-Rock/Experimental", "Show/Musical",
    "Big Band/Swing", "New Orleans/Classic Jazz", "Soul Jazz/Groove", "Straight-Ahead/Mainstream",
    "Nashville Sound/Countrypolitan", "Film/TV Soundtracks", "Electric/Country Blues",
    # Rippers and download stores
    "Children's/Spoken Word", "Breaks / Breakbeat / UK Bass", "Minimal / Deep Tech",
    "Indie Dance / Nu Disco", "140 / Deep Dubstep / Grime", "Hard Dance / Hardcore",
    "Ambient / Experimental",
    # No genre, but part of names such as "AC/DC style"
    "AC/DC",
    # Names of the models, for separators such as "&"
    *LABEL_NAMES, *AUDIOSET_NAMES.values(), *DISCOGS_NAMES, *DISCOGS_NAMES.values(),
)  # fmt: skip
# Where a separator is none: the end of an HTML entity ("R&amp;B"), and abbreviations with one or
# two Latin letters on each side of a slash ("AC/DC", "N/A", "24/7").
NO_SEPARATOR = r"&(?:amp|apos|quot|nbsp|#\d{1,6});|(?<![\w&])[a-z\d]{1,2}/[a-z\d]{1,2}(?![\w&])"


def check_separators(separators: str) -> str:
    """The separators without spaces. Raises `ValueError` if letters or digits are among them."""
    kept = "".join(separators.split())
    if any(char.isalnum() for char in kept):
        raise ValueError(f"{separators!r} contains letters or digits; give characters such as ;,/")
    return kept


def split_value(value: str, separators: str, own: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The genres in one value, stripped and in order; the value itself if it is not joined.

    Of the known names that begin at one place, the longest counts. `own` are the user's names.
    """
    if len(value) > LONGEST:  # a cache must not fill with values of a megabyte
        return _split(value, separators, own)
    return _split_cached(unicodedata.normalize("NFC", value), separators, own)


def _split(value: str, separators: str, own: tuple[str, ...]) -> tuple[str, ...]:
    if not separators:
        return (value,)
    parts = (match[0].strip() for match in _pattern(separators, own).finditer(value))
    return tuple(filter(None, parts)) or (value,)


_split_cached = lru_cache(maxsize=1 << 14)(_split)


@lru_cache(maxsize=16)
def _pattern(separators: str, own: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern that matches each genre in a value, but no separator between two of them.

    As in `name_key`, case and punctuation of known names make no difference.
    """
    marks = re.escape("".join(char + VARIANTS.get(char, "") for char in separators))
    text = f"(?:{NO_SEPARATOR}|[^{marks}])+"
    # A user's name may have spaces around its separators or not.
    names = [re.sub(rf"\s*([{marks}])\s*", r"\1", name) for name in own] + list(KNOWN)
    names = [name for name in dict.fromkeys(names) if re.search(f"[{marks}]", name)]
    if not names:
        return re.compile(text, re.IGNORECASE)
    gap = rf"[^\w{marks}]*"
    known = "|".join(_form(name, marks, gap) for name in sorted(names, key=len, reverse=True))
    return re.compile(f"{gap}(?:{known}){gap}(?=[{marks}]|$)|{text}", re.IGNORECASE)


def _form(name: str, marks: str, gap: str) -> str:
    """A pattern for a known name: its words and separators, with anything else between them."""
    steps = []
    for word, space, mark in re.findall(rf"(\w+)|(\s?)([{marks}])", name):
        if word:
            steps.append(re.escape(word))
        elif space and mark == "/":
            steps.append(r"(?<=\s)/(?=\s)")
        else:
            steps.append(f"[{re.escape(mark + VARIANTS.get(mark, ''))}]")
    return gap.join(steps)  # no gap at its start: two in a row would take quadratic time
