"""Folders of files that only have names."""

from __future__ import annotations

from pathlib import Path


def put(root: Path, *names: str) -> None:
    """Make files at these paths below the root."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound")
