"""Sessions in a real terminal: what a person sees after start, in the middle and at the end."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from helpers.command import LIBRARY, environment
from helpers.terminal import Terminal, open_terminal, slow_model

Open = Callable[..., AbstractContextManager[Terminal]]


@pytest.fixture
def session(tmp_path: Path) -> Open:
    """Open a terminal in a home of its own, in which there is a `Music` of ten tracks."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copytree(LIBRARY, home / "Music")

    def session(*arguments: object, **given: object) -> AbstractContextManager[Terminal]:
        return open_terminal(*arguments, cwd=home, env=environment(home), **given)  # type: ignore[arg-type]

    return session


def test_the_terminal_has_its_size_and_is_the_commands_own(session: Open) -> None:
    """The helper itself: `stty` sees the size, and another one after a change; Ctrl-C arrives."""
    code = (
        "import os, signal\n"
        "size = lambda *_: print(*os.get_terminal_size(), flush=True)\n"
        "try:\n  signal.signal(signal.SIGWINCH, size)\n  size()\n"
        "  input('name: ')\n"
        "except KeyboardInterrupt:\n  print('\\x1b[31mstopped\\x1b[0m'); raise SystemExit(7)\n"
    )
    with session(program=[sys.executable, "-c", code], rows=9, columns=33) as terminal:
        terminal.wait_for("33 9")
        terminal.resize(columns=55)
        terminal.wait_for("55 9")
        assert not terminal.has_color
        terminal.interrupt()
        assert terminal.wait() == 7
    assert terminal.lines[-1].endswith("stopped") and terminal.has_color
    assert terminal.index("33 9") < terminal.index("stopped")
    assert terminal.arrivals and terminal.ended


def test_a_second_command_waits_for_no_session(session: Open) -> None:
    """The helper itself: the server runs one command at a time, and says so."""
    with session("Music", prepare=slow_model(30)) as terminal:
        terminal.wait_for("predicting")
        with pytest.raises(RuntimeError, match="one command"), session("--version"):
            pass
    with session("--version") as terminal:
        assert terminal.wait() == 0
    assert "version" in terminal.text


def test_interrupted(session: Open) -> None:
    with session("Music", prepare=slow_model(0.2)) as terminal:
        terminal.wait_for("predicting")
        terminal.interrupt()
        assert terminal.wait() == 130
    assert "interrupted" in terminal.lines[-1]
