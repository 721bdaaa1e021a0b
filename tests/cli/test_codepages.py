"""Tags in old code pages, as a person runs the command over them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.command import Run
from helpers.known import JAZZ, know, rows_of
from helpers.tagged import frame, id3_tag, with_front
from mutagen import id3

from tagger.cli.tag import main

ROCK = "Рок"
RAW = ROCK.encode("cp1251")
ARTIST = "Кино".encode("cp1251")


@pytest.fixture
def music(invoke: Run, tmp_path: Path) -> Path:
    """A track predicted as jazz, with genre and artist in Windows-1251 as if in Latin-1."""
    folder = tmp_path / "Music"
    folder.mkdir()
    body = frame(b"TPE1", b"\0" + ARTIST) + frame(b"TCON", b"\0" + RAW) + bytes(20)
    path = with_front(folder, id3_tag(3, body))
    know(tmp_path / "home", [path], JAZZ)
    return path


WRITE = ("--write-tags", "--on-existing")
KNOWN = ("--charset", "cp1251")


@pytest.mark.parametrize("policy", ["replace", "append"])
@pytest.mark.parametrize("charset", [(), KNOWN])
def test_undo_gives_back_every_byte(invoke, music, policy, charset):
    before = music.read_bytes()
    assert invoke(music, *WRITE, policy, *charset).returncode == 0
    assert music.read_bytes() != before
    assert invoke("undo").returncode == 0
    assert music.read_bytes() == before


def test_undo_gives_back_the_genres_bytes_though_a_tagger_changed_the_artist(invoke, music):
    assert invoke(music, *WRITE, "replace").returncode == 0
    music.write_bytes(music.read_bytes().replace(ARTIST, ARTIST[::-1]))
    assert invoke("undo").returncode == 0
    body = frame(b"TPE1", b"\0" + ARTIST[::-1]) + frame(b"TCON", b"\0" + RAW)
    assert music.read_bytes().startswith(id3_tag(3, body + bytes(20)))


def test_append_keeps_the_bytes_of_a_genre_in_an_unknown_code_page(invoke, music):
    assert invoke(music, *WRITE, "append").returncode == 0
    tag = id3.ID3(music, translate=False)
    assert (tag["TCON"].encoding, tag["TCON"].text) == (0, [RAW.decode("latin-1") + "; Jazz"])


def test_with_a_charset_the_genre_is_shown_and_appended_to_as_it_reads(invoke, music):
    done = invoke(music, *WRITE, "append", *KNOWN, "--csv", "-")
    (row,) = rows_of(done.stdout).values()
    assert row["existing_genre"] == ROCK
    assert id3.ID3(music, translate=False)["TCON"].text == [f"{ROCK}; Jazz"]
    assert frame(b"TPE1", b"\0" + ARTIST) in music.read_bytes()


def test_a_charset_counts_though_the_tag_was_read_before_without_it(invoke, music):
    assert invoke(music).returncode == 0
    before = music.read_bytes()
    assert invoke(music, *WRITE, "replace", "--protect", ROCK, *KNOWN).returncode == 0
    assert music.read_bytes() == before
    assert invoke(music, *WRITE, "replace", "--protect", ROCK).returncode == 0
    assert music.read_bytes() != before


def test_a_text_that_is_not_in_the_charset_fails_its_track_only(invoke, music):
    before = music.read_bytes()
    done = invoke(music, *WRITE, "replace", "--charset", "ascii", "--csv", "-")
    (row,) = rows_of(done.stdout).values()
    assert (row["action"], music.read_bytes()) == ("failed", before)
    assert "not in ascii" in row["reason"]


@pytest.mark.parametrize("name", ["nonsense", "rot13", "utf-16", "cp037", "hex", ""])
def test_a_charset_must_be_one_of_texts_that_contain_ascii(invoke, music, name):
    done = invoke(music, "--charset", name)
    assert done.returncode == 2
    assert "code page" in done.stderr


def test_a_config_may_name_the_code_page_of_spreadsheets_though_a_run_reads_none(tmp_path):
    config = tmp_path / "config.toml"
    config.write_text('encoding = "cp1251"\n', encoding="utf-8")
    main.make_context("tag-genres", ["--config", str(config), "music"])
    context = main.make_context("tag-genres", ["apply", "--config", str(config), "genres.csv"])
    assert context.params["encoding"] == "cp1251"
