"""The picture in the README is made from what a terminal shows."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from helpers.command import ROOT
from screenshot import COMMANDS, PICTURE, draw, record

SVG = "{http://www.w3.org/2000/svg}"


def lines(picture: str) -> list[str]:
    """The text of a picture, line by line; the first is the title."""
    root, found = ElementTree.fromstring(picture), dict[float, str]()
    for element in root.iter(f"{SVG}text"):
        height = float(element.get("y", 0))
        found[height] = found.get(height, "") + "".join(element.itertext()).replace("\xa0", " ")
    return [text.rstrip() for text in found.values()]


def words(picture: str) -> set[str]:
    """Its words; figures, genres and bars, which depend on the processor, are left out."""
    text = " ".join(lines(picture))
    return set(re.findall(r"\b[a-z][a-z-]+\b", text))


def test_what_was_drawn_over_is_not_shown_and_colours_are() -> None:
    picture = draw("\x1b[1m$ x\x1b[0m\r\n1 of 2\r\x1b[2K\x1b[32mwritten\x1b[0m <b> & 2\r\n")
    assert lines(picture)[1:] == ["$ x", "written <b> & 2"]
    (color,) = re.findall(r'class="terminal-(r\d)"[^>]*>written', picture)
    assert re.search(rf"\.terminal-{color} {{ fill: #[0-9a-f]{{6}} }}", picture)


@pytest.mark.parametrize("stored", [True, False])
def test_the_picture_is_small_and_fetches_nothing(stored: bool) -> None:
    picture = PICTURE.read_text("utf-8") if stored else draw("written\r\n")
    assert len(picture.encode()) < 60_000
    assert set(re.findall(r"[a-z]+://[^\"' >]+", picture)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|@font-face|<script|<image|href|url\((?!#)", picture)


@pytest.mark.timeout(300)
def test_the_picture_shows_what_the_commands_print_now(tmp_path: Path) -> None:
    """If this fails, look at what `python examples/screenshot.py` makes, and store that."""
    shutil.copytree(ROOT / "examples" / "recordings", tmp_path / "recordings")
    now = draw(record(COMMANDS, tmp_path, real=False))
    stored = PICTURE.read_text("utf-8")
    assert [f"$ {command}" for command in COMMANDS] == [
        line for line in lines(stored) if line.startswith("$")
    ]
    assert words(now) == words(stored)
