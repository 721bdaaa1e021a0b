"""What other programs show of every container before and after a write of ours.

The programs are those of `helpers.programs`; what they show of two genres is stored beside
`examples/readers.py`, which made it, and shown in `tagger/tags/README.md`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache

import pytest
from helpers.command import ROOT
from helpers.containers import make
from helpers.programs import PROGRAMS, shown_by
from helpers.tagged import set_by_mutagen
from readers import (
    ARTIST,
    GENRES,
    NO_TAGS,
    ROWS,
    STORED,
    TITLE,
    by_mutagen,
    in_a_word,
    table,
    tagged,
)

from tagger.tags.genre_tag import write_genres

STORED_RESULT = json.loads(STORED.read_text("utf-8"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_is_asked_rightly(tmp_path, name):
    path = make("mp3", tmp_path)
    set_by_mutagen(path, {"TCON": ["Jazz"], "TIT2": ["A: Träumerei"], "TPE1": ["Anna"]})
    (shown,) = shown_by(name, path)
    assert shown == (("Jazz",), "A: Träumerei", "Anna")
    assert PROGRAMS[name].version()[0].isdigit()


def test_the_page_about_tags_shows_the_stored_table():
    assert table(STORED_RESULT) in (ROOT / "tagger/tags/README.md").read_text("utf-8")
    assert list(STORED_RESULT["rows"]) == list(ROWS)
    assert list(STORED_RESULT["versions"]) == list(PROGRAMS)


# name: (genres that a file has before, or None for a file without tags; genres that are written)
WRITES: dict[str, tuple[Sequence[str] | None, Sequence[str]]] = {
    "one into no tags": (None, GENRES[:1]),
    "two into no tags": (None, GENRES),
    "one beside other tags": ((), GENRES[:1]),
    "two beside other tags": ((), GENRES),
    "one over two": (("Polka", "Ska"), GENRES[:1]),
    "two over one": (("Polka",), GENRES),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """For a row, a file with other tags before any write, and one after each write."""

    @cache
    def of(row):
        folder, tag = tmp_path_factory.mktemp("row"), ROWS[row].tag
        paths = {"before": tagged(ROWS[row], folder / "before", ())}
        for name, (before, genres) in WRITES.items():
            if before is None and tag is not by_mutagen:
                continue  # where there is no tag, the row says nothing about the new one
            paths[name] = tagged(ROWS[row], folder / name, before)
            write_genres(paths[name], list(genres))
        return paths

    return of


@cache
def is_other_version(program: str) -> str:
    """Why the stored table may not hold for the program that is here, or ""."""
    here, there = PROGRAMS[program].version(), STORED_RESULT["versions"][program]
    return "" if here == there else f"the table was made with {program} {there}, here is {here}"


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("row", ROWS)
def test_every_program_shows_of_a_write_what_the_readme_says(files, row, program):
    paths = files(row)
    shown = dict(zip(paths, shown_by(program, *paths.values()), strict=True))
    try:
        compare(row, program, shown)
    except AssertionError as error:
        if not (why := is_other_version(program)):
            raise
        (pytest.fail if os.environ.get("REQUIRE_PROGRAMS") == "1" else pytest.skip)(
            f"{why}, which shows something else: {error}"
        )


def compare(row, program, shown):
    """What a program shows before and after each write, with the stored table."""
    word, other_tags = STORED_RESULT["rows"][row][program], shown.pop("before")
    everything = ("", "") if word == NO_TAGS else (TITLE, ARTIST)
    # A new ID3v2 tag or RIFF INFO list shows to more programs what the older tag says.
    if ROWS[row].tag is by_mutagen and ROWS[row].kind != "wav":
        assert other_tags == ((), *everything)
    for name, after in shown.items():
        had, genres = WRITES[name]
        assert after[1:] == (("", "") if had is None else everything), name
        if word in ("none", NO_TAGS):
            assert after.genres == (), name
        elif len(genres) == 1:
            assert set(after.genres) == set(genres), name  # exiftool shows that of each tag
        else:
            assert in_a_word(after, GENRES) == word, name
