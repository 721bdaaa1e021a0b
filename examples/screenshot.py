"""Make `examples/terminal.svg`, the picture in the README, from real runs in a terminal.

    python examples/screenshot.py [FILE.svg]

The commands run one after the other in a pseudo-terminal of 80 columns, on a copy of
`examples/recordings` and with a state file of their own. A terminal emulator (pyte) keeps what is
on the screen at the end, with its colours; rich draws it. The SVG names fonts that systems have and
fetches nothing. Make it again when the output or the bundled model changes. Needs the extra
`test`.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pyte
import pyte.screens
from rich.console import Console
from rich.style import Style
from rich.text import Text

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from helpers.command import ROOT, environment
from helpers.terminal import open_terminal

PICTURE = Path(__file__).with_name("terminal.svg")
COMMANDS = ("tag-genres recordings --write-tags", "tag-genres undo")
COLUMNS = 80
PROMPT = "\x1b[1m$ {}\x1b[0m\r\n"
TITLE = "tag-genres"

# As rich's own, but for the fonts, which that fetches from a server.
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<!-- Made by examples/screenshot.py -->
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def record(commands: Sequence[str], folder: Path, *, real: bool = True) -> str:
    """What a terminal gets from these commands in a folder, each behind a prompt.

    `folder` is also their home. With `real`, the script of the command starts; else a fork of the
    process that the tests use.
    """
    shown = ""
    for command in commands:
        arguments = command.split()[1:]
        with open_terminal(
            *arguments, cwd=folder, env=environment(folder), columns=COLUMNS, real=real
        ) as terminal:
            if code := terminal.wait(300):
                raise SystemExit(f"{command} ended with {code}:\n{terminal.text}")
        shown += PROMPT.format(command) + terminal.raw
    return shown


def rows(shown: str) -> Iterator[Text]:
    """The lines that a terminal shows at the end of this, with their colours."""
    screen = pyte.HistoryScreen(COLUMNS, 50, history=1000)
    pyte.Stream(screen).feed(shown)
    lines = [*screen.history.top, *(screen.buffer[y] for y in range(screen.cursor.y))]
    for line in lines:
        text = Text()
        for its_style, cells in groupby((line[x] for x in range(COLUMNS)), style):
            text.append("".join(cell.data for cell in cells), its_style)
        text.rstrip()
        yield text


def style(cell: pyte.screens.Char) -> Style:
    """Rich's style of a cell of pyte, which calls yellow brown."""

    def color(name: str) -> str | None:
        if re.fullmatch("[0-9a-f]{6}", name):
            return f"#{name}"
        if name == "default":
            return None
        return name.replace("brown", "yellow").replace("bright", "bright_")

    return Style(
        color=color(cell.fg),
        bgcolor=color(cell.bg),
        bold=cell.bold,
        underline=cell.underscore,
        reverse=cell.reverse,
    )


def draw(shown: str) -> str:
    """The SVG of a terminal that got this."""
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    for text in rows(shown):
        console.print(text, no_wrap=True, crop=True)
    picture = console.export_svg(title=TITLE, code_format=FORMAT, unique_id="terminal")
    return re.sub(r"[ \t]+\n", "\n", picture)


def main() -> None:
    """Run the commands and store the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "examples" / "recordings", Path(folder) / "recordings")
        picture = draw(record(COMMANDS, Path(folder)))
    arguments.file.write_text(picture, encoding="utf-8")
    print(f"{arguments.file}: {len(picture) // 1000} kB")


if __name__ == "__main__":
    main()
