"""A playlist for each genre, by what the file has after the run; no file of a user's changes."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import ReportError
from tagger.genres.policy import Policy
from tagger.report.playlists import MARK, check_folder, file_name, genres_of, in_playlists
from tagger.types import Action, Outcome, Prediction, Track

POLICY = Policy()


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "Music"
    folder.mkdir()
    return folder


@pytest.fixture
def lists(tmp_path):
    return tmp_path / "Lists"


def outcome(path: Path, *genres: str, predicted: str = "", action: Action = Action.KEPT) -> Outcome:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    prediction = Prediction(Track(path, 1, 1), ("jazz",), (0.8,), 1.0, 8, 61.6)
    ranked = ((predicted, 0.8),) if predicted else ()
    return Outcome(path, action, "", prediction, genres, ranked=ranked)


def write(lists: Path, *outcomes: Outcome, about: list[Path] | None = None) -> list[str]:
    """Write playlists for outcomes; returns the messages."""
    said: list[str] = []
    check_folder(lists)
    about = [outcomes[0].path.parent] if about is None else about
    assert list(in_playlists(outcomes, lists, POLICY, about, said.append)) == list(outcomes)
    assert not [path.name for path in lists.iterdir() if path.name.startswith(".")]
    return said


def entries(playlist: Path) -> list[str]:
    lines = os.fsdecode(playlist.read_bytes()).splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_a_playlist_has_its_title_and_the_length_and_relative_path_of_each_track(music, lists):
    said = write(lists, outcome(music / "A" / "a.mp3", "Jazz"), outcome(music / "b.mp3", "Jazz"))
    assert (lists / "Jazz.m3u8").read_bytes().decode() == (
        f"#EXTM3U\n{MARK}\n#PLAYLIST:Jazz\n"
        "#EXTINF:62,a\n../Music/A/a.mp3\n#EXTINF:62,b\n../Music/b.mp3\n"
    )
    assert said == [f"playlists: 1 in {lists}"]


def test_a_path_leads_to_its_file_from_the_folder_of_the_playlist(music, lists):
    lists.mkdir()
    link = lists.parent / "deep" / "link"
    link.parent.mkdir()
    link.symlink_to(lists)
    write(link, outcome(music / "a.mp3", "Jazz"))
    (entry,) = entries(lists / "Jazz.m3u8")
    assert (lists / entry).samefile(music / "a.mp3")


@pytest.mark.parametrize(
    ("made", "genres"),
    [
        ({"genres": ("Rock", "Jazz")}, ("Rock", "Jazz")),
        ({"genres": ("Rock; Jazz", "rock")}, ("Rock", "Jazz")),
        ({"genres": ("R&B/Soul",)}, ("R&B/Soul",)),
        ({"genres": ("Rock",), "predicted": "Jazz"}, ("Rock",)),
        ({"genres": ("Unknown",), "predicted": "Jazz", "action": Action.PREDICTED}, ("Jazz",)),
        ({"predicted": "Jazz", "action": Action.PREDICTED}, ("Jazz",)),
        ({"predicted": "Jazz", "action": Action.FAILED}, ("Jazz",)),
        ({"predicted": "Jazz", "action": Action.UNSURE}, ()),
        ({"predicted": "Jazz", "action": Action.NO_MUSIC}, ()),
        ({"action": Action.FAILED}, ()),
    ],
)
def test_the_genre_of_the_file_counts_and_without_one_the_best_predicted(tmp_path, made, genres):
    found = outcome(
        tmp_path / "a.mp3",
        *made.get("genres", ()),
        predicted=made.get("predicted", ""),
        action=made.get("action", Action.KEPT),
    )
    assert genres_of(found, POLICY) == genres


def test_what_was_written_counts_and_not_what_was_there(tmp_path):
    written = Outcome(tmp_path / "a.mp3", Action.WRITTEN, existing=("Old",), genres=("New",))
    assert genres_of(written, POLICY) == ("New",)


def test_a_silent_track_is_in_no_playlist(tmp_path):
    silent = Prediction(Track(tmp_path / "a.mp3", 1, 1), ("jazz",), (0.0,), 1.0, 8, 1.0)
    found = Outcome(tmp_path / "a.mp3", Action.PREDICTED, "", silent, ranked=(("Jazz", 0.0),))
    assert genres_of(found, POLICY) == ()


def test_two_spellings_of_a_genre_are_one_playlist(music, lists):
    write(lists, outcome(music / "a.mp3", "Hip-Hop"), outcome(music / "b.mp3", "hip hop"))
    assert [path.name for path in lists.iterdir()] == ["Hip-Hop.m3u8"]
    assert entries(lists / "Hip-Hop.m3u8") == ["../Music/a.mp3", "../Music/b.mp3"]


@pytest.mark.parametrize(
    ("genre", "name"),
    [
        ("AC/DC", "AC-DC"), ("R&B/Soul", "R&B-Soul"), ("CON", "CON_"), ("con.x", "con_.x"),
        ("Rock...", "Rock"), ("Rock. ", "Rock"), ("..", "_"), (".hidden", "_hidden"),
        ("Blu\u0308te", "Bl\u00fcte"), ('a<b>:"c|d?e*f', "a-b-c-d-e-f"), ("a\\b", "a-b"),
        ("a\nb", "ab"), ("\u202eRock", "Rock"), ("LPT1", "LPT1_"), ("?", "-"),
    ],
)  # fmt: skip
def test_a_name_is_made_safe(genre, name):
    assert file_name(genre) == name


@given(st.text(max_size=300))
def test_any_genre_gives_a_name_that_every_file_system_takes(genre):
    name = file_name(genre)
    assert name == unicodedata.normalize("NFC", name)
    assert name and len(name.encode()) <= 101
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', name)
    assert not name.startswith((".", " ", "~")) and not name.endswith((".", " "))
    assert name.split(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}


def test_two_genres_never_share_a_file(music, lists):
    long = "x" * 200
    write(lists, outcome(music / "a.mp3", f"{long} one"), outcome(music / "b.mp3", f"{long} two"))
    assert len(list(lists.iterdir())) == 2
    found = sorted(entry for path in lists.iterdir() for entry in entries(path))
    assert found == ["../Music/a.mp3", "../Music/b.mp3"]


def test_the_next_run_replaces_and_removes_its_own_and_keeps_a_users(music, lists):
    lists.mkdir()
    own = lists / "Jazz.m3u8"
    own.write_text("#EXTM3U\nmine.mp3\n")
    (lists / "Best.m3u8").write_text(f"#EXTM3U\n#my best\n{MARK}\nmine.mp3\n")
    (lists / "Link.m3u8").symlink_to("Jazz (2).m3u8")
    said = write(lists, outcome(music / "a.mp3", "Jazz"), outcome(music / "b.mp3", "Rock"))
    assert said[0] == (
        f"{own} is not from tag-genres and stays as it is; the playlist is {lists}/Jazz (2).m3u8"
    )
    write(lists, outcome(music / "a.mp3", "Jazz"), outcome(music / "b.mp3", "Ska"))
    assert sorted(path.name for path in lists.iterdir()) == [
        "Best.m3u8", "Jazz (2).m3u8", "Jazz.m3u8", "Link.m3u8", "Ska.m3u8",
    ]  # fmt: skip
    assert own.read_text() == "#EXTM3U\nmine.mp3\n"
    assert entries(lists / "Jazz (2).m3u8") == ["../Music/a.mp3"]


def test_another_spelling_of_the_same_folder_is_no_other_folder(music, lists, tmp_path):
    """Here by a link; on Windows and macOS also in another case."""
    write(lists, outcome(music / "a.mp3", "Jazz"))
    (tmp_path / "MUSIC").symlink_to(music)
    write(lists, outcome(tmp_path / "MUSIC" / "a.mp3", "Jazz"))
    assert entries(lists / "Jazz.m3u8") == ["../MUSIC/a.mp3"]


def test_a_run_over_other_paths_keeps_the_tracks_that_it_is_not_about(music, lists):
    first = [outcome(music / "A" / f"{name}.mp3", "Jazz") for name in ("a", "gone")]
    write(lists, *first, outcome(music / "A" / "s.mp3", "Ska"), about=[music])
    (music / "A" / "gone.mp3").unlink()
    write(lists, outcome(music / "B" / "b.mp3", "jazz"), about=[music / "B"])
    assert entries(
        lists / "jazz.m3u8" if (lists / "jazz.m3u8").exists() else lists / "Jazz.m3u8"
    ) == [
        "../Music/A/a.mp3",
        "../Music/B/b.mp3",
    ]
    assert entries(lists / "Ska.m3u8") == ["../Music/A/s.mp3"]
    write(lists, outcome(music / "A" / "a.mp3", "Ska"), about=[music])
    assert [path.name for path in lists.iterdir()] == ["Ska.m3u8"]
    assert entries(lists / "Ska.m3u8") == ["../Music/A/a.mp3"]


def test_odd_names_of_files_are_entries_or_left_out(music, lists):
    names = [b"#1.mp3", b" a.mp3", b"caf\xe9.mp3", b"line\nend.mp3"]
    found = [outcome(music / os.fsdecode(name), "Jazz") for name in names]
    write(music / "Jazz lists", *found)
    write(music, *found)
    assert list(map(os.fsencode, entries(music / "Jazz.m3u8"))) == [
        b"./#1.mp3", b"./ a.mp3", b"caf\xe9.mp3",
    ]  # fmt: skip
    write(music, *found, about=[])  # the same tracks again are no second entries
    assert len(entries(music / "Jazz.m3u8")) == 3


def test_a_run_that_is_stopped_leaves_the_older_playlists(music, lists):
    write(lists, outcome(music / "a.mp3", "Jazz"))
    before = (lists / "Jazz.m3u8").read_bytes()
    running = in_playlists([outcome(music / "b.mp3", "Ska")] * 2, lists, POLICY, [music])
    next(running)
    running.close()
    assert [(path.name, path.read_bytes()) for path in lists.iterdir()] == [("Jazz.m3u8", before)]


def test_a_folder_that_cannot_be_made_is_refused_at_once(music):
    (music / "file").touch()
    with pytest.raises(ReportError, match="--playlists"):
        check_folder(music / "file" / "lists")
