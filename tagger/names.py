"""How a music library spells the labels of well-known models, and when two names are one genre.

No name holds ";", "/" or ",", at which players split a value. Labels that are not here are taken as
they are.
"""

from __future__ import annotations

import unicodedata
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
LABEL_NAMES = GTZAN_NAMES | AUDIOSET_NAMES
LONGEST = 1000  # signs of a name that is looked at


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
