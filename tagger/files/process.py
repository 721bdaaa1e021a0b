"""A child process for the libraries that parse untrusted files, most of them in C.

A file may crash such a library, keep it busy forever, or make it allocate all memory. In a child
process that costs one answer: the process is killed and replaced. This contains faults, but not an
attacker who takes over the process, since it has the rights of the user.
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

NOISE_BYTES = 2000  # kept of the output of libraries during a call
ATTEMPTS = 2  # the process may have been killed from outside
# Signals from a system that is short of memory, or from a person.
FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
PIPE_BYTES = 1 << 20  # capacity of the pipe for answers; Linux only
SECONDS = 120.0  # for one call of `run_isolated`
WAIT_STEP = 0.5  # s; while this process is stopped, at most this much of the time counts

log = logging.getLogger(__name__)
_lock = threading.Lock()


class Child:
    """A process that calls functions, one at a time; `start` or the first call starts it.

    It imports `modules` when it starts, so that the first call need not wait for them.
    """

    def __init__(self, modules: Sequence[str] = ()) -> None:
        self.noise = ""  # the output of libraries during the last call
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[Answer | None] = SimpleQueue()
        self._modules = modules
        self._starting = threading.Lock()
        self._closed = False
        self._printed: IO[bytes] | None = None
        with suppress(OSError):  # no folder has room for it
            self._printed = tempfile.TemporaryFile()  # noqa: SIM115

    def start(self) -> None:
        """Start the process if there is none, without waiting for it.

        If it cannot be started, the next call raises the error.
        """
        with suppress(Crashed):
            self._start()

    def call(self, seconds: float, function: Callable[..., T], *arguments: object) -> T:
        """Call `function(*arguments)` there; return its result, or raise its error.

        The function must be importable by its name. Raises `TooLong` if there is no answer after
        `seconds`, and `Crashed` if the process ended twice or ran out of memory.
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
        raise Crashed(f"it ended the process that read it ({how})", lasting=how not in FROM_OUTSIDE)

    def close(self) -> None:
        """End the process for good; a call that is under way in another thread fails."""
        self._closed = True
        self._kill()
        self._answers.put(None)  # a process blocked by a dead disk cannot close its pipe
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
        except OSError:  # it ended before the request arrived
            pass
        except Empty:
            self._kill()
            raise TooLong(f"it took longer than {seconds:g} s") from None
        except BaseException:  # Ctrl-C; the next call must not receive this call's answer
            self._kill()
            raise
        if answer is None:
            self._kill()
            raise _Ended(_describe_exit(process.poll()))
        if answer[2]:
            self._kill()
        return answer

    def _start(self) -> None:
        with self._starting:
            if self._process is None and not self._closed:
                self._spawn()

    def _spawn(self) -> None:
        # Not with `-m`, which imports from the working folder: its files may have a module's name.
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
                # Ctrl-C reaches all processes of a terminal; only the parent handles it.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # on Windows
            )
        except OSError as error:
            raise Crashed(
                f"no process could be started to read it: {error.strerror}", lasting=False
            ) from error
        _widen(process.stdout)
        # A thread reads, because only a queue can be waited on with a timeout on every system.
        self._process, self._answers = process, SimpleQueue()
        threading.Thread(target=_listen, args=(process.stdout, self._answers), daemon=True).start()
        if self._closed:  # by another thread, meanwhile
            self._kill()

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)  # also the programs that it has started
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)

    def _take_printed(self) -> str:
        if self._printed is None:
            return ""
        with suppress(ValueError):  # it was closed meanwhile
            if size := self._printed.seek(0, os.SEEK_END):
                self._printed.seek(max(0, size - NOISE_BYTES))
                text = self._printed.read(NOISE_BYTES).decode(errors="replace")
                self._printed.seek(0)  # the process shares this position, and writes there
                self._printed.truncate()
                return text.strip()
        return ""


def run_isolated(seconds: float, function: Callable[..., T], path: Path, *others: object) -> T:
    """Return the result of `function(path, *others)` in a child process shared by all callers."""
    with _lock:
        child = _shared_child()
        try:
            return child.call(seconds, function, path, *others)
        finally:
            if child.noise:
                log.info("%s: %s", path, child.noise)


@cache
def _shared_child() -> Child:
    child = Child(("tagger.tags.genre_tag",))  # most calls read a tag
    atexit.register(child.close)
    return child


class _Ended(Exception):
    """The process ended; the message says how."""


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "it did not exit"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"


def _absolute(folders: Iterable[str]) -> Iterator[str]:
    for folder in folders:
        with suppress(FileNotFoundError):  # the working folder is gone
            yield os.path.abspath(folder)


def _widen(stream: IO[bytes] | None) -> None:
    """Enlarge a pipe, if the system can.

    The reading thread needs Python's global lock after each chunk, and may wait for it while the
    main thread computes: with a pipe of 64 kB, the default, 80 times for 5 MB.
    """
    if sys.platform == "linux" and stream is not None:
        import fcntl

        with suppress(OSError):  # the total size of one user's pipes is limited
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _wait(answers: SimpleQueue[Answer | None], seconds: float) -> Answer | None:
    """The next answer; raises `Empty` if none comes within this time."""
    for _ in range(ceil(seconds / WAIT_STEP) - 1):
        with suppress(Empty):
            return answers.get(timeout=WAIT_STEP)
    return answers.get(timeout=min(WAIT_STEP, seconds))


def _listen(stream: IO[bytes], answers: SimpleQueue[Answer | None]) -> None:
    """Pass on the answers of the process, and None once it has ended."""
    with stream, suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            answers.put(pickle.load(stream))
    answers.put(None)
