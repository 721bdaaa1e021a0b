"""Which genres are written: each option of the policy, through the console script."""

from __future__ import annotations

import subprocess
from pathlib import Path

import mutagen
import pytest
from conftest import Run
from known import ROCK, know, rows_of, song

from tagger.tags import read_genres, write_genres

Genres = tuple[str, ...]
NEW: Genres = ("Rock",)


class Shelf:
    """Three tracks in which the model heard the same, and that have no, one and two genres."""

    def __init__(self, run: Run, root: Path) -> None:
        self.root, self.music, self.run = root, root / "Music", run
        self.plain = song(self.music / "plain.flac")
        self.polka = song(self.music / "polka.mp3", "Polka", kind="mp3")
        self.book = song(self.music / "book.m4a", "Audiobook", "Polka", kind="m4a")
        know(root / "home", [self.plain, self.polka, self.book], ROCK)

    def write(self, *options: object) -> dict[str, dict[str, str]]:
        """Write tags; the rows of the report by the files' names."""
        done = self.run(self.music, "--write-tags", "--csv", "-", *options)
        assert done.returncode == 0, done.stderr
        assert "3 known from earlier runs" in done.stderr
        return rows_of(done.stdout)

    def genres(self) -> tuple[Genres, Genres, Genres]:
        """Of the tracks that had no, one and two genres."""
        return read_genres(self.plain), read_genres(self.polka), read_genres(self.book)

    def file(self, name: str, text: str) -> Path:
        path = self.root / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def shelf(run: Run, tmp_path: Path) -> Shelf:
    return Shelf(run, tmp_path)


@pytest.mark.parametrize(
    ("choice", "polka", "book"),
    [
        ("keep", ("Polka",), ("Audiobook", "Polka")),
        ("append", ("Polka", "Rock"), ("Audiobook", "Polka", "Rock")),
        ("replace", NEW, NEW),
        ("replace-own", ("Polka",), ("Audiobook", "Polka")),
    ],
)
def test_genres_that_are_there_are_kept_appended_to_or_replaced(
    shelf: Shelf, choice: str, polka: Genres, book: Genres
) -> None:
    rows = shelf.write("--on-existing", choice)
    assert shelf.genres() == (NEW, polka, book)
    assert [rows[name]["new_genre"] for name in ("plain.flac", "polka.mp3", "book.m4a")] == [
        "; ".join(genres) for genres in (NEW, polka, book)
    ]


def test_replace_own_replaces_what_a_run_wrote_and_nobody_changed(shelf: Shelf) -> None:
    shelf.write("--provenance", "--on-existing", "replace")
    edited = mutagen.File(shelf.polka, easy=True)  # leaves the field of provenance in place
    edited["genre"] = ["Krautrock"]
    edited.save()
    know(shelf.root / "home", [shelf.polka], ROCK)
    rows = shelf.write("--on-existing", "replace-own", "--top", 2)
    assert shelf.genres() == (("Rock", "Metal"), ("Krautrock",), ("Rock", "Metal"))
    assert rows["polka.mp3"]["reason"] == "its genre is not one that tag-genres wrote"
    assert rows["plain.flac"]["reason"].startswith("replaces what tag-genres wrote")


def test_replace_own_leaves_what_a_run_wrote_without_provenance(shelf: Shelf) -> None:
    shelf.write()
    shelf.write("--on-existing", "replace-own", "--top", 2)
    assert read_genres(shelf.plain) == NEW


def test_each_protected_genre_protects_in_any_case(shelf: Shelf) -> None:
    write_genres(shelf.plain, ["Ska"])
    know(shelf.root / "home", [shelf.plain], ROCK)
    options = ("--on-existing", "replace", "--protect", "AUDIOBOOK", "--protect", "ska")
    rows = shelf.write(*options)
    assert shelf.genres() == (("Ska",), NEW, ("Audiobook", "Polka"))
    assert rows["book.m4a"]["reason"] == "it has Audiobook, which is protected"


@pytest.mark.parametrize(
    ("options", "genres"),
    [
        (["--top", 1], ("Rock",)),
        (["--top", 2], ("Rock", "Metal")),
        (["--top", 3], ("Rock", "Metal")),
        (["--top", 3, "--ratio", 0], ("Rock", "Metal", "Pop")),
        (["--top", 3, "--ratio", 0.6], ("Rock",)),
    ],
)
def test_further_genres_are_as_many_as_top_and_ratio_let_through(
    shelf: Shelf, options: list[object], genres: Genres
) -> None:
    shelf.write(*options)
    assert read_genres(shelf.plain) == genres


def test_aliases_name_what_was_heard_and_what_is_there(shelf: Shelf) -> None:
    aliases = shelf.file("aliases.toml", '"Hard Rock" = ["ROCK"]\nFolk = ["Polka", "/audio.*/"]\n')
    shelf.write("--aliases", aliases, "--on-existing", "append")
    assert shelf.genres() == (("Hard Rock",), ("Folk", "Hard Rock"), ("Folk", "Hard Rock"))


def test_only_what_the_whitelist_has_is_written(shelf: Shelf) -> None:
    names = shelf.file("genres.txt", "# mine\n\nMetal\nJazz\n")
    rows = shelf.write("--whitelist", names)
    assert rows["plain.flac"]["reason"] == "Metal at 0.35 is below 0.5"
    shelf.write("--whitelist", names, "--min-confidence", 0.3)
    assert read_genres(shelf.plain) == ("Metal",)


def test_a_whitelist_that_leaves_nothing_erases_nothing(shelf: Shelf) -> None:
    names = shelf.file("genres.txt", "Zydeco\n")
    rows = shelf.write("--whitelist", names, "--min-confidence", 0, "--on-existing", "replace")
    assert {row["action"] for row in rows.values()} == {"unsure"}
    assert shelf.genres() == ((), ("Polka",), ("Audiobook", "Polka"))


TREES = {
    "tree.toml": 'Music = ["Rock", "Pop"]\nRock = ["Metal"]\n',
    "genres-tree.yaml": "- Music:\n    - Rock:\n        - Metal\n    - Pop\n",
}


@pytest.mark.parametrize("name", TREES)
def test_what_is_not_on_the_whitelist_goes_up_the_tree(shelf: Shelf, name: str) -> None:
    names, tree = shelf.file("genres.txt", "Rock\n"), shelf.file(name, TREES[name])
    rows = shelf.write("--whitelist", names, "--tree", tree, "--top", 3)
    assert read_genres(shelf.plain) == ("Rock",)
    assert rows["plain.flac"]["confidence"] == "0.95"  # its own and that of metal


@pytest.mark.parametrize("name", TREES)
def test_with_parents_the_genres_above_stand_behind(shelf: Shelf, name: str) -> None:
    tree = shelf.file(name, TREES[name])
    shelf.write("--tree", tree, "--with-parents", "--top", 2)
    assert read_genres(shelf.plain) == ("Rock", "Metal", "Music")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--aliases", "no.toml"], "--aliases': 'no.toml' cannot be read (No such file"),
        (["--whitelist", "no.txt"], "--whitelist': 'no.txt' cannot be read (No such file"),
        (["--tree", "no.yaml", "--with-parents"], "--tree': 'no.yaml' cannot be read"),
        (["--whitelist", "empty"], "names no genre; write one a line"),
        (["--whitelist", "."], "cannot be read (Is a directory)"),
        (["--aliases", "regex.toml"], "'/(/' is no regular expression"),
        (["--aliases", "twice.toml"], "'oi' stands for 'Rock' and for 'Pop'"),
        (["--aliases", "empty.txt"], "is not valid TOML"),
        (["--tree", "circle.toml", "--with-parents"], "a circle, Metal under Rock under Metal"),
        (["--tree", "bad.yaml", "--with-parents"], "is not valid YAML"),
        (["--tree", "tree.toml"], "--tree does nothing without --whitelist or --with-parents"),
        (["--with-parents"], "--with-parents needs --tree"),
        (["--ratio", "nan"], "--ratio': not a number"),
        (["--ratio", "1.1"], "--ratio': 1.1 is not in the range"),
        (["--top", "1.5"], "'1.5' is not a valid integer"),
        (["--on-existing", "erase"], "'erase' is not one of"),
        (["--by", "artist"], "'artist' is not one of 'track', 'album', 'folder'"),
    ],
)
def test_a_wrong_rule_is_named_before_anything_is_done(
    run: Run, tmp_path: Path, options: list[str], message: str
) -> None:
    home = tmp_path / "home"
    files = {
        "empty": "# nothing\n",
        "empty.txt": "just words\n",
        "regex.toml": 'Rock = ["/(/"]\n',
        "twice.toml": 'Rock = ["Oi"]\nPop = ["oi"]\n',
        "circle.toml": 'Rock = ["Metal"]\nMetal = ["Rock"]\n',
        "bad.yaml": "- a: [\n",
        **TREES,
    }
    for name, text in files.items():
        (home / name).write_text(text, encoding="utf-8")
    path = song(tmp_path / "Music" / "a.flac")
    before = path.read_bytes()
    assert_refused(run(path, "--write-tags", *options), message)
    assert path.read_bytes() == before and not (home / "state").exists()


def assert_refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    """Wrong usage: exit code 2, and below click's reminder of the usage one line that says why."""
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert len([line for line in lines if line.startswith("Error: ")]) == 1
    assert lines[-1].startswith("Error: ") and message in lines[-1], done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
