"""The CSV report: a row per track, streamed to a temporary file that replaces the old report."""

from __future__ import annotations

import csv
import errno
import os
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from tagger.report.escape import csv_text
from tagger.report.target import COLUMNS, STDOUT, Cell, replacing_report, written_or_refused
from tagger.types import Outcome

CHUNK_ROWS = 1000


def write_csv(
    outcomes: Iterable[Outcome],
    target: Path,
    notify: Callable[[str], None] = lambda message: None,
    *,
    model: str,
    labels: Sequence[str] = (),
) -> None:
    """Write one row per outcome, in order, as they arrive; `target` may be `STDOUT`.

    `labels` adds a column for the probability of each. Memory does not grow with the rows. An older
    report stays until the last row is written, and `replacing_report` says when it is kept even
    then. Raises `ReportError`.
    """
    import pandas as pd

    tracks = array("q")
    with _opened(target, tracks, notify) as file:
        pd.DataFrame([header(labels)]).to_csv(file, index=False, header=False, lineterminator="\n")
        rows = (report_row(outcome, model, labels) for outcome in outcomes)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            tracks.extend(hash(row[0]) for row in chunk)
            frame = pd.DataFrame(chunk, dtype=object)
            frame.to_csv(file, index=False, header=False, lineterminator="\n")


def header(labels: Sequence[str]) -> list[str]:
    """The names of the columns, with one for the probability of each label."""
    return [*COLUMNS, *(csv_text(label) for label in labels)]


def report_row(outcome: Outcome, model: str, labels: Sequence[str]) -> list[Cell]:
    """The cells of one track, the first of them its path."""
    best: list[Cell] = []
    prediction = outcome.prediction
    is_silent = prediction is not None and prediction.is_silent  # then it has no predicted genre
    for name, share in () if is_silent else outcome.ranked[:3]:
        best += [csv_text(name), round(share, 4)]
    best += [None] * (6 - len(best))
    if prediction is None:
        agreement = windows = seconds = None
        shares: list[Cell] = [None] * len(labels)
    else:
        agreement, windows = round(prediction.agreement, 4), prediction.windows
        seconds = round(prediction.seconds, 2)
        shares = [round(share, 6) for share in prediction.probabilities[: len(labels)]]
    existing, after = ("; ".join(genres) for genres in (outcome.existing, outcome.after))
    done = [csv_text(existing), outcome.action.value, csv_text(outcome.reason), csv_text(model)]
    return [
        csv_text(os.fspath(outcome.path)), *best[:2], agreement, *best[2:], windows, seconds,
        *done, csv_text(after), best[0], *shares,
    ]  # fmt: skip


@contextmanager
def _opened(target: Path, tracks: array[int], notify: Callable[[str], None]) -> Iterator[IO[str]]:
    """Standard output, or a temporary file that replaces the target at the end."""
    with written_or_refused(target):
        if target == STDOUT and sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed")
        if target == STDOUT:
            sys.stdout.flush()
            if sys.stdout.isatty() and sys.stdout.encoding.lower() == "utf-8":
                yield sys.stdout  # which leaves the progress bar whole
                return
            with open(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="") as file:
                yield file
            return
        # A link stays a link. A special file such as /dev/null must not be replaced.
        target = target.resolve()
        if target.exists() and not target.is_file():
            with target.open("w", encoding="utf-8", newline="") as file:
                yield file
            return
        # Without the byte order mark, Excel takes the file for one in the system's code page.
        with (
            replacing_report(target, tracks, read_report, notify) as scratch,
            scratch.open("w", encoding="utf-8-sig", newline="") as file,
        ):
            yield file


def read_report(path: Path) -> Iterator[list[str]]:
    """The rows of a report that nobody saved again; raises `ValueError` or `csv.Error` if not."""
    with path.open(encoding="utf-8-sig", newline="") as file:  # an older version wrote no mark
        yield from csv.reader(_own_lines(file), strict=True)


def _own_lines(file: IO[str]) -> Iterator[str]:
    for line in file:
        if "\r" in line:  # ours are escaped
            raise ValueError("another program wrote this file")
        yield line
