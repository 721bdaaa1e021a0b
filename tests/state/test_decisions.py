"""A decision holds as long as the change that it made, and is found by path and by audio."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tagger.state.store import State
from tagger.types import GenreFields, Track

SONG = Track(Path("/m/a.flac"), 10, 20, audio=b"song")
AFTER = Track(Path("/m/a.flac"), 11, 21, audio=b"song")
OTHER = Track(Path("/m/b.flac"), 12, 22, audio=b"other")
NOTHING = GenreFields({}, has_tags=False)


@pytest.fixture
def state(tmp_path):
    with State(tmp_path / "state.sqlite3") as state:
        yield state


def decide(state: State, *genres: str, track: Track = SONG, written: bool = True) -> int:
    """Decide in a run of its own."""
    run = state.begin_run("tag")
    entry = state.record(run, NOTHING, genres, (track, AFTER)) if written else None
    state.decide(run, track, genres, "confirm", entry)
    return run


def undo(state: State, run: int) -> int:
    by = state.begin_run("undo")
    for change in state.changes(run):
        state.record(by, NOTHING, (), (AFTER, SONG), change.id)
        state.mark_undone(change, by, SONG)
    return by


def genres(state: State, track: Track = SONG) -> list[tuple[str, ...]]:
    return [each.genres for each in state.decided(track)]


def test_what_was_decided_is_found_with_run_kind_and_genres(state):
    run = decide(state, "Soul", "Funk")
    (found,) = state.decided(SONG)
    assert (found.path, found.audio, found.genres) == (SONG.path, SONG.audio, ("Soul", "Funk"))
    assert (found.kind, found.run, found.when[:2]) == ("confirm", run, "20")


def test_a_decision_is_found_by_the_path_or_by_the_audio(state):
    decide(state, "Soul")
    assert genres(state, Track(SONG.path, 1, 1)) == [("Soul",)]
    assert genres(state, replace(OTHER, audio=SONG.audio)) == [("Soul",)]
    assert genres(state, OTHER) == []


@pytest.mark.parametrize("audio", [None, b""])
def test_files_without_a_fingerprint_are_not_taken_for_one_another(state, audio):
    decide(state, "Soul", track=replace(SONG, audio=audio))
    assert genres(state, replace(OTHER, audio=audio)) == []


def test_the_latest_of_two_decisions_comes_first(state):
    decide(state, "Soul")
    decide(state, "Funk")
    assert genres(state) == [("Funk",), ("Soul",)]


def test_an_undone_change_takes_its_decision_back_and_a_redone_one_brings_it_back(state):
    by = undo(state, decide(state, "Soul"))
    assert genres(state) == []
    undo(state, by)
    assert genres(state) == [("Soul",)]


def test_a_change_that_was_not_made_leaves_no_decision(state):
    decide(state, "Soul")
    (change,) = state.changes(1)
    state.forget(change.id, change.old, change.new)
    assert genres(state) == []
    assert state.rows("SELECT * FROM decisions") == []


def test_a_decision_that_wrote_nothing_is_taken_back_and_brought_back_by_its_run(state):
    run, other = decide(state, "Soul", written=False), decide(state, "Ska", written=False)
    found = state.unwritten_decisions(run)
    assert [(each.run, each.genres) for each in found] == [(run, ("Soul",))]
    by = state.begin_run("undo")
    state.take_back(found, by)
    assert genres(state) == [("Ska",)]
    assert [each.run for each in state.unwritten_decisions()] == [other]
    state.bring_back(by)
    assert genres(state) == [("Ska",), ("Soul",)]


def test_a_decision_follows_its_file(state):
    decide(state, "Soul")
    state.follow(state.decided(SONG)[0], OTHER.path)
    assert genres(state, Track(OTHER.path, 1, 1)) == [("Soul",)]
    assert genres(state, Track(SONG.path, 1, 1)) == []


def test_decisions_let_a_track_be_recognised_by_its_audio(state):
    assert not state.knows_audio()
    decide(state, "Soul")
    assert state.knows_audio()
