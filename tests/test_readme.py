"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import LIBRARY, ROOT, SCRIPT, environment

from tagger.cli import OTHER_COMMANDS, main
from tagger.report import COLUMNS
from tagger.types import Action

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_transcript_is_what_a_person_would_see(tmp_path: Path) -> None:
    transcript = blocks("console")[0]
    shutil.copytree(LIBRARY, tmp_path / "examples" / "library")
    for shown in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        command, _, output = shown.partition("\n")
        done = subprocess.run(
            [*SCRIPT, *shlex.split(command)[1:]],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(tmp_path),
        )
        assert done.returncode == 0, done.stderr
        # The precision depends on the processor; all else does not.
        assert done.stderr.replace("float32", "bfloat16") == output


def test_every_command_in_the_table_is_one_that_is_understood() -> None:
    for command in re.findall(r"^\| `tag-genres (.*?)` \|", README, flags=re.MULTILINE):
        words = shlex.split(command)
        target = OTHER_COMMANDS.get(words[0], main)
        arguments = words[1:] if words[0] in OTHER_COMMANDS else words
        target.make_context("tag-genres", arguments)  # raises UsageError if it is not


@pytest.mark.parametrize("option", re.findall(r"--[a-z][a-z-]+", README))
def test_every_option_that_is_named_exists(option: str) -> None:
    known = {
        name
        for command in (main, *OTHER_COMMANDS.values())
        for p in command.params
        for name in p.opts
    }
    scripts = (ROOT / "training").glob("*.py")
    known |= {name for path in scripts for name in re.findall(r'"(--[a-z-]+)"', path.read_text())}
    assert option in known | {"--help", "--index-url", "--nproc-per-node"}  # pip, torchrun


def test_columns_actions_and_exit_codes_are_all_explained() -> None:
    for name in (*COLUMNS, *(action.value for action in Action)):
        assert f"`{name}`" in README
    for code in (0, 1, 2, 3, 130):
        assert f"| {code} |" in README


def test_files_that_are_named_exist() -> None:
    for target in re.findall(r"\]\((?!http|#)(.*?)\)", README):
        assert (ROOT / target).exists(), target
