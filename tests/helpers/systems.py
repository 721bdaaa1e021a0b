"""Linux that looks like Windows or macOS to the package: what it lacks there is missing.

What can be tried: that nothing imports or calls what does not exist there, and that child processes
start without a fork. What cannot: paths with drives and backslashes, locks of the system, consoles.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pkgutil
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import click

TESTS = Path(__file__).parents[1]
MODULES = {
    "win32": (
        "fcntl",
        "resource",
        "pwd",
        "grp",
        "termios",
        "tty",
        "pty",
        "posix",
        "crypt",
        "syslog",
    ),
    "darwin": (),
}
# Of `os`.
FUNCTIONS = {
    "win32": (
        "fork", "forkpty", "killpg", "setsid", "getpgid", "setpgid", "getuid", "geteuid", "getgid",
        "getegid", "getgroups", "chown", "fchown", "lchown", "fchmod", "mkfifo", "mknod", "major",
        "minor", "nice", "sysconf", "uname", "openpty", "wait", "wait3",
        "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_CLOEXEC", "O_NOCTTY", "O_SYNC",
        "posix_fallocate", "posix_fadvise", "pread", "pwrite", "sync", "fdatasync",
    ),
    "darwin": (),
}  # fmt: skip
ONLY_LINUX = (
    "getxattr", "setxattr", "listxattr", "removexattr", "sched_getaffinity", "sched_setaffinity",
    "posix_fallocate", "posix_fadvise", "fdatasync", "memfd_create", "copy_file_range", "splice",
    "pidfd_open", "eventfd",
)  # fmt: skip
SIGNALS = {"win32": ("SIGKILL", "SIGHUP", "SIGPIPE", "SIGALRM", "SIGUSR1", "SIGURG", "SIGWINCH",
                     "SIGCHLD", "SIGSTOP", "SIGTSTP"), "darwin": ()}  # fmt: skip
OF_FCNTL = ("F_SETPIPE_SZ", "F_SETLEASE", "F_SETSIG", "F_GETLEASE")
# What child processes import, and what else the command does: they look for libraries of a system.
IN_CHILDREN = (
    "av", "soundfile", "soxr", "numpy", "mutagen", "pydub", "subprocess", "tempfile", "shutil",
    "sqlite3", "ctypes", "multiprocessing.spawn", "logging.handlers", "concurrent.futures",
)  # fmt: skip
IN_COMMANDS = (
    "pandas", "torch.utils.data", "transformers.models.audio_spectrogram_transformer",
    "huggingface_hub", "openpyxl", "tqdm", "pathspec", "platformdirs", "rich.console", "rich.table",
    "click.shell_completion", "yaml", "safetensors.torch", "difflib", "platform",
)  # fmt: skip


def seem(system: str, libraries: Sequence[str] = (*IN_CHILDREN, *IN_COMMANDS)) -> None:
    """Make this process, and the child processes of the package, look like one of that system."""
    for name in libraries:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.split(".")[0] == "tagger"]:
        del sys.modules[name]  # they may have imported what is missing
    if system == "darwin":
        import fcntl

        for name in OF_FCNTL:
            _remove(fcntl, name)
        system_library = SimpleNamespace(copyfile=lambda *_: 0)
        ctypes.CDLL = lambda name: system_library  # type: ignore[assignment,misc]
    for name in MODULES[system]:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in (*FUNCTIONS[system], *ONLY_LINUX):
        _remove(os, name)
    for name in SIGNALS[system]:
        _remove(signal, name)
    if system == "win32":
        _remove(socket, "AF_UNIX")
        sys.modules["colorama"] = _Colorama()  # type: ignore[assignment]
    shutil._copyxattr = lambda *_, **__: None  # type: ignore[attr-defined]
    sys.platform = system
    _pass_on(system)


def _remove(module: Any, name: str) -> None:
    if hasattr(module, name):
        delattr(module, name)


class _Colorama:
    @staticmethod
    def just_fix_windows_console() -> None:
        """Nothing: there is no console of Windows."""


def _pass_on(system: str) -> None:
    """Let the children of `tagger.files.process` seem so as well, before they import anything."""
    from tagger.files import process

    begin = f"import sys; sys.path.append({str(TESTS)!r}); from helpers.systems import seem; "

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **given: Any) -> None:
            at = command.index("-c") + 1
            rest = command[at].split("; from", 1)[1]
            path = command[at].split("; from", 1)[0]
            code = f"{path}; {begin}seem({system!r}, {IN_CHILDREN!r}); from{rest}"
            super().__init__([*command[:at], code, *command[at + 1 :]], **given)

        def kill(self) -> None:  # that of Windows needs no SIGKILL
            os.kill(self.pid, 9)

    process.subprocess = _Namespace(subprocess, Popen)  # type: ignore[attr-defined]


class _Namespace:
    def __init__(self, module: Any, popen: type) -> None:
        self._module, self.Popen = module, popen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def import_everything(system: str) -> NoReturn:
    """Import each module of the package in such a process; print how many there are, and exit."""
    seem(system)
    import tagger

    modules = [module.name for module in pkgutil.walk_packages(tagger.__path__, "tagger.")]
    for name in modules:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    click.echo(len(modules))
    sys.exit()
