from __future__ import annotations

import numpy as np
import pytest
import soundfile
from helpers.containers import make

from tagger.state.store import State
from tagger.tags.genre_tag import write_genres


@pytest.fixture
def state(tmp_path):
    with State(tmp_path / "state" / "state.db") as state:
        yield state


@pytest.fixture(params=[".flac", ".mp3"])
def song(request, tmp_path):
    path = tmp_path / "music" / f"song{request.param}"
    path.parent.mkdir()
    soundfile.write(path, np.sin(np.arange(22_050) / 20) / 2, 22_050)
    return path


@pytest.fixture
def roomy(tmp_path):
    """A file with padding, so that its size stays the same whatever its genre."""
    path = make("flac", tmp_path)
    write_genres(path, ["Polka"])
    return path
