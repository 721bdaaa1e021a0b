"""What runs inside the child process of `process.py`: it takes requests, and sends answers.

It imports little, because each child that replaces another one has to start first.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from typing import Any

from tagger.errors import Crashed

# Whether the function returned, what it returned or raised, and whether the process is used up.
Answer = tuple[bool, Any, bool]

MEMORY = 2 << 30  # bytes that the process may have, beside its program; known to Linux only
PRINTED = 16 << 20  # bytes that it may write to files, such as what its libraries print
USED_UP = 512 << 20  # bytes; a process that keeps as many is replaced, for libraries leak


def serve(modules: Iterable[str] = ()) -> None:
    """Answer requests until there are no more, or the parent is gone."""
    _end_with(int(sys.argv[-1]))
    _limit()
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # Nobody else may take from the requests, or print among the answers.
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    for module in modules:
        with suppress(Exception):  # the call that needs it tells
            import_module(module)
    with suppress(EOFError, BrokenPipeError):
        while True:
            answer = _answer(*pickle.load(requests))
            pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


def _answer(function: Callable[..., Any], arguments: tuple[object, ...]) -> Answer:
    try:
        return True, function(*arguments), _is_used_up()
    except MemoryError:
        return False, Crashed(f"it needs more than {MEMORY >> 30} GB of memory"), True
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(traceback.format_exc())
        return False, error, _is_used_up()


def _is_used_up() -> bool:
    if sys.platform != "linux":
        return False
    # Not the peak that getrusage tells: that begins with what the parent had.
    with open("/proc/self/statm", "rb") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") > USED_UP


def _end_with(parent: int) -> None:
    """Let Linux end this process with its parent; elsewhere it ends with the requests."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)


def _limit() -> None:
    """Bound what this process and those that it begins may take, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    limits = {resource.RLIMIT_DATA: MEMORY, resource.RLIMIT_FSIZE: PRINTED, resource.RLIMIT_CORE: 0}
    for kind, most in limits.items():
        with suppress(OSError, ValueError):  # a lower one may be set already
            resource.setrlimit(kind, (most, most))
