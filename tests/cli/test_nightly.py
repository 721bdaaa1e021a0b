"""Quiet runs over the same library print only what is new since the last one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import mutagen
import pytest
from helpers.command import Run
from helpers.known import ROCK, know, song

from tagger.state.store import State
from tagger.tags.genre_tag import read_genres

DOUBT = {"rock": 0.4, "jazz": 0.3}
QUIET = ("--write-tags", "--quiet")


class Library:
    """A track that is sure, one that is unsure, and one that cannot be decoded."""

    def __init__(self, run: Run, root: Path) -> None:
        self.run, self.root, self.music = run, root, root / "Music"
        self.sure = song(self.music / "sure.flac")
        self.unsure = song(self.music / "unsure.flac")
        self.bad = self.music / "bad.mp3"
        self.bad.write_text("no music")
        know(root / "home", [self.sure], ROCK)
        know(root / "home", [self.unsure], DOUBT)

    def night(self, *options: object, status: int = 0) -> list[str]:
        """A quiet run; what it prints, without the folder."""
        done = self.run(self.music, *QUIET, *options)
        assert done.returncode == status, done.stderr
        assert done.stdout == ""
        return sorted(line.replace(f"{self.music}{os.sep}", "") for line in lines(done))


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    return done.stderr.splitlines()


@pytest.fixture
def library(invoke: Run, tmp_path: Path) -> Library:
    return Library(invoke, tmp_path)


def test_the_first_night_tells_all_and_the_second_nothing(library: Library) -> None:
    first = library.night(status=3)
    assert [line.split(": ")[:2] for line in first] == [
        ["failed", "bad.mp3"], ["unsure", "unsure.flac"], ["written", "sure.flac"],
    ]  # fmt: skip
    assert "no decoder can read it" in first[0]
    assert first[1:] == [
        "unsure: unsure.flac: Rock at 0.40 is below 0.5",
        "written: sure.flac: Rock (it has no genre)",
    ]
    assert library.night() == []
    assert library.night("--strict", status=3) == []


def test_what_a_run_with_a_summary_showed_is_not_new(library: Library) -> None:
    assert library.run(library.music, "--write-tags").returncode == 3
    assert library.run(library.music, "--write-tags").returncode == 3  # unless it is quiet
    assert library.night() == []


def test_only_what_came_since_is_new(library: Library) -> None:
    library.night(status=3)
    worse = library.music / "worse.ogg"
    worse.write_text("no music")
    know(library.root / "home", [song(library.music / "new.mp3", kind="mp3")], ROCK)
    know(library.root / "home", [song(library.music / "odd.mp3", kind="mp3")], DOUBT)
    night = library.night(status=3)
    assert [line.split(": ")[:2] for line in night] == [
        ["failed", "worse.ogg"], ["unsure", "odd.mp3"], ["written", "new.mp3"],
    ]  # fmt: skip
    assert library.night() == []


def test_a_file_that_was_touched_tagged_or_renamed_is_no_news(library: Library) -> None:
    library.night(status=3)
    os.utime(library.bad, (1, 1))
    library.bad.write_text("still no music")
    tagged = mutagen.File(library.unsure)
    tagged["artist"] = "Somebody"
    tagged.save()
    assert library.night() == []
    (library.music / "Album").mkdir()
    library.unsure.rename(library.music / "Album" / "01 unsure.flac")
    library.bad.rename(library.music / "Album" / "02 bad.mp3")
    assert library.night() == []
    shutil.copy(library.music / "Album" / "02 bad.mp3", library.music / "copy.mp3")
    assert [line.split(": ")[1] for line in library.night(status=3)] == ["copy.mp3"]


def test_what_was_mended_and_breaks_again_is_new(library: Library) -> None:
    library.night(status=3)
    text = library.bad.read_bytes()
    made = song(library.root / "made.mp3", "Polka", kind="mp3")
    shutil.copy(made, library.bad)
    know(library.root / "home", [library.bad], ROCK)
    know(library.root / "home", [library.unsure], ROCK)
    assert library.night() == ["written: unsure.flac: Rock (it has no genre)"]
    library.bad.write_bytes(text)
    assert [line.split(": ")[1] for line in library.night(status=3)] == ["bad.mp3"]


def test_another_reason_to_fail_is_new_and_other_numbers_in_it_are_not(library: Library) -> None:
    library.night(status=3)
    with State(library.root / "home" / "state" / "tag-genres" / "state.sqlite3") as state:
        ((reason,),) = state.rows("SELECT reason FROM reported WHERE kind = 'failed'")
        state.do("UPDATE reported SET reason = 'another' WHERE kind = 'failed'")
    assert not any(map(str.isdigit, reason.replace("0", "")))
    assert [line.split(": ")[1] for line in library.night(status=3)] == ["bad.mp3"]


def test_a_failed_write_is_news_once(library: Library) -> None:
    os.link(library.sure, library.root / "seeding.flac")
    night = library.night(status=3)
    assert any(line.startswith("failed: sure.flac: ") for line in night)
    assert library.night() == []


def test_neither_a_dry_run_nor_a_report_takes_the_news_away(library: Library) -> None:
    assert library.run(library.music, "--write-tags", "--dry-run", "--quiet").returncode == 3
    assert library.run(library.music, "--write-tags", "--dry-run", "--quiet").returncode == 3
    done = library.run(library.music, "--quiet")
    assert [line.split(": ")[0] for line in lines(done)] == ["failed"] and done.returncode == 3
    night = library.night()
    assert [line.split(": ")[0] for line in night] == ["unsure", "written"]
    assert library.run(library.music, "--quiet").returncode == 0
    assert library.night() == []


def test_another_library_has_its_own_news(library: Library, tmp_path: Path) -> None:
    library.night(status=3)
    other = tmp_path / "Other"
    other.mkdir()
    (other / "bad.mp3").write_text("no music")
    assert library.run(other, *QUIET).returncode == 3
    assert library.night() == []


def test_a_silent_track_is_news_once_also_for_a_report(invoke: Run, tmp_path: Path) -> None:
    path = song(tmp_path / "Music" / "silent.flac")
    know(tmp_path / "home", [path], {})
    first, second = (invoke(path, "--quiet") for _ in range(2))
    assert lines(first) == [f"unsure: {path}: it is silent; no genre was predicted"]
    assert lines(second) == []


def test_undo_and_apply_fail_by_every_failure(library: Library) -> None:
    library.night(status=3)
    library.sure.unlink()
    for _ in range(2):
        done = library.run("undo", "--quiet")
        assert done.returncode == 3 and done.stderr == ""
    assert read_genres(library.unsure) == ()
