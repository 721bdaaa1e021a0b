"""A config file is read with the line of each option, and with all of its faults."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import platformdirs
import pytest

from tagger.app.config import (
    COMMAND_LINE_ONLY,
    beside,
    default_config,
    is_there,
    key_fault,
    read_config,
    write_new,
)
from tagger.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_lines_of_options_are_those_of_the_file(tmp_path):
    config = read_config(
        write(
            tmp_path,
            "# top = 9\n\ntop = 2\n'quoted-key' = [\n 1, # ]\n 2]\ndotted.key = 1\n"
            'text = """\nwindows = 3\n"""\nwindows = 4\n[aliases]\nRock = "Punk"\n[tree]\n',
        )
    )
    lines = {key: config.line(key) for key in config.table}
    assert lines == {
        "top": 3, "quoted-key": 4, "dotted": 7, "text": 8, "windows": 11, "aliases": 12, "tree": 14,
    }  # fmt: skip
    assert config.table["quoted-key"] == [1, 2] and config.table["windows"] == 4
    assert config.line("nothing") is None and not config.faults


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_bom_and_the_lines_of_windows_do_not_matter(tmp_path, start, end):
    config = read_config(write(tmp_path, end.join([f"{start}top = 2", "ratio = 1", ""])))
    assert config.table == {"top": 2, "ratio": 1} and config.line("ratio") == 2


def test_a_table_grows_statement_by_statement(tmp_path):
    text = '[aliases]\nRock = "Punk"\nJazz = "Swing"\n'
    assert [*read_config(write(tmp_path, text)).growing("aliases")] == [
        (1, {}), (2, {"Rock": "Punk"}), (3, {"Rock": "Punk", "Jazz": "Swing"}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "places", "left"),
    [
        ("top = \n", [(1, 7)], {}),
        ("top\nratio = 1", [(1, 4)], {"ratio": 1}),
        ("a = 1\na = 2\nb = 3", [(2, 6)], {"a": 1, "b": 3}),
        ("a = \nb = 1\nc d\ne = 2", [(1, 5), (3, 3)], {"b": 1, "e": 2}),
        ('a = ["x",\nb = 1\n', [(2, 1)], {"b": 1}),
        ('a = ["x",\n "y"\nb = 1\nc =\n', [(3, 1), (4, 4)], {"b": 1}),
        ('a = """\nb = 1\n', [(1, 1)], {"b": 1}),
        ("[a\nb = 1\n[c]\nd = 2\n", [(1, 3)], {"c": {"d": 2}}),
        ("[a]\nb = 1\n[a]\nc = 2\n[d]\n", [(3, 3)], {"a": {"b": 1}, "d": {}}),
        ("a = 1\n[a]\nb = 1\n", [(2, 3)], {"a": 1}),
    ],
)
def test_every_error_of_syntax_has_its_place_and_the_rest_is_read(tmp_path, text, places, left):
    config = read_config(write(tmp_path, text))
    assert [(fault.line, fault.column) for fault in config.faults] == places
    assert config.table == left
    assert str(config.faults[0]).startswith(f"{config.path}:{places[0][0]}:{places[0][1]}: not val")


@pytest.mark.parametrize("option", ["aliases", "whitelist", "tree"])
def test_a_file_is_looked_for_beside_the_config(tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    assert beside(Path("config.toml"), "lists/mine") == tmp_path / "lists" / "mine"


def test_an_absolute_path_stays(tmp_path):
    assert beside(tmp_path / "c.toml", "/srv/tree.yaml") == Path("/srv/tree.yaml")


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert beside(tmp_path / "c.toml", "~/tree.yaml") == tmp_path / "home" / "tree.yaml"


def test_the_home_folder_of_nobody_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'~nobody.*' names an unknown home"):
        beside(tmp_path / "c.toml", "~nobody-of-this-name/tree.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml' cannot be read \(No such file"):
        read_config(tmp_path / "none.toml")


def test_a_file_that_nests_too_deep_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_config(write(tmp_path, f"a = {'[' * 100_000}"))


KNOWN = ("min-confidence", "top")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("top", ""),
        ("min-confidence", ""),
        ("min_confidence", "write min-confidence, not min_confidence"),
        ("min-confidenc", "there is no option min-confidenc; did you mean min-confidence?"),
        ("colour", "there is no option colour; known: min-confidence, top"),
        ("all", "all cannot be set in a config file; give it on the command line"),
        ("write_tags", "write-tags cannot be set in a config file; give it on the command line"),
        *(
            (key, f"{key} cannot be set in a config file; give it on the")
            for key in COMMAND_LINE_ONLY
        ),
    ],
)
def test_a_key_is_an_option_or_the_message_says_what_to_do(key, message):
    shown = key_fault(key, KNOWN, {"all"})
    assert shown.startswith(message) and bool(shown) == bool(message)


@pytest.mark.parametrize("option", COMMAND_LINE_ONLY)
def test_what_a_run_does_to_files_is_set_only_on_the_command_line(option):
    message = f"{option} cannot be set in a config file; give it on the command line"
    assert key_fault(option, KNOWN) == message


def test_the_default_is_in_the_users_config_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: tmp_path / name)
    assert default_config() == tmp_path / "tag-genres" / "config.toml"


def test_what_cannot_be_looked_at_counts_as_there(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert is_there(tmp_path / "link") and not is_there(tmp_path / "nowhere")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "lstat", refuse)
    assert is_there(tmp_path / "nowhere")


def test_a_new_file_needs_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # as on FAT

    monkeypatch.setattr(os, "link", none)
    write_new(tmp_path / "config.toml", "top = 1\n")
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_a_new_file_is_whole_and_alone_and_replaces_nothing(tmp_path):
    path = tmp_path / "made" / "here" / "config.toml"
    write_new(path, "top = 1\n")
    for place in (path, tmp_path / "link"):
        if place != path:
            place.symlink_to(tmp_path / "nowhere")
        with pytest.raises(ConfigError, match="exists, and is left as it is"):
            write_new(place, "top = 2\n")
    assert path.read_text() == "top = 1\n"
    assert [*path.parent.iterdir()] == [path] and not (tmp_path / "nowhere").exists()


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_new(tmp_path / "file" / "config.toml", "")
