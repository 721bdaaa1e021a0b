"""Where a report goes, and what becomes of the one that is there."""

from __future__ import annotations

import csv
import logging
import os
import shlex
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from errno import EISDIR
from pathlib import Path

from tagger.errors import LibraryError, ReportError
from tagger.report.escape import plain_text
from tagger.types import Action

COLUMNS = (
    "path", "genre", "confidence", "agreement", "second", "second_confidence", "third",
    "third_confidence", "windows", "seconds", "existing_genre", "action", "reason", "model",
    "new_genre", "heard",
)  # fmt: skip
STDOUT = Path("-")
WORKBOOKS = (".xlsx", ".xls", ".ods")

Cell = str | float | int | None
Notify = Callable[[str], None]
# The rows of a report as text, with the header; any other file raises one of NO_REPORT.
Read = Callable[[Path], Iterator[list[str]]]
NO_REPORT = (ValueError, KeyError, csv.Error)


def check_target(target: Path, option: str = "--csv") -> None:
    """Raise `ReportError` now, rather than after hours, if the report cannot go there."""
    from tagger.files.scan import SUFFIXES  # loads what a scan needs; --help must not

    if target.suffix.lower() in SUFFIXES:
        raise ReportError(f"{target} has the suffix of a music file; name another with {option}")
    if target.suffix.lower() in WORKBOOKS and option == "--csv":
        raise ReportError(f"{target} has the suffix of a workbook; use --xlsx, or name a file.csv")
    with written_or_refused(target, option):
        if target != STDOUT and target.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    if target != STDOUT and not os.access(target.absolute().parent, os.W_OK):
        raise ReportError(
            f"{target} cannot be written (no such folder, or a read-only one); "
            f"name another with {option}"
        )


@contextmanager
def written_or_refused(target: Path, option: str = "--csv") -> Iterator[None]:
    """Turn an `OSError` in the block into a `ReportError`; `option` names the target."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ReportError(
            f"{target} cannot be written ({reason}); name another with {option}"
        ) from error


@contextmanager
def replacing_report(
    target: Path, tracks: array[int], read: Read, notify: Notify
) -> Iterator[Path]:
    """Yield a new file next to the target, which takes its place when the block ends.

    What was there is renamed, and `notify` called with a message, if it is no report or a person
    changed it (to a new name each time), or if it lists tracks that the new report does not (to one
    name, so that runs over different paths keep one older report). `tracks` has the hash of each
    path cell of the new report by the end of the block.
    """
    from tagger.files.atomic import rewriting

    with rewriting(target) as scratch:
        yield scratch
        if not target.exists():
            return
        try:
            others, example = _others(read(target), tracks)
        except NO_REPORT:
            kept = _rename_edited(target)
            notify(f"{target} was edited, or is not a report; it is kept as {kept}")
            return
        if others:
            kept = target.with_name(f"{target.stem}.previous{target.suffix}")
            replaced = _clear_name(kept, target, tracks, read) if kept.exists() else ""
            os.replace(target, kept)
            message = (
                f"{target} listed {_counted(others)} that the new report does not list, "
                f"such as {plain_text(example)}; it is kept as {kept}{replaced}"
            )
            notify(message)
            logging.getLogger(__name__).info("%s", message)  # a nightly run is quiet


def _rename_edited(path: Path) -> Path:
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    names = (f"{path.stem}.kept-{now}{again}{path.suffix}" for again in ("", *range(-1, -99, -1)))
    kept = next(kept for name in names if not (kept := path.with_name(name)).exists())
    os.rename(path, kept)
    return kept


def _clear_name(kept: Path, target: Path, tracks: array[int], read: Read) -> str:
    """Rename the report that is there if a person edited it, else say which tracks only it lists.

    `target` takes its place, and `tracks` are those of the new report.
    """
    listed = tracks + array("q", map(hash, _paths(read(target))))
    try:
        others, example = _others(read(kept), listed)
    except NO_REPORT:
        _rename_edited(kept)
        return ""
    if not others:
        return ""
    alone = f"{_counted(others)} that neither lists, such as {plain_text(example)}"
    return f", in place of an older report with {alone}"


def _counted(tracks: int) -> str:
    return f"{tracks:,} track{'s' * (tracks != 1)}"


def _others(rows: Iterator[list[str]], tracks: array[int]) -> tuple[int, str]:
    """How many tracks of a report are not among `tracks`, and the first of their path cells."""
    import numpy as np

    count, example = 0, ""
    ordered = np.sort(np.asarray(tracks))  # a set would take ten times the memory
    for path in _paths(rows):
        key = hash(path)
        at = bisect_left(ordered, key)
        if at == len(ordered) or ordered[at] != key:
            count += 1
            example = example or path
    return count, example


def _paths(rows: Iterator[list[str]]) -> Iterator[str]:
    """The path cells of a report; raises one of `NO_REPORT` if a person changed a cell of it."""
    if next(rows, [])[: len(COLUMNS)] != list(COLUMNS):
        raise ValueError("not a report")
    for row in rows:
        cells = dict(zip(COLUMNS, row, strict=False))
        # The genre before and after the run are the same where nothing was written.
        writes = cells["action"] in (Action.WRITTEN.value, Action.WOULD_WRITE.value)
        if not writes and cells["new_genre"] != cells["existing_genre"]:
            raise ValueError("a person changed it")
        if cells["genre"] != cells["heard"]:
            raise ValueError("a person changed it")
        for share in filter(None, row[len(COLUMNS) :]):  # probabilities, if it is ours
            float(share)
        yield cells["path"]


def refuse_reports(paths: Iterable[Path]) -> None:
    """Raise `LibraryError` for a report among the paths where music is looked for."""
    for path in paths:
        if path.suffix.lower() in (".csv", ".xlsx") and path.is_file():
            raise LibraryError(
                f"{path} is a report, not music; to write the genres that you edited in it: "
                f"tag-genres apply {shlex.quote(str(path))}"
            )
