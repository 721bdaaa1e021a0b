"""The command behaves in a fork, as other tests run it, as the installed script does."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.command import environment, run_command, run_script
from helpers.containers import make


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--no-such-option"], ["undo", "--list"], ["nowhere"], ["models"]],
    ids=str,
)
def test_a_fork_prints_and_ends_as_the_script(tmp_path: Path, words: list[str]) -> None:
    fork, script = (
        run(*words, cwd=tmp_path, env=environment(tmp_path)) for run in (run_command, run_script)
    )
    assert (fork.returncode, fork.stdout, fork.stderr) == (
        script.returncode,
        script.stdout,
        script.stderr,
    )


def test_a_fork_predicts_as_the_script(tmp_path: Path, tiny_model: Path) -> None:
    song = make("flac", tmp_path)
    reports = []
    for run in (run_command, run_script):
        env = {**environment(tmp_path), "XDG_STATE_HOME": str(tmp_path / run.__name__)}
        done = run(song, "--model", tiny_model, "--csv", "-", cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        reports.append((done.stdout, done.stderr))
    assert reports[0] == reports[1]


def test_an_environment_is_that_of_one_fork(tmp_path: Path) -> None:
    env = environment(tmp_path) | {"TAG_GENRES_MODEL": "no-such-model"}
    (tmp_path / "song.mp3").touch()
    with_it = run_command("song.mp3", cwd=tmp_path, env=env)
    without = run_command("song.mp3", cwd=tmp_path, env=environment(tmp_path))
    assert "no-such-model" in with_it.stderr and "no-such-model" not in without.stderr
