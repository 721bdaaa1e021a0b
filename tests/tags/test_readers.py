"""What other programs show of a file before and after a write of ours."""

from __future__ import annotations

import pytest
from helpers.containers import make
from helpers.programs import PROGRAMS, shown_by
from helpers.tagged import set_by_mutagen


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_is_asked_rightly(tmp_path, name):
    path = make("mp3", tmp_path)
    values = {"TCON": ["Jazz"], "TIT2": ["A: Träumerei"], "TPE1": ["Anna"]}
    set_by_mutagen(path, values)
    (shown,) = shown_by(name, path)
    assert shown == (("Jazz",), "A: Träumerei", "Anna")
    assert PROGRAMS[name].version()[0].isdigit()
