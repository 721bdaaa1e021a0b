"""The code inside the child process of `process.py`: it receives requests and sends answers.

It imports little, so that a child starts quickly.
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

# Whether the function returned, what it returned or raised, and whether to replace the process.
Answer = tuple[bool, Any, bool]

MEMORY_LIMIT = 2 << 30  # bytes of data that the process may allocate; Linux only
FILE_LIMIT = 16 << 20  # bytes that it may write to a file, such as the output of its libraries
WORN_OUT = 512 << 20  # bytes; a process that holds more is replaced, because libraries leak


def serve(modules: Iterable[str] = ()) -> None:
    """Answer requests until there are no more, or the parent process ends."""
    _end_with(int(sys.argv[-1]))
    _limit()
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # Nothing else may read from the requests, or print among the answers.
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    for module in modules:
        with suppress(Exception):  # the call that needs it raises the error
            import_module(module)
    with suppress(EOFError, BrokenPipeError):
        while True:
            answer = _answer(*pickle.load(requests))
            pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


def _answer(function: Callable[..., Any], arguments: tuple[object, ...]) -> Answer:
    try:
        return True, function(*arguments), _is_worn_out()
    except MemoryError:
        return False, Crashed(f"it needs more than {MEMORY_LIMIT >> 30} GB of memory"), True
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(traceback.format_exc())
        return False, error, _is_worn_out()


def _is_worn_out() -> bool:
    if sys.platform != "linux":
        return False
    # Not the peak from getrusage, which starts with the memory that the parent had.
    with open("/proc/self/statm", "rb") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") > WORN_OUT


def _end_with(parent: int) -> None:
    """Let Linux kill this process with its parent; elsewhere it ends with the requests."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)


def _limit() -> None:
    """Limit the resources of this process and those that it starts, if the system can."""
    if sys.platform == "win32":
        return
    import resource

    limits = {
        resource.RLIMIT_DATA: MEMORY_LIMIT,
        resource.RLIMIT_FSIZE: FILE_LIMIT,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        with suppress(OSError, ValueError):  # a lower one may be set already
            resource.setrlimit(kind, (most, most))
