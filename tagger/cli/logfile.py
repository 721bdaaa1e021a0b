"""A log file beside the state file, for messages that do not belong on a terminal."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from tagger.report.escape import printable
from tagger.state.store import default_state

BYTES = 5_000_000  # of the log; beyond that it is renamed, and the previous one deleted


@contextmanager
def logged(state: Path | None, named: Path | None = None) -> Iterator[None]:
    """Log writes, tracks that could not be decoded, and the decoders' output.

    They go to `<state file>.log`, where `state` is the state file if one was named, else None; this
    file is rotated here. One that the user named is only appended to: its owner may rename it at
    any time, even during a run, and the next message starts a new file.
    """
    path = named or Path(f"{state or default_state()}.log")
    logger, handler = logging.getLogger("tagger"), _LogFile(path, 0 if named else BYTES)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        with suppress(OSError):
            handler.close()


class _LogFile(RotatingFileHandler):
    def __init__(self, path: Path, most: int) -> None:
        super().__init__(path, maxBytes=most, backupCount=1, encoding="utf-8", delay=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message, to a new file if the open one was renamed or deleted."""
        if self.stream is not None and not self._is_in_place(self.stream):
            with suppress(OSError):
                self.stream.close()
            self.stream = None  # the message opens it again
        super().emit(record)

    def _is_in_place(self, stream: TextIOWrapper) -> bool:
        try:
            return os.path.samestat(os.fstat(stream.fileno()), os.stat(self.baseFilename))
        except OSError:
            return False

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        if path.exists() and not path.is_file():
            raise OSError(f"{path} is not a regular file")  # a pipe would wait for a reader
        return super()._open()

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message contains."""
        return printable(f"{datetime.now():%Y-%m-%d %H:%M:%S} {record.getMessage()}")

    def handleError(self, record: logging.LogRecord) -> None:
        """Do nothing: a log that cannot be written must not end a run."""
