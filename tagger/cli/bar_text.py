"""The line that shows what a command is doing, fitted to the columns of the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tagger.cli.fitting import blocks, fit, width
from tagger.report.escape import printable

LEAST_NAME = 8  # columns; with less, other parts make room for the name
LONGEST_NAME = 500  # characters that are looked at
LEAST_BAR, MOST_BAR = 10, 30  # columns
SHOWN_AFTER = 1.0  # s; before, a step without a count shows no time


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the step that is shown."""

    label: str
    done: int = 0
    total: int | None = None  # None: not known
    seconds: float = 0  # since it began
    left: float | None = None  # s until it ends; None: not known yet
    share: float = 0  # of the work that is done
    rate: float | None = None  # items/s
    name: str = ""  # of what is being worked on
    counts: bool = True  # whether it has items at all


def status_line(status: Status, columns: int) -> str:
    """The status in at most `columns` columns; where they are few, the name stays and others go."""
    for fixed in _forms(status, columns):
        room = columns - width(fixed)
        if room >= LEAST_NAME or (room >= 0 and not status.name):
            break
    return fit(f"{fixed} {fit(printable(status.name, LONGEST_NAME), room - 1)}".rstrip(), columns)


def plain_line(status: Status, columns: int) -> str:
    """The status for a terminal on which nothing can be drawn over: no bar, and no moving clock."""
    if not status.done:
        count = f" {status.total:,} tracks" if status.total else ""
        return fit(f"{status.label}{count} …", columns)
    if status.total is None:
        return fit(f"{status.label} {status.done:,} …", columns)
    counts = f"{status.label} {status.done:,}/{status.total:,} ({_percent(status)})"
    return fit(f"{counts}, time left: {_left(status)}", columns)


def _forms(status: Status, columns: int) -> Iterator[str]:
    """The status without a name, from the longest form to the shortest."""
    label, clock, left, rate = status.label, _clock(status.seconds), _left(status), _rate(status)
    if status.total is None:
        count = f"{status.done:,}" if status.counts else "…"
        yield f"{label} {count}" + (f" [{clock}]" if status.seconds >= SHOWN_AFTER else "")
        return
    count = f"{status.done:,}/{status.total:,}"
    head = f"{label}: {_percent(status):>4}|"
    tail = f"| {count} [{clock}<{left}, {rate} tracks/s]"
    room = columns - width(head) - width(tail) - LEAST_NAME - 6
    if room >= LEAST_BAR:
        yield head + blocks(status.share, min(room, MOST_BAR)) + tail
    yield f"{label} {count} [{clock}<{left}, {rate}/s]"
    yield f"{label} {count} [{clock}<{left}]"
    yield f"{label} {count} [<{left}]"


def _percent(status: Status) -> str:
    """The share of the work; the last items may fail, and then bring no work, but are to come."""
    return f"{min(status.share, 0.99 if status.done < (status.total or 0) else 1):.0%}"


def _left(status: Status) -> str:
    return "?" if status.left is None else _clock(status.left)


def _rate(status: Status) -> str:
    if status.rate is None or not status.done:
        return "?"
    return f"{status.rate:.{0 if status.rate >= 100 else 1 if status.rate >= 10 else 2}f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
