"""What several tests need: a tiny model, the command line, and what is no file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from helpers.command import Run, environment, run_command
from hypothesis import settings

# Read by torch and numpy as they are imported, here and in the processes that tests start: threads
# that wait for each other cost more than they bring where several tests run at once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What says whether there are colours, and how wide a terminal is: the same wherever tests run.
for _name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COLORTERM"):
    os.environ.pop(_name, None)
os.environ["TERM"] = "xterm-256color"

# A script starts its background jobs without Ctrl-C, and so would be all that is started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Without a deadline for one example, which a busy machine misses; tests have one of their own.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long forms of tests take longer than others may."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(3000))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of random weights with windows of 0.655 s, saved by transformers itself."""
    from helpers.models import save_ast

    return save_ast(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command in a folder of its own; nothing of the user's is read or written."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)

    def run(*arguments: object, env_online: bool = False) -> subprocess.CompletedProcess[str]:
        env = environment(home)
        if env_online:
            del env["HF_HUB_OFFLINE"]
        return run_command(*arguments, cwd=home, env=env)

    return run


@pytest.fixture
def no_file(request, tmp_path, monkeypatch) -> Path:
    """A path at which something else stands now; a music file may have been there before."""
    path = tmp_path / "x.mp3"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "folder":
        path.mkdir()
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        monkeypatch.chdir(tmp_path)  # the address of a socket must be short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("x.mp3")
    return path
