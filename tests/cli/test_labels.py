"""`--labels`: names for a model's outputs, for the one model that they belong to."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from helpers.command import LIBRARY, Run
from helpers.models import edit

from tagger import Prediction, predict
from tagger.app.doctor import look_at_config, look_at_default_model
from tagger.cli.config import check
from tagger.cli.named import asked_of
from tagger.cli.tag import main

NAMES = "Polka\nSka\nTango\nWaltz\n"


@pytest.fixture
def unnamed(tiny_model: Path, tmp_path: Path) -> Path:
    """A model whose outputs have no names."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "unnamed"))
    edit(folder, "config.json", id2label={str(index): f"LABEL_{index}" for index in range(4)})
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text(NAMES)
    return path


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return Path(shutil.copy(LIBRARY / "02 Quiet Fugue.flac", tmp_path))


def genre(folder: Path) -> str:
    with (folder / "genres.csv").open(encoding="utf-8-sig", newline="") as file:
        return next(csv.DictReader(file))["genre"]


def test_names_from_a_file_are_used_and_others_are_predicted_anew(
    run: Run, unnamed: Path, labels: Path, song: Path, tmp_path: Path
) -> None:
    done = run(song, "--model", unnamed)
    assert done.returncode == 1
    assert "output 0 is called 'LABEL_0'" in done.stderr and "--labels FILE" in done.stderr
    csv_option = ("--csv", tmp_path / "genres.csv")
    done = run(song, "--model", unnamed, "--labels", labels, *csv_option)
    assert done.returncode == 0, done.stderr
    first = genre(tmp_path)
    assert first in NAMES.split()
    labels.write_text("\n".join(reversed(NAMES.split())))
    done = run(song, "--model", unnamed, "--labels", labels, *csv_option)
    assert "known from earlier runs" not in done.stderr
    assert genre(tmp_path) == NAMES.split()[3 - NAMES.split().index(first)]
    labels.write_text(NAMES)
    done = run(song, "--model", unnamed, "--labels", labels, *csv_option)
    assert "1 known from earlier runs" in done.stderr
    assert genre(tmp_path) == first
    (prediction,) = predict(song, model=str(unnamed), labels=labels)
    assert isinstance(prediction, Prediction) and prediction.ranked[0][0] == first


@pytest.mark.parametrize("models", [(), ("bundled", "gtzan-small")])
def test_labels_without_their_one_model_are_wrong_usage(
    run: Run, labels: Path, song: Path, models: tuple[str, ...]
) -> None:
    named = [word for model in models for word in ("--model", model)]
    done = run(song, "--labels", labels, *named)
    assert done.returncode == 2
    assert "--labels needs one --model" in done.stderr
    assert run(song, "--model", "bundled", "--labels", "/no/such/file").returncode == 2


def test_labels_in_the_config_belong_to_the_model_there(
    run: Run, unnamed: Path, labels: Path, song: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"model = '{unnamed}'\nlabels = 'labels.txt'\n")
    done = run(song, "--config", config, "--csv", tmp_path / "genres.csv")
    assert done.returncode == 0, done.stderr
    assert genre(tmp_path) in NAMES.split()
    done = run(song, "--config", config, "--model", "bundled", "--csv", tmp_path / "genres.csv")
    assert done.returncode == 0, done.stderr
    assert genre(tmp_path) not in NAMES.split()


def test_doctor_checks_the_labels_of_the_config(
    tmp_path: Path, unnamed: Path, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def error(text: str) -> str:
        (tmp_path / "config.toml").write_text(f"model = '{unnamed}'\n{text}")
        asked = asked_of(check(main, tmp_path / "config.toml"), None)
        return f"{look_at_config(asked).error}{look_at_default_model(asked).error}"

    monkeypatch.delenv("TAG_GENRES_MODEL", raising=False)
    of_labels = f"labels = '{labels}'"
    assert "LABEL_0" in error("")
    assert error(of_labels) == ""
    labels.write_text("Rock\nPop\n")
    assert f"--labels {labels} has 2 names" in error(of_labels)
    labels.unlink()
    assert str(labels) in error(of_labels)
    labels.write_text(NAMES)
    monkeypatch.setenv("TAG_GENRES_MODEL", "bundled")  # to which they do not belong
    assert error(of_labels) == ""


def test_a_model_without_names_can_be_checked_by_models_get(
    run: Run, unnamed: Path, labels: Path
) -> None:
    assert run("models", "get", unnamed).returncode == 1
    done = run("models", "get", unnamed, "--labels", labels)
    assert done.returncode == 0 and "4 labels" in done.stdout
