"""Completion in real shells, and what it answers for every part of a command line."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from helpers.command import ROOT, SCRIPT, environment
from helpers.programs import need
from helpers.terminal import open_terminal

from tagger.cli.completion import SCRIPTS, Bash
from tagger.cli.tag import OTHER_COMMANDS, main
from tagger.cli.values import Choice
from tagger.models.presets import PRESETS
from tagger.state.glance import undoable_runs
from tagger.state.store import State

HEAVY = {"torch", "transformers", "pandas", "numpy", "av", "soundfile", "mutagen", "rich"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with music and the scripts, which is the current one."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "My Music").mkdir()
    (tmp_path / "song.mp3").touch()
    for shell in SCRIPTS:
        script = CliRunner().invoke(main, ["completion", shell]).output
        (tmp_path / f"script.{shell}").write_text(script, "utf-8")
    return tmp_path


def shell_environment(home: Path) -> dict[str, str]:
    env = environment(home)
    return {**env, "PATH": f"{Path(SCRIPT[0]).parent}{os.pathsep}{env['PATH']}", "PS1": "$ "}


def answered(line: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Each candidate for the word at the end of the line, and its kind."""
    monkeypatch.setenv("COMP_WORDS", line)
    text = Bash(main, {}, "tag-genres", "_TAG_GENRES_COMPLETE").complete()
    rows = (row.split("\t") for row in text.splitlines())
    return {value: kind for kind, value, _ in rows}


def plain(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return [v for v, kind in answered(line, monkeypatch).items() if kind == "plain"]


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("tag-genres mod", ["models"]),
        ("tag-genres --color never mod", ["models"]),
        ("tag-genres models g", ["get"]),
        ("tag-genres models get audioset-", ["audioset-distil"]),
        ("tag-genres --model gtzan-", ["gtzan-small"]),
        ("tag-genres -m gtzan-", ["gtzan-small"]),
        ("tag-genres --model=gtzan-", ["gtzan-small"]),
        ("tag-genres\n--model\n=\ngtzan-", ["gtzan-small"]),  # as bash splits it
        ("tag-genres --skip hip-hop", ["Hip-Hop"]),
        ('tag-genres --protect "Rock &', ["Rock & Roll"]),
        ("tag-genres --protect Rock\\ \\&", ["Rock & Roll"]),
        ("tag-genres --on-existing replace-", ["replace-own"]),
        ("tag-genres --windows a", ["auto", "all"]),
        ("tag-genres Music --wri", ["--write-tags"]),
        ("tag-genres undo --dr", ["--dry-run", "--drop-attributes"]),
        ("tag-genres apply --id3 2.", ["2.4", "2.3"]),
        ("tag-genres help models g", ["get"]),
        ("tag-genres help nonsense ", []),
        ("tag-genres completion z", ["zsh"]),
        ("tag-genres Music mod", []),
        ("tag-genres -q mod", []),
        ("tag-genres doctor mod", []),
    ],
)
def test_what_goes_on_from_a_line(
    line: str, candidates: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plain(line, monkeypatch) == candidates


def test_a_line_begins_with_any_command_or_path(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answered("tag-genres ", monkeypatch) == {
        **dict.fromkeys(OTHER_COMMANDS, "plain"),
        "": "file",
    }


def test_all_models_are_candidates(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plain("tag-genres --model ", monkeypatch) == list(PRESETS)


@pytest.mark.parametrize("command", [main, *OTHER_COMMANDS.values()], ids=lambda it: it.name)
def test_every_value_from_a_list_and_every_path_is_completed(
    command: click.Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "" if command is main else f"{command.name} "
    for option in command.params:
        if not isinstance(option, click.Option) or option.is_flag:
            continue
        found = answered(f"tag-genres {name}{option.opts[-1]} ", monkeypatch)
        if isinstance(option.type, Choice):
            assert list(found) == list(option.type.choices)
        elif isinstance(option.type, click.Path):
            assert set(found.values()) == {"file" if option.type.file_okay else "dir"}


def test_runs_that_can_be_undone_are_candidates(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "tag-genres" / "state.sqlite3"
    assert undoable_runs(path) == {} and not path.parent.exists()
    path.parent.mkdir()
    with State(path) as state:
        for _ in range(2):
            run = state.begin_run("tag", "gtzan-small")
            state.do(
                "INSERT INTO journal (run, path, before, after, old_size, old_mtime_ns, new_size, "
                "new_mtime_ns) VALUES (?, '/a.mp3', '[]', '[]', 0, 0, 0, 0)",
                (run,),
            )
    assert plain("tag-genres undo --run ", monkeypatch) == ["2", "1"]
    assert plain("tag-genres undo --run 2 --run ", monkeypatch) == ["1"]
    path.write_text("no database")
    assert plain("tag-genres undo --run ", monkeypatch) == []


def test_a_damaged_config_does_not_stop_completion(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "tag-genres").mkdir()
    (home / "tag-genres" / "config.toml").write_text("top = = 2")
    assert plain("tag-genres --model gtzan-", monkeypatch) == ["gtzan-small"]


@pytest.mark.parametrize("line", ["tag-genres ", "tag-genres --model a", "tag-genres undo --run "])
def test_completion_imports_nothing_heavy(line: str, tmp_path: Path) -> None:
    asked = {"COMP_WORDS": line, "_TAG_GENRES_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tagger"],
        capture_output=True, text=True, cwd=ROOT, env=environment(tmp_path) | asked,
    )  # fmt: skip
    imported = {row.split("|")[-1].strip().split(".")[0] for row in done.stderr.splitlines()}
    assert done.returncode == 0 and "click" in imported
    assert not imported & HEAVY


# What is typed before TAB, and what then stands in the line.
TYPED = {
    "tag-genres mod": "tag-genres models",
    "tag-genres models g": "tag-genres models get",
    "tag-genres -m gtzan-": "tag-genres -m gtzan-small",
    "tag-genres --model=gtzan-": "tag-genres --model=gtzan-small",
    "tag-genres --skip hip-hop": "tag-genres --skip Hip-Hop",
    'tag-genres --skip "Rock &': 'tag-genres --skip "Rock & Roll"',
    "tag-genres --skip R\\&": "tag-genres --skip R\\&B",
    "tag-genres My": "tag-genres My\\ Music/",
    "tag-genres --csv so": "tag-genres --csv song.mp3",
    "tag-genres undo --dry": "tag-genres undo --dry-run",
    "tag-genres help mo": "tag-genres help models",
}


def complete_in(program: list[str], env: Mapping[str, str], home: Path, start: str) -> None:
    """Type each line and TAB into the shell, after `start`, and wait for what is completed."""
    with open_terminal(cwd=home, env=env, columns=100, rows=50, program=program) as terminal:
        terminal.send(f"PS1='> '; {start}; echo rea''dy\r")
        terminal.wait_for("ready")
        terminal.wait_until(lambda it: it.lines[-1] == ">")
        for typed, completed in TYPED.items():
            terminal.send(f"{typed}\t")
            terminal.wait_until(lambda it, line=completed: f"> {line}" in it.lines[-1], 20)
            terminal.send("\x15")  # Ctrl-U: an empty line
            terminal.wait_until(lambda it: it.lines[-1] == ">")
        assert "rror" not in terminal.text and "not found" not in terminal.text
        terminal.send("exit\r")


def test_bash_completes(home: Path) -> None:
    need("bash", shutil.which("bash") is not None)
    env = shell_environment(home)
    complete_in(["bash", "--norc", "-i"], env, home, "source script.bash")


@pytest.mark.parametrize("start", ["source script.zsh", "autoload -Uz compinit; compinit -u"])
def test_zsh_completes(start: str, home: Path) -> None:
    """The script is sourced, or a file of the folder where zsh looks for such functions."""
    need("zsh", shutil.which("zsh") is not None)
    if "script" not in start:
        (home / "functions").mkdir()
        shutil.copy(home / "script.zsh", home / "functions" / "_tag-genres")
        start = f"fpath=({home}/functions $fpath); {start}"
    complete_in(["zsh", "-f", "-i"], shell_environment(home), home, start)


def test_fish_completes(home: Path) -> None:
    need("fish", shutil.which("fish") is not None)
    lines = [*TYPED]
    code = "source script.fish; for line in $argv; echo = $line; complete -C $line; end"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code, *lines],
        capture_output=True, text=True, cwd=home, env=shell_environment(home), timeout=50,
    )  # fmt: skip
    assert done.stderr == ""
    answers = [part.splitlines() for part in f"\n{done.stdout}".split("\n= ")[1:]]
    found = {line: [row.split("\t")[0] for row in rows] for line, *rows in answers}
    # It gives the last word, which fish quotes as the user began to.
    last = {line: shlex.split(completed)[-1] for line, completed in TYPED.items()}
    assert {line: row for line, (row, *_) in found.items()} == last


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_is_quiet_where_the_program_is_gone(shell: str, home: Path) -> None:
    need(shell, shutil.which(shell) is not None)
    env = {**shell_environment(home), "PATH": os.environ["PATH"]}
    checks = {
        "bash": "source script.bash; COMP_WORDS=(tag-genres mod) COMP_CWORD=1; "
        "_tag_genres_completion no-such-program",
        "zsh": "compdef() { :; }; source script.zsh; words=(no-such-program mod) CURRENT=2; "
        "PREFIX=; _files() { :; }; _tag_genres_completion",
        "fish": "source script.fish; complete -C 'no-such-program mod'",
    }
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}
    done = subprocess.run(
        [shell, *flags[shell], "-c", checks[shell]],
        capture_output=True, text=True, cwd=home, env=env, timeout=50,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")
