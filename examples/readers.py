"""Show which genres other programs read in each container, after two were written.

    python examples/readers.py [--store examples/readers.json]

It makes a short file of every container with a title, an artist and an older genre, replaces the
genre by two, and asks the programs that are installed. The table is in Markdown, as in
`tagger/tags/README.md`; `--store` keeps it, with the versions of the programs, for the tests. Needs
the extra `test`.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from helpers.containers import KINDS, make
from helpers.programs import PROGRAMS, Shown, shown_by
from helpers.tagged import album_keys, ape_tag, set_by_mutagen, tag_with_mutagen

STORED = Path(__file__).with_suffix(".json")
TITLE, ARTIST = "Blue Title", "Anna"
GENRES = ("Jazz", "Bebop Revival")  # the second is no genre with a number in ID3v1
NO_TAGS = "-"  # the program reads no tag in this container


@dataclass(frozen=True)
class Row:
    """A container, and the tags that a file has before a genre is written."""

    kind: str  # of `helpers.containers`
    tag: Callable[[Path, Sequence[str]], None]  # give it a title, an artist and these genres


def by_mutagen(path: Path, genres: Sequence[str]) -> None:
    """By mutagen, not by the code that is shown."""
    tag_with_mutagen(path, title=[TITLE], **({"genre": list(genres)} if genres else {}))
    set_by_mutagen(path, {album_keys(path)[2]: [ARTIST]})


def as_id3v23(path: Path, genres: Sequence[str]) -> None:
    """In ID3v2.3, which has one value for all genres."""
    import mutagen

    by_mutagen(path, genres)
    media = mutagen.File(path)
    media.tags.update_to_v23()
    media.save(v2_version=3, v23_sep="; ")


def with_apev2(path: Path, genres: Sequence[str]) -> None:
    """In ID3v2.4 and in an APEv2 behind the audio."""
    by_mutagen(path, genres)
    as_apev2(path, genres)


def as_apev2(path: Path, genres: Sequence[str]) -> None:
    """In an APEv2 behind the audio alone."""
    items = {"Title": TITLE, "Artist": ARTIST, **({"Genre": "\0".join(genres)} if genres else {})}
    path.write_bytes(path.read_bytes() + ape_tag(**items))


def as_riff_info(path: Path, genres: Sequence[str]) -> None:
    """In the RIFF INFO list of a WAV alone."""
    texts = {"INAM": TITLE, "IART": ARTIST, "IGNR": "; ".join(genres)}
    items = b""
    for name, text in texts.items():
        value = text.encode() + b"\0"
        padded = value + b"\0" * (len(value) % 2)
        items += (name.encode() + struct.pack("<I", len(value)) + padded) if text else b""
    data = path.read_bytes() + b"LIST" + struct.pack("<I", 4 + len(items)) + b"INFO" + items
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


ROWS = {
    "MP3, ID3v2.4": Row("mp3", by_mutagen),
    "MP3, ID3v2.3": Row("mp3", as_id3v23),
    "MP3, ID3v2.4 and APEv2": Row("mp3", with_apev2),
    "MP3, APEv2 alone": Row("mp3", as_apev2),
    "WAV, ID3v2": Row("wav", by_mutagen),
    "WAV, RIFF INFO": Row("wav", as_riff_info),
}
NAMES = {
    "mp2": "MP2", "tta": "True Audio", "aiff": "AIFF", "wavpack": "WavPack", "flac": "FLAC",
    "ogg-flac": "Ogg FLAC", "vorbis": "Ogg Vorbis", "opus": "Opus", "speex": "Speex",
    "m4a": "M4A, AAC", "alac": "M4A, ALAC", "wma": "WMA", "dsf": "DSF", "dsdiff": "DSDIFF",
    "musepack": "Musepack", "ape": "Monkey's Audio",
}  # fmt: skip
ROWS |= {
    NAMES.get(kind, kind): Row(kind, by_mutagen) for kind in KINDS if kind not in ("mp3", "wav")
}


def tagged(row: Row, folder: Path, genres: Sequence[str] | None) -> Path:
    """A file with a title, an artist and these genres, or without any tag."""
    folder.mkdir(parents=True)
    path = make(row.kind, folder)
    if genres is not None:
        row.tag(path, genres)
    return path


def in_a_word(shown: Shown, genres: Sequence[str]) -> str:
    """What a program shows of two genres; its own words if it is neither of these."""
    first, second = genres
    seen = tuple(genre.strip() for genre in shown.genres)
    if not seen:
        return "none" if shown.title else NO_TAGS
    if sorted(seen) == sorted(genres):
        return "both"
    if all(text.startswith(first) and second in text for text in seen):
        return "joined"
    text = " | ".join(seen)
    return {first: "first", second: "last"}.get(text, text)


def measure() -> dict[str, dict[str, str]]:
    """For each row what each program shows, in a word."""
    from tagger.tags.genre_tag import write_genres

    programs = [name for name, program in PROGRAMS.items() if program.is_here]
    found: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: tagged(row, Path(folder, name), ["Polka"]) for name, row in ROWS.items()}
        for path in paths.values():
            write_genres(path, GENRES)
        for program in programs:
            for name, shown in zip(paths, shown_by(program, *paths.values()), strict=True):
                found.setdefault(name, {})[program] = in_a_word(shown, GENRES)
    return found


def table(stored: Mapping[str, Mapping[str, Mapping[str, str]]]) -> str:
    """The stored result in Markdown."""
    programs = list(stored["versions"])
    lines = ["| container | " + " | ".join(programs) + " |", "|---" * (len(programs) + 1) + "|"]
    by_words: dict[tuple[str, ...], list[str]] = {}  # containers that every program reads alike
    for name, row in stored["rows"].items():
        by_words.setdefault(tuple(row[program] for program in programs), []).append(name)
    for words, names in by_words.items():
        lines.append(f"| {'; '.join(names)} | " + " | ".join(words) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table and the versions."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", type=Path, help="also keep the result in this file")
    arguments = parser.parse_args()
    rows = measure()
    versions = {name: PROGRAMS[name].version() for name in PROGRAMS if PROGRAMS[name].is_here}
    stored = {"versions": versions, "rows": rows}
    if arguments.store:
        text = json.dumps(stored, ensure_ascii=False, indent=1)
        arguments.store.write_text(text + "\n", encoding="utf-8")
    print(table(stored), end="")
    print("\n" + ", ".join(f"{name} {version}" for name, version in versions.items()))


if __name__ == "__main__":
    main()
