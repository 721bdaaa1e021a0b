"""Every option of both commands changes its field of the options, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from training import evaluate, finetune
from training.app import evaluate as evaluating
from training.app import finetune as training
from training.options import EvaluateOptions, FinetuneOptions, load_options

FILES = ("other.csv", "soft.npz", "embedding.npz")
FOLDERS = ("data", "more", "music")
CLIPS: dict[str, tuple[list[str], object]] = {
    "data": (["--data", "more"], Path("more")),
    "artists": (["--artists", "other.csv"], Path("other.csv")),
    "split": (["--split", "kfold"], "kfold"),
    "folds": (["--folds", "7"], 7),
    "fold": (["--fold", "2"], 2),
    "seed": (["--seed", "9"], 9),
}
# What each option is given, and the value of its field then.
CASES: dict[str, dict[str, tuple[list[str], object]]] = {
    "finetune": {
        **CLIPS,
        "soft_labels": (["--teacher", "soft.npz"], (Path("soft.npz"),)),
        "embeddings": (["--teacher-embedding", "embedding.npz"], (Path("embedding.npz"),)),
        "unlabelled": (["--unlabelled", "music"], Path("music")),
        "out": (["--out", "elsewhere"], Path("elsewhere")),
        "method": (["--method", "dora"], "dora"),
        "model": (["--model", "maest"], "maest"),
        "shape": (["--shape", "tiny"], "tiny"),
        "head": (["--head", "mlp"], "mlp"),
        "new_head": (["--new-head"], True),
        "epochs": (["--epochs", "2.5"], 2.5),
        "steps": (["--steps", "3"], 3),
        "batch_size": (["--batch-size", "5"], 5),
        "learning_rate": (["--learning-rate", "0.25"], 0.25),
        "weight_decay": (["--weight-decay", "0.5"], 0.5),
        "augment": (["--augment", "speed,echo"], ("speed", "echo")),
        "keep": (["--keep", "last"], "last"),
        "logistic_head": (["--logistic-head"], True),
        "refit": (["--refit"], True),
        "search": (["--search", "4"], 4),
        "device": (["--device", "cpu"], "cpu"),
        "precision": (["--precision", "bfloat16"], "bfloat16"),
    },
    "evaluate": {
        **CLIPS,
        "model": (["--model", "maest"], "maest"),
        "part": (["--part", "test"], "test"),
        "windows": (["--windows", "all"], None),
        "confusion": (["--confusion", "matrix.png"], Path("matrix.png")),
        "figures": (["--json", "figures.json"], Path("figures.json")),
        "device": (["--device", "auto"], "auto"),
        "precision": (["--precision", "bfloat16"], "bfloat16"),
    },
}
COMMANDS: dict[str, click.Command] = {"finetune": finetune.main, "evaluate": evaluate.main}
NEEDED = {"finetune": ["--data", "data", "--out", "out"], "evaluate": ["--data", "data"]}
Ask = Callable[..., Any]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The options that a command would run with."""
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        Path(name).touch()
    for name in FOLDERS:
        Path(name).mkdir()
    asked: list[object] = []
    monkeypatch.setattr(training, "finetune", lambda options, _: asked.append(options))
    monkeypatch.setattr(evaluating, "evaluate", asked.append)

    def ask(command: str, *arguments: str) -> object:
        words = [*NEEDED[command], *arguments]
        result = CliRunner().invoke(COMMANDS[command], words)
        assert result.exit_code == 0, result.output
        return asked.pop()

    return ask


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_case(command: str) -> None:
    names = {param.name for param in COMMANDS[command].params}
    assert names - {"resume"} == CASES[command].keys()


@pytest.mark.parametrize(
    ("command", "name"), [(command, name) for command in CASES for name in CASES[command]]
)
def test_an_option_changes_its_field_and_no_other(ask: Ask, command: str, name: str) -> None:
    arguments, value = CASES[command][name]
    before, after = ask(command), ask(command, *arguments)
    changed = {
        field.name: getattr(after, field.name)
        for field in fields(after)
        if getattr(after, field.name) != getattr(before, field.name)
    }
    assert changed == {name: value}


def test_without_options_a_command_takes_the_defaults(ask: Ask) -> None:
    assert ask("finetune") == FinetuneOptions(data=Path("data"), out=Path("out"))
    assert ask("evaluate") == EvaluateOptions(data=Path("data"))


def test_options_are_read_as_they_were_written(ask: Ask, tmp_path: Path) -> None:
    every = [word for arguments, _ in CASES["finetune"].values() for word in arguments]
    options = ask("finetune", *every)
    options.dump(tmp_path / "options.json")
    assert load_options(tmp_path / "options.json") == options
