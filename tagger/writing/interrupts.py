"""Interrupts that wait while a file is replaced."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# What ends a run: Ctrl-C, `docker stop` and, on Windows, Ctrl-Break or a console that is closed.
STOPS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defer `STOPS` to the end of the block, where they raise `KeyboardInterrupt`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    handlers = {number: signal.signal(number, wait) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # None: it was not set from Python, and cannot be put back
                signal.signal(number, handler)
        if waiting:
            raise KeyboardInterrupt
