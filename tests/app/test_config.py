from __future__ import annotations

from pathlib import Path

import click
import platformdirs
import pytest
from click.testing import CliRunner

from tagger.app.config import COMMAND_LINE_ONLY, check_keys, default_config, read_config
from tagger.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_options_are_named_as_on_the_command_line(tmp_path):
    path = write(tmp_path, 'on-existing = "append"\nmin-confidence = 0.6\ntop = 2\nprotect = ["A"]')
    assert read_config(path) == {
        "on_existing": "append", "min_confidence": 0.6, "top": 2, "protect": ["A"],
    }  # fmt: skip


def test_names_may_be_in_the_config_itself(tmp_path):
    path = write(tmp_path, 'whitelist = ["Rock"]\n[aliases]\nRock = "Punk"\n[tree]\nRock = ["Oi"]')
    assert read_config(path) == {
        "whitelist": ["Rock"], "aliases": {"Rock": "Punk"}, "tree": {"Rock": ["Oi"]},
    }  # fmt: skip


@pytest.mark.parametrize("option", ["aliases", "whitelist", "tree"])
def test_a_file_is_looked_for_beside_the_config(tmp_path, monkeypatch, option):
    write(tmp_path, f'{option} = "lists/mine"')
    monkeypatch.chdir(tmp_path)
    assert read_config(Path("config.toml")) == {option: tmp_path / "lists" / "mine"}


def test_an_absolute_path_stays(tmp_path):
    path = write(tmp_path, 'tree = "/srv/tree.yaml"')
    assert read_config(path) == {"tree": Path("/srv/tree.yaml")}


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = write(tmp_path, 'tree = "~/tree.yaml"')
    assert read_config(path) == {"tree": tmp_path / "home" / "tree.yaml"}


def test_the_home_folder_of_nobody_is_refused(tmp_path):
    path = write(tmp_path, 'tree = "~nobody-of-this-name/tree.yaml"')
    with pytest.raises(ConfigError, match=r"config\.toml: '~nobody.*' names an unknown home"):
        read_config(path)


@pytest.mark.parametrize("option", COMMAND_LINE_ONLY)
def test_what_a_run_does_to_files_is_set_only_on_the_command_line(tmp_path, option):
    path = write(tmp_path, f"{option} = true")
    with pytest.raises(ConfigError, match=f"{option} cannot be set in a config file; give it on"):
        read_config(path)


def test_underscores_are_refused(tmp_path):
    path = write(tmp_path, "min_confidence = 0.6")
    with pytest.raises(ConfigError, match="write min-confidence, not min_confidence"):
        read_config(path)


@pytest.mark.parametrize("text", ["top = ", "top", "top = 1\ntop = 2"])
def test_a_file_that_is_not_toml_is_named(tmp_path, text):
    with pytest.raises(ConfigError, match=r"config\.toml is not valid TOML"):
        read_config(write(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml' cannot be read \(No such file"):
        read_config(tmp_path / "none.toml")


def test_click_takes_the_options_as_defaults(tmp_path):
    @click.command()
    @click.option("--min-confidence", type=float)
    @click.option("--protect", multiple=True)
    def command(min_confidence: float, protect: tuple[str, ...]) -> None:
        click.echo(f"{min_confidence} {protect}")

    config = read_config(write(tmp_path, 'min-confidence = 0.6\nprotect = ["A", "B"]'))
    result = CliRunner().invoke(command, [], default_map=config)
    assert result.output == "0.6 ('A', 'B')\n"


KNOWN = ("min_confidence", "top")


def test_known_options_pass():
    check_keys({"top": 1, "min_confidence": 0.5}, KNOWN, Path("c.toml"))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("min_confidenc", "there is no option min-confidenc; did you mean min-confidence"),
        ("colour", "there is no option colour; known: min-confidence, top"),
    ],
)
def test_an_unknown_option_is_named_with_what_may_be_meant(key, message):
    with pytest.raises(ConfigError, match=f"c.toml: {message}"):
        check_keys({key: 1}, KNOWN, Path("c.toml"))


def test_the_default_is_in_the_users_config_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: tmp_path / name)
    assert default_config() == tmp_path / "tag-genres" / "config.toml"
