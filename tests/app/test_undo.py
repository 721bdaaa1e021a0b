"""Undo says how to undo what it did, and leaves a state that it cannot read as it is."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from helpers.known import Recorder
from helpers.reports import report, run, song, undo

from tagger.app import undo as undo_command
from tagger.app.undo import UndoRequest
from tagger.errors import StateError
from tagger.tags.genre_tag import (
    read_genres,
    restore_fields,
)
from tagger.types import GenreFields
from tagger.writing import undo as writing_undo


@pytest.mark.parametrize("nth", [1, 2])
def test_an_interrupted_undo_says_how_to_undo_what_it_restored(home, nth, monkeypatch):
    paths = [song(home, "Ska", name=f"{number}.flac") for number in range(3)]
    run(home, [{**row, "genre": "Polka"} for row in report(home, *paths)])
    restored, progress = [], Recorder()

    def interrupted(path: Path, fields: GenreFields, source: Path) -> None:
        restored.append(path)
        if len(restored) == nth:
            signal.raise_signal(signal.SIGINT)
        restore_fields(path, fields, source)

    monkeypatch.setattr(writing_undo, "restore_fields", interrupted)
    with pytest.raises(KeyboardInterrupt):
        undo_command.undo_tags(UndoRequest(state=home / "state.db"), progress)
    assert [read_genres(path) for path in paths] == [("Polka",)] * (3 - nth) + [("Ska",)] * nth
    assert progress.said == [f"undo with: tag-genres undo --run 2 --state {home / 'state.db'}"]
    undo_command.undo_tags(UndoRequest(runs=[2], state=home / "state.db"), Recorder())
    assert {read_genres(path) for path in paths} == {("Polka",)}


def test_without_a_state_there_is_nothing_to_undo_and_none_is_created(home):
    with pytest.raises(StateError, match="no run has written tags"):
        undo(home)
    assert not (home / "state.db").exists()


def test_undo_leaves_a_damaged_state_in_its_place(home, monkeypatch):
    path = home / "state.db"
    path.write_bytes(b"garbage" * 100)
    monkeypatch.setattr(undo_command, "default_state", lambda: path)
    with pytest.raises(StateError):
        undo_command.undo_tags(UndoRequest(), Recorder())
    assert [entry.name for entry in home.iterdir() if entry.is_file()] == ["state.db"]
