from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.recall import INFO, PLAN, decoders, recall
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagger.errors import StateError
from tagger.state.store import State
from tagger.types import GenreFields, Prediction, PredictOptions, TagInfo, Track

ROOT = Path(__file__).parents[2]
TRACK = Track(Path("/music/a.mp3"), 1000, 10**18 + 1)
LATER = replace(TRACK, size=1024, mtime_ns=10**18 + 2)
LATEST = replace(TRACK, size=1100, mtime_ns=10**18 + 3)
BEFORE = GenreFields({"TCON": ("(17)Rock", "Jazz"), "id3v1": ("17",)}, has_tags=True)
LABELS = INFO.labels
KNOWN = (INFO.fingerprint, PLAN)
LARGE = replace(INFO, name="large", fingerprint="other", labels=("x", "y", "z"))
FOUR = PredictOptions(windows=4)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "folder" / "state.db"


@pytest.fixture
def state(file):
    with State(file) as state:
        yield state


def predicted(track: Track = TRACK, shares: tuple[float, ...] = (0.25, 0.75)) -> Prediction:
    return Prediction(track, LABELS, shares, 0.875, 8, 61.5)


FLOATS = st.floats(0, 1, width=32)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
@given(
    shares=st.tuples(FLOATS, FLOATS),
    agreement=st.floats(0, 1),
    seconds=st.floats(0, 1e6),
    windows=st.integers(1, 10**6),
    name=st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name),
    size=st.integers(0, 2**62),
    mtime=st.integers(-(2**62), 2**62),
)
def test_a_prediction_comes_back_bit_for_bit(
    state, shares, agreement, seconds, windows, name, size, mtime
):
    track = Track(Path(os.fsdecode(b"/music/" + name)), size, mtime)
    prediction = Prediction(track, LABELS, shares, agreement, windows, seconds)
    state.save_prediction(prediction, *KNOWN)
    assert recall(state, track) == prediction


def test_the_note_of_a_prediction_comes_back_and_goes_with_a_newer_one(file, state):
    noted = replace(predicted(), note="its samples were scaled")
    state.save_prediction(noted, *KNOWN)
    with State(file) as again:
        assert recall(again, TRACK) == noted
    state.save_prediction(predicted(), *KNOWN)
    assert recall(state, TRACK).note == ""


def test_probabilities_as_a_model_gives_them_come_back_bit_for_bit(state):
    shares = tuple(np.random.default_rng(0).dirichlet([1, 1]).astype(np.float32).tolist())
    state.save_prediction(predicted(shares=shares), *KNOWN)
    assert recall(state, TRACK).probabilities == shares


@pytest.mark.parametrize(
    "asked",
    [
        (replace(TRACK, path=Path("/music/b.mp3")),),
        (replace(TRACK, size=1001),),
        (replace(TRACK, size=999),),
        (replace(TRACK, mtime_ns=TRACK.mtime_ns + 1),),
        (replace(TRACK, mtime_ns=TRACK.mtime_ns - 1),),
        (TRACK, replace(INFO, fingerprint="other")),
        (TRACK, INFO, FOUR),
    ],
)
def test_a_prediction_holds_for_this_file_checkpoint_and_plan_only(state, asked):
    state.save_prediction(predicted(), *KNOWN)
    assert recall(state, *asked) is None
    assert recall(state, TRACK) == predicted()


def test_predictions_of_two_checkpoints_and_plans_coexist(state):
    large = Prediction(TRACK, LARGE.labels, (0.5, 0.25, 0.25), 1.0, 4, 60.0)
    state.save_prediction(predicted(), *KNOWN)
    state.save_prediction(large, LARGE.fingerprint, LARGE.plan(FOUR.windows).key)
    assert recall(state, TRACK) == predicted()
    assert recall(state, TRACK, LARGE, FOUR) == large


def test_a_newer_prediction_replaces_an_older(state):
    state.save_prediction(predicted(), *KNOWN)
    state.save_prediction(predicted(LATER), *KNOWN)
    assert recall(state, TRACK) is None
    assert recall(state, LATER) == predicted(LATER)


def test_everything_is_there_when_the_file_is_opened_again(file, state):
    state.save_prediction(predicted(), *KNOWN)
    with State(file) as again:
        assert recall(again, TRACK) == predicted()


def test_a_failure_is_remembered_until_file_or_decoders_change(state):
    state.save_failure(TRACK, "truncated", INFO.fingerprint, decoders(state))
    assert recall(state, TRACK) == "truncated"
    assert recall(state, LATER) is None
    assert recall(state, TRACK, LARGE) is None
    state.save_failure(TRACK, "truncated", INFO.fingerprint, "soundfile 0")
    assert recall(state, TRACK) is None


# --- tags -----------------------------------------------------------------------------------------

READ = replace(TRACK, ctime_ns=10**18 + 7)
TAG = TagInfo(("Jazz", "R\u00e9ggae"), "note", "album", "album artist", "artist", compilation=True)


def test_a_tag_comes_back_as_it_was_read(file, state):
    state.save_tag(READ, TAG)
    with State(file) as again:
        assert again.find_tag(READ) == TAG


@pytest.mark.parametrize(
    "change", [{"path": Path("/music/b.mp3")}, {"size": 1}, {"mtime_ns": 1}, {"ctime_ns": 1}]
)
def test_a_tag_is_known_for_this_very_version_of_the_file_only(state, change):
    state.save_tag(READ, TAG)
    assert state.find_tag(replace(READ, **change)) is None


def test_a_tag_that_was_read_again_replaces_the_older(state):
    state.save_tag(READ, TAG)
    state.save_tag(replace(READ, ctime_ns=1), TagInfo())
    assert state.find_tag(READ) is None
    assert state.find_tag(replace(READ, ctime_ns=1)) == TagInfo()


def test_a_file_has_changed_only_if_it_was_predicted_as_another(state):
    assert not state.has_changed(TRACK)
    state.save_prediction(predicted(), *KNOWN)
    assert not state.has_changed(TRACK)
    assert state.has_changed(LATER)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_prediction_knows_whether_its_labels_exclude_each_other(state, multi_label):
    state.save_prediction(predicted(), *KNOWN)
    assert recall(state, TRACK, replace(INFO, multi_label=multi_label)).multi_label is multi_label


# --- the journal ----------------------------------------------------------------------------------


def test_a_change_comes_back_with_the_fields_it_replaced(state):
    run = state.begin_run("tag", "small")
    state.record(run, BEFORE, ("Jazz",), (TRACK, LATER))
    (change,) = state.changes(run)
    assert (change.old, change.new, change.after) == (TRACK, LATER, ("Jazz",))
    assert (dict(change.before.values), change.before.has_tags) == (dict(BEFORE.values), True)


@pytest.mark.parametrize("has_tags", [True, False])
@pytest.mark.parametrize("values", [{}, {"GENRE": ("Ä/\udcff\n", "")}, {"id3v1": ("255",)}])
def test_fields_of_any_text_come_back(state, values, has_tags):
    run = state.begin_run("tag")
    state.record(run, GenreFields(values, has_tags), (), (TRACK, LATER))
    before = state.changes(run)[0].before
    assert (before.values, before.has_tags) == (values, has_tags)


def test_changes_come_last_first(state):
    run = state.begin_run("tag")
    tracks = [replace(TRACK, path=Path(f"/music/{number}.mp3")) for number in range(3)]
    for track in tracks:
        state.record(run, BEFORE, (), (track, replace(track, size=1)))
    assert [change.old for change in state.changes(run)] == tracks[::-1]


def test_a_prediction_goes_with_the_file_when_its_tag_is_written(state):
    state.save_prediction(predicted(), *KNOWN)
    state.record(state.begin_run("tag"), BEFORE, (), (TRACK, LATER))
    assert recall(state, LATER) == predicted(LATER)
    assert recall(state, TRACK) is None


def test_a_change_that_was_not_made_leaves_no_trace(state):
    state.save_prediction(predicted(), *KNOWN)
    run = state.begin_run("tag")
    entry = state.record(run, BEFORE, (), (TRACK, LATER))
    state.forget(entry, TRACK, LATER)
    assert state.changes(run) == []
    assert recall(state, TRACK) == predicted()
    assert state.last_run() is None


def test_what_is_undone_is_not_there_to_undo_again(state):
    run = state.begin_run("tag")
    state.record(run, BEFORE, (), (TRACK, LATER))
    state.mark_undone(state.changes(run)[0], state.begin_run("undo"), LATEST)
    assert state.changes(run) == []
    assert state.last_run() is None


def test_the_last_run_is_the_latest_that_wrote_and_was_not_undone(state):
    first, second = state.begin_run("tag"), state.begin_run("tag")
    state.begin_run("tag")  # wrote nothing
    assert state.last_run() is None
    state.record(first, BEFORE, (), (TRACK, LATER))
    state.record(second, BEFORE, (), (LATER, LATEST))
    assert state.last_run() == second
    state.mark_undone(state.changes(second)[0], state.begin_run("undo"), replace(LATER, mtime_ns=7))
    assert state.last_run() == first


def test_when_the_second_run_is_undone_the_first_can_be_undone_in_turn(state):
    first, second = state.begin_run("tag"), state.begin_run("tag")
    state.record(first, BEFORE, ("Jazz",), (TRACK, LATER))
    state.record(second, GenreFields({"TCON": ("Jazz",)}, True), ("Rock",), (LATER, LATEST))
    now = replace(LATER, mtime_ns=LATEST.mtime_ns + 1)  # the first run's content, but a new time
    state.mark_undone(state.changes(second)[0], state.begin_run("undo"), now)
    (change,) = state.changes(first)
    assert change.new == now
    assert change.old == TRACK


def test_runs_are_numbered_upwards_and_known(state):
    first, second = state.begin_run("tag"), state.begin_run("undo")
    assert first < second
    assert state.has_run(first)
    assert not state.has_run(second + 1)


# --- the file -------------------------------------------------------------------------------------


def test_a_file_of_a_newer_version_is_refused_and_left_alone(file):
    State(file).__exit__(None, None, None)
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with pytest.raises(StateError, match="newer version"):
        State(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"garbage " * 1000, b"x", b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_not_a_database_is_refused_in_one_line_and_left_alone(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"notes\.txt cannot be used .*--state") as caught:
        State(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE predictions (x)")
    before = path.read_bytes()
    with pytest.raises(StateError, match=r"other\.db"):
        State(path)
    assert path.read_bytes() == before


def test_a_folder_cannot_be_the_state(tmp_path):
    with pytest.raises(StateError, match="--state"):
        State(tmp_path)


def test_a_place_that_cannot_be_made_is_a_state_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="--state"):
        State(tmp_path / "file" / "state.db")


def test_an_empty_file_becomes_a_state(tmp_path):
    (tmp_path / "new.db").touch()
    with State(tmp_path / "new.db") as state:
        assert state.last_run() is None


WRITER = """
import sys
from pathlib import Path
from tagger.state.store import State
from tagger.types import GenreFields, Track
with State(Path(sys.argv[1])) as state:
    run = state.begin_run("tag")
    for number in range(40):
        old = Track(Path(f"/music/{run}/{number}.mp3"), 1, 1)
        state.record(run, GenreFields({}, False), ("Jazz",), (old, Track(old.path, 2, 2)))
"""


def test_two_programs_write_at_once_and_nothing_is_lost(file):
    """Both also create the tables if they start at the same time."""
    command = [sys.executable, "-c", WRITER, file]
    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [program.wait() for program in both] == [0, 0]
    with State(file) as state:
        assert {len(state.changes(run)) for run in (1, 2)} == {40}
