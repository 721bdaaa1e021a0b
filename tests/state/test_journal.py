"""A write is undone, and an undo is undone, whatever happened in between."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import mutagen
import pytest
from helpers.containers import sound
from helpers.known import Recorder
from helpers.recall import INFO, PLAN, decoders, recall

from tagger.app import undo as undo_command
from tagger.app.undo import UndoRequest
from tagger.errors import StateError
from tagger.state.store import State
from tagger.tags.genre_tag import read_fields, read_genres, write_genres
from tagger.types import Action, GenreFields, Outcome, Track, WriteOptions
from tagger.writing.by_hand import write_edit
from tagger.writing.edits import Edit
from tagger.writing.writer import Writer, replace_tag

OTHER = replace(INFO, fingerprint="other")
PLAIN, KEEP = WriteOptions(), WriteOptions(keep_mtime=True)
W, F, U, P = Action.WRITTEN, Action.FAILED, Action.UNCHANGED, Action.WOULD_WRITE


class Killed(BaseException):
    """The end of the process."""


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def file(home):
    """Where the state is."""
    return home / "state.db"


def song(home: Path, *genres: str, name: str = "a.flac") -> Path:
    """A file with padding, so that its size stays the same whatever its genre."""
    path = home / "music" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sound("flac"))
    if genres:
        write_genres(path, genres)
    return path


def write(file: Path, genre: str, *paths: Path, options: WriteOptions = PLAIN) -> int:
    """Let a run write one genre into all these files; its number."""
    with State(file) as state:
        run = state.begin_run("apply")
        for path in paths:
            outcome = write_edit(Edit(2, path, (genre,), True), Writer(state, run, options))
            assert outcome.action is W, outcome.reason
    return run


def undo(file: Path, *runs: int, **asked: object) -> list[Outcome]:
    progress = Recorder()
    undo_command.undo_tags(UndoRequest(runs, state=file, **asked), progress)
    return progress.outcomes


def actions(outcomes: Iterable[Outcome]) -> list[Action]:
    return [outcome.action for outcome in outcomes]


def edit(path: Path, genre: str, *, keep_times: bool = False) -> None:
    """An edit by a person with another program."""
    status = path.stat()
    write_genres(path, [genre])
    if keep_times:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert path.stat().st_size == status.st_size


def dump(file: Path) -> list[str]:
    """All that is in the state."""
    with closing(sqlite3.connect(file)) as database:
        return list(database.iterdump())


def kill_before_replacing(patch: pytest.MonkeyPatch, time: int = 1) -> None:
    """End the process as it replaces a file: the journal has the entry, the file is the old one."""
    calls, plain = count(1), os.replace

    def replacing(*arguments: str) -> None:
        if next(calls) == time:
            raise Killed
        plain(*arguments)

    patch.setattr(os, "replace", replacing)
    patch.setattr(State, "forget", lambda *arguments: None)  # nobody is there to do it


def kill_before_marking(patch: pytest.MonkeyPatch, time: int = 1) -> None:
    """End the process before it notes an undo: the file has been replaced."""
    calls = count(1)

    def replacing(*arguments: object) -> Track:
        track = replace_tag(*arguments)
        if next(calls) == time:
            raise Killed
        return track

    patch.setattr("tagger.writing.undo.replace_tag", replacing)


def killed(file: Path, *runs: int, at: object, **asked: object) -> int:
    """Kill an undo; its number."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        at(patch)
        undo(file, *runs, **asked)
    return last_number(file)


def last_number(file: Path) -> int:
    with State(file) as state:
        return state.do("SELECT max(id) FROM runs").fetchone()[0]


# --- undo of an undo ------------------------------------------------------------------------------


def test_an_undo_can_be_undone(home, file):
    path = song(home, "Polka")
    run = write(file, "Jazz", path)
    after = read_fields(path)
    undo(file, run)
    assert actions(undo(file, last_number(file))) == [W]
    assert read_fields(path) == after


def test_undos_of_undos_alternate(home, file):
    path = song(home, "Polka")
    write(file, "Jazz", path)
    fields = [read_fields(path)]
    undo(file)
    fields.append(read_fields(path))
    for level in range(6):
        assert actions(undo(file, last_number(file))) == [W]
        assert read_fields(path) == fields[level % 2]


@pytest.mark.parametrize("options", [PLAIN, KEEP])
def test_a_change_in_effect_again_can_be_undone_again(home, file, options):
    path = song(home, "Polka")
    run = write(file, "Jazz", path, options=options)
    for _ in range(3):
        assert actions(undo(file, run, writing=options)) == [W]
        assert read_genres(path) == ("Polka",)
        assert actions(undo(file, last_number(file), writing=options)) == [W]
        assert read_genres(path) == ("Jazz",)


def test_undo_without_a_run_does_not_undo_an_undo(home, file):
    path = song(home, "Polka")
    write(file, "Jazz", path)
    undo(file)
    with pytest.raises(StateError, match="nothing to undo"):
        undo(file)
    assert read_genres(path) == ("Polka",)


def test_an_undo_is_not_undone_if_a_later_run_wrote(home, file):
    path = song(home, "Polka")
    write(file, "Jazz", path)
    undo(file)
    undone_by, later = last_number(file), write(file, "Rock", path)
    (outcome,) = undo(file, undone_by)
    assert (outcome.action, outcome.reason) == (
        F,
        f"run {later} changed it later; undo that first",
    )
    assert read_genres(path) == ("Rock",)


def test_undoing_an_undo_leaves_files_that_changed_since(home, file):
    first, second = song(home, "Polka"), song(home, "Ska", name="b.flac")
    undo(file, write(file, "Jazz", first, second))
    edit(first, "By hand")
    found = {item.path: item.action for item in undo(file, last_number(file))}
    assert found == {first: F, second: W}
    assert (read_genres(first), read_genres(second)) == (("By hand",), ("Jazz",))


def test_earlier_changes_can_be_undone_after_an_undo_was_undone(home, file):
    path = song(home, "Polka")
    first, second = write(file, "Jazz", path), write(file, "Rock", path)
    undo(file, second)
    undo(file, last_number(file))
    assert read_genres(path) == ("Rock",)
    assert actions(undo(file, second)) == [W]
    assert actions(undo(file, first)) == [W]
    assert read_genres(path) == ("Polka",)


# --- several runs at once -------------------------------------------------------------------------


def both(file: Path, *runs: int, **asked: object) -> list[Outcome]:
    """The outcomes of an undo, which its dry run must predict."""
    plan = undo(file, *runs, dry_run=True, **asked)
    done = undo(file, *runs, **asked)
    expected = [replace(each, action=W) if each.action is P else each for each in plan]
    assert expected == done
    return done


def test_runs_that_changed_the_same_file_are_undone_at_once(home, file):
    path, other = song(home, "Polka"), song(home, "Ska", name="b.flac")
    fields = read_fields(path), read_fields(other)
    runs = [write(file, genre, path) for genre in ("Jazz", "Rock", "Blues")]
    runs.append(write(file, "Metal", other))
    outcomes = both(file, *runs)
    assert [(item.existing, item.genres) for item in outcomes] == [
        (("Metal",), ("Ska",)),
        (("Blues",), ("Rock",)),
        (("Rock",), ("Jazz",)),
        (("Jazz",), ("Polka",)),
    ]
    assert (read_fields(path), read_fields(other)) == fields


def test_runs_are_undone_last_first_in_whatever_order_they_are_named(home, file):
    path = song(home, "Polka")
    runs = [write(file, genre, path) for genre in ("Jazz", "Rock")]
    assert actions(both(file, runs[1], runs[0], runs[1])) == [W, W]
    assert read_genres(path) == ("Polka",)


@pytest.mark.parametrize("keep_times", [False, True])
def test_an_edit_between_two_runs_stops_the_undo_of_both_at_the_edit(home, file, keep_times):
    path = song(home, "Polka")
    first = write(file, "Jazz", path)
    edit(path, "By hand", keep_times=keep_times)
    second = write(file, "Rock", path)
    assert actions(both(file, first, second)) == [W, F]
    assert read_genres(path) == ("By hand",)


def test_a_run_in_the_middle_that_is_not_named_stops_the_undo_of_the_first(home, file):
    path = song(home, "Polka")
    runs = [write(file, genre, path) for genre in ("Jazz", "Rock", "Blues")]
    outcomes = both(file, runs[0], runs[2])
    assert actions(outcomes) == [W, F]
    assert outcomes[1].reason == f"run {runs[1]} changed it later; undo that first"
    assert read_genres(path) == ("Rock",)


def test_a_change_that_was_never_made_does_not_stop_the_undo_of_an_earlier(home, file):
    path = song(home, "Polka")
    first = write(file, "Jazz", path)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_before_replacing(patch)
        write(file, "Rock", path)
    assert actions(both(file, first, last_number(file))) == [U, W]
    assert read_genres(path) == ("Polka",)


def test_undos_of_two_runs_are_undone_at_once(home, file):
    path = song(home, "Polka")
    first, second = write(file, "Jazz", path), write(file, "Rock", path)
    undo(file, second)
    undo(file, first)
    last = last_number(file)
    assert actions(both(file, last - 1, last)) == [W, W]
    assert read_genres(path) == ("Rock",)


def test_a_run_that_does_not_exist_is_named(home, file):
    path = song(home)
    run = write(file, "Jazz", path)
    with pytest.raises(StateError, match=f"there is no run {run + 1} in .*--list"):
        undo(file, run, run + 1)
    assert read_genres(path) == ("Jazz",)


# --- by path --------------------------------------------------------------------------------------


def test_undoing_by_path_undoes_the_last_change_of_each_file(home, file):
    path, other = song(home, "Polka"), song(home, "Ska", name="b.flac")
    write(file, "Jazz", path, other)
    write(file, "Rock", path)
    outcomes = both(file, paths=[home / "music"])
    assert [(item.path, item.genres) for item in outcomes] == [(path, ("Jazz",)), (other, ("Ska",))]


def test_undoing_by_path_again_goes_further_back(home, file):
    path = song(home, "Polka")
    for genre in ("Jazz", "Rock", "Blues"):
        write(file, genre, path)
    found = []
    for _ in range(3):
        assert actions(both(file, paths=[path])) == [W]
        found.append(read_genres(path))
    assert found == [("Rock",), ("Jazz",), ("Polka",)]
    with pytest.raises(StateError, match="has no changes left to undo"):
        undo(file, paths=[path])


def test_undoing_by_path_leaves_other_places_alone(home, file):
    path, other = song(home, "Polka"), song(home, "Ska", name="a.flac.d/b.flac")
    write(file, "Jazz", path, other)
    assert [item.path for item in undo(file, paths=[path])] == [path]
    assert read_genres(other) == ("Jazz",)


def test_runs_and_paths_together_select_what_those_runs_wrote_there(home, file):
    path, other = song(home, "Polka"), song(home, "Ska", name="b.flac")
    first = write(file, "Jazz", path, other)
    write(file, "Rock", other)
    outcomes = both(file, first, paths=[path])
    assert [(item.path, item.genres) for item in outcomes] == [(path, ("Polka",))]
    assert read_genres(other) == ("Rock",)


def test_a_run_that_wrote_nothing_under_a_path_is_reported(home, file):
    run = write(file, "Jazz", song(home))
    with pytest.raises(StateError, match=f"run {run} has no changes left to undo"):
        undo(file, run, paths=[home / "elsewhere"])


# --- undos that were killed -----------------------------------------------------------------------


@pytest.mark.parametrize("options", [PLAIN, KEEP])
def test_an_undo_killed_before_it_replaced_the_file_is_done_again(home, file, options):
    path = song(home, "Polka")
    run = write(file, "Jazz", path, options=options)
    killed(file, run, at=kill_before_replacing, writing=options)
    assert read_genres(path) == ("Jazz",)
    assert actions(both(file, run, writing=options)) == [W]
    assert read_genres(path) == ("Polka",)


@pytest.mark.parametrize("options", [PLAIN, KEEP])
def test_an_undo_killed_before_it_was_recorded_is_seen(home, file, options):
    path = song(home, "Polka")
    run = write(file, "Jazz", path, options=options)
    by = killed(file, run, at=kill_before_marking, writing=options)
    assert actions(both(file, run, writing=options)) == [U]
    assert read_genres(path) == ("Polka",)
    assert actions(undo(file, by, writing=options)) == [W]
    assert read_genres(path) == ("Jazz",)
    assert actions(undo(file, run, writing=options)) == [W]


@pytest.mark.parametrize("options", [PLAIN, KEEP])
def test_what_a_killed_undo_meant_to_undo_is_still_in_effect_when_that_undo_is_undone(
    home, file, options
):
    path = song(home, "Polka")
    run = write(file, "Jazz", path, options=options)
    by = killed(file, run, at=kill_before_replacing, writing=options)
    assert actions(both(file, by, writing=options)) == [U]
    with State(file) as state:
        assert state.last_run() == run
        assert len(state.changes(run)) == 1


@pytest.mark.parametrize("options", [PLAIN, KEEP])
def test_an_undo_that_was_killed_does_not_turn_what_a_later_one_did(home, file, options):
    path = song(home, "Polka")
    run = write(file, "Jazz", path, options=options)
    by = killed(file, run, at=kill_before_replacing, writing=options)
    undo(file, run, writing=options)
    assert actions(both(file, by, writing=options)) == [F]
    assert read_genres(path) == ("Polka",)
    with State(file) as state:
        assert state.changes(run) == []


def test_an_undo_that_was_killed_is_not_taken_for_done_in_a_copy_that_lost_its_times(home, file):
    path = song(home, "Polka")
    run = write(file, "Jazz", path)
    killed(file, run, at=kill_before_replacing)
    moved = home / "new" / "a.flac"
    moved.parent.mkdir()
    moved.write_bytes(path.read_bytes())
    path.unlink()
    assert actions(both(file, run, moved=(path.parent, moved.parent))) == [W]
    assert read_genres(moved) == ("Polka",)


@pytest.mark.parametrize("at", [kill_before_replacing, kill_before_marking])
@pytest.mark.parametrize("keep_times", [False, True])
def test_a_genre_that_was_set_after_a_killed_undo_is_kept(home, file, at, keep_times):
    path = song(home, "Polka")
    run = write(file, "Jazz", path)
    by = killed(file, run, at=at)
    edit(path, "By hand", keep_times=keep_times)
    assert actions(both(file, run)) == [F]
    assert actions(both(file, by)) == [F]
    assert read_genres(path) == ("By hand",)


def test_a_change_that_was_never_made_is_recognised_after_a_later_one_was_undone(home, file):
    path = song(home, "Polka")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_before_replacing(patch)
        write(file, "Jazz", path)
    run = last_number(file)
    undo(file, write(file, "Rock", path))
    assert actions(both(file, run)) == [U]
    assert read_genres(path) == ("Polka",)


def test_a_killed_undo_of_several_files_goes_on_where_it_stopped(home, file):
    paths = [song(home, "Polka", name=f"{number}.flac") for number in range(3)]
    run = write(file, "Jazz", *paths)
    killed(file, run, at=lambda patch: kill_before_marking(patch, 2))
    assert actions(both(file, run)) == [U, W]
    assert {read_genres(path) for path in paths} == {("Polka",)}


# --- the list of runs -----------------------------------------------------------------------------


def counts(file: Path) -> list[tuple[str, int, int]]:
    return [(run.kind, run.files, run.remaining) for run in undo_command.list_runs(file)]


def test_the_list_counts_what_each_run_changed_and_what_is_still_in_effect(home, file):
    first, second = song(home), song(home, name="b.flac")
    run = write(file, "Jazz", first, second)
    with State(file) as state:
        state.begin_run("tag", "small")  # changed nothing
    assert counts(file) == [("apply", 2, 2)]
    undo(file, run, paths=[first])
    assert counts(file) == [("apply", 2, 1), ("undo", 1, 1)]
    undo(file, last_number(file))
    assert counts(file) == [("apply", 2, 2), ("undo", 1, 0), ("undo", 1, 1)]


def test_the_list_is_not_changed_by_a_dry_run(home, file):
    path = song(home)
    write(file, "Jazz", path)
    before = dump(file)
    assert actions(undo(file, dry_run=True)) == [P]
    assert dump(file) == before


# --- a library that was moved ---------------------------------------------------------------------


@pytest.fixture
def moved(home):
    return home / "elsewhere" / "music"


def move(moved: Path, home: Path) -> None:
    moved.parent.mkdir()
    (home / "music").rename(moved)


def copy_without_times(moved: Path, home: Path) -> None:
    for path in sorted((home / "music").rglob("*.flac")):
        target = moved / path.relative_to(home / "music")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        path.unlink()


MOVES = pytest.mark.parametrize("way", [move, copy_without_times])


@MOVES
def test_what_was_written_before_a_move_can_be_undone_after_it(home, file, moved, way):
    path, other = song(home, "Polka"), song(home, "Ska", name="deep/b.flac")
    write(file, "Jazz", path, other)
    way(moved, home)
    assert actions(both(file, moved=(home / "music", moved))) == [W, W]
    assert read_genres(moved / "a.flac") == ("Polka",)
    assert read_genres(moved / "deep" / "b.flac") == ("Ska",)


@MOVES
def test_all_runs_of_a_moved_file_can_be_undone_in_turn(home, file, moved, way):
    path = song(home, "Polka")
    first, second = write(file, "Jazz", path), write(file, "Rock", path)
    way(moved, home)
    assert actions(both(file, second, first, moved=(home / "music", moved))) == [W, W]
    assert read_genres(moved / "a.flac") == ("Polka",)


@MOVES
def test_the_state_knows_the_new_place_from_then_on(home, file, moved, way):
    path = song(home, "Polka")
    first, second = write(file, "Jazz", path), write(file, "Rock", path)
    way(moved, home)
    undo(file, second, moved=(home / "music", moved))
    assert actions(both(file, first)) == [W]
    assert read_genres(moved / "a.flac") == ("Polka",)


@MOVES
def test_the_later_run_is_named_after_a_move_as_well(home, file, moved, way):
    path = song(home, "Polka")
    first, second = write(file, "Jazz", path), write(file, "Rock", path)
    way(moved, home)
    (outcome,) = both(file, first, moved=(home / "music", moved))
    assert outcome.reason == f"run {second} changed it later; undo that first"


@MOVES
def test_a_genre_that_was_set_before_or_after_a_move_is_kept(home, file, moved, way):
    path, other = song(home, "Polka"), song(home, "Ska", name="b.flac")
    write(file, "Jazz", path, other)
    edit(path, "By hand")
    way(moved, home)
    edit(moved / "b.flac", "By hand")
    assert actions(both(file, moved=(home / "music", moved))) == [F, F]
    assert read_genres(moved / "a.flac") == read_genres(moved / "b.flac") == ("By hand",)


@MOVES
def test_an_undo_can_be_undone_after_a_move(home, file, moved, way):
    path = song(home, "Polka")
    undo(file, write(file, "Jazz", path))
    way(moved, home)
    assert actions(both(file, last_number(file), moved=(home / "music", moved))) == [W]
    assert read_genres(moved / "a.flac") == ("Jazz",)


def test_both_parts_of_a_partly_moved_library_are_undone(home, file, moved):
    path, other = song(home, "Polka"), song(home, "Ska", name="b.flac")
    write(file, "Jazz", path, other)
    moved.mkdir(parents=True)
    other.rename(moved / "b.flac")
    assert actions(both(file, moved=(home / "music", moved))) == [W, W]
    assert (read_genres(path), read_genres(moved / "b.flac")) == (("Polka",), ("Ska",))


def test_a_dry_undo_after_a_move_leaves_the_state_as_it_was(home, file, moved):
    song(home, "Polka")
    write(file, "Jazz", home / "music" / "a.flac")
    with State(file) as state:
        remember(state, home / "music" / "a.flac")
    move(moved, home)
    before = dump(file)
    assert actions(undo(file, moved=(home / "music", moved), dry_run=True)) == [P]
    assert dump(file) == before


def remember(state: State, path: Path) -> Track:
    """Let the state know a prediction, a failure and the tag of a file."""
    from tagger.types import Prediction, TagInfo

    track = Track.of(path, path.stat())
    prediction = Prediction(track, INFO.labels, (0.25, 0.75), 1.0, 8, 1.0)
    state.save_prediction(prediction, INFO.fingerprint, PLAN)
    state.save_failure(track, "broken", OTHER.fingerprint, decoders(state))
    state.save_tag(track, TagInfo(("Jazz",)))
    return track


def test_what_is_known_of_a_file_is_known_at_its_new_place(home, file, moved):
    path, other = song(home, "Polka"), song(home, name="b.flac")
    write(file, "Jazz", path, other)
    with State(file) as state:
        remember(state, path)
    move(moved, home)
    undo(file, moved=(home / "music", moved), paths=[moved / "b.flac"])
    track = Track.of(moved / "a.flac", (moved / "a.flac").stat())
    with State(file) as state:
        assert recall(state, track).track == track
        assert recall(state, track, OTHER) == "broken"
        moved_from = replace(track, path=path)
        assert recall(state, moved_from) is recall(state, moved_from, OTHER) is None


def test_a_prediction_still_holds_for_a_copy_that_lost_its_times(home, file, moved):
    path, other = song(home, "Polka"), song(home, name="b.flac")
    write(file, "Jazz", path, other)
    with State(file) as state:
        remember(state, path)
    copy_without_times(moved, home)
    undo(file, moved=(home / "music", moved), paths=[moved / "b.flac"])
    track = Track.of(moved / "a.flac", (moved / "a.flac").stat())
    with State(file) as state:
        assert recall(state, track).probabilities == (0.25, 0.75)


@pytest.mark.parametrize(("old", "new"), [("wrong", "elsewhere/music"), ("music", "wrong")])
def test_a_wrong_place_is_refused(home, file, moved, old, new):
    write(file, "Jazz", song(home, "Polka"))
    move(moved, home)
    before = dump(file)
    with pytest.raises(StateError, match=r"no file that was tagged under .*/.* is now under "):
        undo(file, moved=(home / old, home / new))
    assert dump(file) == before


def test_a_library_that_was_copied_and_not_moved_is_refused(home, file, moved):
    path = song(home, "Polka")
    write(file, "Jazz", path)
    moved.mkdir(parents=True)
    (moved / "a.flac").write_bytes(path.read_bytes())
    with pytest.raises(StateError, match="is now under"):
        undo(file, moved=(home / "music", moved))


# --- a random walk --------------------------------------------------------------------------------


@dataclass(eq=False)
class Entry:
    """A change as the journal should record it; versions of a file are numbers."""

    path: Path
    run: int
    old: int
    new: int
    reverts: Entry | None = None
    is_made: bool = True  # false where the run was killed before it replaced the file
    undone_by: int | None = None

    def turn(self, undone_by: int | None) -> None:
        """It is undone, or in effect again: undoing an undo turns what that undid."""
        self.undone_by = undone_by
        other = self.reverts
        if other is not None and (undone_by is None or other.undone_by == self.run):
            other.turn(self.run if undone_by is None else None)


class Walk:
    """Two files, a state, and a model of what must happen to them."""

    def __init__(self, home: Path, seed: int) -> None:
        self.home, self.file, self.random = home, home / "state.db", random.Random(seed)
        self.paths = [song(home, name=name) for name in ("a.flac", "b.flac")]
        self.numbers = count()
        self.parents: dict[int, int | None] = {}
        self.fields: dict[int, GenreFields] = {}
        self.now: dict[Path, int] = {}
        self.entries: list[Entry] = []
        self.doubtful: set[Entry] = set()  # whose undo was killed before it could say so
        for path in self.paths:
            self.new_version(path)

    def new_version(self, path: Path) -> int:
        number = next(self.numbers)
        self.parents[number] = self.now.get(path)
        self.fields[number] = read_fields(path)
        self.now[path] = number
        return number

    def options(self) -> WriteOptions:
        return self.random.choice([PLAIN, KEEP])

    # what a person does

    def edit(self) -> None:
        path = self.random.choice(self.paths)
        edit(path, f"By hand {next(self.numbers)}", keep_times=self.random.random() < 0.5)
        self.new_version(path)

    def retitle(self) -> None:
        path = self.random.choice(self.paths)
        media = mutagen.File(path)
        media["title"] = f"Title {next(self.numbers)}"
        media.save()
        os.utime(path, ns=(1, 10**18 + next(self.numbers)))

    # what a run does

    def write(self) -> None:
        paths = self.random.sample(self.paths, self.random.choice([1, 2]))
        stops_at = self.random.choice([None, None, 1, len(paths)])
        with State(self.file) as state, pytest.MonkeyPatch.context() as patch:
            run = state.begin_run("apply")
            writer = Writer(state, run, self.options())
            if stops_at:
                kill_before_replacing(patch, stops_at)
            for number, path in enumerate(paths, 1):
                old, wanted = self.now[path], f"Genre {next(self.numbers)}"
                try:
                    outcome = write_edit(Edit(2, path, (wanted,), True), writer)
                except Killed:
                    assert number == stops_at
                    self.entries.append(Entry(path, run, old, -1, is_made=False))
                    return
                assert outcome.action is W
                self.entries.append(Entry(path, run, old, self.new_version(path)))

    def undo_last(self) -> None:
        runs = {entry.run for entry in self.entries if self.is_tag(entry) and self.stands(entry)}
        if runs:
            self.undo([max(runs)], {})

    def undo_some(self) -> None:
        runs = sorted({entry.run for entry in self.entries if self.stands(entry)})
        if runs:
            some = min(len(runs), self.random.choice([1, 1, 2, 3]))
            self.undo(self.random.sample(runs, some), {})

    def undo_path(self) -> None:
        path = self.random.choice(self.paths)
        found = [entry for entry in self.entries if self.is_tag(entry) and self.stands(entry)]
        if last := [entry for entry in found if entry.path == path][-1:]:
            self.undo([], {"paths": [path]}, last)

    def undo(self, runs: list[int], asked: dict, chosen: list[Entry] | None = None) -> None:
        if chosen is None:
            chosen = [entry for entry in self.entries if entry.run in runs and self.stands(entry)]
        asked["writing"] = self.options()
        plan = undo(self.file, *runs, dry_run=True, **asked)
        kill = self.random.choice([None, None, kill_before_replacing, kill_before_marking])
        stops_at = self.random.choice([1, 2])
        progress, ended = Recorder(), False
        with pytest.MonkeyPatch.context() as patch:
            if kill:
                kill(patch, stops_at)
            try:
                undo_command.undo_tags(UndoRequest(runs, state=self.file, **asked), progress)
            except Killed:
                ended = True
        expected = [replace(each, action=W) if each.action is P else each for each in plan]
        assert expected[: len(progress.outcomes)] == progress.outcomes
        by, done = last_number(self.file), list(progress.outcomes)
        for number, entry in enumerate(reversed(chosen)):
            is_last = number == len(done)
            assert is_last <= ended
            outcome = expected[number]
            assert outcome.path == entry.path
            self.check(entry, outcome)
            self.follow(entry, outcome, by, kill if is_last else None)
            if is_last:
                break

    def check(self, entry: Entry, outcome: Outcome) -> None:
        now, action = self.now[entry.path], outcome.action
        after = self.entries[self.entries.index(entry) + 1 :]
        later = any(e.path == entry.path and self.is_tag(e) and self.stands(e) for e in after)
        other = entry.reverts and entry.reverts.undone_by not in (None, entry.run)
        if self.is_unsure(entry.path):  # it may be refused, but must not do anything else
            assert action is F or now == {U: entry.old, W: entry.new}[action], outcome
        elif now == entry.old:
            # Retitled, it is no longer seen that the change was never made.
            assert action is U or (action is F and (later or other)), outcome
        elif later or other or now != entry.new:
            assert action is F, outcome
        else:
            assert action is W, outcome

    def follow(self, entry: Entry, outcome: Outcome, by: int, kill: object) -> None:
        if outcome.action is U and kill is None:
            undos = [e for e in self.entries if e.reverts is entry and e.undone_by is None]
            made = [e for e in undos if e.is_made and e.new == entry.old]
            entry.turn(made[-1].run if made else by)
        if outcome.action is not W:
            return
        is_made = kill is not kill_before_replacing
        self.entries.append(Entry(entry.path, by, self.now[entry.path], entry.old, entry, is_made))
        if is_made:
            self.now[entry.path] = entry.old
        if kill is None:
            entry.turn(by)
        elif is_made:
            self.doubtful.add(entry)

    # what must hold

    def is_tag(self, entry: Entry) -> bool:
        return entry.reverts is None

    def stands(self, entry: Entry) -> bool:
        return entry.undone_by is None

    def is_unsure(self, path: Path) -> bool:
        """Whether an undo of the file was killed, so that nobody knows what it did."""
        killed = any(e.reverts and not e.is_made for e in self.entries if e.path == path)
        return killed or any(entry.path == path for entry in self.doubtful)

    def is_doubtful(self, entry: Entry) -> bool:
        """Whether it may stand or not: an undo of it, or of its undo, was not recorded."""
        turned = any(self.is_doubtful(e) for e in self.entries if e.reverts is entry)
        return turned or entry in self.doubtful

    def includes(self, version: int | None) -> Iterator[int]:
        while version is not None:
            yield version
            version = self.parents[version]

    def verify(self) -> None:
        for path in self.paths:
            assert read_fields(path) == self.fields[self.now[path]]
        with State(self.file) as state:
            rows = state.do("SELECT run, path, undone_by FROM journal ORDER BY id").fetchall()
        for entry, (run, path, undone_by) in zip(self.entries, rows, strict=True):
            assert (run, Path(os.fsdecode(path))) == (entry.run, entry.path)
            if not self.is_unsure(entry.path):
                assert entry.undone_by == undone_by
            entry.undone_by = undone_by
        self.doubtful = set(filter(self.stands, self.doubtful))
        for entry in self.entries:
            if self.is_tag(entry) and entry.is_made and not self.is_doubtful(entry):
                is_in_force = entry.new in self.includes(self.now[entry.path])
                assert self.stands(entry) == is_in_force


@pytest.mark.parametrize("length", [15, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_an_undo_restores_exactly_the_old_fields(home, seed, length):
    walk = Walk(home, seed)
    steps = [walk.write, walk.write, walk.undo_last, walk.undo_some, walk.undo_some, walk.undo_path]
    steps += [walk.edit, walk.retitle]
    for _ in range(length):
        step = walk.random.choice(steps)
        step()
        walk.verify()
