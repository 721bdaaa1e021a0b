"""What a person does by mistake or does not expect: nothing is lost, and it is reported."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest
from helpers.command import Run
from helpers.known import JAZZ, know, song

from tagger.state.store import State
from tagger.tags.genre_tag import read_genres


@pytest.fixture
def music(invoke: Run, tmp_path: Path) -> Path:
    """Three tracks predicted as jazz; one of them has a genre."""
    folder = tmp_path / "Music"
    names = {"a.flac": (), "b.flac": ("Polka",), "c.flac": ()}
    know(tmp_path / "home", [song(folder / name, *names[name]) for name in names], JAZZ)
    return folder


@pytest.fixture
def report(invoke: Run, tmp_path: Path, music: Path) -> Path:
    """The report of a run that wrote nothing."""
    assert invoke(music).returncode == 0
    return tmp_path / "home" / "genres.csv"


def edit(report: Path, **genres: str) -> None:
    """Type other genres into the rows of these tracks."""
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["genre"] = genres.get(Path(row["path"]).stem, row["genre"])
    with report.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_report_is_not_taken_for_music(invoke: Run, report: Path) -> None:
    before = report.read_bytes()
    done = invoke(report)
    assert done.returncode == 1
    assert f"tag-genres apply {report}" in done.stderr
    assert report.read_bytes() == before


def test_a_report_that_was_edited_is_kept_by_the_next_run(
    invoke: Run, music: Path, report: Path
) -> None:
    edit(report, a="Ska")
    edited = report.read_bytes()
    done = invoke(music)
    (kept,) = report.parent.glob("genres.kept-*.csv")
    assert done.returncode == 0 and str(kept.name) in done.stderr
    assert kept.read_bytes() == edited
    assert report.read_bytes() != edited
    assert invoke("apply", kept).returncode == 0
    assert read_genres(music / "a.flac") == ("Ska",)


def test_a_report_that_nobody_edited_is_replaced(invoke: Run, music: Path, report: Path) -> None:
    assert invoke(music).returncode == 0
    assert [path.name for path in report.parent.glob("*.csv")] == ["genres.csv"]


def test_apply_all_fills_gaps_and_replaces_nothing(invoke: Run, music: Path, report: Path) -> None:
    edit(report, a="Ska")
    done = invoke("apply", report, "--all")
    assert done.returncode == 0, done.stderr
    found = [read_genres(music / name) for name in ("a.flac", "b.flac", "c.flac")]
    assert found == [("Ska",), ("Polka",), ("Jazz",)]


def test_apply_names_a_file_that_is_another_since(invoke: Run, music: Path, report: Path) -> None:
    edit(report, a="Ska")
    song(music / "another.flac").replace(music / "a.flac")
    done = invoke("apply", report)
    assert done.returncode == 0, done.stderr
    assert f"{music / 'a.flac'}: the file has changed since it was predicted" in done.stderr


def test_explain_says_what_prevents_a_write(invoke: Run, music: Path) -> None:
    os.link(music / "a.flac", music / "other name")
    done = invoke(music / "a.flac", "--explain")
    assert "  result: failed: hard-linked: " in done.stdout
    done = invoke(music / "a.flac", "--explain", "--break-hardlinks")
    assert "  result: would write Jazz" in done.stdout


def test_explain_says_that_one_track_is_no_album(invoke: Run, music: Path) -> None:
    assert "(this track alone)" in invoke(music / "a.flac", "--explain", "--by", "album").stdout
    assert "(this track alone)" not in invoke(music / "a.flac", "--explain").stdout


def test_root_too_leaves_read_only_files_alone(invoke: Run, music: Path) -> None:
    (music / "a.flac").chmod(0o444)
    done = invoke(music, "--write-tags")
    assert done.returncode == 3
    assert f"{music / 'a.flac'}: the file is read-only" in done.stderr
    assert read_genres(music / "a.flac") == ()


def test_a_protected_genre_goes_by_its_aliases_too(
    invoke: Run, music: Path, tmp_path: Path
) -> None:
    rules = tmp_path / "aliases.toml"
    rules.write_text('Folk = ["Polka"]\n')
    options = ("--on-existing", "replace", "--protect", "Folk", "--aliases", rules)
    assert invoke(music, "--write-tags", *options).returncode == 0
    assert read_genres(music / "b.flac") == ("Polka",)


def test_a_config_that_was_not_named_is_reported(invoke: Run, music: Path, tmp_path: Path) -> None:
    config = tmp_path / "home" / "config" / "tag-genres" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("top = 2\n")
    assert f"config: {config}" in invoke(music).stderr
    assert "config:" not in invoke(music, "--config", config).stderr


def test_a_dry_run_says_that_it_changed_nothing(invoke: Run, music: Path) -> None:
    assert "no file was changed" in invoke(music, "--write-tags", "--dry-run").stderr
    assert "no file was changed" not in invoke(music, "--write-tags").stderr


def test_an_undo_after_a_move_says_how(invoke: Run, music: Path) -> None:
    assert invoke(music, "--write-tags").returncode == 0
    music.rename(music.with_name("moved"))
    done = invoke("undo")
    assert done.returncode == 3
    assert "tag-genres undo --from OLD --to NEW" in done.stderr


def test_an_undo_leaves_a_link_that_took_the_place_of_a_file(invoke: Run, music: Path) -> None:
    assert invoke(music, "--write-tags").returncode == 0
    elsewhere = (music / "a.flac").rename(music.with_name("elsewhere.flac"))
    (music / "a.flac").symlink_to(elsewhere)
    done = invoke("undo")
    assert done.returncode == 3 and "it is a link now" in done.stderr
    assert (music / "a.flac").is_symlink() and read_genres(elsewhere) == ("Jazz",)


def test_a_backup_of_the_old_files_is_not_where_the_library_moved(
    invoke: Run, music: Path, tmp_path: Path
) -> None:
    backup = shutil.copytree(music, tmp_path / "backup")  # with its times
    assert invoke(music, "--write-tags").returncode == 0
    moved = music.rename(tmp_path / "moved")
    wrong = invoke("undo", "--from", music, "--to", backup)
    assert wrong.returncode == 1 and "is now under" in wrong.stderr
    assert invoke("undo", "--from", music, "--to", moved).returncode == 0
    assert read_genres(moved / "a.flac") == ()


def test_a_link_to_the_state_brings_no_second_lock(
    invoke: Run, music: Path, tmp_path: Path
) -> None:
    state = tmp_path / "real.sqlite3"
    assert invoke(music, "--state", state).returncode in (0, 3)
    link = tmp_path / "link.sqlite3"
    link.symlink_to(state)
    with State(link) as opened:
        assert opened.path == state


def test_what_was_left_out_is_said_in_one_line_even_if_nothing_else_is_left(
    invoke: Run, music: Path
) -> None:
    (music / "@eaDir").mkdir()
    shutil.copy(music / "a.flac", music / "@eaDir")
    done = invoke(music, "--exclude", "b.*")
    assert "left out: system folders 1 (@eaDir) · --exclude 1 (b.flac)" in done.stderr
    assert done.stderr.count("left out") == 1
    assert "left out" not in invoke(music, "--exclude", "b.*", "--quiet").stderr
    done = invoke(music, "--exclude", "*.flac")
    assert done.returncode == 1
    assert "left out: system folders 1 (@eaDir) · --exclude 3 (a.flac, b.flac, …)" in done.stderr
    assert invoke(music, "--exclude", "!").returncode == 2


def test_playlists_follow_the_files_and_a_dry_run_leaves_them(
    invoke: Run, music: Path, tmp_path: Path
) -> None:
    lists = tmp_path / "lists"
    done = invoke(music, "--playlists", lists, "--dry-run")
    assert "leaves the playlists as they are" in done.stderr and not lists.exists()
    done = invoke(music, "--playlists", lists, "--write-tags")
    assert f"playlists: 2 in {lists}" in done.stderr
    assert sorted(path.name for path in lists.iterdir()) == ["Jazz.m3u8", "Polka.m3u8"]
    assert "../Music/a.flac" in (lists / "Jazz.m3u8").read_text()
    assert invoke(music, "--playlists", music / "a.flac").returncode == 2
