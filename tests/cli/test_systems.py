"""Windows and macOS: nothing imports or calls what does not exist there, and paths are theirs."""

from __future__ import annotations

import csv
import ntpath
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
from helpers.command import Run, environment
from helpers.known import know, song
from helpers.systems import import_everything, seem
from helpers.terminal import open_terminal

from tagger.files import ignore
from tagger.report import playlists
from tagger.tags.genre_tag import read_genres
from tagger.types import Action, Outcome

STEPS = (
    ("Music", "--exclude", "left/out/", "--playlists", "lists", "--xlsx", "genres.xlsx"),
    ("Music", "--write-tags", "--min-confidence", "0", "--keep-mtime", "--csv", "genres.csv"),
    ("apply", "edited.csv"),
    ("undo", "--path", "Music"),
    ("undo", "--run", "1"),
    ("models",),
)
SHORT = (STEPS[1], ("undo",))


@pytest.mark.parametrize(
    ("system", "steps"),
    [
        ("win32", SHORT),
        ("darwin", SHORT),
        pytest.param("win32", STEPS, marks=pytest.mark.slow),
        pytest.param("darwin", STEPS, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_predict_write_apply_and_undo_need_nothing_that_a_system_lacks(
    tmp_path: Path, system: str, steps: Sequence[tuple[str, ...]]
) -> None:
    home = tmp_path / "home"
    tracks = [song(home / "Music" / f"{kind}.{kind}", kind=kind) for kind in ("flac", "mp3")]
    before = [track.read_bytes() for track in tracks]
    for step in steps:
        if step == ("apply", "edited.csv"):
            _edit(home / "genres.csv", home / "edited.csv")
        with open_terminal(
            *step, cwd=home, env=environment(home), prepare=partial(seem, system)
        ) as terminal:
            assert terminal.wait() == 0, terminal.text
        assert "Traceback" not in terminal.text
        if step[0] == "apply":
            assert [read_genres(track) for track in tracks] == [("Polka",)] * 2
    assert [track.read_bytes() for track in tracks] == before


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_every_module_can_be_imported(tmp_path: Path, system: str) -> None:
    with open_terminal(
        cwd=tmp_path, env=environment(tmp_path), prepare=partial(import_everything, system)
    ) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert int(terminal.lines[-1]) > 100


class Nt:
    """`os` in a module of ours, with the paths of Windows; there are no such files."""

    path = ntpath
    sep = "\\"

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def test_a_playlist_has_paths_that_windows_and_its_players_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(playlists, "os", Nt())
    folder = PureWindowsPath(r"D:\Lists")
    for path, entry in {
        r"D:\Music\Ö\a.mp3": "../Music/Ö/a.mp3",
        r"d:\music\a.mp3": "../music/a.mp3",
        r"C:\Music\a.mp3": "C:/Music/a.mp3",
        r"\\server\share\a.mp3": "//server/share/a.mp3",
        r"D:\Lists\#1.mp3": "./#1.mp3",
    }.items():
        outcome = Outcome(PureWindowsPath(path), Action.PREDICTED)  # type: ignore[arg-type]
        assert playlists._entry(outcome, folder) == (  # type: ignore[arg-type]
            f"#EXTINF:-1,{PureWindowsPath(path).stem}",
            entry,
        )


@pytest.mark.parametrize(
    "genre",
    [
        "CON",
        "nul",
        "Aux.",
        "com1",
        "LPT9.x",
        "a.b",
        "COM¹",
        "a/b",
        "a:b",
        "Rock ",
        "R&B?",
        "...",
        "",
    ],
)
def test_the_name_of_a_playlist_is_one_that_windows_takes(genre: str) -> None:
    name = PureWindowsPath(f"{playlists.file_name(genre)}.m3u8")
    assert len(name.parts) == 1 and not name.drive and name.suffix == ".m3u8"
    assert not set('<>:"/\\|?*') & set(name.name) and name.stem == name.stem.rstrip(". ")
    is_reserved = getattr(ntpath, "isreserved", lambda name: PureWindowsPath(name).is_reserved())
    assert not is_reserved(str(name))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"C:/Music/Live", "/Live"),
        (r"c:/MUSIC/Live/", "/Live/"),
        (r"!C:/Music/a/b", "!/a/b"),
        (r"D:/Music/Live", "D:/Music/Live"),
        ("Live/", "Live/"),
    ],
)
def test_a_path_is_excluded_in_any_case(
    monkeypatch: pytest.MonkeyPatch, pattern: str, found: str
) -> None:
    monkeypatch.setattr(ignore, "os", Nt())
    assert ignore._anchored(pattern, r"C:\Music") == found


def test_undo_takes_another_spelling_of_a_path(tmp_path: Path, run: Run) -> None:
    """Here by a link; on Windows and macOS also in another case."""
    home = tmp_path / "home"
    track = song(home / "Music" / "a.flac")
    before = track.read_bytes()
    know(home, [track])
    assert run("Music", "--write-tags").returncode == 0 and track.read_bytes() != before
    (home / "MUSIC").symlink_to("Music")
    assert run("undo", "--path", "MUSIC").returncode == 0
    assert track.read_bytes() == before


def _edit(report: Path, edited: Path) -> None:
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with edited.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "genre": "Polka"} for row in rows)
