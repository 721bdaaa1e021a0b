"""A terminal of a given size in which a test runs the command, and sees what a person would see.

    with open_terminal("library", cwd=home, env=environment(home), columns=50) as terminal:
        terminal.wait_for("predicting")           # until it is on the screen
        assert terminal.widest_redrawn < 50       # the bar never wrapped, not even for a moment
        terminal.resize(columns=40)               # the command gets SIGWINCH
        terminal.interrupt()                      # Ctrl-C; `send` types other keys
        assert terminal.wait() == 130             # to the exit, and until nothing else holds it
    assert "interrupted" in terminal.lines[-1]    # still readable after the block
    terminal.first, terminal.idle, terminal.silence   # seconds, for reports and wide limits only

The command runs in a fork of the process that has its imports (`server.py`), so a session takes a
tenth of a second; with `real=True` the script itself starts: for what is on the screen while torch
is imported, and for the times of start and exit. The server serves one session at a time: within
the block, `run_command` and another session without `real` raise an error.

`prepare` is a function (of a module of the tests, or a `functools.partial` of one) that is called
in the fork before the command, to replace a part of it. `slow_model` makes predictions take time.

Never assert on seconds in the default run: machines are busy. Assert what was on the screen, and in
which order (`index` of the arrival that first shows a text).
"""

from __future__ import annotations

import fcntl
import os
import pickle
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from math import inf
from pathlib import Path

import pyte
from wcwidth import wcswidth, wcwidth

from helpers.command import SCRIPT, fork_in_terminal, words

ENDLESS = 2000  # columns; no line of ours is longer
KEYS = {"enter": "\r", "escape": "\x1b", "tab": "\t", "up": "\x1b[A", "down": "\x1b[B"}
# They would decide about colours and size; a test sets them in `env` by `extra`.
FOREIGN = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "TERM",
           "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes that arrived together, in seconds since the start."""

    seconds: float
    data: bytes


class Screen(pyte.HistoryScreen):
    """As pyte's, which forgets what follows a character without width, such as U+200D."""

    def draw(self, data: str) -> None:
        seen = (c for c in data if wcwidth(c) > 0 or unicodedata.combining(c))
        super().draw("".join(seen))

    def all_lines(self) -> list[str]:
        """Also those that were scrolled off, without blanks at their ends."""
        rows = [*self.history.top, *(self.buffer[y] for y in range(self.lines))]
        return ["".join(row[x].data for x in range(self.columns)).rstrip() for row in rows]


class Terminal:
    """What the command shows. Bytes are read as they arrive, by a thread."""

    def __init__(self, master: int, rows: int, columns: int) -> None:
        self.arrivals: list[Arrival] = []
        self.started = time.perf_counter()
        self.ended: float | None = None  # s since the start; when nothing held the terminal
        self._master = master
        self._rows, self._columns = rows, columns
        self._screen = Screen(columns, rows, history=100_000)
        self._screen.write_process_input = self.send  # type: ignore[method-assign]
        self._wide = Screen(ENDLESS, rows, history=100_000)
        self._streams = [pyte.ByteStream(screen) for screen in (self._screen, self._wide)]
        self._widest = self._measured = 0
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._status: Callable[[float], int] | None = None
        self._set_size()

    def run(self, status: Callable[[float], int]) -> None:
        """Begin to read; `status` waits, at most so many seconds, for the exit code."""
        self._status = status
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # Linux: nothing holds the other end
                data = b""
            now = time.perf_counter() - self.started
            with self._news:
                if data:
                    self.arrivals.append(Arrival(now, data))
                    for stream in self._streams:
                        stream.feed(data)
                    self._widest = max(self._widest, self._width_now())
                else:
                    self.ended = now
                self._news.notify_all()
            if not data:
                return

    def _width_now(self) -> int:
        """The widest row of those that are visible or were scrolled off since the last call."""
        top = self._wide.history.top
        rows = [*islice(top, self._measured, None), *self._wide.buffer.values()]
        self._measured = len(top)
        widths = (x + 1 for row in rows for x, cell in row.items() if cell.data != " ")
        return max(widths, default=0)

    @property
    def screen(self) -> list[str]:
        """The rows that are visible now, without blanks at their ends."""
        with self._news:
            return [line.rstrip() for line in self._screen.display]

    @property
    def lines(self) -> list[str]:
        """All lines so far, also those that were scrolled off, to the last that is not empty."""
        with self._news:
            lines = self._screen.all_lines()
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def text(self) -> str:
        """`lines` as one text."""
        return "\n".join(self.lines)

    @property
    def raw(self) -> str:
        """Everything that arrived, with its escape sequences."""
        with self._news:
            return b"".join(arrival.data for arrival in self.arrivals).decode(errors="replace")

    @property
    def has_color(self) -> bool:
        """Whether anything sent a colour or another attribute (bold, faint ...)."""
        return bool(re.search(r"\x1b\[[0-9;:]*m", self.raw))

    @property
    def widest(self) -> int:
        """Columns of the longest line that was ever drawn, if the terminal were endlessly wide."""
        with self._news:
            return self._widest

    @property
    def widest_redrawn(self) -> int:
        """Columns of the longest line that was drawn over, as a bar is: only it must never wrap."""
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw.replace("\r\n", "\n"))
        redrawn = re.findall(r"[^\r\n]*(?=\r)", plain)
        return max((wcswidth(line.rstrip()) for line in redrawn), default=0)

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cursor, from 0."""
        with self._news:
            return self._screen.cursor.y, self._screen.cursor.x

    @property
    def cursor_is_hidden(self) -> bool:
        with self._news:
            return self._screen.cursor.hidden

    @property
    def first(self) -> float:
        """Seconds from the start to the first bytes; infinite if there were none."""
        return self.arrivals[0].seconds if self.arrivals else inf

    @property
    def idle(self) -> float:
        """The longest time in seconds in which nothing arrived, from the start to the end."""
        times = [0.0, *(a.seconds for a in self.arrivals)]
        times.append(self.ended if self.ended is not None else times[-1])
        return max(after - before for before, after in pairwise(times))

    @property
    def silence(self) -> float:
        """Seconds from the last bytes to the exit."""
        assert self.ended is not None, "the command has not ended"
        return self.ended - self.arrivals[-1].seconds if self.arrivals else inf

    def frames(self) -> Iterator[tuple[float, list[str]]]:
        """What was visible after each arrival, and when; for a terminal that was not resized."""
        screen = Screen(self._columns, self._rows, history=100_000)
        stream = pyte.ByteStream(screen)
        for arrival in list(self.arrivals):
            stream.feed(arrival.data)
            yield arrival.seconds, [line.rstrip() for line in screen.display]

    def index(self, text: str) -> int:
        """The number of the first arrival after which the text was visible, from 0."""
        for number, (_, rows) in enumerate(self.frames()):
            if text in "\n".join(rows):
                return number
        raise AssertionError(f"{text!r} was never visible:\n{self.text}")

    def wait_until(self, holds: Callable[[Terminal], object], timeout: float = 50) -> None:
        """Wait until this holds of the terminal; it is tried after each arrival.

        Raises `AssertionError` if the command ends before, or if it takes longer.
        """
        until = time.perf_counter() + timeout
        while not holds(self):
            with self._news:
                assert self.ended is None, f"the command ended:\n{self._dump()}"
                left = until - time.perf_counter()
                assert left > 0, f"not within {timeout} s:\n{self._dump()}"
                self._news.wait(min(left, 0.2))

    def wait_for(self, text: str, timeout: float = 50) -> None:
        """Wait until the text is visible, or was and has been scrolled off."""
        self.wait_until(lambda terminal: text in terminal.text, timeout)

    def _dump(self) -> str:
        return "\n".join(self._screen.all_lines())

    def send(self, keys: str) -> None:
        """Type these characters; `KEYS` names some that have no letter."""
        os.write(self._master, keys.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C: SIGINT for the command and its children."""
        self.send("\x03")

    def resize(self, rows: int | None = None, columns: int | None = None) -> None:
        """Change the size; the command gets SIGWINCH."""
        with self._news:
            self._rows, self._columns = rows or self._rows, columns or self._columns
            self._screen.resize(self._rows, self._columns)
            self._wide.resize(self._rows, ENDLESS)
            self._set_size()

    def _set_size(self) -> None:
        size = struct.pack("HHHH", self._rows, self._columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def wait(self, timeout: float = 50) -> int:
        """Wait for the exit, and until no child holds the terminal; returns the exit code."""
        assert self._status is not None
        code = self._status(timeout)
        self._reader.join(timeout)
        assert not self._reader.is_alive(), "a process still holds the terminal"
        return code


@contextmanager
def open_terminal(
    *arguments: object,
    cwd: Path,
    env: Mapping[str, str],
    rows: int = 30,
    columns: int = 80,
    extra: Mapping[str, str] | None = None,
    real: bool = False,
    prepare: Callable[[], object] | None = None,
    program: list[str] | None = None,
) -> Iterator[Terminal]:
    """Run the command in a terminal; if it still runs at the end of the block, it is killed.

    `env` is without what decides about colours and size, and with `extra`; TERM is
    xterm-256color. `program` runs instead of the command, as with `real`.
    """
    kept = {name: value for name, value in env.items() if name not in FOREIGN}
    variables = {**kept, "TERM": "xterm-256color", **(extra or {})}
    master, slave = pty.openpty()
    terminal = Terminal(master, rows, columns)
    start = _script if real or program else _fork
    with os.fdopen(master), os.fdopen(slave) as theirs:
        command = [*(program or SCRIPT if real or program else []), *words(arguments)]
        with start(command, cwd, variables, slave, prepare) as status:
            theirs.close()  # ours; else the terminal would have no end
            terminal.run(status)
            yield terminal
        terminal._reader.join(10)


def _fork(
    command: list[str],
    cwd: Path,
    env: Mapping[str, str],
    slave: int,
    prepare: Callable[[], object] | None,
) -> AbstractContextManager[Callable[[float], int]]:
    return fork_in_terminal(command, cwd, env, slave, pickle.dumps(prepare))


@contextmanager
def _script(
    command: list[str],
    cwd: Path,
    env: Mapping[str, str],
    slave: int,
    prepare: Callable[[], object] | None,
) -> Iterator[Callable[[float], int]]:
    assert prepare is None, "only a fork can be prepared"
    code = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    own = f"import os, sys; {code}; os.execvp(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-ISc", own, *command],
        stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=env, start_new_session=True,
    )  # fmt: skip
    try:
        yield lambda timeout: process.wait(timeout)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def slow_model(seconds: float) -> Callable[[], None]:
    """For `prepare`: each window takes so many seconds, and all tracks have the same genre."""
    return partial(_slow_down, seconds)


def _slow_down(seconds: float) -> None:
    import torch

    from tagger.models.device import PendingProbabilities
    from tagger.models.model import GenreModel

    def start(self: GenreModel, waveforms: torch.Tensor) -> PendingProbabilities:
        time.sleep(seconds * len(waveforms))
        scores = torch.full((len(waveforms), len(self.info.labels)), 0.4 / len(self.info.labels))
        scores[:, 0] += 0.6
        return PendingProbabilities(scores)

    GenreModel.start = start  # type: ignore[method-assign,assignment]
