from __future__ import annotations

import pytest


@pytest.fixture
def home(tmp_path):
    (tmp_path / "music").mkdir()
    return tmp_path
