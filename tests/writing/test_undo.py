"""What a run wrote is undone, and what changed since is left alone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.recall import INFO, PLAN, recall
from helpers.writes import (
    REPLACE,
    bits,
    identify,
    predicted,
    retitled,
    undo,
    undo_keeping,
    with_other_audio,
    write,
    write_keeping,
)

from tagger.state.store import State
from tagger.tags.genre_tag import read_fields, read_genres, write_genres
from tagger.types import Action
from tagger.writing import writer as writer_module
from tagger.writing.undo import undo_changes
from tagger.writing.writer import Writer

ROOT = Path(__file__).parents[2]
KNOWN = (INFO.fingerprint, PLAN)


@pytest.mark.parametrize("damage", [retitled, with_other_audio])
def test_an_undo_that_would_change_anything_else_is_refused(song, state, monkeypatch, damage):
    run = state.begin_run("tag")
    write(song, state, run)
    before = bits(song)
    monkeypatch.setattr(
        "tagger.writing.undo.restore_fields", lambda path, *_: damage(path, ["Polka"])
    )
    assert [item.action for item in undo(state, run)] == [Action.FAILED]
    assert bits(song) == before
    assert len(state.changes(run)) == 1


def test_undo_restores_the_old_genres(song, state):
    write_genres(song, ["Polka", "Ska"])
    fields, run = read_fields(song), state.begin_run("tag")
    write(song, state, run, REPLACE)
    assert [item.action for item in undo(state, run)] == [Action.WRITTEN]
    assert read_fields(song) == fields
    assert state.changes(run) == []


def test_a_prediction_still_holds_after_an_undo(song, state):
    run = state.begin_run("tag")
    state.save_prediction(predicted(song), *KNOWN)
    write(song, state, run)
    undo(state, run)
    assert recall(state, identify(song)) is not None


def test_two_runs_are_undone_one_after_the_other(song, state):
    write_genres(song, ["Polka"])
    first, second = state.begin_run("tag"), state.begin_run("tag")
    write(song, state, first, REPLACE, jazz=0.9)
    write(song, state, second, REPLACE, jazz=0.1)
    assert read_genres(song) == ("Rock",)
    assert [item.action for item in undo(state, second)] == [Action.WRITTEN]
    assert read_genres(song) == ("Jazz",)
    assert [item.action for item in undo(state, first)] == [Action.WRITTEN]
    assert read_genres(song) == ("Polka",)


def test_the_earlier_of_two_runs_is_not_undone_over_the_later(song, state):
    first, second = state.begin_run("tag"), state.begin_run("tag")
    write(song, state, first, REPLACE, jazz=0.9)
    write(song, state, second, REPLACE, jazz=0.1)
    assert [item.action for item in undo(state, first)] == [Action.FAILED]
    assert read_genres(song) == ("Rock",)


def test_a_file_that_changed_since_is_not_undone(song, state):
    run = state.begin_run("tag")
    write(song, state, run)
    write_genres(song, ["By hand"])
    (outcome,) = undo(state, run)
    assert outcome.action is Action.FAILED
    assert "changed since" in outcome.reason
    assert read_genres(song) == ("By hand",)


def test_a_file_that_is_gone_is_not_undone(song, state):
    run = state.begin_run("tag")
    write(song, state, run)
    song.unlink()
    assert [item.action for item in undo(state, run)] == [Action.FAILED]
    assert len(state.changes(run)) == 1


def test_an_undo_that_was_killed_before_it_was_recorded_is_recognised(song, state, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*arguments: object) -> None:
        raise Killed

    write_genres(song, ["Polka"])
    first, second = state.begin_run("tag"), state.begin_run("tag")
    write(song, state, first, REPLACE, jazz=0.9)
    write(song, state, second, REPLACE, jazz=0.1)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(State, "mark_undone", die)
        undo(state, second)
    assert read_genres(song) == ("Jazz",)
    assert [item.action for item in undo(state, second)] == [Action.UNCHANGED]
    assert [item.action for item in undo(state, first)] == [Action.WRITTEN]
    assert read_genres(song) == ("Polka",)


def test_a_replacement_that_was_done_but_reported_as_failed_can_be_undone(song, state, monkeypatch):
    real = os.replace

    def replace_and_complain(*arguments: str) -> None:
        real(*arguments)
        raise OSError(errno.EIO, "the server did not answer")

    fields, run = read_fields(song), state.begin_run("tag")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_and_complain)
        assert write(song, state, run).action is Action.FAILED
    assert read_genres(song) == ("Jazz",)
    assert [item.action for item in undo(state, run)] == [Action.WRITTEN]
    assert read_fields(song) == fields


def test_a_later_genre_is_kept_even_if_the_times_were_restored(song, state):
    run = state.begin_run("tag")
    write(song, state, run)
    status = song.stat()
    write_genres(song, ["Ska!"])  # as long as "Jazz"
    os.utime(song, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert identify(song).size == status.st_size
    assert [item.action for item in undo(state, run)] == [Action.FAILED]
    assert read_genres(song) == ("Ska!",)


def test_undo_works_where_times_are_too_coarse_to_tell(song, state, monkeypatch):
    write_genres(song, ["Ska!"])
    os.utime(song, (0, 0))
    run = state.begin_run("tag")
    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "write_genres", _at_zero)
        assert write(song, state, run, REPLACE).action is Action.WRITTEN
    (change,) = state.changes(run)
    assert (change.old.size, change.old.mtime_ns) == (change.new.size, change.new.mtime_ns)
    assert [item.action for item in undo(state, run)] == [Action.WRITTEN]
    assert read_genres(song) == ("Ska!",)


def _at_zero(path: Path, genres: tuple[str, ...], note: str, *_: object) -> None:
    write_genres(path, genres)
    os.utime(path, (0, 0))


def test_a_dry_undo_changes_nothing(song, state):
    run = state.begin_run("tag")
    write(song, state, run)
    before = bits(song)
    with State(state.path) as rehearsing:
        writer = Writer(rehearsing)
        outcomes = list(undo_changes(rehearsing.changes(run), writer))
    assert [item.action for item in outcomes] == [Action.WOULD_WRITE]
    assert bits(song) == before
    assert len(state.changes(run)) == 1


CRASHED = """
import os, signal, sys
from pathlib import Path
from tagger.writing.writer import Writer, write_prediction
from tagger.genres.policy import Policy
from tagger.state.store import State
from tagger.types import Prediction, Track, WriteOptions
path = Path(sys.argv[1])
status = path.stat()
track = Track(path, status.st_size, status.st_mtime_ns)
os.replace = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
with State(Path(sys.argv[2])) as state:
    prediction = Prediction(track, ("jazz", "rock"), (0.75, 0.25), 1.0, 8, 1.0)
    options = WriteOptions(keep_mtime=sys.argv[3:] == ["keep"])
    write_prediction(prediction, Policy("replace"), Writer(state, state.begin_run("tag"), options))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_undo_after_a_crash_between_journal_and_replacement_changes_nothing(song, state):
    before = bits(song)
    run = subprocess.run([sys.executable, "-c", CRASHED, song, state.path], cwd=ROOT)
    assert run.returncode == -signal.SIGKILL
    assert bits(song) == before
    number = state.last_run()
    (outcome,) = undo(state, number)
    assert (outcome.action, bits(song)) == (Action.UNCHANGED, before)
    assert state.changes(number) == []


def test_a_write_that_kept_the_times_is_undone_with_the_times_kept(roomy, state):
    before, fields = identify(roomy), read_fields(roomy)
    run = state.begin_run("tag")
    assert write_keeping(roomy, state, run).action is Action.WRITTEN
    assert read_genres(roomy) == ("Jazz",)
    assert undo_keeping(state, run) == [Action.WRITTEN]
    assert (identify(roomy), read_fields(roomy)) == (before, fields)


def test_two_runs_that_kept_the_times_are_undone_one_after_the_other(roomy, state):
    runs = [state.begin_run("tag"), state.begin_run("tag")]
    write_keeping(roomy, state, runs[0], jazz=0.9)
    write_keeping(roomy, state, runs[1], jazz=0.1)
    assert undo_keeping(state, runs[0]) == [Action.FAILED]
    assert read_genres(roomy) == ("Rock",)
    assert [undo_keeping(state, run) for run in runs[::-1]] == [[Action.WRITTEN]] * 2
    assert read_genres(roomy) == ("Polka",)


@pytest.mark.parametrize("undoing", [undo_keeping, undo])
@pytest.mark.parametrize("by_hand", ["By hand", "Polka", "Jazz!"])
def test_a_later_genre_is_kept_if_every_write_kept_the_times(roomy, state, undoing, by_hand):
    run = state.begin_run("tag")
    write_keeping(roomy, state, run)
    status = roomy.stat()
    write_genres(roomy, [by_hand])
    os.utime(roomy, ns=(status.st_atime_ns, status.st_mtime_ns))
    undoing(state, run)
    assert read_genres(roomy) == (by_hand,)


def test_a_write_that_kept_the_times_may_be_undone_without_keeping_them(roomy, state):
    run = state.begin_run("tag")
    write_keeping(roomy, state, run)
    before = roomy.stat().st_mtime_ns
    assert [item.action for item in undo(state, run)] == [Action.WRITTEN]
    assert roomy.stat().st_mtime_ns != before
    assert read_genres(roomy) == ("Polka",)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_undo_after_a_crash_before_a_replacement_that_keeps_the_times_changes_nothing(roomy, state):
    before = bits(roomy)
    command = [sys.executable, "-c", CRASHED, roomy, state.path, "keep"]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    number = state.last_run()
    assert undo_keeping(state, number) == [Action.UNCHANGED]
    assert (bits(roomy), state.changes(number)) == (before, [])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_genre_set_after_a_crash_that_kept_the_times_is_kept(roomy, state):
    command = [sys.executable, "-c", CRASHED, roomy, state.path, "keep"]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    status = roomy.stat()
    write_genres(roomy, ["By hand"])
    os.utime(roomy, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert undo_keeping(state, state.last_run()) == [Action.FAILED]
    assert read_genres(roomy) == ("By hand",)
