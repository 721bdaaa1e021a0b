"""A process of its own for whatever parses untrusted files, most of it in C.

A file may crash such a library, keep it busy for ever, or make it ask for all memory there is. Here
that costs one answer: the process is ended and replaced. This contains faults, and not an attacker
who takes the process over, since it has the rights of the user.
"""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from math import ceil
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TypeVar

from tagger.errors import Crashed, TooLong
from tagger.files.worker import Answer

T = TypeVar("T")

KEPT = 2000  # bytes kept of that
ATTEMPTS = 2  # the process may have been ended for what others did
BY_OTHERS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")  # by a system short of memory, or a person
PIPE = 1 << 20  # bytes that an answer's pipe holds, known to Linux only
SECONDS = 120.0  # for one call of `run_isolated`
SLICE = 0.5  # s; of a time for which this process was stopped, no more counts

log = logging.getLogger(__name__)
_lock = threading.Lock()


class Child:
    """A process that calls functions, one at a time; it begins with `start` or the first call.

    It imports `modules` before it is asked, so that the first call need not wait for them.
    """

    def __init__(self, modules: Sequence[str] = ()) -> None:
        self.noise = ""  # what libraries printed during the last call
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[Answer | None] = SimpleQueue()
        self._modules = modules
        self._starting = threading.Lock()
        self._closed = False
        self._printed: IO[bytes] | None = None
        with suppress(OSError):  # no folder for it has room
            self._printed = tempfile.TemporaryFile()  # noqa: SIM115

    def start(self) -> None:
        """Begin the process if there is none, and do not wait for it.

        Of one that cannot be begun, the next call tells.
        """
        with suppress(Crashed):
            self._start()

    def call(self, seconds: float, function: Callable[..., T], *arguments: object) -> T:
        """What `function(*arguments)` returns there, or the error that it raises.

        The function must be one that can be imported by its name. Raises `TooLong` if there is no
        answer after that many seconds, and `Crashed` if the process ended, twice, or lacked memory.
        """
        request = pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL)
        how = ""
        for _ in range(ATTEMPTS):
            try:
                returned, answer, _ = self._ask(request, seconds)
            except _Ended as ended:
                how = str(ended)
                continue
            finally:
                self.noise = self._take_printed()
            if returned:
                return answer  # type: ignore[no-any-return]
            raise answer
        raise Crashed(f"it ended the process that read it ({how})", lasting=how not in BY_OTHERS)

    def close(self) -> None:
        """End the process for good; a call that another thread has under way fails."""
        self._closed = True
        self._kill()
        self._answers.put(None)  # a process that waits for a dead disk cannot say that it ends
        if self._printed is not None:
            self._printed.close()

    def _ask(self, request: bytes, seconds: float) -> Answer:
        self._start()
        process, answers = self._process, self._answers
        if process is None or process.stdin is None:
            raise _Ended("closed")
        answer = None
        try:
            process.stdin.write(request)
            process.stdin.flush()
            answer = _wait(answers, seconds)
        except OSError:  # it ended before it was asked
            pass
        except Empty:
            self._kill()
            raise TooLong(f"it took longer than {seconds:g} s") from None
        except BaseException:  # Ctrl-C; the answer must not be taken for that of the next call
            self._kill()
            raise
        if answer is None:
            self._kill()
            raise _Ended(_how(process.poll()))
        if answer[2]:
            self._kill()
        return answer

    def _start(self) -> None:
        with self._starting:
            if self._process is None and not self._closed:
                self._begin()

    def _begin(self) -> None:
        # Not from the working folder, as `-m` would: there may be files with a module's name in it.
        path = ascii(list(_absolute(sys.path)))
        modules = ascii(list(self._modules))
        serve = (
            f"import sys; sys.path[:] = {path}; "
            f"from tagger.files.worker import serve; serve({modules})"
        )
        command = [sys.executable, "-I", f"-Xutf8={sys.flags.utf8_mode}", "-c", serve]
        try:
            process = subprocess.Popen(
                [*command, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed or subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                # Ctrl-C reaches all of a terminal's processes; the parent alone decides how to end.
                start_new_session=True,
            )
        except OSError as error:
            raise Crashed(f"no process to read it: {error.strerror}", lasting=False) from error
        _widen(process.stdout)
        # A thread reads, for only a queue can be waited on for a time on every system.
        self._process, self._answers = process, SimpleQueue()
        threading.Thread(target=_listen, args=(process.stdout, self._answers), daemon=True).start()
        if self._closed:  # meanwhile, by another thread
            self._kill()

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)  # and the programs that it has begun
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)

    def _take_printed(self) -> str:
        if self._printed is None:
            return ""
        with suppress(ValueError):  # closed meanwhile
            if size := self._printed.seek(0, os.SEEK_END):
                self._printed.seek(max(0, size - KEPT))
                text = self._printed.read(KEPT).decode(errors="replace")
                self._printed.seek(0)  # for the process too: it writes where this reads
                self._printed.truncate()
                return text.strip()
        return ""


def run_isolated(seconds: float, function: Callable[..., T], path: Path, *others: object) -> T:
    """What `function(path, *others)` returns in a child process that all callers share."""
    with _lock:
        child = _shared_child()
        try:
            return child.call(seconds, function, path, *others)
        finally:
            if child.noise:
                log.info("%s: %s", path, child.noise)


@cache
def _shared_child() -> Child:
    child = Child()
    atexit.register(child.close)
    return child


class _Ended(Exception):
    """The process ended, how the message tells."""


def _how(code: int | None) -> str:
    if code is None:
        return "it does not end"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"


def _absolute(folders: Iterable[str]) -> Iterator[str]:
    for folder in folders:
        with suppress(FileNotFoundError):  # the working folder is gone
            yield os.path.abspath(folder)


def _widen(stream: IO[bytes] | None) -> None:
    """Let a pipe hold more, where the system can.

    The thread that reads needs Python's lock after each piece, for which it may wait while the main
    thread computes: for 5 MB 80 times with the 64 kB that a pipe holds at first.
    """
    if sys.platform == "linux" and stream is not None:
        import fcntl

        with suppress(OSError):  # all pipes of a user may hold only so much
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, PIPE)


def _wait(answers: SimpleQueue[Answer | None], seconds: float) -> Answer | None:
    """The next answer. Raises `Empty` if there is none for so long."""
    for _ in range(ceil(seconds / SLICE) - 1):
        with suppress(Empty):
            return answers.get(timeout=SLICE)
    return answers.get(timeout=min(SLICE, seconds))


def _listen(stream: IO[bytes], answers: SimpleQueue[Answer | None]) -> None:
    """Pass on what the process answers, and None once it has ended."""
    with stream, suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            answers.put(pickle.load(stream))
    answers.put(None)
