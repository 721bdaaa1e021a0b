"""There is a manual page for each command; it is up to date, and programs render it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.programs import need

from tagger.cli.manual import FOLDER, pages, write

PAGES = sorted(FOLDER.glob("*.1"))
DAY = re.compile(r"^\.TH \S+ 1 (\d{4}-\d\d-\d\d) ")


def test_the_pages_are_those_that_the_help_gives() -> None:
    """If not, `python -m tagger.cli.manual` writes them."""
    written = {path.name: path.read_text("utf-8") for path in PAGES}
    days = {match[1] for text in written.values() if (match := DAY.match(text))}
    assert len(days) == 1
    assert written == pages(days.pop())


def test_pages_of_commands_that_are_gone_are_removed(tmp_path: Path) -> None:
    (tmp_path / "tag-genres-gone.1").touch()
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in PAGES}


@pytest.mark.parametrize(
    "check",
    [["mandoc", "-T", "lint", "-W", "style"], ["groff", "-ww", "-man", "-T", "utf8", "-z"]],
    ids=lambda words: words[0],
)
def test_pages_render_without_a_warning(check: list[str]) -> None:
    need(check[0], shutil.which(check[0]) is not None)
    done = subprocess.run([*check, *PAGES], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_page_shows_what_the_help_says() -> None:
    need("mandoc", shutil.which("mandoc") is not None)
    command = ["mandoc", "-T", "utf8", "-O", "width=200", FOLDER / "tag-genres.1"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=50).stdout
    shown = re.sub(".\b", "", shown)  # bold
    for text in (
        "-w, --write-tags",
        "--on-existing [keep|append|replace|replace-own]",
        r"[default: ;,/|\]",
        "tag-genres ~/Music -w -n",
        "tag-genres-undo(1)",
        "130 interrupted",
    ):
        assert text in shown
