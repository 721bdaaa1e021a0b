"""Every option of both commands changes its field of the options, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from training import bank, evaluate, finetune
from training.app import bank as making
from training.app import evaluate as evaluating
from training.app import finetune as training
from training.options import (
    OPTIONS,
    RUN,
    EvaluateOptions,
    FinetuneOptions,
    first_difference,
    load_options,
)

FILES = ("other.npz", "other.csv", "soft.npz", "embedding.npz")
FOLDERS = ("data", "more", "music")
CLIPS: dict[str, tuple[list[str], object]] = {
    "data": (["--data", "more"], Path("more")),
    "artists": (["--artists", "other.csv"], Path("other.csv")),
    "split": (["--split", "kfold"], "kfold"),
    "folds": (["--folds", "7"], 7),
    "fold": (["--fold", "2"], 2),
    "seed": (["--seed", "9"], 9),
}
# The arguments for each option, and the value that its field then has.
CASES: dict[str, dict[str, tuple[list[str], object]]] = {
    "finetune": {
        **CLIPS,
        "soft_labels": (["--teacher", "soft.npz"], (Path("soft.npz"),)),
        "embeddings": (["--teacher-embedding", "embedding.npz"], (Path("embedding.npz"),)),
        "unlabelled": (["--unlabelled", "music"], Path("music")),
        "bank": (["--bank", "music"], Path("music")),
        "labels_ok": (["--labels-ok"], True),
        "out": (["--out", "elsewhere"], Path("elsewhere")),
        "method": (["--method", "dora"], "dora"),
        "model": (["--model", "maest"], "maest"),
        "labels": (["--labels", "other.csv"], Path("other.csv")),
        "shape": (["--shape", "tiny"], "tiny"),
        "head": (["--head", "mlp"], "mlp"),
        "new_head": (["--new-head"], True),
        "epochs": (["--epochs", "2.5"], 2.5),
        "steps": (["--steps", "3"], 3),
        "batch_size": (["--batch-size", "5"], 5),
        "accumulate": (["--accumulate", "2"], 2),
        "learning_rate": (["--learning-rate", "0.25"], 0.25),
        "weight_decay": (["--weight-decay", "0.5"], 0.5),
        "augment": (["--augment", "speed,echo"], ("speed", "echo")),
        "keep": (["--keep", "last"], "last"),
        "logistic_head": (["--logistic-head"], True),
        "refit": (["--refit"], True),
        "refit_steps": (["--refit-steps", "9"], 9),
        "search": (["--search", "4"], 4),
        "device": (["--device", "cpu"], "cpu"),
        "precision": (["--precision", "bfloat16"], "bfloat16"),
    },
    "evaluate": {
        **CLIPS,
        "model": (["--model", "maest"], "maest"),
        "labels": (["--labels", "other.csv"], Path("other.csv")),
        "part": (["--part", "test"], "test"),
        "windows": (["--windows", "all"], None),
        "confusion": (["--confusion", "matrix.png"], Path("matrix.png")),
        "figures": (["--json", "figures.json"], Path("figures.json")),
        "device": (["--device", "auto"], "auto"),
        "precision": (["--precision", "bfloat16"], "bfloat16"),
    },
    "bank": {
        **CLIPS,
        "out": (["--out", "elsewhere"], Path("elsewhere")),
        "teacher": (["--teacher", "other.npz"], (Path("soft.npz"), Path("other.npz"))),
        "unlabelled": (["--unlabelled", "music"], Path("music")),
        "shape": (["--shape", "tiny"], "tiny"),
        "crops": (["--crops", "7"], 7),
    },
}
COMMANDS: dict[str, click.Command] = {
    "finetune": finetune.main,
    "evaluate": evaluate.main,
    "bank": bank.main,
}
NEEDED = {
    "finetune": ["--data", "data", "--out", "out"],
    "evaluate": ["--data", "data"],
    "bank": ["--data", "data", "--out", "out", "--teacher", "soft.npz"],
}
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
    monkeypatch.setattr(training, "finetune", lambda options, _, **__: asked.append(options))
    monkeypatch.setattr(evaluating, "evaluate", asked.append)
    monkeypatch.setattr(making, "make_bank", asked.append)

    def ask(command: str, *arguments: str) -> object:
        words = [*NEEDED[command], *arguments]
        result = CliRunner().invoke(COMMANDS[command], words)
        assert result.exit_code == 0, result.output
        return asked.pop()

    return ask


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_case(command: str) -> None:
    names = {param.name for param in COMMANDS[command].params}
    assert names - {"resume", "overwrite", "color"} == CASES[command].keys()


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


# Resumed

# Of a run that an earlier version started and that was stopped before its first step.
EARLIER = Path(__file__).parent / "options-0.1.0.json"
FREE = {"out", "device"}  # the options that may differ from the run's
# Together they decide how many windows a step has.
SPLIT = {"batch_size", "accumulate"}


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    """The folder of an unfinished run of an earlier version."""
    run = tmp_path / "unfinished" / RUN
    run.mkdir(parents=True)
    shutil.copy(EARLIER, run / OPTIONS)
    return tmp_path / "unfinished"


def test_a_run_of_an_earlier_version_is_resumed_with_its_options(
    ask: Ask, unfinished: Path
) -> None:
    assert ask("finetune", "--out", str(unfinished), "--resume") == FinetuneOptions(
        data=Path("data"),
        out=unfinished,
        model="gtzan-small",
        split="random",
        seed=3,
        method="scratch",
        shape="tiny",
        steps=7,
        batch_size=4,
        learning_rate=0.001,
        augment=("speed", "echo"),
        refit=True,
        device="cpu",
        precision="float32",
    )


@pytest.mark.parametrize("name", sorted(CASES["finetune"].keys() - FREE - SPLIT))
def test_a_run_is_not_resumed_with_another_option(ask: Ask, name: str) -> None:
    run = Path("out") / RUN
    run.mkdir(parents=True)
    FinetuneOptions(data=Path("data"), out=Path("out")).dump(run / OPTIONS)
    arguments, _ = CASES["finetune"][name]
    words = [*NEEDED["finetune"], "--resume", *arguments]
    result = CliRunner().invoke(finetune.main, words)
    assert result.exit_code == 1
    assert result.output == f"Error: the run in out was started with another {arguments[0]}\n"


@pytest.mark.parametrize("words", [("--batch-size", "2"), ("--accumulate", "2")])
def test_a_run_is_not_resumed_with_other_steps(ask: Ask, unfinished: Path, words: Any) -> None:
    result = CliRunner().invoke(finetune.main, ["--out", str(unfinished), "--resume", *words])
    assert result.exit_code == 1
    assert "was started with 4 windows per step: --batch-size times" in result.output


def test_a_run_is_resumed_with_the_same_steps_in_smaller_batches(
    ask: Ask, unfinished: Path
) -> None:
    words = ("--out", str(unfinished), "--resume", "--batch-size", "2", "--accumulate", "2")
    options = ask("finetune", *words)
    assert (options.batch_size, options.accumulate, options.step_windows) == (2, 2, 4)


def test_a_run_is_resumed_in_a_moved_folder_and_on_another_device(
    ask: Ask, unfinished: Path, tmp_path: Path
) -> None:
    moved = unfinished.rename(tmp_path / "moved")
    options = ask("finetune", "--out", str(moved), "--resume", "--device", "auto")
    assert (options.out, options.device, options.precision) == (moved, "auto", "float32")


def test_an_option_without_a_field_cannot_be_compared() -> None:
    options = FinetuneOptions(data=Path("data"), out=Path("out"))
    with pytest.raises(ValueError, match="no field 'teacher'"):
        first_difference(options, options, {"seed", "teacher"})
