"""Genres that files have, in every container: joined values, placeholders; and silence."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.command import Run
from helpers.containers import KINDS, SUFFIX
from helpers.known import ROCK, know, song

from tagger.tags.genre_tag import read_genres, write_genres

ADDED = ("--write-tags", "--on-existing", "append")
REPLACED = ("--write-tags", "--on-existing", "replace")


class Shelf:
    """One file of every container with these genres; each predicted as Rock."""

    def __init__(self, run: Run, root: Path, *genres: str) -> None:
        self.run, self.music, self.home = run, root / "Music", root / "home"
        self.songs = [
            song(self.music / f"{kind}{SUFFIX[kind]}", *genres, kind=kind) for kind in KINDS
        ]
        know(self.home, self.songs, ROCK)

    def __call__(self, *options: object) -> dict[str, dict[str, str]]:
        """Run over all files; the rows of the report by kind."""
        done = self.run(self.music, "--csv", "-", *options)
        assert done.returncode == 0, done.stderr
        rows = csv.DictReader(io.StringIO(done.stdout.lstrip("\ufeff")))
        return {Path(row["path"]).stem: row for row in rows}

    def genres(self) -> dict[str, tuple[str, ...]]:
        return {path.stem: read_genres(path) for path in self.songs}

    def bytes(self) -> list[bytes]:
        return [path.read_bytes() for path in self.songs]


def every(value: object) -> dict[str, object]:
    return dict.fromkeys(KINDS, value)


@pytest.mark.parametrize("value", ["Audiobook, Rock", "Audiobook/rock"])
def test_a_joined_value_protects_and_is_appended_to_only_what_it_lacks(
    invoke: Run, tmp_path: Path, value: str
) -> None:
    shelf = Shelf(invoke, tmp_path, value)
    before = shelf.bytes()
    rows = shelf(*REPLACED, "--protect", "Audiobook")
    assert {row["reason"] for row in rows.values()} == {"it has Audiobook, which is protected"}
    rows = shelf("--write-tags", "--skip", "audiobook")
    assert {row["action"] for row in rows.values()} == {"kept"}
    rows = shelf(*ADDED)
    assert {row["action"] for row in rows.values()} == {"unchanged"}
    assert shelf.bytes() == before
    shelf(*ADDED, "--top", 2)
    assert shelf.genres() == every((value, "Metal"))
    rows = shelf(*ADDED, "--top", 2)
    assert {row["action"] for row in rows.values()} == {"unchanged"}


def test_a_known_name_with_separators_is_one_genre(invoke: Run, tmp_path: Path) -> None:
    shelf = Shelf(invoke, tmp_path, "Folk, World, & Country")
    rows = shelf("--write-tags", "--skip", "Country")
    assert {row["action"] for row in rows.values()} == {"kept"}  # for it has a genre
    assert {row["reason"] for row in rows.values()} == {"it already has a genre"}
    shelf(*ADDED)
    assert shelf.genres() == every(("Folk, World, & Country", "Rock"))


def test_the_separators_are_the_users_choice(invoke: Run, tmp_path: Path) -> None:
    shelf = Shelf(invoke, tmp_path, "Audiobook+Rock")
    shelf("--write-tags", "--on-existing", "append", "--separators", "+")
    assert shelf.genres() == every(("Audiobook+Rock",))
    shelf("--write-tags", "--on-existing", "append", "--separators", "")
    assert shelf.genres() == every(("Audiobook+Rock", "Rock"))


@pytest.mark.parametrize("name", ["Other", "<Unknown>", "Misc, Genre"])
def test_a_placeholder_is_predicted_and_written_over_and_undone(
    invoke: Run, tmp_path: Path, name: str
) -> None:
    shelf = Shelf(invoke, tmp_path, name)
    before = shelf.bytes()
    rows = shelf("--write-tags", "--only-missing")
    for row in rows.values():
        assert (row["action"], row["existing_genre"], row["new_genre"]) == ("written", name, "Rock")
        assert row["reason"] == f"{name} counts as no genre"
    assert shelf.genres() == every(("Rock",))
    done = invoke("undo")
    assert done.returncode == 0, done.stderr
    assert shelf.genres() == every((name,)) and shelf.bytes() == before


def test_without_placeholders_such_a_name_is_kept(invoke: Run, tmp_path: Path) -> None:
    shelf = Shelf(invoke, tmp_path, "Other")
    rows = shelf("--write-tags", "--placeholder", "")
    assert {row["action"] for row in rows.values()} == {"kept"}
    shelf(*ADDED, "--placeholder", "Genre")
    assert shelf.genres() == every(("Other", "Rock"))


def test_a_number_of_id3_that_means_other_is_a_placeholder(invoke: Run, tmp_path: Path) -> None:
    """ID3v1's 12 is Other; 255 and any unassigned number is none."""
    paths = []
    for number in (12, 250, 255):
        path = song(tmp_path / "Music" / f"{number}.mp3", kind="mp3")
        audio = path.read_bytes()
        path.write_bytes(audio + b"TAG" + b"Title".ljust(124, b"\0") + bytes([number]))
        paths.append(path)
    know(tmp_path / "home", paths, ROCK)
    done = invoke(tmp_path / "Music", "--write-tags", "--csv", "-")
    assert done.returncode == 0, done.stderr
    assert [read_genres(path) for path in paths] == [("Rock",)] * 3


def test_apply_fills_in_where_a_placeholder_stands(invoke: Run, tmp_path: Path) -> None:
    home, path = tmp_path / "home", song(tmp_path / "Music" / "a.flac", "Unknown")
    know(home, [path], ROCK)
    report = tmp_path / "genres.csv"
    assert invoke(path, "--csv", report).returncode == 0
    for options in (["--placeholder", ""], ["--placeholder", "Other"]):
        invoke("apply", report, "--all", *options)
        assert read_genres(path) == ("Unknown",)
    done = invoke("apply", report, "--all")
    assert done.returncode == 0 and read_genres(path) == ("Rock",)


SILENT_OPTIONS = [
    ["--min-confidence", 0],
    ["--min-confidence", 0, "--top", 5, "--ratio", 0],
    ["--min-confidence", 0, "--by", "album"],
    ["--min-confidence", 0, "--by", "folder"],
    ["--min-confidence", 0, "--dry-run"],
    [],
]


@pytest.mark.parametrize("options", SILENT_OPTIONS, ids=lambda options: " ".join(map(str, options)))
@pytest.mark.parametrize("writing", [REPLACED, ADDED, ()], ids=["replace", "append", "report"])
def test_a_silent_track_is_unsure_whatever_is_asked_for(
    invoke: Run, tmp_path: Path, options: list[object], writing: tuple[str, ...]
) -> None:
    folder = tmp_path / "Music"
    silent, loud = song(folder / "silent.flac", "Polka"), song(folder / "loud.flac", "Polka")
    raw = folder / "silent.aac"  # which cannot be tagged
    raw.write_bytes(b"no tags here")
    know(tmp_path / "home", [loud], ROCK)
    know(tmp_path / "home", [silent, raw], {})
    before = silent.read_bytes()
    done = invoke(folder, "--csv", "-", *writing, *options)
    assert done.returncode == 0, done.stderr
    rows = {
        Path(row["path"]).name: row
        for row in csv.DictReader(io.StringIO(done.stdout.lstrip("\ufeff")))
    }
    for name, existing in (("silent.flac", "Polka"), ("silent.aac", "")):
        row = rows[name]
        kept = writing == () and "--dry-run" in options and existing
        assert row["action"] == ("kept" if kept else "unsure")
        assert (row["genre"], row["confidence"], row["new_genre"]) == ("", "", existing)
    assert silent.read_bytes() == before


def test_a_silent_track_is_unsure_for_several_models(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    path = tmp_path / "silent.flac"
    soundfile.write(path, np.zeros(48_000), 16_000)
    write_genres(path, ["Polka"])
    before = path.read_bytes()
    models = ("--model", tiny_model, "--model", "bundled")
    done = run(path, *models, *REPLACED, "--min-confidence", 0, "--csv", "-")
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader(io.StringIO(done.stdout.lstrip("\ufeff")))
    assert (row["action"], row["reason"]) == ("unsure", "it is silent; no genre was predicted")
    assert path.read_bytes() == before
