"""Who made a clip: read from the tags of the files, and compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tagger.errors import Crashed, TagError
from tagger.files.process import SECONDS, run_isolated
from tagger.genres.albums import UNKNOWN, VARIOUS, is_disc
from training.clips.clip import Clip
from training.clips.parts import stated_part
from training.console import progress

SEPARATOR = "; "  # of several artists in one text
# "Queen feat. David Bowie" is a clip by Queen. "&", "," and "and" are part of too many names.
GUESTS = re.compile(r"\s*[(\[]?(?<!\w)(?:feat|ft|featuring|f/)(?:\.|(?!\w)).*", re.I | re.S)
SEVERAL = re.compile(r"[;\0\uff1b]|\s[/|]\s|\s//\s", re.I)
YEAR = re.compile(r"(?:19|20)\d\d")
NOBODY = frozenset([
    "", "-", "--", "?", "??", "???", "_", ".", "n/a", "none", "no artist", "artist", "artists",
    "various composers", "compilation", "compilations", "soundtrack", "soundtracks",
    "unsorted", "misc", "singles",
    "mixed artists", "multiple artists", "assorted artists", "various performers",
])  # fmt: skip


def artist_key(name: str) -> str:
    """A name for comparison, regardless of case, whitespace and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def artist_keys(clip: Clip) -> frozenset[str]:
    """The clip's artists for comparison, without guests ("feat. ..."); empty if unknown.

    "Various Artists", "Unknown", and folders of discs, years and parts of a split are no artists.
    """
    names = (GUESTS.sub("", name) or name for name in SEVERAL.split(clip.artist))
    return frozenset(key for key in map(artist_key, names) if not _is_nobody(key))


def _is_nobody(key: str) -> bool:
    plain = key.strip("[]()<> ")
    return (
        plain in NOBODY
        or any(unicodedata.normalize("NFC", form) in KNOWN_NOBODY for form in (key, plain))
        or is_disc(key)
        or YEAR.fullmatch(key) is not None
        or stated_part(key).startswith("fold")
    )


KNOWN_NOBODY = frozenset(artist_key(name) for name in (*VARIOUS, *UNKNOWN))


def read_tags(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with the artists of their tags, and the fingerprints of their audio.

    A file whose tag names no artist keeps what is known of it, and so does a clip whose artist
    comes from a table; an artist that is only the name of a folder is replaced. Shows its progress.
    """
    found = []
    with progress(len(clips), "reading tags", "files") as shown:
        for clip in clips:
            found.append(_with_tag(clip))
            shown.advance()
    return found


def _with_tag(clip: Clip) -> Clip:
    try:
        names, audio = run_isolated(SECONDS, read_file, clip.path)
    except Crashed:
        return clip
    found = replace(clip, audio=audio.hex())
    tagged = replace(found, artist=SEPARATOR.join(names))
    is_folder = not clip.artist or clip.artist in clip.path.parts[:-1]
    return tagged if is_folder and artist_keys(tagged) else found


def read_file(path: Path) -> tuple[tuple[str, ...], bytes]:
    """The artists in a file's tag and the fingerprint of its audio, empty if they cannot be read.

    It is called in a child process, since the file is untrusted.
    """
    from tagger.tags.fingerprint import fingerprint
    from tagger.tags.genre_tag import read_artists

    try:
        names = read_artists(path)
    except (TagError, OSError):
        names = ()
    return tuple(dict.fromkeys(names)), fingerprint(path) or b""
