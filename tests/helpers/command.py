"""The command as a user types it, and where the project and its data are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "examples" / "library"
DATA = ROOT.parent / "shared" / "data"

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# The script that pip installed beside this Python; it is what a user types.
SCRIPT = [str(Path(sys.executable).with_name("tag-genres"))]
if not Path(SCRIPT[0]).exists():
    SCRIPT = [sys.executable, "-m", "tagger"]


def environment(home: Path) -> dict[str, str]:
    state = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "HF_HOME": str(home / "hf")}
    state["XDG_CONFIG_HOME"] = str(home / "config")
    return {**os.environ, **state, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
