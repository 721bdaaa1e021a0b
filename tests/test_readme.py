"""What the README shows is what happens."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.command import LIBRARY, ROOT, environment, run_command
from helpers.programs import need

from tagger.cli.tag import OTHER_COMMANDS, main
from tagger.report.target import COLUMNS
from tagger.types import Action

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("transcript", blocks("console"))
def test_the_transcript_is_what_a_person_would_see(tmp_path: Path, transcript: str) -> None:
    shutil.copytree(LIBRARY, tmp_path / "examples" / "library")
    shutil.copy(ROOT / "examples" / "config.toml", tmp_path / "examples")
    for shown in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        command, _, output = shown.partition("\n")
        words = shlex.split(command)[1:]
        done = run_command(*words, cwd=tmp_path, env=environment(tmp_path), merge=True)
        assert done.returncode == 0, done.stdout
        if "--precision" not in command:  # it depends on the processor; all else does not
            done.stdout = done.stdout.replace("float32", "bfloat16")
        assert done.stdout.replace(str(tmp_path), "/home/me") == output


@pytest.mark.parametrize("text", [*blocks("toml"), (ROOT / "examples/config.toml").read_text()])
def test_a_config_that_is_shown_is_taken(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text, encoding="utf-8")
    context = main.make_context("tag-genres", ["--config", str(config), "/music"])
    assert context.params["top"] == 2
    assert context.params["tree"] and context.params["aliases"] and context.params["whitelist"]


def test_every_command_in_the_table_is_one_that_is_understood() -> None:
    for command in re.findall(r"^\| `tag-genres (.*?)` \|", README, flags=re.MULTILINE):
        words = shlex.split(command)
        target = OTHER_COMMANDS.get(words[0], main)
        arguments = words[1:] if words[0] in OTHER_COMMANDS else words
        target.make_context("tag-genres", arguments)  # raises UsageError if it is not


@pytest.mark.parametrize("option", re.findall(r"--[a-z][a-z0-9-]+", README))
def test_every_option_that_is_named_exists(option: str) -> None:
    commands = [main, *OTHER_COMMANDS.values()]
    for command in commands:  # and theirs, which are put behind them
        commands += getattr(command, "commands", {}).values()
    known = {name for command in commands for p in command.params for name in p.opts}
    scripts = (ROOT / "training").rglob("*.py")
    known |= {name for path in scripts for name in re.findall(r'"(--[a-z-]+)"', path.read_text())}
    others = {"--help", "--index-url", "--nproc-per-node", "--dist", "--user", "--now"}  # pip ...
    others |= {"--pretend"}  # of the plugin for beets
    assert option in known | others


@pytest.mark.parametrize("words", re.findall(r"/bin/tag-genres (.*--quiet.*)", README))
def test_the_commands_of_a_nightly_run_are_understood(tmp_path: Path, words: str) -> None:
    arguments = shlex.split(words.replace("%h", str(tmp_path)).replace("~", str(tmp_path)))
    assert main.make_context("tag-genres", arguments).params["write_tags"]


def test_logrotate_takes_the_rule_for_the_log(tmp_path: Path) -> None:
    logrotate = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
    need("logrotate", logrotate is not None)
    (rule,) = (block for block in blocks("text") if "missingok" in block)
    (tmp_path / "rule").write_text(rule.replace("/home/me", str(tmp_path)))
    (tmp_path / "genres.log").write_text("written: a.flac\n")
    tmp_path.chmod(0o700)  # it refuses folders where others may write
    done = subprocess.run(
        [str(logrotate), "--force", "--state", tmp_path / "state", tmp_path / "rule"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "genres.log.1.gz").exists() and not (tmp_path / "genres.log").exists()


def test_columns_actions_and_exit_codes_are_all_explained() -> None:
    for name in (*COLUMNS, *(action.value for action in Action)):
        assert f"`{name}`" in README
    for code in (0, 1, 2, 3, 130):
        assert f"| {code} |" in README


def test_files_that_are_named_exist() -> None:
    for target in re.findall(r"\]\((?!http|#)(.*?)\)", README):
        assert (ROOT / target).exists(), target
