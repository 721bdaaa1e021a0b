"""The line at the bottom of a terminal that shows what goes on, and what is printed above it.

Only one line is shown, by tqdm, even if steps are nested: that of the step that started last. A
thread redraws it while nothing happens, so that it shows the time and follows the width of the
terminal. While there is one, whatever Python prints to the terminal appears above it. Where a line
cannot be drawn over, a plain one is printed now and then.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from tqdm import tqdm

from tagger.app.progress import Work
from tagger.cli.bar_text import Status, plain_line, status_line
from tagger.cli.fitting import width
from tagger.cli.pace import Pace
from tagger.cli.terminal import can_redraw
from tagger.report.streams import NARROW

EVERY = 0.2  # s between two drawings
DEFAULT_COLUMNS = 80
# Without redrawing: a line each tenth, but not more often than this, and one after a longer time.
SELDOM, AT_LEAST_EVERY = 30.0, 300.0  # s
STOPPED = 10.0  # s; a thread that runs so much too late was stopped, as by Ctrl-Z

tqdm.set_lock(threading.RLock())  # tqdm's own is shared with processes; we have none
_steps: list[Step] = []  # that are being done, the last of them is shown
_pauses: list[float] = []  # s; when each began that is not over


class Step(tqdm):
    """One thing that is being done, as a line on the terminal; `step` makes one."""

    disable: bool
    monitor_interval = 0  # our own thread draws it

    def __init__(
        self, label: str, total: int | None, work: Work | None = None, *, counts: bool = True
    ) -> None:
        self._stream = _real(sys.stderr)
        self._draws = can_redraw(self._stream)
        self._erase = ""  # what clears the rest of the line
        self._columns = 0  # of the terminal, when the line was drawn last
        self._printed_at, self._printed_share = -AT_LEAST_EVERY, 0.0
        self.counts, self.work, self.name = counts, work, ""
        self.paused = 0.0  # s, in all
        self._began = time.monotonic()
        self._pace = Pace(self._began)
        # As a GUI's it does not draw itself before it is made.
        super().__init__(desc=label, total=total, leave=False, file=self._stream, gui=True)
        self.sp = self._draw_over

    def status(self) -> Status:
        """The values that the line shows."""
        now, total = time.monotonic() - self.paused, self.total or None
        done, left, name = float(self.n), float((total or 0) - self.n), self.name
        if self.work is not None:
            done, left, name = self.work.done, self.work.left, self.work.name
        self._pace.add(done, now)
        rate, share = self._pace.rate, done / (done + left) if done + left else 1.0
        return Status(
            self.desc, self.n, total, now - self._began, self._pace.seconds_left(left),
            share, rate and rate * self.n / done if done else None, name, self.counts,
        )  # fmt: skip

    def __str__(self) -> str:
        """The line that is drawn."""
        # One column stays empty: a terminal may wrap a line that fills it.
        return self._encodable(status_line(self.status(), self._columns - 1))

    def _encodable(self, line: str) -> str:
        encoding: str = getattr(self._stream, "encoding", None) or "utf-8"
        return line.encode(encoding, NARROW).decode(encoding)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Draw the line, or remove it if `msg` is empty."""
        with suppress(OSError, ValueError):  # the terminal is gone; the run goes on
            if self._draws and (msg == "" or self._is_shown()):
                columns = _columns(self._stream)
                # A narrower terminal has broken the line, and its rest is below.
                self._erase = "\x1b[J" if columns < self._columns else "\x1b[K"
                self._columns = columns
                self.sp(str(self) if msg is None else msg)
            elif msg is None and not self._draws and self._is_shown():
                self._print_seldom()
        return True

    def close(self) -> None:
        """Remove the line."""
        if not self.disable:
            if self._draws and not _pauses:
                self.display("")
            self.disable = True
            self._decr_instances(self)

    def _is_shown(self) -> bool:
        others = any(type(bar) is not Step and not bar.disable for bar in tqdm._instances)
        return bool(_steps) and _steps[-1] is self and not (_pauses or others)

    def _draw_over(self, line: str) -> None:
        """Draw over the line. The cursor stays at its beginning, where "^C" does no harm."""
        blanks = " " * (self._columns - 1 - width(line)) if os.name == "nt" else self._erase
        self._stream.write(f"\r{line}{blanks}\r")
        self._stream.flush()

    def _print_seldom(self) -> None:
        status, passed = self.status(), time.monotonic() - self._printed_at
        is_due = passed >= SELDOM and status.share >= self._printed_share + 0.1
        if is_due or passed >= AT_LEAST_EVERY:
            self._printed_at, self._printed_share = time.monotonic(), status.share
            self._stream.write(f"{self._encodable(plain_line(status, DEFAULT_COLUMNS - 1))}\n")
            self._stream.flush()


@contextmanager
def step(
    label: str, total: int | None = None, work: Work | None = None, *, counts: bool = True
) -> Iterator[Step]:
    """Show that something is being done, within the block."""
    shown = Step(label, total, work, counts=counts)
    with tqdm.get_lock():
        if not _steps:
            _intercept()
        _steps.append(shown)
        shown.display()
    stopped = threading.Event()
    threading.Thread(target=_keep_drawing, args=(shown, stopped), daemon=True).start()
    try:
        yield shown
    finally:
        stopped.set()
        _close(shown)


def _keep_drawing(shown: Step, stopped: threading.Event) -> None:
    before = time.monotonic()
    while not stopped.wait(EVERY):
        passed = time.monotonic() - before
        if passed > STOPPED and not _pauses:
            shown.paused += passed
        before += passed
        shown.refresh()


def _close(shown: Step) -> None:
    with tqdm.get_lock():
        if shown not in _steps:
            return
        _steps.remove(shown)
        shown.close()
        if _steps:
            _steps[-1].display()
        else:
            _restore()


def close_all() -> None:
    """Remove the line, whatever is being done."""
    while _steps:
        _close(_steps[-1])


def now(path: str) -> None:
    """Name what is being worked on."""
    if _steps:
        _steps[-1].name = path


@contextmanager
def paused() -> Iterator[None]:
    """Leave the terminal to a question: within the block there is no line, and no time counts."""
    began = time.monotonic()
    with tqdm.get_lock():
        if _steps and not _pauses:
            _steps[-1].display("")
        _pauses.append(began)
    try:
        yield
    finally:
        with tqdm.get_lock():
            _pauses.remove(began)
            for shown in _steps if not _pauses else ():
                shown.paused += time.monotonic() - began
            if _steps:
                _steps[-1].display()


class _Above:
    """A stream of the terminal whose lines appear above the line of a step."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self._partial = ""  # a line that is not complete

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Print the lines that are complete, above the line of the step."""
        with tqdm.get_lock():
            is_redrawn = "\r" in text and "\n" not in text  # the bar of another library
            if not _steps or _pauses or is_redrawn:
                return self.stream.write(text)
            lines, newline, self._partial = (self._partial + text).rpartition("\n")
            if newline:
                _steps[-1].display("")
                self.stream.write(lines + newline)
                self.stream.flush()
                _steps[-1].display()
        return len(text)

    def complete(self) -> None:
        """Print what there is of a line."""
        partial, self._partial = self._partial, ""
        self.stream.write(partial)


def _intercept() -> None:
    sys.stderr = _Above(sys.stderr)
    if sys.stdout and can_redraw(sys.stdout):
        sys.stdout = _Above(sys.stdout)


def _restore() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, _Above):
            setattr(sys, name, stream.stream)
            with suppress(OSError, ValueError):
                stream.complete()


def _real(stream: IO[str]) -> IO[str]:
    return stream.stream if isinstance(stream, _Above) else stream


def _columns(stream: IO[str]) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_COLUMNS
    except (OSError, ValueError):
        return DEFAULT_COLUMNS
