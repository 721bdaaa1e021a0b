"""Undo after other programs changed, touched, renamed, moved or copied the files."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
import pytest
import taglib
from helpers.containers import KINDS, SUFFIX, packets
from helpers.known import Recorder, song
from helpers.tagged import tag_with_mutagen

from tagger.app.undo import UndoRequest, undo_tags
from tagger.state.recognition import KnownBy
from tagger.state.store import State
from tagger.tags.genre_tag import read_genres, write_genres
from tagger.types import Action, Outcome, Track
from tagger.writing.by_hand import write_edit
from tagger.writing.edits import Edit
from tagger.writing.moved import same_genres
from tagger.writing.writer import Writer

W, F, U, P = Action.WRITTEN, Action.FAILED, Action.UNCHANGED, Action.WOULD_WRITE
AFTER = ("Drum & Bass", "Folk, World, & Country")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "Music").mkdir()
    return tmp_path


def write(home: Path, *paths: Path, genres: tuple[str, ...] = AFTER) -> int:
    with State(home / "state.db") as state:
        run = state.begin_run("tag", "small", [home / "Music"])
        for path in paths:
            outcome = write_edit(Edit(2, path, genres, True), Writer(state, run))
            assert outcome.action is W, outcome.reason
    return run


def undo(home: Path, *runs: int, **asked: Any) -> list[Outcome]:
    """The outcomes of an undo, which its dry run must predict without changing anything."""
    before = (home / "state.db").read_bytes(), contents(home)
    planned = Recorder()
    undo_tags(UndoRequest(runs, state=home / "state.db", dry_run=True, **asked), planned)
    assert contents(home) == before[1]
    progress = Recorder()
    undo_tags(UndoRequest(runs, state=home / "state.db", **asked), progress)
    plan = [(each.path, W if each.action is P else each.action) for each in planned.outcomes]
    assert plan == [(each.path, each.action) for each in progress.outcomes]
    return progress.outcomes


def contents(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (home / "Music").rglob("*") if path.is_file()}


def actions(outcomes: list[Outcome]) -> list[Action]:
    return [outcome.action for outcome in outcomes]


# --- edits of tags --------------------------------------------------------------------------------


def rated_by_taglib(path: Path) -> None:
    with taglib.File(path, save_on_exit=True) as file:
        file.tags |= {"RATING": ["80"], "ALBUMARTIST": ["Someone"], "COMMENT": ["x" * 5000]}


def genres_by_taglib(path: Path) -> None:
    """It writes all fields again, with the same genres."""
    with taglib.File(path, save_on_exit=True) as file:
        file.tags |= {"GENRE": list(file.tags.get("GENRE", [])), "ALBUMARTIST": ["Someone"]}


def retitled_by_mutagen(path: Path) -> None:
    tag_with_mutagen(path, title=["Another title"])


def touched(path: Path) -> None:
    os.utime(path, (0, 3600))


def set_mode(path: Path) -> None:
    path.chmod(0o640)


def saved_by_kid3(path: Path) -> None:
    words = ["-c", "set title Other", "-c", "set rating 4", "-c", "set albumartist Someone"]
    subprocess.run(["kid3-cli", *words, path], check=False, capture_output=True)


EDITS = [rated_by_taglib, genres_by_taglib, retitled_by_mutagen, touched, set_mode]
if shutil.which("kid3-cli"):
    EDITS.append(saved_by_kid3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("start", [(), ("Polka", "Ska")])
def test_edits_of_other_programs_do_not_prevent_an_undo(home, kind, edit, start):
    if kind == "ogg-flac" and edit in (rated_by_taglib, genres_by_taglib, saved_by_kid3):
        return  # TagLib 2 writes Ogg FLAC that it cannot read itself
    path = song(home / "Music" / f"a{SUFFIX[kind]}", *start, kind=kind)
    audio = packets(path)
    run = write(home, path)
    edit(path)
    kept = others(path)
    assert actions(undo(home, run)) == [W]
    assert read_genres(path) == start
    assert shown_by_taglib(path) == list(start)
    assert others(path) == kept
    assert packets(path) == audio
    with State(home / "state.db") as state:
        last = state.do("SELECT max(id) FROM runs").fetchone()[0]
    edit(path)
    assert actions(undo(home, last)) == [W]
    assert same_genres(read_genres(path), AFTER)


def others(path: Path) -> dict[str, object]:
    """What TagLib shows besides the genre."""
    with taglib.File(path) as file:
        return {key: value for key, value in file.tags.items() if key != "GENRE"}


def shown_by_taglib(path: Path) -> list[str]:
    with taglib.File(path) as file:
        found = list(file.tags.get("GENRE", []))
    return sorted(part for name in found for part in name.split("; "))


@pytest.mark.parametrize("kind", ["mp3", "tta", "wav", "aiff", "dsf", "dsdiff"])
@pytest.mark.parametrize(("old", "new"), [(3, 4), (4, 3)])
@pytest.mark.parametrize("separator", ["/", "; ", None])
def test_the_version_of_an_id3_tag_may_change(home, kind, old, new, separator):
    path = song(home / "Music" / f"a{SUFFIX[kind]}", "Polka", "Ska", kind=kind)
    save_as(path, old, "; ")
    run = write(home, path)
    save_as(path, new, separator)
    assert mutagen.File(path).tags.version[1] == new
    assert actions(undo(home, run)) == [W]
    assert mutagen.File(path).tags.version[1] == new
    assert same_genres(read_genres(path), ("Polka", "Ska"))
    assert same_genres(shown_by_taglib(path), ("Polka", "Ska"))


def save_as(path: Path, version: int, separator: str | None) -> None:
    media = mutagen.File(path)
    if version == 3:
        media.tags.update_to_v23()
        media.save(v2_version=3, v23_sep=separator)
    else:
        media.save(v2_version=4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", [("By hand",), (*AFTER, "By hand"), AFTER[:1], ()])
def test_a_genre_that_somebody_set_is_kept_unless_forced(home, kind, other):
    path = song(home / "Music" / f"a{SUFFIX[kind]}", "Polka", kind=kind)
    run = write(home, path)
    with taglib.File(path, save_on_exit=True) as file:
        file.tags["GENRE"] = list(other)
        if not other:
            del file.tags["GENRE"]
    now = set(read_genres(path))
    if now == {"Drum & Bass"} and not other:  # ID3v1 or APEv2 still have it
        return
    (outcome,) = undo(home, run)
    assert outcome.action is F and "--force" in outcome.reason
    assert set(read_genres(path)) == now
    assert actions(undo(home, run, force=True)) == [W]
    assert read_genres(path) == ("Polka",)


def test_a_later_run_is_protected_even_if_forced(home):
    path = song(home / "Music" / "a.flac", "Polka")
    first, second = write(home, path), write(home, path, genres=("Ska",))
    touched(path)
    assert actions(undo(home, first, force=True)) == [F]
    assert read_genres(path) == ("Ska",)
    assert actions(undo(home, first, second)) == [W, W]
    assert read_genres(path) == ("Polka",)


def test_what_a_person_put_back_already_counts_as_undone(home):
    path = song(home / "Music" / "a.flac", "Polka")
    run = write(home, path)
    write_genres(path, ["Polka"])
    (outcome,) = undo(home, run)
    assert (outcome.action, outcome.reason) == (U, "it has its old genre again")
    with State(home / "state.db") as state:
        assert state.changes(run) == []


@pytest.mark.parametrize("separator", ["; ", "/", ", ", "\0"])
def test_genres_may_be_joined_and_in_another_order(separator):
    joined = separator.join(["Rock", "R\u00e9ggae"])
    assert same_genres(["reggae".replace("e", "\u00e9", 1), " Rock "], [joined])
    assert same_genres([unicodedata.normalize("NFD", "R\u00e9ggae"), "Rock"], [joined])
    assert not same_genres(["Rock"], [joined])
    assert not same_genres(["Rock", "Reggae"], [joined])


# --- moved files ----------------------------------------------------------------------------------


def renamed(path: Path) -> Path:
    return path.rename(path.with_name(f"another{path.suffix}"))


def album_renamed(path: Path) -> Path:
    return path.parent.rename(path.parent.with_name("Album (2001)")) / path.name


def sorted_again(path: Path) -> Path:
    target = path.parents[2] / "By genre" / "Deep" / f"01 - {path.name}"
    target.parent.mkdir(parents=True)
    return path.rename(target)


def decomposed(path: Path) -> Path:
    return path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))


MOVES = [renamed, album_renamed, sorted_again, decomposed]


@pytest.fixture
def track(home: Path) -> Path:
    return song(home / "Music" / "Artist" / "Album" / "S\u00fc\u00df.flac", "Polka")


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("edit", [None, rated_by_taglib, touched])
def test_a_moved_file_is_found(home, track, move, edit):
    run = write(home, track)
    moved = move(track)
    assert moved != track
    if edit:
        edit(moved)
    (outcome,) = undo(home, run)
    assert (outcome.path, outcome.action, outcome.reason) == (moved, W, "")
    assert read_genres(moved) == ("Polka",)
    with State(home / "state.db") as state:
        last = state.do("SELECT max(id) FROM runs").fetchone()[0]
    assert actions(undo(home, last)) == [W]
    assert read_genres(moved) == AFTER


@pytest.mark.parametrize("move", MOVES)
def test_all_changes_of_a_moved_file_are_undone_in_order(home, track, move):
    first, second = write(home, track), write(home, track, genres=("Ska",))
    moved = move(track)
    rated_by_taglib(moved)
    assert actions(undo(home, first)) == [F]
    assert actions(undo(home, second)) == [W]
    assert read_genres(moved) == AFTER
    assert actions(undo(home, first)) == [W]
    assert read_genres(moved) == ("Polka",)


@pytest.mark.parametrize("place", ["Music/By genre", "Music/Artist/Album", "Music"])
def test_a_moved_file_is_undone_by_its_old_or_its_new_path(home, track, place):
    write(home, track)
    moved = sorted_again(track)
    other = song(home / "Music" / "other.flac", "Ska")
    write(home, other)
    outcomes = undo(home, paths=[home / place])
    assert {each.path for each in outcomes} == ({moved, other} if place == "Music" else {moved})
    assert read_genres(moved) == ("Polka",)


def test_a_library_that_was_moved_sorted_and_retagged_is_found(home, track):
    run = write(home, track, other := song(home / "Music" / "b.mp3", "Ska", kind="mp3"))
    places = [sorted_again(track), other]
    new = home / "Elsewhere"
    (home / "Music").rename(new)
    now = [new / path.relative_to(home / "Music") for path in places]
    for path in now:
        rated_by_taglib(path)
    (home / "Music").mkdir()
    outcomes = undo(home, run, moved=(home / "Music", new))
    assert {each.path: each.action for each in outcomes} == dict.fromkeys(now, W)
    assert [read_genres(path) for path in now] == [("Polka",), ("Ska",)]


def test_files_that_swapped_their_names_get_their_own_genres_back(home, track):
    other = song(track.with_name("other.flac"), "Ska")
    third = song(track.with_name("third.flac"), "Blues")
    run = write(home, track, other, third)
    temporary = track.with_name("x")
    track.rename(temporary)
    other.rename(track)
    third.rename(other)
    temporary.rename(third)
    assert actions(undo(home, run)) == [W, W, W]
    found = [read_genres(path) for path in (track, other, third)]
    assert found == [("Ska",), ("Blues",), ("Polka",)]


def test_another_recording_of_the_same_name_and_genre_is_left_alone(home, track):
    run = write(home, track)
    new = song(home / "new.flac", *AFTER)
    new.replace(track)
    (outcome,) = undo(home, run)
    assert outcome.action is F and "another" in outcome.reason
    assert read_genres(track) == AFTER


def test_a_copy_from_before_is_not_taken_for_the_file(home, track):
    backup = home / "Music" / "Backup" / track.name
    backup.parent.mkdir()
    shutil.copy(track, backup)
    run = write(home, track)
    moved = sorted_again(track)
    (outcome,) = undo(home, run)
    assert (outcome.path, outcome.action) == (moved, W)


@pytest.fixture
def twin(home: Path, track: Path) -> Path:
    """A copy of a track whose genre a person chose: the one that a run then writes to the track."""
    twin = home / "Music" / "Another" / "Album" / track.name
    twin.parent.mkdir(parents=True)
    shutil.copy(track, twin)
    write_genres(twin, AFTER)
    time.sleep(0.02)  # some clocks of file systems tick every 10 ms
    return twin


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("is_gone", [True, False])
def test_a_twin_with_the_same_genre_is_not_taken_for_the_file(home, track, twin, is_gone, force):
    run = write(home, track)
    moved = track if is_gone else sorted_again(track)
    if is_gone:
        track.unlink()
    (outcome,) = undo(home, run, force=force)
    assert (outcome.path, outcome.action) == (moved, F if is_gone else W)
    assert read_genres(twin) == AFTER


def test_a_run_over_the_twin_of_a_lost_file_does_not_confuse_them(home, track, twin):
    run = write(home, track)
    track.unlink()
    later = write(home, twin, genres=("Ska",))
    assert actions(undo(home, later)) == [W]
    assert actions(undo(home, run)) == [F]
    assert read_genres(twin) == AFTER


def test_each_of_two_moved_copies_is_undone_if_forced(home, track):
    """Somebody moved both, and set another genre in both."""
    copy = home / "Music" / "Copy" / "Album" / "copy.flac"
    copy.parent.mkdir(parents=True)
    shutil.copy(track, copy)
    run = write(home, track, copy)
    places = [renamed(track), renamed(copy)]
    for path in places:
        write_genres(path, ["Zydeco"])
    assert actions(undo(home, run, force=True)) == [W, W]
    assert [read_genres(path) for path in places] == [("Polka",)] * 2


def test_each_copy_that_was_written_is_undone(home, track):
    copy = home / "Music" / "Copy" / track.name
    copy.parent.mkdir()
    shutil.copy(track, copy)
    run = write(home, track, copy)
    places = [sorted_again(track), copy]
    assert actions(undo(home, run)) == [W, W]
    assert [read_genres(path) for path in places] == [("Polka",)] * 2


def test_a_file_that_is_gone_is_named_with_advice(home, track):
    run = write(home, track)
    track.unlink()
    (outcome,) = undo(home, run)
    assert outcome.action is F and "--from OLD --to NEW" in outcome.reason


def test_a_run_over_the_moved_file_in_between_changes_nothing(home, track):
    """A run that recognises a moved file lets the journal follow it."""
    run = write(home, track)
    moved = sorted_again(track)
    with State(home / "state.db") as state:
        know(state, track, moved)
        assert [change.old.path for change in state.changes(run)] == [moved]
    second = write(home, moved, genres=("Ska",))
    assert actions(undo(home, run)) == [F]
    assert actions(undo(home, second, run)) == [W, W]
    assert read_genres(moved) == ("Polka",)


def know(state: State, old: Path, new: Path) -> None:
    """Let the state know a prediction at the old path, and recognise it at the new one."""
    from dataclasses import replace

    from tagger.tags.isolated import with_audio
    from tagger.types import Prediction

    now = with_audio(Track.of(new, new.stat()))
    prediction = Prediction(replace(now, path=old), ("a", "b"), (0.5, 0.5), 1.0, 1, 1.0)
    state.save_prediction(prediction, "print", "plan")
    assert state.recognise(now, KnownBy("print", "plan", "auto", "decoders"))
    state.settle_recognised()


@pytest.mark.parametrize("move", [sorted_again, decomposed])
def test_a_file_of_an_earlier_version_has_no_fingerprint(home, track, move: Callable[..., Path]):
    run = write(home, track)
    with State(home / "state.db") as state:
        state.do("UPDATE journal SET audio = NULL")
    rated_by_taglib(track)
    moved = move(track)
    (outcome,) = undo(home, run)
    assert outcome.action is (W if move is decomposed else F)
    assert read_genres(moved) == (("Polka",) if move is decomposed else AFTER)


def test_nothing_outside_the_folders_of_the_runs_is_searched(home, track):
    run = write(home, track)
    away = home / "Elsewhere"
    away.mkdir()
    track.rename(away / track.name)
    assert actions(undo(home, run)) == [F]
    assert actions(undo(home, run, moved=(home / "Music", away))) == [W]
