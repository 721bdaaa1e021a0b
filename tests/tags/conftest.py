from __future__ import annotations

from pathlib import Path

import pytest
from helpers.containers import KINDS, make


@pytest.fixture(params=KINDS)
def sound(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A small file of every container."""
    return make(request.param, tmp_path)
