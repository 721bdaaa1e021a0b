"""`--confirm` in a real terminal: what a person sees and types, and what is in the tags after."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import mutagen
import pytest
from helpers.command import Run, environment
from helpers.known import know, rows_of, song, state_of
from helpers.terminal import KEYS, Terminal, open_terminal

from tagger.cli.fitting import width
from tagger.state.store import State
from tagger.types import Track

Open = Callable[..., AbstractContextManager[Terminal]]
CONFIRM = ("Music", "--write-tags", "--confirm", "--on-existing", "replace")
ENTER, TAB, END = KEYS["enter"], KEYS["tab"], "\x04"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Five tracks that are predicted as Rock; the second has a genre, the third is unsure."""
    folder = tmp_path / "home" / "Music" / "A long name of an artist" / "A long name of an album"
    kinds = {"1 one": "flac", "2 two": "mp3", "3 three": "m4a", "4 four": "ogg", "5 five": "flac"}
    paths = [
        song(folder / f"{name}.{kind}", kind={"ogg": "vorbis"}.get(kind, kind))
        for name, kind in kinds.items()
    ]
    set_genre(paths[1], "Polka")
    know(tmp_path / "home", paths)
    know(tmp_path / "home", paths[2:3], {"jazz": 0.4, "blues": 0.3, "rock": 0.3})
    return tmp_path / "home"


@pytest.fixture
def session(home: Path) -> Open:
    def session(*arguments: object, **given: object) -> AbstractContextManager[Terminal]:
        env = environment(home)
        return open_terminal(*(arguments or CONFIRM), cwd=home, env=env, **given)  # type: ignore[arg-type]

    return session


def tracks(home: Path) -> list[Path]:
    return sorted((home / "Music").rglob("*.*"))


def set_genre(path: Path, *genres: str) -> None:
    media = mutagen.File(path, easy=True)
    media["genre"] = list(genres)
    media.save()


def tags(home: Path) -> dict[str, list[str]]:
    """The genres of all files by the first character of their names, as mutagen reads them."""
    return {
        path.name[0]: list((mutagen.File(path, easy=True) or {}).get("genre", []))
        for path in tracks(home)
    }


def ffprobe(path: Path) -> str:
    entries = "format_tags=genre:stream_tags=genre"
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", entries, path]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    parts = [found.get("format", {}), *found.get("streams", [])]
    every = [value for part in parts for value in part.get("tags", {}).values()]
    return every[0] if every else ""


def at(terminal: Terminal, number: int, total: int = 5) -> None:
    """Wait until a question is on the screen, and the cursor behind its prompt."""
    terminal.wait_until(
        lambda it: (
            it.screen[it.cursor[0]] == "genre>"
            and last_question(it).startswith(f"── {number} of {total} ")
        )
    )


def last_question(terminal: Terminal) -> str:
    return next((line for line in reversed(terminal.lines) if line.startswith("── ")), "")


def is_sane(terminal: Terminal) -> bool:
    """Whether what is typed next appears, and is read as lines."""
    flags: int = termios.tcgetattr(terminal._master)[3]
    return bool(flags & termios.ECHO and flags & termios.ICANON)


def widest(terminal: Terminal) -> int:
    """The longest line from the first question to the end of the questions."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.raw)
    end = re.search(r"tracks\s+answered;", text)
    assert end is not None
    asked = text[text.index("── 1 of ") : end.start()]
    return max(width(line.rpartition("\r")[2]) for line in asked.replace("\r\n", "\n").split("\n"))


@pytest.mark.parametrize("columns", [pytest.param(40, marks=pytest.mark.slow), 50, 80])
def test_a_whole_session(session: Open, home: Path, columns: int) -> None:
    with session(columns=columns) as terminal:
        at(terminal, 1)
        shown = terminal.screen
        time.sleep(0.5)
        assert terminal.screen == shown  # nothing is drawn over a question
        terminal.send(ENTER)
        at(terminal, 2)
        terminal.send("me" + TAB)
        terminal.wait_for("genre> Metal")
        terminal.send("; soul" + ENTER)
        at(terminal, 3)
        terminal.send("2" + ENTER)
        at(terminal, 4)
        terminal.send("u" + ENTER)
        at(terminal, 3)
        terminal.send("s" + ENTER)
        at(terminal, 4)
        terminal.send("a" + ENTER)
        assert terminal.wait() == 0
        assert is_sane(terminal)
    assert tags(home) == {
        "1": ["Rock"], "2": ["Metal", "soul"], "3": [], "4": ["Rock"], "5": ["Rock"]
    }  # fmt: skip
    assert ffprobe(tracks(home)[0]) == "Rock" and ffprobe(tracks(home)[2]) == ""
    assert widest(terminal) <= columns
    assert not terminal.cursor_is_hidden
    for text in ("existing: Polka", "unsure: Jazz at 0.40", "1 of 5", "decided: Metal; soul"):
        assert text in terminal.text
    assert "4 of 5 tracks answered; no other file is changed" in " ".join(terminal.text.split())
    reasons = {
        name[0]: row["reason"] for name, row in rows_of((home / "genres.csv").read_text()).items()
    }
    assert reasons == {
        **dict.fromkeys("1245", "decided by hand"),
        "3": "Jazz at 0.40 is below 0.5; skipped; a later run with --confirm asks again",
    }


def test_the_first_question_at_50_columns(session: Open) -> None:
    with session(columns=50) as terminal:
        at(terminal, 1)
        lines = terminal.lines
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0
    start = next(number for number, line in enumerate(lines) if line.startswith("── 1 of 5 "))
    assert lines[start + 1 :] == [
        "1 one.flac",
        "…A long name of an artist/A long name of an album",
        "existing: no genre",
        " 1 Rock  ███████████████████▊              0.60",
        " 2 Metal ███████████▌                      0.35",
        " 3 Pop   █▋                                0.05",
        "enter: Rock · 1-3: another",
        "letters: any genre, Tab completes",
        "s: skip, later runs ask again",
        "a: enter, also for 2 others predicted as Rock,",
        "without a genre · q: end · ?: help",
        "genre>",
    ]
    assert "0 of 5 tracks answered; no file is changed" in " ".join(terminal.text.split())


def test_the_end_of_the_input_ends_the_questions_and_the_run_is_complete(
    session: Open, home: Path
) -> None:
    with session() as terminal:
        at(terminal, 1)
        terminal.send(ENTER)
        at(terminal, 2)
        terminal.send(END)
        assert terminal.wait() == 0
    assert tags(home) == {"1": ["Rock"], "2": ["Polka"], "3": [], "4": [], "5": []}
    assert len(rows_of((home / "genres.csv").read_text())) == 5
    assert "undo with: tag-genres undo --run 1" in terminal.text


def test_ctrl_c_ends_the_run_and_keeps_what_was_answered(session: Open, home: Path) -> None:
    with session() as terminal:
        at(terminal, 1)
        terminal.send("soul" + ENTER)
        at(terminal, 2)
        terminal.send("ju")
        terminal.wait_for("genre> ju")
        time.sleep(0.1)  # Python misses a signal within readline until the next key
        terminal.interrupt()
        assert terminal.wait() == 130
        assert is_sane(terminal)
    assert tags(home) == {"1": ["soul"], "2": ["Polka"], "3": [], "4": [], "5": []}
    assert "undo with: tag-genres undo --run 1" in terminal.text
    assert "interrupted" in terminal.lines[-1]
    assert "soul" in state_of(home).with_name("state.sqlite3.log").read_text()
    with session() as terminal:
        at(terminal, 1, total=4)
        assert "2 two.mp3" in terminal.text
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0


def test_a_signal_to_end_is_like_ctrl_c(session: Open, home: Path) -> None:
    with session() as terminal:
        at(terminal, 1)
        terminal.send("soul" + ENTER)
        at(terminal, 2)
        os.kill(os.tcgetpgrp(terminal._master), signal.SIGTERM)
        assert terminal.wait() == 130
        assert is_sane(terminal)
    assert tags(home) == {"1": ["soul"], "2": ["Polka"], "3": [], "4": [], "5": []}


def _interrupt_after_first() -> None:
    """Press Ctrl-C during the first write."""
    from tagger.writing import writer

    real = writer.replace_tag

    def replace_tag(*given: object) -> Track:
        signal.raise_signal(signal.SIGINT)
        return real(*given)  # type: ignore[arg-type]

    writer.replace_tag = replace_tag  # type: ignore[assignment]


def test_ctrl_c_while_a_writes_leaves_the_others_to_the_next_run(session: Open, home: Path) -> None:
    with session(prepare=_interrupt_after_first) as terminal:
        at(terminal, 1)
        terminal.send("a" + ENTER)
        assert terminal.wait() == 130
    assert tags(home) == {"1": ["Rock"], "2": ["Polka"], "3": [], "4": [], "5": []}
    with session() as terminal:
        at(terminal, 1, total=4)
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0


def test_what_cannot_be_an_answer_is_asked_again(session: Open, home: Path) -> None:
    lines = {
        "x": "no command", "9": "no choice 9", "Unknown": "counts as no genre", "quit": "mean q",
        ";;": "between the semicolons", "u": "no answer to undo", "0": "no genre that could stay",
        "?": "write any genre",
    }  # fmt: skip
    with session(columns=50, rows=60) as terminal:
        at(terminal, 1)
        for line, reply in lines.items():
            terminal.send(line + ENTER)
            terminal.wait_until(
                lambda it, reply=reply: reply in it.text and it.screen[it.cursor[0]] == "genre>"  # type: ignore[misc]
            )
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0
    assert widest(terminal) <= 50
    assert terminal.text.count("── ") == 1
    assert tags(home)["1"] == []


@pytest.mark.parametrize("early", [ENTER, "so", "so" + ENTER + "ul" + END], ids=repr)
def test_what_is_typed_before_a_question_is_no_answer(
    session: Open, home: Path, early: str
) -> None:
    with session() as terminal:
        terminal.send(early)
        at(terminal, 1)
        assert "keys typed before this question are ignored" in terminal.text
        terminal.send(ENTER)
        at(terminal, 2)
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0
        assert is_sane(terminal)
    assert tags(home) == {"1": ["Rock"], "2": ["Polka"], "3": [], "4": [], "5": []}


def test_a_paste_of_several_lines_answers_one_question(session: Open, home: Path) -> None:
    with session() as terminal:
        at(terminal, 1)
        terminal.send("x\rjazz\r\ra\r")
        terminal.wait_until(lambda it: "no command" in it.text and it.lines[-1] == "genre>")
        terminal.send("soul\rjazz\r\ra\rfunk\rq\r")
        at(terminal, 2)
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0
    assert tags(home) == {"1": ["soul"], "2": ["Polka"], "3": [], "4": [], "5": []}


def _without_readline() -> None:
    sys.modules["readline"] = None  # type: ignore[assignment]


def test_without_readline_lines_are_read_all_the_same(session: Open, home: Path) -> None:
    with session(prepare=_without_readline) as terminal:
        at(terminal, 1)
        terminal.send("soul" + ENTER)
        at(terminal, 2)
        terminal.send(END)
        assert terminal.wait() == 0
    assert tags(home)["1"] == ["soul"]


def _stdout_to(path: Path) -> None:
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), 1)


def test_standard_output_may_be_a_file(session: Open, home: Path) -> None:
    out = home / "out.csv"
    with session(*CONFIRM, "--csv", "-", prepare=partial(_stdout_to, out)) as terminal:
        at(terminal, 1)
        terminal.send("me" + TAB)
        terminal.wait_for("genre> Metal")
        terminal.send(ENTER)
        at(terminal, 2)
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0
    rows = rows_of(out.read_text())
    assert len(rows) == 5 and rows["1 one.flac"]["new_genre"] == "Metal"


def test_an_album_is_one_question(session: Open, home: Path) -> None:
    with session(*CONFIRM, "--by", "folder", columns=50) as terminal:
        at(terminal, 1, total=1)
        assert "5 tracks of one folder" in terminal.text
        assert "existing: no genre (4 tracks); Polka (1 track)" in terminal.text.replace("\n", " ")
        terminal.send("soul" + ENTER)
        assert terminal.wait() == 0
    assert widest(terminal) <= 50
    assert tags(home) == {number: ["soul"] for number in "12345"}


def test_names_of_files_and_genres_do_nothing_to_the_terminal(session: Open, home: Path) -> None:
    hostile = tracks(home)[0]
    name = "0 \x1b[2J\x1b]0;x\x07[bold]日本語の長い長い長い長い長い長い長い名前\u202e.flac"
    hostile = hostile.rename(hostile.with_name(name))
    set_genre(hostile, "So\x1b[31mul")
    know(home, [hostile])
    with session(columns=50) as terminal:
        at(terminal, 1)
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0
    assert widest(terminal) <= 50
    assert "\x1b[2J" not in terminal.raw and "\x1b[31m" not in terminal.raw
    assert r"existing: So\x1b[31mul" in terminal.text


def test_without_colours_there_are_none(session: Open) -> None:
    with session(extra={"NO_COLOR": "1"}) as terminal:
        at(terminal, 1)
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0
    assert not terminal.has_color
    assert "████" in terminal.text


# --- where nobody can be asked -------------------------------------------------------------------


def test_without_a_terminal_it_is_a_usage_error(run: Run) -> None:
    result = run("Music", "--write-tags", "--confirm")
    assert result.returncode == 2
    assert "--confirm asks in a terminal, but standard input is not one" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--confirm"], "it needs --write-tags"),
        (["--confirm", "--write-tags", "--dry-run"], "cannot be used with --dry-run"),
        (["--confirm", "--write-tags", "--explain"], "cannot be used with --explain"),
        (["--confirm", "--write-tags", "--json"], "cannot be used with --json"),
    ],
)
def test_what_contradicts_the_questions_is_a_usage_error(
    run: Run, arguments: list[str], message: str
) -> None:
    result = run("Music", *arguments)
    assert result.returncode == 2
    assert message in result.stderr


# --- kills ---------------------------------------------------------------------------------------


def _kill_at(where: str, nth: int = 1) -> None:
    """Kill the command just before it does this, for the nth time if it replaces a file."""
    from tagger.files import atomic
    from tagger.writing import writer

    def kill(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    real = writer.replace_tag

    if where == "decide":
        State.decide = kill  # type: ignore[method-assign]
    elif where == "replace":
        calls, replaces = count(1), os.replace
        atomic.os = SimpleNamespace(  # type: ignore[attr-defined]
            **{name: getattr(os, name) for name in dir(os) if name != "replace"},
            replace=lambda *given: kill() if next(calls) == nth else replaces(*given),
        )
    elif where == "after the write":
        writer.replace_tag = lambda *given: (real(*given), kill())  # type: ignore[assignment,misc]
    elif where == "mark_undone":
        State.mark_undone = kill  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("where", "times"),
    [
        ("decide", []),
        ("replace", []),
        ("after the write", []),
        ("replace", ["--keep-mtime"]),
        pytest.param("decide", ["--keep-mtime"], marks=pytest.mark.slow),
        pytest.param("after the write", ["--keep-mtime"], marks=pytest.mark.slow),
    ],
)
def test_a_kill_leaves_no_decision_without_its_genre_nor_the_opposite(
    session: Open, home: Path, where: str, times: list[str]
) -> None:
    with session(*CONFIRM, *times, prepare=partial(_kill_at, where)) as terminal:
        at(terminal, 1)
        terminal.send("soul" + ENTER)
        terminal.wait()
    was_written = tags(home)["1"] == ["soul"]
    assert was_written == (where == "after the write")
    with session() as terminal:  # it continues where the kill was
        at(terminal, 1, total=4 if was_written else 5)
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0
    path = tracks(home)[0]
    with State(state_of(home)) as state:
        found = state.decided(Track.of(path, path.stat()))
    assert [each.genres for each in found] == ([("soul",)] if was_written else [])


@pytest.mark.parametrize("where", ["replace", "mark_undone"])
def test_a_kill_in_an_undo_leaves_genre_and_decision_together(
    session: Open, home: Path, where: str
) -> None:
    with session(prepare=partial(_kill_at, where, nth=2)) as terminal:
        at(terminal, 1)
        terminal.send("soul" + ENTER)
        at(terminal, 2)
        terminal.send("u" + ENTER)
        terminal.wait()
    has_genre = tags(home)["1"] == ["soul"]
    assert has_genre == (where == "replace")
    with session() as terminal:  # it knows which of the two it was
        at(terminal, 1, total=4 if has_genre else 5)
        terminal.send("q" + ENTER)
        assert terminal.wait() == 0
    with session("undo") as terminal:
        assert terminal.wait() == (0 if has_genre else 1)  # 1: nothing to undo
    assert tags(home)["1"] == []
