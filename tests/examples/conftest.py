from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.containers import KINDS, SUFFIX, make


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of every container that can be made here."""
    folder, making = tmp_path_factory.mktemp("music"), tmp_path_factory.mktemp("making")
    for kind in KINDS:
        try:
            shutil.copy(make(kind, making), folder / f"{kind}{SUFFIX[kind]}")
        except pytest.skip.Exception:
            continue
    assert len(list(folder.iterdir())) >= 12
    return folder
