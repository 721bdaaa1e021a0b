"""Sessions in a real terminal: what a person sees after start, in the middle and at the end."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from helpers.command import ROOT, environment
from helpers.known import know, song
from helpers.terminal import Terminal, open_terminal, slow_model

Open = Callable[..., AbstractContextManager[Terminal]]
# What a terminal shows in two columns, in none, from right to left, or would execute.
NAMES = (
    "plain",
    "日本語のとても長い名前の曲です、本当に長いのですが、もっと長くなります",
    "🎵 👩\u200d👩\u200d👧 emoji",
    "n\u0303a\u0308i\u0308ve e\u0301\u0301",
    "שלום עולם",
    "\x1b]0;owned\x07\x1b[2J",
)
DOING = ("predicting", "scanning", "reporting", "reading tags", "working", "loading")  # in bars


@pytest.fixture
def session(tmp_path: Path) -> Open:
    """Open a terminal in a home of its own, in which there is a `Music` of six tracks."""
    home = tmp_path / "home"
    for name in NAMES:
        song(home / "Music" / f"{name}.flac")

    def session(*arguments: object, **given: object) -> AbstractContextManager[Terminal]:
        return open_terminal(*arguments, cwd=home, env=environment(home), **given)  # type: ignore[arg-type]

    return session


def test_the_terminal_has_its_size_and_is_the_commands_own(session: Open) -> None:
    """The helper itself: `stty` sees the size, and another one after a change; Ctrl-C arrives."""
    code = (
        "import os, signal, time\n"
        "size = lambda *_: print(*os.get_terminal_size(), flush=True)\n"
        "try:\n  signal.signal(signal.SIGWINCH, size)\n  size()\n"
        "  while True: time.sleep(0.01)\n"
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


def test_ctrl_c_works_where_the_tests_run_in_the_background() -> None:
    """A script starts such jobs without Ctrl-C; what they start has it none the less."""
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "import conftest\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests", check=True)


def test_a_second_command_waits_for_no_session(session: Open) -> None:
    """The helper itself: the server runs one command at a time, and says so."""
    with session("Music", prepare=slow_model(30)) as terminal:
        terminal.wait_for("predicting")
        with pytest.raises(RuntimeError, match="one command"), session("--version"):
            pass
    with session("--version") as terminal:
        assert terminal.wait() == 0
    assert "version" in terminal.text


def check_end(terminal: Terminal, columns: int) -> None:
    """Nothing is left of a bar, nothing wrapped, and no name did anything to the terminal."""
    assert not [line for line in terminal.lines if line.startswith(DOING)], terminal.text
    assert terminal.widest_redrawn < columns
    assert terminal.widest <= columns, terminal.text
    assert terminal.cursor[1] == 0 and not terminal.cursor_is_hidden
    assert "\x1b]" not in terminal.raw and "\x1b[2J" not in terminal.raw


@pytest.mark.parametrize("columns", [40, 50, 80, 200])
def test_a_run_shows_what_it_does_and_then_what_it_did(session: Open, columns: int) -> None:
    with session("Music", columns=columns, prepare=slow_model(0.05)) as terminal:
        assert terminal.wait() == 0
    check_end(terminal, columns)
    assert terminal.index("predicting") < terminal.index("report: genres.csv")
    shown = [rows for _, rows in terminal.frames() if any("predicting" in row for row in rows)]
    assert all(sum("predicting" in row for row in rows) == 1 for rows in shown)
    assert "Blues" in terminal.text and "report: genres.csv" in terminal.text


@pytest.mark.parametrize("columns", [50, 80])
def test_ctrl_c_leaves_one_message_and_the_next_run_continues(session: Open, columns: int) -> None:
    arguments = ("Music", "--batch-size", "1", "--workers", "1")
    with session(*arguments, columns=columns, prepare=slow_model(0.2)) as terminal:
        terminal.wait_until(lambda shown: re.search(r"[2-5]/6", shown.text))
        terminal.interrupt()
        assert terminal.wait() == 130
    check_end(terminal, columns)
    assert "interrupted: all finished work is kept" in " ".join(terminal.text.split())
    assert "Blues" not in terminal.text and "^C" not in terminal.text
    with session(*arguments, columns=columns) as terminal:
        assert terminal.wait() == 0
    check_end(terminal, columns)
    assert re.search(r"[1-5] known from earlier runs", " ".join(terminal.text.split()))


@pytest.mark.parametrize("columns", [50, 80])
def test_what_is_written_is_shown_before_and_after_and_undone(
    session: Open, tmp_path: Path, columns: int
) -> None:
    know(tmp_path / "home", (tmp_path / "home" / "Music").iterdir())
    for arguments, text in (
        (("-w", "-n"), "no file was changed"),
        (("-w",), "undo with: tag-genres undo --run 1"),
        (("-w",), "6 known from earlier runs"),
    ):
        with session("Music", *arguments, columns=columns) as terminal:
            assert terminal.wait() == 0
        check_end(terminal, columns)
        assert text in " ".join(terminal.text.split())
    with session("undo", "-n", columns=columns) as terminal:
        assert terminal.wait() == 0
    check_end(terminal, columns)
    last = "run 1: would put back the genre of 6 files no file was changed; run without --dry-run "
    assert f"{last}to put them back" in " ".join(terminal.text.split())
    with session("undo", columns=columns) as terminal:
        assert terminal.wait() == 0
    check_end(terminal, columns)
    assert terminal.lines[0] == "run 1: put back the genre of 6 files"
    with session("Music", "-q", columns=columns) as terminal:
        assert terminal.wait() == 0
    assert not terminal.arrivals


@pytest.mark.parametrize("columns", [50, 80])
@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("nowhere",), 1, "nowhere: no such file or folder"),
        (("empty",), 1, "empty: no audio file in it"),
        (("Music", "--csv", "/dev/full"), 1, "/dev/full cannot be written (No space left"),
        (("Music", "--csv", "nowhere/genres.csv"), 1, "nowhere/genres.csv cannot be written"),
        (("Music", "--no-such-option"), 2, "No such option '--no-such-option"),
        (("modles",), 2, "did you mean the command"),
        (("undo",), 1, "nothing to undo"),
        (("config",), 2, "Commands: check"),
        (("Music", "--config", f"{'a' * 60}/x.toml"), 2, "Error: 'aaaaa"),
    ],
)
def test_an_error_is_one_message_that_fits(
    session: Open, tmp_path: Path, columns: int, arguments: tuple[str, ...], code: int, text: str
) -> None:
    (tmp_path / "home" / "empty").mkdir()
    know(tmp_path / "home", (tmp_path / "home" / "Music").iterdir())
    if arguments == ("undo",):
        shutil.rmtree(tmp_path / "home" / "state")
    with session(*arguments, columns=columns) as terminal:
        assert terminal.wait() == code, terminal.text
    assert text in " ".join(terminal.text.split())
    assert terminal.widest_redrawn < columns
    longest = max(map(len, terminal.raw.split()))  # a path may be longer than the terminal
    assert terminal.widest <= max(columns, longest + 2) and "Traceback" not in terminal.text


def test_a_bar_follows_the_width_of_the_terminal(session: Open) -> None:
    with session("Music", columns=120, prepare=slow_model(0.2)) as terminal:
        terminal.wait_for("predicting:")
        terminal.resize(columns=40)
        terminal.wait_until(lambda shown: re.search(r"predicting \d/6", shown.text))
        assert terminal.wait() == 0
    assert not [line for line in terminal.lines if line.startswith(DOING)], terminal.text


def test_something_is_on_the_screen_before_torch_is_imported(session: Open, tmp_path: Path) -> None:
    """The import takes seconds, in which the screen must not be blank."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "class Watch:\n"
        "  def find_spec(self, name, path, target=None):\n"
        "    if name == 'torch' and os.isatty(2):\n"
        "      os.write(2, b'<torch>')\n"
        "sys.meta_path.insert(0, Watch())\n"
    )
    path = f"{tmp_path}:{ROOT}"
    with session("Music/plain.flac", real=True, extra={"PYTHONPATH": path}) as terminal:
        assert terminal.wait() == 0, terminal.text
    before = terminal.raw.split("<torch>")[0]
    assert any(word in before for word in DOING), before
    assert "report: genres.csv" in terminal.text
