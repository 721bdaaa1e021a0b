"""Which genres are written: each option of the policy, through the console script."""

from __future__ import annotations

import subprocess
from pathlib import Path

import mutagen
import pytest
from helpers.command import Run
from helpers.known import ROCK, know, rows_of, song, state_of
from helpers.models import save_ast

from tagger.genres.labels import AUDIOSET_NAMES
from tagger.models.find import find_model
from tagger.state.store import State
from tagger.tags.genre_tag import read_genres, write_genres
from tagger.types import Prediction, PredictOptions, Track

Genres = tuple[str, ...]
NEW: Genres = ("Rock",)


class Shelf:
    """Three tracks with the same prediction, and with no, one and two genres."""

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
        """The genres of the tracks that had no, one and two genres."""
        return read_genres(self.plain), read_genres(self.polka), read_genres(self.book)

    def file(self, name: str, text: str) -> Path:
        path = self.root / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def shelf(invoke: Run, tmp_path: Path) -> Shelf:
    return Shelf(invoke, tmp_path)


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


def test_aliases_rename_predicted_and_existing_genres(shelf: Shelf) -> None:
    aliases = shelf.file("aliases.toml", '"Hard Rock" = ["ROCK"]\nFolk = ["Polka", "/audio.*/"]\n')
    shelf.write("--aliases", aliases, "--on-existing", "append")
    assert shelf.genres() == (("Hard Rock",), ("Folk", "Hard Rock"), ("Folk", "Hard Rock"))


def test_only_genres_of_the_whitelist_are_written(shelf: Shelf) -> None:
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
def test_with_parents_the_genres_above_follow(shelf: Shelf, name: str) -> None:
    tree = shelf.file(name, TREES[name])
    shelf.write("--tree", tree, "--with-parents", "--top", 2)
    assert read_genres(shelf.plain) == ("Rock", "Metal", "Music")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--aliases", "no.toml"], "--aliases': 'no.toml' cannot be read (No such file"),
        (["--whitelist", "no.txt"], "--whitelist': 'no.txt' cannot be read (No such file"),
        (["--tree", "no.yaml", "--with-parents"], "--tree': 'no.yaml' cannot be read"),
        (["--whitelist", "empty"], "names no genre; write one on each line"),
        (["--whitelist", "."], "cannot be read (Is a directory)"),
        (["--aliases", "regex.toml"], "'/(/' is not a regular expression"),
        (["--aliases", "twice.toml"], "'oi' is an alias of both 'Rock' and 'Pop'"),
        (["--aliases", "empty.txt"], "is not valid TOML"),
        (["--tree", "circle.toml", "--with-parents"], "a circle, Metal under Rock under Metal"),
        (["--tree", "bad.yaml", "--with-parents"], "is not valid YAML"),
        (["--tree", "tree.toml"], "--tree does nothing without --whitelist or --with-parents"),
        (["--with-parents"], "--with-parents needs --tree"),
        (["--ratio", "nan"], "--ratio': not a number"),
        (["--ratio", "1.1"], "--ratio': 1.1 is not in the range"),
        (["--top", "1.5"], "'1.5' is not a valid integer"),
        (["--on-existing", "erase"], "'erase' is not one of"),
        (["--style", "child"], "'child' is not one of 'style', 'parent', 'both'"),
        (["--min-music", "nan"], "--min-music': not a number"),
        (["--min-music", "2"], "--min-music': 2.0 is not in the range"),
        (["--by", "artist"], "'artist' is not one of 'track', 'album', 'folder'"),
    ],
)
def test_a_wrong_rule_is_named_before_anything_is_done(
    invoke: Run, tmp_path: Path, options: list[str], message: str
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
    assert_refused(invoke(path, "--write-tags", *options), message)
    assert path.read_bytes() == before and not (home / "state").exists()


def assert_refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    """Wrong usage: exit code 2, and one line with the reason below click's usage line."""
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert len([line for line in lines if line.startswith("Error: ")]) == 1
    assert lines[-1].startswith("Error: ") and message in lines[-1], done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


# --- checkpoints with labels of AudioSet and Discogs ----------------------------------------------

AUDIOSET = ("Speech", "Music", "Guitar", *AUDIOSET_NAMES)
DISCOGS = (
    "Electronic---Dub", "Reggae---Dub", "Electronic---House", "Folk, World, & Country---Polka",
    "Funk / Soul---Soul", "Non-Music---Audiobook",
)  # fmt: skip
MUSIC = {"Music": 0.9, "Guitar": 0.8, "Folk music": 0.3, "Country": 0.2}
TALK = {"Speech": 0.9, "Music": 0.04, "Folk music": 0.3}
DUB = {"Electronic---Dub": 0.3, "Reggae---Dub": 0.4, "Folk, World, & Country---Polka": 0.5}
BOOK = {"Non-Music---Audiobook": 0.61, "Electronic---House": 0.6}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models with random weights: the tests choose their predictions."""
    root = tmp_path_factory.mktemp("models")
    return {
        "audioset": save_ast(root / "audioset", AUDIOSET, layers=1),
        "discogs": save_ast(root / "discogs", DISCOGS, layers=1),
    }


def know_by(model: Path, home: Path, path: Path, shares: dict[str, float]) -> None:
    """Store this as a model's prediction for a file."""
    info = find_model(str(model))
    track = Track.of(path, path.stat())
    probabilities = tuple(shares.get(label, 0.0) for label in info.labels)
    plan = info.plan(PredictOptions().windows).key
    with State(state_of(home)) as state:
        prediction = Prediction(track, info.labels, probabilities, 0.75, 8, 30.0, info.multi_label)
        state.save_prediction(prediction, info.fingerprint, plan)


@pytest.mark.parametrize(
    ("name", "music", "talk", "genres", "reason"),
    [
        ("audioset", MUSIC, TALK, ("Folk", "Country"), "Music at 0.04 is below 0.2"),
        ("discogs", DUB, BOOK, ("Dub", "Polka"), "Non-Music---Audiobook at 0.61 is the best label"),
    ],
)
@pytest.mark.parametrize("options", [["--write-tags"], ["--write-tags", "--dry-run"], []])
def test_music_is_tagged_and_what_is_not_music_is_left_alone(
    invoke: Run,
    tmp_path: Path,
    checkpoints: dict[str, Path],
    name: str,
    music: dict[str, float],
    talk: dict[str, float],
    genres: Genres,
    reason: str,
    options: list[str],
) -> None:
    folder, model = tmp_path / "Music", checkpoints[name]
    tune, chat = song(folder / "tune.flac"), song(folder / "chat.mp3", "Talk", kind="mp3")
    raw = folder / "raw.aac"  # which cannot be tagged
    raw.write_bytes(b"no tags here")
    for path, shares in ((tune, music), (chat, talk), (raw, talk)):
        know_by(model, tmp_path / "home", path, shares)
    before = chat.read_bytes()
    given = ("--on-existing", "replace", "--top", 2, "--csv", "-", "--all-probabilities")
    done = invoke(folder, "--model", model, *given, *options)
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stdout)
    for row in (rows["chat.mp3"], rows["raw.aac"]):
        assert (row["action"], row["reason"]) == ("no-music", reason)
        assert (row["genre"], row["confidence"], row["heard"]) == ("", "", "")
        best = max(talk, key=talk.__getitem__)
        assert float(row[best]) == pytest.approx(talk[best])
    assert rows["chat.mp3"]["new_genre"] == "Talk" and chat.read_bytes() == before
    assert (rows["tune.flac"]["genre"], rows["tune.flac"]["second"]) == genres
    assert read_genres(tune) == (genres if options == ["--write-tags"] else ())
    assert "no music 2" in done.stderr
    assert f"predicted genres: {genres[0]} 1\n" in done.stderr


def test_an_explanation_says_what_is_not_music_and_leaves_out_what_is_not_a_genre(
    invoke: Run, tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    folder, model = tmp_path / "Music", checkpoints["audioset"]
    tune, talk = song(folder / "a.flac"), song(folder / "b.flac")
    know_by(model, tmp_path / "home", tune, MUSIC)
    know_by(model, tmp_path / "home", talk, TALK)
    done = invoke(folder, "--model", model, "--explain")
    assert (
        done.stdout
        == f"""{tune}
  tag:    (no genre)
  labels: Music 0.90 · Guitar 0.80 · Folk music 0.30 · Country 0.20
  genres: Folk 0.30 · Country 0.20
  rule:   music: Music at 0.90 reaches 0.2
  rule:   on-existing: it has no genre
  rule:   min-confidence: Folk at 0.30 reaches 0.1
  rule:   top: Country at 0.20 would be one more than 1
  result: would write Folk
{talk}
  tag:    (no genre)
  labels: Speech 0.90 · Folk music 0.30 · Music 0.04
  genres: none
  rule:   music: Music at 0.04 is below 0.2
  result: no-music: Music at 0.04 is below 0.2
"""
    )


@pytest.mark.parametrize(
    ("options", "genres"),
    [
        ([], ("Dub",)),
        (["--style", "both"], ("Dub", "Reggae")),
        (["--style", "parent"], ("Folk World & Country",)),
        (["--style", "parent", "--top", 3], ("Folk World & Country", "Reggae", "Electronic")),
        (["--min-confidence", 0.8], ()),
    ],
)
def test_styles_of_discogs_are_written_as_the_user_wants_them(
    invoke: Run,
    tmp_path: Path,
    checkpoints: dict[str, Path],
    options: list[object],
    genres: Genres,
) -> None:
    path, model = song(tmp_path / "Music" / "a.flac"), checkpoints["discogs"]
    know_by(model, tmp_path / "home", path, DUB)
    done = invoke(path, "--model", model, "--write-tags", "--csv", "-", *options)
    assert done.returncode == 0, done.stderr
    assert read_genres(path) == genres


def test_how_sure_of_music_a_model_must_be_is_an_option(
    invoke: Run, tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    path, model = song(tmp_path / "Music" / "a.flac"), checkpoints["audioset"]
    know_by(model, tmp_path / "home", path, TALK)
    done = invoke(path, "--model", model, "--write-tags", "--min-music", 0.03)
    assert done.returncode == 0, done.stderr
    assert read_genres(path) == ("Folk",)
