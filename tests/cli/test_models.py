"""`tag-genres models`: what it shows in pipes and terminals, of models here and elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.command import environment
from helpers.terminal import open_terminal

from tagger.cli.tag import main
from tagger.models.checkpoint import BUNDLED
from tagger.models.presets import PRESETS


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model of the hub is on disk, and the hub is out of reach."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def run(*words: str) -> str:
    done = CliRunner().invoke(main, ["models", *words])
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    return done.stdout


def refused(*words: str) -> str:
    done = CliRunner().invoke(main, ["models", *words])
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    return done.stderr


def test_the_list_says_for_whom_each_model_is() -> None:
    shown = run()
    for name, preset in PRESETS.items():
        assert f"{name:17}{preset.suits}\n" in shown
        assert f"{preset.offers} · {preset.megabytes} MB · {preset.licence}" in shown


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_in_a_terminal_the_list_fits(tmp_path: Path, columns: int) -> None:
    env = environment(tmp_path)
    with open_terminal("models", cwd=tmp_path, env=env, columns=columns) as terminal:
        assert terminal.wait() == 0
    assert terminal.widest <= columns
    text = " ".join(" ".join(terminal.lines).split())
    for name, preset in PRESETS.items():
        assert name in text
        assert columns < 80 or preset.suits in text
        assert columns < 80 or f"{preset.megabytes} MB · {preset.licence}" in text


@pytest.mark.parametrize("name", PRESETS)
def test_a_model_is_shown_with_its_genres_before_its_download(name: str) -> None:
    shown, preset = run("show", name), PRESETS[name]
    text = " ".join(shown.split())
    for fact in (preset.licence, preset.accuracy, preset.source, preset.repo, preset.suits):
        assert fact in text
    (genres,) = (entry["genres"] for entry in json.loads(run("--json")) if entry["name"] == name)
    assert genres and all(genre in text for genre in genres)
    assert f"--model {name}\n" in shown
    needs = f"tag-genres models get {name}" + " --accept-licence" * preset.non_commercial
    assert shown.endswith(f"{needs}\n") == bool(preset.repo)


def test_the_old_name_is_not_shown() -> None:
    assert "bundled" not in run() + run("-v") + run("show", "bundled")
    assert run("show", "bundled") == run("show", "gtzan-small")


def test_a_folder_is_shown_as_it_is(tmp_path: Path) -> None:
    folder = shutil.copytree(BUNDLED / "gtzan-small", tmp_path / "my model")
    shown = run("show", str(folder))
    assert "Hip-Hop" in shown and f"{PRESETS['gtzan-small'].window} s of audio" in shown
    assert f"--model '{folder}'" in shown.replace("\n" + " " * 17, " ")


@pytest.mark.parametrize("command", ["show", "get"])
def test_a_misspelt_name_says_what_was_meant(command: str) -> None:
    assert "no model 'audioest': did you mean audioset?" in refused(command, "audioest")


def test_a_model_of_the_hub_that_is_not_here_says_how_to_get_it() -> None:
    assert "get it with: tag-genres models get someone/else" in refused("show", "someone/else")
