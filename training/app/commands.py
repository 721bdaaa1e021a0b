"""Commands to type, as the user's shell takes them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent


def script(name: str) -> str:
    """How to start one of the two scripts from the current folder."""
    path = SCRIPTS / f"{name}.py"
    words = [_python(), shell_path(path)]
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        words = ["torchrun", "--nproc-per-node", str(count), shell_path(path)]
    return " ".join(words)


def shell_path(path: Path) -> str:
    """A path for the shell; relative to the current folder if it is below that."""
    shown = path
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        shown = path.relative_to(Path.cwd())
    word = str(shown)
    return shlex.quote(f"./{word}" if word.startswith("-") else word)


def _python() -> str:
    """`python` if that is the interpreter that runs now, else its path."""
    usual = shutil.which("python")
    same = usual is not None and os.path.dirname(usual) == os.path.dirname(sys.executable)
    return "python" if same else shell_path(Path(sys.executable))
