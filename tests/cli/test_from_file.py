"""`--from-file`: another program says which tracks a run is about."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import SCRIPT, Run, environment
from helpers.known import JAZZ, know, song

from tagger.tags.genre_tag import read_genres


@pytest.fixture
def music(invoke: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    know(tmp_path / "home", [song(folder / name) for name in ("a.flac", "b.flac", "c.flac")], JAZZ)
    return folder


def rows(report: Path) -> list[tuple[str, str, str]]:
    text = report.read_text(encoding="utf-8-sig")
    found = csv.DictReader(io.StringIO(text, newline=""))
    return [(Path(row["path"]).name, row["action"], row["reason"]) for row in found]


def test_only_the_listed_tracks_are_written_and_a_missing_one_is_a_row(
    invoke: Run, music: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "home" / "list.txt"
    listed.write_bytes(
        b"\r\n".join([os.fsencode(music / "a.flac"), b"../Music/c.flac", b"gone \xff.flac", b""])
    )
    done = invoke("--from-file", listed, "--write-tags")
    assert done.returncode == 3, done.stderr
    assert rows(tmp_path / "home" / "genres.csv") == [
        ("a.flac", "written", "it has no genre"),
        ("c.flac", "written", "it has no genre"),
        ("gone \\xff.flac", "failed", "no such file or folder"),
    ]
    assert [read_genres(music / f"{name}.flac") for name in "abc"] == [("Jazz",), (), ("Jazz",)]


def test_paths_and_a_list_are_taken_together_and_each_track_once(
    invoke: Run, music: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"{music / 'b.flac'}\n{music}\n")
    assert invoke(music / "a.flac", "--from-file", listed).returncode == 0
    names = [name for name, _, _ in rows(tmp_path / "home" / "genres.csv")]
    assert names == ["a.flac", "b.flac", "c.flac"]


def test_a_list_of_missing_tracks_alone_is_a_report_of_failures(
    invoke: Run, music: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("gone.flac\nlost.flac\n")
    assert invoke("--from-file", listed).returncode == 3
    assert [row[1] for row in rows(tmp_path / "home" / "genres.csv")] == ["failed", "failed"]


def test_what_was_left_out_of_folders_is_taken_if_it_is_listed(
    invoke: Run, music: Path, tmp_path: Path
) -> None:
    (music / ".nomedia").touch()
    listed = tmp_path / "list.txt"
    listed.write_text(f"{music / 'b.flac'}\n")
    assert invoke("--from-file", listed, "--exclude", "b.flac").returncode == 0
    assert [row[0] for row in rows(tmp_path / "home" / "genres.csv")] == ["b.flac"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((), "name a PATH"), (("-0", "x"), "--from-file"), (("--from-file", "gone"), "gone")],
)
def test_what_makes_no_sense_is_wrong_usage(
    invoke: Run, arguments: tuple[str, ...], words: str
) -> None:
    done = invoke(*arguments)
    assert done.returncode == 2 and words in done.stderr


def test_an_empty_list_says_so(invoke: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    done = invoke("--from-file", tmp_path / "empty")
    assert done.returncode == 1
    assert f"{tmp_path / 'empty'} lists no paths, so there is nothing to do" in done.stderr


@pytest.mark.parametrize("null", [False, True])
def test_another_program_may_pipe_the_paths(music: Path, tmp_path: Path, null: bool) -> None:
    home = tmp_path / "home"
    end = b"\0" if null else b"\n"
    data = b"".join(os.fsencode(music / name) + end for name in ("a.flac", "c.flac"))
    command = [*SCRIPT, "--from-file", "-", "--csv", "-", "--quiet", *["-0"] * null]
    done = subprocess.run(
        command, input=data, capture_output=True, cwd=home, env=environment(home), timeout=100
    )
    assert done.returncode == 0, done.stderr
    found = csv.DictReader(io.StringIO(done.stdout.decode("utf-8-sig")))
    assert [Path(row["path"]).name for row in found] == ["a.flac", "c.flac"]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's way to close a stream")
def test_a_closed_input_lists_no_paths(invoke: Run, music: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = ["sh", "-c", '"$@" <&-', "sh", *SCRIPT, "--from-file", "-"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=home, env=environment(home), timeout=100
    )
    assert done.returncode == 1
    assert "standard input lists no paths" in done.stderr


def test_an_extended_playlist_is_refused_before_its_comments_are_taken_for_paths(
    invoke: Run, music: Path, tmp_path: Path
) -> None:
    playlist = tmp_path / "home" / "Jazz.m3u8"
    playlist.write_text(f"\ufeff#EXTM3U\n#EXTINF:1,a\n{music / 'a.flac'}\n", encoding="utf-8")
    done = invoke("--from-file", playlist)
    assert done.returncode == 1 and "Jazz.m3u8 is a playlist" in done.stderr
    assert not (tmp_path / "home" / "genres.csv").exists()
