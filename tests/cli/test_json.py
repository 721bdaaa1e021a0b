"""`--json` as a program uses it: the streams, a reader that ends early, Ctrl-C, contradictions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from helpers.command import SCRIPT, environment, run_command
from helpers.known import know, song

from tagger.cli.tag import main

SHELL = """{command} | head -1; test "${{PIPESTATUS[0]}}" = {code}"""


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Tracks that are known, so that no model is needed."""
    music = tmp_path / "Music"
    paths = [song(music / f"{number}.flac") for number in range(3)]
    know(tmp_path, paths)
    return music


def run(shelf: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    home = shelf.parent
    return run_command(*arguments, cwd=home, env=environment(home))


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("more", [(), ("--quiet",), ("--verbose",), ("--dry-run",)], ids=str)
def test_stdout_has_lines_of_json_and_nothing_else(shelf: Path, more: tuple[str, ...]) -> None:
    done = run(shelf, shelf, "--json", *more)
    assert done.returncode == 0, done.stderr
    assert [line["type"] for line in lines_of(done.stdout)] == ["track"] * 3 + ["summary"]
    assert bool(done.stderr) == ("--quiet" not in more)


def test_undo_lists_runs_and_undoes_them_as_json(shelf: Path) -> None:
    run(shelf, shelf, "--write-tags", "--quiet")
    (line,) = lines_of(run(shelf, "undo", "--list", "--json").stdout)
    assert (line["version"], line["type"], line["run"], line["files"]) == (1, "run", 1, 3)
    assert (line["kind"], line["source"], line["undone"]) == ("tag", "gtzan-small", 0)
    *tracks, summary = lines_of(run(shelf, "undo", "--json").stdout)
    assert [track["existing"] for track in tracks] == [["Rock"]] * 3
    assert summary["command"] == "undo" and summary["actions"]["written"] == 3


def test_failures_end_with_the_same_code_as_without(shelf: Path) -> None:
    (shelf / "broken.mp3").write_text("no music")
    done = run(shelf, shelf, "--json", "--device", "cpu")
    assert done.returncode == 3
    summary = lines_of(done.stdout)[-1]
    assert summary["actions"]["failed"] == 1
    assert summary["failures"][0]["reason"].startswith("no decoder can read it")


def test_an_error_that_ends_the_run_is_in_the_summary(shelf: Path) -> None:
    done = run(shelf, "nowhere", "--json")
    assert done.returncode == 1
    (summary,) = lines_of(done.stdout)
    assert f"tag-genres: {summary['error']}" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a shell with PIPESTATUS")
def test_a_reader_that_ends_early_does_not_end_the_run(shelf: Path) -> None:
    home = shelf.parent
    command = f"{' '.join(SCRIPT)} {shelf} --json --write-tags"
    done = subprocess.run(
        ["bash", "-c", SHELL.format(command=command, code=0)],
        cwd=home, env=environment(home), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert len(lines_of(done.stdout)) == 1
    assert "Traceback" not in done.stderr and "written 3" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full")
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["Music", "--json"], "standard output"),
        (["Music", "--write-tags", "--dry-run"], "standard output"),  # not the report
        (["--help"], "the output"),
        (["completion", "bash"], "the output"),
    ],
)
def test_a_full_disk_ends_the_run_with_a_message(
    shelf: Path, arguments: list[str], named: str
) -> None:
    home = shelf.parent
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*SCRIPT, *arguments], cwd=home, env=environment(home), stdout=full,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"{named} cannot be written: no space left on device" in done.stderr
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_after_ctrl_c_the_summary_still_comes(shelf: Path) -> None:
    home = shelf.parent
    with subprocess.Popen(
        [*SCRIPT, shelf, "--json", "--write-tags"], cwd=home, env=environment(home),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as started:  # fmt: skip
        assert started.stdout is not None
        first = started.stdout.readline()  # after this, there is more to write
        started.send_signal(signal.SIGINT)
        rest, _ = started.communicate(timeout=60)
    lines = lines_of(first + rest)
    assert lines[-1]["type"] == "summary"
    if started.returncode == 130:  # else it was done before the signal came
        assert lines[-1]["interrupted"] is True
        assert lines[-1]["undo"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_after_ctrl_c_at_the_start_the_summary_still_comes(shelf: Path) -> None:
    home = shelf.parent
    os.mkfifo(home / "list")  # the run waits until somebody writes to it
    started = subprocess.Popen(
        [*SCRIPT, "--from-file", home / "list", "--json", "--quiet"], cwd=home,
        env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with started, open(home / "list", "w"):
        started.send_signal(signal.SIGINT)
        text, errors = started.communicate(timeout=60)
    (line,) = lines_of(text)
    assert (started.returncode, line["type"], line["interrupted"]) == (130, "summary", True)
    assert "Traceback" not in errors


@pytest.mark.parametrize("other", [("--explain",), ("--csv", "-")], ids=str)
def test_what_also_needs_stdout_is_refused(shelf: Path, other: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [str(shelf), "--json", *other])
    assert done.exit_code == 2
    assert "--json cannot be used with --explain, or with --csv -" in done.stderr
    assert done.stdout == ""
