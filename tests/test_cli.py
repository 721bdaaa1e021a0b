"""What the command line takes, prints and returns; what it does is in test_end_to_end."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import LIBRARY, Run

from tagger.app import Summary
from tagger.cli import main
from tagger.console import summary_lines
from tagger.types import Action, Outcome


def test_help_shows_examples_and_exit_codes() -> None:
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    assert "tag-genres ~/Music --write-tags" in shown.output
    assert "130 interrupted" in shown.output


@pytest.mark.parametrize("option", [name for p in main.params for name in p.opts if name[0] == "-"])
def test_every_option_says_what_it_does(option: str) -> None:
    assert option in CliRunner().invoke(main, ["--help"]).output
    parameter = next(p for p in main.params if option in p.opts)
    assert getattr(parameter, "help", None)


def test_undo_has_a_help_of_its_own() -> None:
    shown = CliRunner().invoke(main, ["undo", "--help"])
    assert shown.exit_code == 0
    assert "--run" in shown.output and "PATH..." not in shown.output


def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "tagger", "--help"]
    trace = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    imported = {line.split("|")[-1].strip().split(".")[0] for line in trace.splitlines()}
    assert "click" in imported
    assert not imported & {"torch", "transformers", "pandas", "numpy", "av", "soundfile", "mutagen"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--windows", "0", "x"],
        ["--windows", "some", "x"],
        ["--top", "0", "x"],
        ["--min-confidence", "1.5", "x"],
        ["--min-confidence", "nan", "x"],
        ["--device", "tpu", "x"],
        ["--on-existing", "erase", "x"],
        ["--no-such-option", "x"],
        ["undo", "--run", "last"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    empty, newer, damaged = (tmp_path / name for name in ("empty", "newer.db", "damaged.db"))
    empty.mkdir()
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    damaged.write_text("no database")
    bert = tmp_path / "bert"
    bert.mkdir()
    (bert / "config.json").write_text('{"architectures": ["BertModel"]}')
    wanted = {
        (empty,): "no audio file in it",
        (tmp_path / "typo",): "no such file or folder",
        (LIBRARY, "--csv", "song.mp3"): "--csv",
        (LIBRARY, "--model", "no-such-model"): "gtzan-small",
        (LIBRARY, "--model", empty): "config.json is missing",
        (LIBRARY, "--model", bert): "no AST audio classifier",
        (LIBRARY, "--model", "someone/some-model"): "give a folder",
        (LIBRARY, "--model", tiny_model, "--state", newer): "upgrade",
        (LIBRARY, "--model", tiny_model, "--state", damaged): "name another by --state",
        (LIBRARY, "--model", tiny_model, "--csv", empty / "no" / "genres.csv"): "--csv",
        (LIBRARY, "--model", tiny_model, "--device", "cuda"): "use --device cpu",
        ("undo",): "nothing to undo",
        ("undo", "--run", 7): "no run 7",
    }
    for arguments, message in wanted.items():
        if "cuda" in arguments and _has_cuda():
            continue
        done = run(*arguments, *([] if arguments[0] == "undo" else ["--quiet"]))
        assert done.returncode == 1, (arguments, done.stderr)
        assert message in done.stderr
        assert done.stderr.startswith("tag-genres: ") and done.stderr.count("\n") == 1, done.stderr
        assert done.stdout == ""
    assert damaged.read_text() == "no database"


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def test_stdout_holds_the_report_alone_and_quiet_says_nothing(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    song = shutil.copy(LIBRARY / "02 Quiet Fugue.flac", tmp_path)
    done = run(song, "--model", tiny_model, "--csv", "-", "--quiet")
    assert done.returncode == 0
    assert done.stdout.startswith("path,genre,") and done.stdout.count("\n") == 2
    assert done.stderr == ""


def test_verbose_has_a_line_for_every_track(run: Run, tiny_model: Path) -> None:
    done = run(LIBRARY, "--model", tiny_model, "--verbose")
    for path in LIBRARY.iterdir():
        assert f"predicted: {path}" in done.stderr


def test_messages_do_not_pass_terminal_escapes_on(run: Run, tmp_path: Path) -> None:
    evil = tmp_path / "\x1b[2J\x1b]0;owned\x07.mp3"
    evil.write_text("no music")
    done = run(evil, "--csv", "-")
    assert done.returncode == 3
    assert "\x1b" not in done.stderr + done.stdout
    assert r"\x1b[2J" in done.stderr and r"\x1b[2J" in done.stdout


def test_the_summary_counts_names_failures_and_says_how_to_undo() -> None:
    summary = Summary(run=14)
    summary.actions.update({Action.WRITTEN: 1402, Action.KEPT: 3, Action.FAILED: 7})
    summary.genres.update({"Rock": 612, "Jazz": 311, "Blues": 204, "Pop": 5, "Metal": 1})
    summary.failures += [Outcome(Path("/music/a.mp3"), Action.FAILED, "truncated")] * 5
    lines = list(summary_lines(summary, Path("genres.csv")))
    assert "heard: Rock 612 · Jazz 311 · Blues 204 · 2 more" in lines
    assert lines[0] == "written 1,402 · kept 3 · failed 7"
    assert "failed: /music/a.mp3: truncated" in lines
    assert "failed: 2 more (see `reason` in genres.csv)" in lines
    assert lines[-1] == "undo with: tag-genres undo --run 14"
    summary.state = Path("/tmp/my state.db")
    assert summary.how_to_undo.endswith("--run 14 --state '/tmp/my state.db'")


def test_what_was_written_before_the_report_failed_can_be_undone(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    song = shutil.copy(LIBRARY / "02 Quiet Fugue.flac", tmp_path)
    options = ("--model", tiny_model, "--write-tags", "--min-confidence", 0, "--csv", "/dev/full")
    done = run(song, *options)
    assert done.returncode == 1 and "--csv" in done.stderr
    assert "undo with: tag-genres undo --run 1" in done.stderr
    assert run("undo").returncode == 0
    again = run("undo", "--run", 1)
    assert again.returncode == 1 and "nothing to undo" in again.stderr
    assert run("undo", "--run", 2).returncode == 0  # that was the undo itself
