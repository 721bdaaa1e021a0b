"""The line that shows what goes on, in a real terminal: it is one line, and messages are whole."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest
from helpers.command import LIBRARY, ROOT, environment
from helpers.terminal import Terminal, open_terminal, slow_model
from wcwidth import wcswidth

from tagger.cli import screen
from tagger.models.presets import PRESETS
from tagger.types import DEFAULT_MODEL

Open = Callable[..., AbstractContextManager[Terminal]]
LOADING = f"loading {DEFAULT_MODEL} ({PRESETS[DEFAULT_MODEL].megabytes} MB)"
LONG = "日本語の長い名前" * 9
# The line of a step: a count and a time, or a label that stands alone.
BAR = re.compile(r"^\w+:? .*[/ ]\d+ \[|^(working|loading .*|scanning [\d,]+) ?(…|\[)")


@pytest.fixture
def session(tmp_path: Path) -> Open:
    """A terminal in a home with ten tracks, one of them with a long name of wide characters."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copytree(LIBRARY, home / "Music")
    next(iter(sorted((home / "Music").iterdir()))).rename(home / "Music" / f"00 {LONG}.mp3")

    def session(*arguments: object, **given: object) -> AbstractContextManager[Terminal]:
        return open_terminal(*arguments, cwd=home, env=environment(home), **given)  # type: ignore[arg-type]

    return session


def bars(rows: list[str]) -> list[str]:
    return [row for row in rows if BAR.search(row)]


@pytest.mark.parametrize("columns", [40, 200])
def test_there_is_one_line_that_never_wraps_and_nothing_of_it_stays(
    session: Open, columns: int
) -> None:
    with session("Music", columns=columns, prepare=slow_model(0.05)) as terminal:
        assert terminal.wait() == 0
    assert terminal.widest <= columns
    frames = [rows for _, rows in terminal.frames()]
    assert all(len(bars(rows)) <= 1 for rows in frames)
    assert all(wcswidth(row) < columns for rows in frames for row in bars(rows))
    for text in (LOADING, "predicting", "/10 ["):
        assert terminal.index(text)
    assert any("日本" in row for rows in frames for row in bars(rows))
    assert not bars(terminal.lines)


def _noisy() -> None:
    """A model during which others print: warnings, messages, half a line."""
    slow_model(0)()
    from tagger.models.model import GenreModel

    start = GenreModel.start

    def noisy(self: GenreModel, waveforms: object) -> object:
        warnings.warn("a warning of a library", stacklevel=1)
        click.echo("a message to stderr", err=True)
        click.echo("a message to stdout")
        sys.stderr.write("half a line")
        sys.stderr.write(", and the rest\n")
        return start(self, waveforms)  # type: ignore[arg-type]

    GenreModel.start = noisy  # type: ignore[method-assign,assignment]
    warnings.simplefilter("always")


def test_whatever_is_printed_meanwhile_is_whole_and_above_the_line(session: Open) -> None:
    with session("Music", "-v", columns=120, prepare=_noisy) as terminal:
        assert terminal.wait() == 0
    for text in ("a message to stderr", "a message to stdout", "half a line, and the rest"):
        assert text in terminal.lines
    assert any(line.endswith("UserWarning: a warning of a library") for line in terminal.lines)
    assert sum(line.startswith("new prediction: ") for line in terminal.lines) == 10
    assert not bars(terminal.lines)
    last = terminal.index("half a line")
    assert all("half" not in row or "rest" in row for _, rows in terminal.frames() for row in rows)
    assert last


def test_the_line_follows_the_width_of_the_terminal(session: Open) -> None:
    with session("Music", columns=120, prepare=slow_model(0.3)) as terminal:
        terminal.wait_for("predicting: ")
        terminal.resize(columns=40)
        terminal.wait_until(lambda t: any(row.startswith("predicting 0/10") for row in t.screen))
        terminal.resize(columns=100)
        terminal.wait_until(lambda t: any(row.startswith("predicting:") for row in t.screen))
        assert len(bars(terminal.screen)) == 1
        terminal.interrupt()
        assert terminal.wait() == 130
    assert not bars(terminal.lines)


def test_a_terminal_that_cannot_redraw_gets_plain_lines(session: Open) -> None:
    with session("Music", extra={"TERM": "dumb"}, prepare=slow_model(0)) as terminal:
        assert terminal.wait() == 0
    assert "\r" not in terminal.raw.replace("\r\n", "") and "\x1b" not in terminal.raw
    for line in ("working …", f"{LOADING} …", "predicting 10 tracks …"):
        assert terminal.lines.count(line) == 1


@pytest.mark.parametrize("again", [False, True])
def test_after_ctrl_c_there_is_one_clear_line_and_no_bar(session: Open, again: bool) -> None:
    with session("Music", prepare=slow_model(0.2)) as terminal:
        terminal.wait_for("predicting")
        terminal.interrupt()
        if again:
            terminal.interrupt()
        assert terminal.wait() == 130
    assert "Traceback" not in terminal.raw
    assert len(terminal.lines) == 2
    assert terminal.lines[1].startswith("interrupted: all finished work is kept; run the same")


def test_a_second_ctrl_c_does_not_wait_for_what_hangs() -> None:
    code = (
        "import signal, sys, time\n"
        "from tagger.cli.console import exit_on_errors\n"
        "with exit_on_errors():\n"
        "    try:\n        print('ready', flush=True); time.sleep(50)\n"
        "    finally:\n        print('closing', flush=True); time.sleep(50)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None and run.stderr is not None
        for word in (b"ready\n", b"closing\n"):
            assert run.stdout.readline() == word
            run.send_signal(signal.SIGINT)
        assert run.wait(20) == 130
        assert run.stderr.read().count(b"interrupted: ") == 1


ENDING = """
import atexit, sys
from tagger.cli import main
from tagger.cli.command import MainCommand

class Large:
    def __del__(self):
        print("taken apart", file=sys.stderr, flush=True)

large, parse = Large(), MainCommand.make_context

def make_context(*given, **named):
    atexit.register(lambda: print("closed", file=sys.stderr, flush=True))
    return parse(*given, **named)

MainCommand.make_context = make_context
main()
"""


@pytest.mark.parametrize(
    "words, code", [(["--version"], 0), (["--no-such"], 2), (["undo", "--list"], 1)]
)
def test_the_process_ends_once_all_is_closed_and_takes_nothing_apart(
    tmp_path: Path, words: list[str], code: int
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", ENDING, *words],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == code
    assert run.stderr.endswith("closed\n") and "taken apart" not in run.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "tagger", "--version"],
            cwd=ROOT, env=environment(tmp_path), stdout=full, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert run.returncode


def test_time_in_which_the_command_was_stopped_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As by Ctrl-Z, until `fg`: it says nothing about the pace."""
    clock = iter([0.0, 0.2, 0.4, 600.4, 600.6])
    monkeypatch.setattr(screen, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    ends = iter([False, False, False, False, True])
    shown = SimpleNamespace(paused=0.0, refresh=lambda: None)
    screen._keep_drawing(
        cast("Any", shown), cast("Any", SimpleNamespace(wait=lambda _: next(ends)))
    )
    assert shown.paused == pytest.approx(600)
