"""Every audio file below a folder is found once, through links too."""

from __future__ import annotations

import os
from pathlib import Path

from helpers.clips import found, touch

from training.clips.walk import audio_files


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in audio_files(folder)]


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / "library", "a/1.mp3", "b/2.mp3", "3.mp3")
    data = touch(tmp_path / "data", "rock/0.mp3")
    (data / "blues").symlink_to(tmp_path / "library" / "a")
    (data / "rock" / "more").symlink_to(tmp_path / "library" / "b")
    (data / "rock" / "3.mp3").symlink_to(tmp_path / "library" / "3.mp3")
    assert names(data) == ["blues/1.mp3", "rock/0.mp3", "rock/3.mp3", "rock/more/2.mp3"]
    assert ("blues", "1") in found(data)


def test_loops_and_links_to_what_contains_the_folder_end(tmp_path: Path) -> None:
    data = touch(tmp_path / "data", "rock/1.mp3")
    touch(tmp_path, "other.mp3")
    (data / "rock" / "loop").symlink_to(data)
    (data / "self").symlink_to("self")
    (data / "up").symlink_to(tmp_path)
    assert names(data) == ["rock/1.mp3"]


def test_a_file_that_is_reached_twice_counts_once_where_it_really_is(tmp_path: Path) -> None:
    data = touch(tmp_path / "data", "rock/1.mp3", "rock/live/2.mp3")
    (data / "a favourite.mp3").symlink_to(data / "rock" / "1.mp3")
    (data / "all rock").symlink_to(data / "rock")
    (data / "live").symlink_to(data / "rock" / "live")
    assert names(data) == ["rock/1.mp3", "rock/live/2.mp3"]


def test_two_links_to_one_file_count_once(tmp_path: Path) -> None:
    touch(tmp_path, "song.mp3")
    for label in ("rock", "pop"):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "song.mp3").symlink_to(tmp_path / "song.mp3")
    assert len(names(tmp_path / "data")) == 1


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    touch(tmp_path, "rock/1.mp3", "rock/folder.mp3/2.mp3")
    os.mkfifo(tmp_path / "rock" / "pipe.wav")
    assert names(tmp_path) == ["rock/1.mp3", "rock/folder.mp3/2.mp3"]
