"""The command as a user types it, and where the project and its data are."""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "examples" / "library"
DATA = ROOT.parent / "shared" / "data"

Run = Callable[..., "subprocess.CompletedProcess[str]"]

START = 300  # s; that the imports may take on a busy machine
# The script that pip installed beside this Python; it is what a user types.
SCRIPT = [str(Path(sys.executable).with_name("tag-genres"))]
if not Path(SCRIPT[0]).exists():
    SCRIPT = [sys.executable, "-m", "tagger"]


def environment(home: Path) -> dict[str, str]:
    state = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "HF_HOME": str(home / "hf")}
    state["XDG_CONFIG_HOME"] = str(home / "config")
    return {**os.environ, **state, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}


def run_script(
    *arguments: object, cwd: Path, env: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run the script itself: for tests of the start, of signals, streams and imports."""
    return subprocess.run(
        [*SCRIPT, *words(arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        timeout=timeout,
    )


def run_command(
    *arguments: object, cwd: Path, env: Mapping[str, str], merge: bool = False, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run the command in a fork of a process that has its imports: the same, 4 s sooner.

    Its standard input is empty; with `merge`, its standard error goes where its output goes.
    """
    server = _idle_server()
    try:
        return server.run(words(arguments), cwd, env, merge, timeout)
    except BaseException:
        server.close()  # it may be waiting still
        _server.cache_clear()
        raise


@contextmanager
def fork_in_terminal(
    words: list[str], cwd: Path, env: Mapping[str, str], terminal: int, prepare: bytes
) -> Iterator[Callable[[float], int]]:
    """As `run_command`, with this terminal as its own; for `helpers/terminal.py`.

    Yields what waits for its exit code. At the end of the block it is killed.
    """
    server = _idle_server()
    try:
        with server.started(words, cwd, env, [terminal] * 3, prepare) as status:
            yield status
    finally:
        if server.is_busy:
            server.close()
            _server.cache_clear()


def words(arguments: tuple[object, ...]) -> list[str]:
    return [os.fsdecode(a) if isinstance(a, os.PathLike) else str(a) for a in arguments]


class _Server:
    """Our end of `server.py`, which ends once this is closed."""

    def __init__(self) -> None:
        self.is_busy = False
        self._requests, theirs = socket.socketpair()
        program = [sys.executable, str(Path(__file__).with_name("server.py"))]
        with theirs:
            # Its own group: Ctrl-C on a terminal is for the tests.
            self._process = subprocess.Popen(
                [*program, str(theirs.fileno()), SCRIPT[0]],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def run(
        self, words: list[str], cwd: Path, env: Mapping[str, str], merge: bool, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        with (
            tempfile.TemporaryFile() as output,
            tempfile.TemporaryFile() as error,
            open(os.devnull, "rb") as nothing,
        ):
            streams = [nothing.fileno(), output.fileno(), (output if merge else error).fileno()]
            with self.started(words, cwd, env, streams) as status:
                code = status(timeout)
            texts = []
            for stream in (output, error):
                stream.seek(0)
                texts.append(stream.read().decode())
            return subprocess.CompletedProcess(words, code, *texts)

    @contextmanager
    def started(
        self, words: list[str], cwd: Path, env: Mapping[str, str], streams: list[int],
        prepare: bytes = b"",
    ) -> Iterator[Callable[[float], int]]:  # fmt: skip
        """Run it until the end of the block; `prepare`: in a terminal, after this function."""
        self.is_busy = True
        socket.send_fds(
            self._requests, [pickle.dumps((words, str(cwd), dict(env), prepare))], streams
        )
        pid, codes = self._receive(START), list[int]()

        def status(timeout: float) -> int:
            if not codes:
                codes.append(self._receive(timeout))
                self.is_busy = False
            return codes[0]

        try:
            yield status
        finally:
            if not codes:
                if prepare:  # in a terminal it has its own group, with its children
                    with suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                status(60)

    def _receive(self, timeout: float) -> int:
        self._requests.settimeout(timeout)
        answer: int = pickle.loads(self._requests.recv(1000))
        return answer

    def close(self) -> None:
        self._requests.close()
        self._process.kill()
        self._process.wait()


def _idle_server() -> _Server:
    server = _server()
    if server.is_busy:
        raise RuntimeError("a session in a terminal is open: only one command runs at a time")
    return server


@cache
def _server() -> _Server:
    server = _Server()
    atexit.register(server.close)
    return server
