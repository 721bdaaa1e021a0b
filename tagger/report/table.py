"""The CSV report: a row per track, streamed to a temporary file that replaces the old report."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO

from tagger.errors import ReportError
from tagger.report.escape import csv_text
from tagger.types import Outcome

COLUMNS = (
    "path", "genre", "confidence", "agreement", "second", "second_confidence", "third",
    "third_confidence", "windows", "seconds", "existing_genre", "action", "reason", "model",
    "new_genre", "heard",
)  # fmt: skip
STDOUT = Path("-")
CHUNK_ROWS = 1000

Cell = str | float | int | None


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
    report stays until the last row is written. If a person edited it, or it is not a report, it is
    then renamed instead of replaced, and `notify` is called with a message. Raises `ReportError`.
    """
    import pandas as pd

    header = [*COLUMNS, *(csv_text(label) for label in labels)]
    rows = (_row(outcome, model, labels) for outcome in outcomes)
    with _opened(target, notify) as file:
        pd.DataFrame([header]).to_csv(file, index=False, header=False, lineterminator="\n")
        while chunk := list(islice(rows, CHUNK_ROWS)):
            frame = pd.DataFrame(chunk, dtype=object)
            frame.to_csv(file, index=False, header=False, lineterminator="\n")


def check_target(target: Path) -> None:
    """Raise `ReportError` now, rather than after hours, if the report cannot go there."""
    from tagger.files.scan import SUFFIXES  # loads what a scan needs; --help must not

    if target.suffix.lower() in SUFFIXES:
        raise ReportError(f"{target} has the suffix of a music file; name another with --csv")
    if target != STDOUT and not os.access(target.absolute().parent, os.W_OK):
        raise ReportError(
            f"{target} cannot be written (no such folder, or a read-only one); "
            "name another with --csv"
        )


def _row(outcome: Outcome, model: str, labels: Sequence[str]) -> list[Cell]:
    best: list[Cell] = []
    prediction = outcome.prediction
    # A silent track has no predicted genre, but if the floor is 0 its first label is written.
    has_genre = outcome.genres or not (prediction and prediction.is_silent)
    for name, share in outcome.ranked[:3] if has_genre else ():
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


def _is_as_written(path: Path) -> bool:
    """Whether a file is our report, and nobody changed a genre or added a column."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            if next(rows)[: len(COLUMNS)] != list(COLUMNS):
                return False
            genre, predicted = COLUMNS.index("genre"), COLUMNS.index("heard")
            for row in rows:
                if row[genre] != row[predicted]:
                    return False
                for share in filter(None, row[len(COLUMNS) :]):  # probabilities, if it is ours
                    float(share)
    except (ValueError, IndexError, StopIteration, csv.Error):
        return False
    return True


@contextmanager
def _opened(target: Path, notify: Callable[[str], None]) -> Iterator[IO[str]]:
    """Standard output, or a temporary file that replaces the target at the end."""
    from tagger.files.atomic import rewriting

    try:
        if target == STDOUT:
            sys.stdout.flush()
            with open(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="") as file:
                yield file
            return
        # A link stays a link. A special file such as /dev/null must not be replaced.
        target = target.resolve()
        if target.exists() and not target.is_file():
            with target.open("w", encoding="utf-8", newline="") as file:
                yield file
            return
        with rewriting(target) as scratch:
            with scratch.open("w", encoding="utf-8", newline="") as file:
                yield file
            if target.exists() and not _is_as_written(target):
                now = datetime.now().strftime("%Y%m%d-%H%M%S")
                kept = target.with_name(f"{target.stem}.kept-{now}{target.suffix}")
                os.rename(target, kept)
                notify(f"{target} was edited, or is not a report; it is kept as {kept}")
    except OSError as error:
        reason = error.strerror or error
        raise ReportError(
            f"{target} cannot be written ({reason}); name another with --csv"
        ) from error
