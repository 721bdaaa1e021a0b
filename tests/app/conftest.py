from __future__ import annotations

from pathlib import Path

import pytest
from helpers.known import song
from helpers.stub_model import NAMES, Model


@pytest.fixture
def home(tmp_path):
    (tmp_path / "music").mkdir()
    return tmp_path


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    return Model(monkeypatch)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """The files of `NAMES`: with and without a genre, and one that cannot be predicted."""
    music = tmp_path / "Music"
    song(music / NAMES[0])
    for name in NAMES[1:3]:
        song(music / name, "Polka")
    (music / NAMES[3]).write_text("no music")
    return music
