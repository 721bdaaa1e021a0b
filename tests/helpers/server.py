"""A process that has imported all that the command imports, and forks once for each command run.

Importing torch and transformers takes longer than most commands do, and the tests run hundreds of
commands. A fork has the folder, environment, arguments and streams of its request, and none of the
caller's. Nothing of the package is called before the fork, so that its caches are empty.
`helpers/command.py` is the other end; the tests that are about the start, signals or imports use
the real script. Tests that run a function, and not the command, use `helpers/forks.py`.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import io
import os
import pickle
import pkgutil
import signal
import socket
import sys
import termios
import traceback
from pathlib import Path
from typing import TextIO

# What the package imports inside functions, in a run.
LAZY = ("pandas", "transformers.models.audio_spectrogram_transformer", "huggingface_hub.utils")


def preload() -> None:
    import tagger

    for module in pkgutil.walk_packages(tagger.__path__, "tagger."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in LAZY:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page


def serve(requests: socket.socket) -> tuple[list[str], bytes]:
    """Answer each request with a process id and its status; returns in a fork.

    There it returns the words of the command, and for a terminal a pickled function to call first.
    """
    while True:
        data, streams, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not data:
            os._exit(0)  # the tests are over
        words, folder, environment, prepare = pickle.loads(data)
        if not (pid := os.fork()):
            requests.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            if prepare:
                os.setsid()
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            return words, prepare
        for stream in streams:
            os.close(stream)
        requests.send(pickle.dumps(pid))
        _, status = os.waitpid(pid, 0)
        requests.send(pickle.dumps(os.waitstatus_to_exitcode(status)))


def _own_streams() -> tuple[TextIO, TextIO]:
    """Open the standard streams anew, as Python does where it starts; returns those before."""
    before = sys.stdout, sys.stderr
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
    for name, number, lines, how in (
        ("stdout", 1, os.isatty(1), errors or "strict"),
        ("stderr", 2, True, "backslashreplace"),
    ):
        stream = os.fdopen(number, "wb", closefd=False)
        setattr(sys, name, io.TextIOWrapper(stream, encoding, how, line_buffering=lines))
    return before


def main() -> None:
    script = sys.argv[2]
    sys.path[0] = os.path.dirname(script)  # as where that is run
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    preload()
    words, prepare = serve(socket.socket(fileno=int(sys.argv[1])))
    sys.argv = [script, *words]
    # It reads the environment as it is imported.
    importlib.reload(importlib.import_module("huggingface_hub.constants"))
    replaced = _own_streams()  # kept: their ends would close what they have in common
    try:
        if prepare:
            sys.path.append(str(Path(__file__).parents[1]))
            if (function := pickle.loads(prepare)) is not None:
                function()
        from tagger.cli import main as command

        command()
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    # The usual end of Python, which frees all that is imported, takes longer than most commands.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    del replaced
    os._exit(status if isinstance(status, int) else bool(status))


if __name__ == "__main__":
    main()
