from __future__ import annotations

from pathlib import Path

import pytest
from helpers import generated_files
from helpers.containers import BORROWED, CORPUS, KINDS, make


@pytest.fixture(params=KINDS)
def sound(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A small file of every container."""
    return make(request.param, tmp_path)


@pytest.fixture(params=generated_files.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of file that tests can generate with any tag."""
    if request.param in BORROWED and not CORPUS.exists():
        pytest.skip(f"no {request.param} file: no corpus of real files at {CORPUS}")
    return request.param
