from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from helpers.containers import KINDS, make
from helpers.recall import INFO, PLAN, recall

from tagger.errors import TagError
from tagger.genres.policy import Policy
from tagger.genres.vocabulary import Vocabulary
from tagger.models.checkpoint import ModelInfo
from tagger.state.store import State
from tagger.tags.genre_tag import read_fields, read_genres, read_tag, write_genres
from tagger.tags.verify import digest_packets
from tagger.types import Action, FrontEnd, Outcome, Prediction, TagInfo, Track, WriteOptions
from tagger.writing import writer as apply
from tagger.writing.undo import undo_changes
from tagger.writing.writer import Writer, report_prediction, tag_of, uninterrupted, write_prediction

ROOT = Path(__file__).parents[2]
POLICY = Policy()
REPLACE = Policy("replace")
KNOWN = (INFO.fingerprint, PLAN)


@pytest.fixture
def state(tmp_path):
    with State(tmp_path / "state" / "state.db") as state:
        state.add_model("fingerprint", "small", ("jazz", "rock"))
        yield state


@pytest.fixture(params=[".flac", ".mp3"])
def song(request, tmp_path):
    path = tmp_path / "music" / f"song{request.param}"
    path.parent.mkdir()
    soundfile.write(path, np.sin(np.arange(22_050) / 20) / 2, 22_050)
    return path


def identify(path: Path) -> Track:
    status = path.stat()
    return Track(path, status.st_size, status.st_mtime_ns)


def predicted(path: Path, jazz: float = 0.75) -> Prediction:
    return Prediction(identify(path), ("jazz", "rock"), (jazz, 1 - jazz), 1.0, 8, 1.0)


def write(path: Path, state: State, run: int, policy: Policy = POLICY, jazz: float = 0.75):
    return write_prediction(predicted(path, jazz), policy, Writer(state, run))


def undo(state: State, run: int):
    return list(undo_changes(state.changes(run), Writer(state, state.begin_run("undo"))))


def bits(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


# --- writing --------------------------------------------------------------------------------------


def test_a_genre_is_written_journalled_and_said(song, state):
    run = state.begin_run("tag")
    outcome = write(song, state, run)
    assert (outcome.action, outcome.genres, outcome.existing) == (Action.WRITTEN, ("Jazz",), ())
    assert mutagen.File(song, easy=True)["genre"] == ["Jazz"]
    (change,) = state.changes(run)
    assert change.new == identify(song)


@pytest.mark.parametrize("kind", KINDS)
def test_every_container_takes_a_genre_and_gives_it_back(kind, tmp_path, state):
    path = make(kind, tmp_path)
    fields, audio = read_fields(path), digest_packets(path)
    run = state.begin_run("tag")
    outcome = write(path, state, run)
    assert (outcome.action, outcome.reason) == (Action.WRITTEN, "it has no genre")
    assert read_genres(path) == ("Jazz",)
    assert [item.action for item in undo(state, run)] == [Action.WRITTEN]
    assert read_fields(path) == fields
    assert digest_packets(path) == audio


def test_a_prediction_still_holds_after_our_own_write(song, state):
    state.save_prediction(predicted(song), *KNOWN)
    write(song, state, state.begin_run("tag"))
    assert recall(state, identify(song)).probabilities == (0.75, 0.25)


def test_a_dry_run_writes_nothing(song, state):
    before, run = bits(song), state.begin_run("tag")
    outcome = write_prediction(predicted(song), POLICY, Writer(state))
    assert (outcome.action, outcome.genres) == (Action.WOULD_WRITE, ("Jazz",))
    assert bits(song) == before
    assert state.changes(run) == []


@pytest.mark.parametrize(
    ("policy", "jazz", "action"),
    [
        (POLICY, 0.75, Action.KEPT),
        (REPLACE, 0.55, Action.UNCHANGED),
        (Policy("replace", min_confidence=0.9), 0.75, Action.UNSURE),
    ],
)
def test_what_the_policy_leaves_alone_is_not_touched(song, state, policy, jazz, action):
    write_genres(song, ["Jazz"])
    before = bits(song)
    assert write(song, state, state.begin_run("tag"), policy, jazz).action is action
    assert bits(song) == before


def test_a_file_that_changed_since_it_was_predicted_is_left_alone(song, state):
    prediction = predicted(song)
    os.utime(song, ns=(1, 1))
    outcome = write_prediction(prediction, POLICY, Writer(state, state.begin_run("tag")))
    assert (outcome.action, read_genres(song)) == (Action.FAILED, ())
    assert "changed since" in outcome.reason


def test_a_file_that_is_gone_is_a_failed_outcome(song, state):
    prediction = predicted(song)
    song.unlink()
    outcome = write_prediction(prediction, POLICY, Writer(state, state.begin_run("tag")))
    assert outcome.action is Action.FAILED
    assert "no such file" in outcome.reason.lower()


def test_a_container_without_tags_is_predicted_and_no_failure(tmp_path, state):
    path = tmp_path / "x.au"
    soundfile.write(path, np.zeros(1000), 16_000)
    outcome = write(path, state, state.begin_run("tag"))
    assert outcome.action is Action.PREDICTED
    assert outcome.reason.startswith("not taggable")


def test_without_writing_the_genres_that_are_there_are_reported(song, state):
    write_genres(song, ["Polka", "Ska"])
    outcome = report_prediction(predicted(song), POLICY, state)
    assert (outcome.action, outcome.existing, outcome.genres) == (
        Action.PREDICTED,
        ("Polka", "Ska"),
        (),
    )


# --- what is verified -----------------------------------------------------------------------------


def retitled(path: Path, genres: object, note: str = "") -> None:
    write_genres(path, list(genres))
    media = mutagen.File(path, easy=True)
    media["title"] = ["something else"]
    media.save()


def resounded(path: Path, genres: object, note: str = "") -> None:
    write_genres(path, list(genres))
    data = bytearray(path.read_bytes())
    data[-600:-590] = b"\x55" * 10
    path.write_bytes(data)


def cut(path: Path, genres: object, note: str = "") -> None:
    write_genres(path, list(genres))
    os.truncate(path, path.stat().st_size - 2000)


def broken(path: Path, genres: object, note: str = "") -> None:
    raise TagError("cannot be written", path)


@pytest.mark.parametrize("damage", [retitled, resounded, cut, broken])
def test_a_write_that_would_change_anything_else_is_refused(song, state, monkeypatch, damage):
    state.save_prediction(predicted(song), *KNOWN)
    before, run = bits(song), state.begin_run("tag")
    monkeypatch.setattr(apply, "write_genres", damage)
    outcome = write(song, state, run)
    assert outcome.action is Action.FAILED
    assert outcome.reason
    assert bits(song) == before
    assert list(song.parent.iterdir()) == [song]
    assert state.changes(run) == []
    assert recall(state, identify(song)) is not None


@pytest.mark.parametrize("damage", [retitled, resounded])
def test_an_undo_that_would_change_anything_else_is_refused(song, state, monkeypatch, damage):
    run = state.begin_run("tag")
    write(song, state, run)
    before = bits(song)
    monkeypatch.setattr(
        "tagger.writing.undo.restore_fields", lambda path, fields: damage(path, ["Polka"])
    )
    assert [item.action for item in undo(state, run)] == [Action.FAILED]
    assert bits(song) == before
    assert len(state.changes(run)) == 1


def test_a_replacement_that_fails_leaves_no_entry_in_the_journal(song, state, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    state.save_prediction(predicted(song), *KNOWN)
    before, run = bits(song), state.begin_run("tag")
    monkeypatch.setattr(os, "replace", refuse)
    outcome = write(song, state, run)
    assert outcome.action is Action.FAILED
    assert "no space left" in outcome.reason.lower()
    assert bits(song) == before
    assert state.changes(run) == []
    assert recall(state, identify(song)) is not None


# --- undoing --------------------------------------------------------------------------------------


def test_undo_puts_the_old_genres_back(song, state):
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


def test_a_later_genre_is_not_undone_even_if_the_times_were_put_back(song, state):
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
        patch.setattr(apply, "write_genres", _at_zero)
        assert write(song, state, run, REPLACE).action is Action.WRITTEN
    (change,) = state.changes(run)
    assert (change.old.size, change.old.mtime_ns) == (change.new.size, change.new.mtime_ns)
    assert [item.action for item in undo(state, run)] == [Action.WRITTEN]
    assert read_genres(song) == ("Ska!",)


def _at_zero(path: Path, genres: tuple[str, ...], note: str) -> None:
    write_genres(path, genres)
    os.utime(path, (0, 0))


def test_a_genre_that_is_set_while_the_copy_is_prepared_is_kept(song, state, monkeypatch):
    def digest_while_the_user_edits(path: Path) -> str | None:
        if not path.name.startswith("."):
            write_genres(path, ["By hand"])
        return digest_packets(path)

    run = state.begin_run("tag")
    monkeypatch.setattr(apply, "digest_packets", digest_while_the_user_edits)
    assert write(song, state, run).action is Action.FAILED
    assert read_genres(song) == ("By hand",)
    assert state.changes(run) == []


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
def test_a_crash_between_journal_and_replacement_is_undone_as_nothing(song, state):
    before = bits(song)
    run = subprocess.run([sys.executable, "-c", CRASHED, song, state.path], cwd=ROOT)
    assert run.returncode == -signal.SIGKILL
    assert bits(song) == before
    number = state.last_run()
    (outcome,) = undo(state, number)
    assert (outcome.action, bits(song)) == (Action.UNCHANGED, before)
    assert state.changes(number) == []


# --- times that are kept --------------------------------------------------------------------------

KEEP_TIMES = WriteOptions(keep_mtime=True)


@pytest.fixture
def roomy(tmp_path):
    """A file whose size stays the same whatever its genre, as an undo has to put up with."""
    path = make("flac", tmp_path)
    write_genres(path, ["Polka"])
    return path


def write_keeping(path: Path, state: State, run: int, jazz: float = 0.75) -> Outcome:
    before = identify(path)
    outcome = write_prediction(predicted(path, jazz), REPLACE, Writer(state, run, KEEP_TIMES))
    assert identify(path) == before
    return outcome


def undo_keeping(state: State, run: int) -> list[Action]:
    writer = Writer(state, state.begin_run("undo"), KEEP_TIMES)
    return [outcome.action for outcome in undo_changes(state.changes(run), writer)]


def test_what_was_written_with_its_times_kept_is_undone_with_them_kept(roomy, state):
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
def test_a_genre_set_since_is_kept_though_all_times_are(roomy, state, undoing, by_hand):
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
def test_a_crash_before_a_replacement_that_keeps_the_times_is_undone_as_nothing(roomy, state):
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


# --- tags that are remembered ---------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch):
    """The paths of which the tag is read, in order."""
    paths: list[Path] = []

    def read(path: Path) -> TagInfo:
        paths.append(path)
        return read_tag(path)

    monkeypatch.setattr(apply, "read_tag", read)
    return paths


def track_of(path: Path) -> Track:
    return Track.of(path, path.stat())


def remove_genre(path: Path) -> None:
    """Leave the room that it took."""
    media = mutagen.File(path)
    del media["genre"]
    media.save()


def put_times_back(path: Path, genre: str) -> None:
    """Change the genre as an editor that hides it: size and mtime are as before."""
    status = path.stat()
    write_genres(path, [genre])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert identify(path) == Track(path, status.st_size, status.st_mtime_ns)


def test_a_tag_is_read_once_while_the_file_stays_the_same(roomy, state, reads):
    assert tag_of(track_of(roomy), state).genres == ("Polka",)
    with State(state.path) as again:
        assert tag_of(track_of(roomy), again).genres == ("Polka",)
    assert reads == [roomy]


def test_a_tag_whose_change_hides_behind_its_times_is_read_again(roomy, state, reads):
    tag_of(track_of(roomy), state)
    put_times_back(roomy, "Ska")
    assert tag_of(track_of(roomy), state).genres == ("Ska",)
    assert reads == [roomy, roomy]


def test_a_tag_that_we_wrote_need_not_be_read_again(roomy, state, reads):
    write(roomy, state, state.begin_run("tag"), REPLACE)
    reads.clear()
    assert tag_of(track_of(roomy), state) == read_tag(roomy)
    assert reads == []


def test_a_tag_that_was_put_back_is_read_again(roomy, state, reads):
    run = state.begin_run("tag")
    write_keeping(roomy, state, run)
    undo_keeping(state, run)
    assert tag_of(track_of(roomy), state).genres == ("Polka",)


def test_a_tag_that_cannot_be_read_is_no_tag(roomy, state):
    roomy.write_bytes(b"no sound")
    with pytest.raises(TagError):
        tag_of(track_of(roomy), state)
    assert state.find_tag(track_of(roomy)) is None


@pytest.mark.parametrize("policy", [POLICY, REPLACE, Policy("append")])
def test_a_genre_set_after_the_tag_was_remembered_is_kept_or_seen(roomy, state, policy):
    remove_genre(roomy)
    track = track_of(roomy)
    assert tag_of(track, state).genres == ()
    put_times_back(roomy, "By hand")
    prediction = replace(predicted(roomy), track=track)
    outcome = write_prediction(prediction, policy, Writer(state, state.begin_run("tag")))
    assert (outcome.existing, read_genres(roomy)) == (("By hand",), outcome.after)
    assert ("By hand" in read_genres(roomy)) == (policy is not REPLACE)


def test_a_genre_set_after_the_last_look_at_the_tag_is_kept(roomy, state, monkeypatch):
    def read_while_the_user_edits(path: Path) -> TagInfo:
        tag = read_tag(path)
        put_times_back(path, "By hand")
        return tag

    remove_genre(roomy)
    tag_of(track_of(roomy), state)
    prediction = replace(predicted(roomy), track=track_of(roomy))
    monkeypatch.setattr(apply, "read_tag", read_while_the_user_edits)
    outcome = write_prediction(prediction, POLICY, Writer(state, state.begin_run("tag")))
    assert (outcome.action, read_genres(roomy)) == (Action.FAILED, ("By hand",))


# --- the note of where a genre comes from ---------------------------------------------------------

OWN = Policy("replace-own")
MODEL = ModelInfo("small", Path("/models/small"), ("jazz", "rock"), FrontEnd(), False, "print")
NOTING = WriteOptions(provenance=True)


def write_noting(
    path: Path, state: State, policy: Policy = REPLACE, jazz: float = 0.75, **changes: object
) -> Outcome:
    options = {"options": NOTING, "models": (MODEL,), **changes}
    return write_prediction(
        predicted(path, jazz), policy, Writer(state, state.begin_run("tag"), **options)
    )


def note_of(path: Path) -> dict[str, object]:
    return json.loads(read_tag(path).note)


def test_a_note_tells_what_was_written_and_by_which_model(song, state):
    write_noting(song, state)
    assert note_of(song) == {
        "genres": ["Jazz"],
        "model": "small",
        "fingerprint": "print",
        "confidence": 0.75,
    }


def test_no_note_is_written_unasked(song, state):
    write_noting(song, state, options=WriteOptions())
    assert (read_genres(song), read_tag(song).note) == (("Jazz",), "")


def test_a_note_that_is_there_is_kept_in_step_unasked(song, state):
    write_noting(song, state)
    write_noting(song, state, jazz=0.125, options=WriteOptions())
    assert (read_genres(song), note_of(song)["genres"]) == (("Rock",), ["Rock"])
    assert note_of(song)["confidence"] == 0.875


def test_an_undo_puts_the_note_back_too(song, state):
    write_noting(song, state)
    fields = read_fields(song)
    write_noting(song, state, jazz=0.125)
    undo(state, state.last_run())
    assert read_fields(song) == fields


def test_our_own_genres_are_replaced_where_just_those_may_be(song, state):
    write_noting(song, state)
    outcome = write_noting(song, state, OWN, jazz=0.125)
    assert (outcome.action, read_genres(song)) == (Action.WRITTEN, ("Rock",))


@pytest.mark.parametrize("genres", [("Polka",), ("Jazz",), ("Jazz", "Ska")])
@pytest.mark.parametrize("has_note", [False, True])
def test_genres_of_a_person_are_kept_where_just_our_own_may_be_replaced(
    song, state, genres, has_note
):
    if has_note:
        write_noting(song, state, jazz=0.125)
    write_genres(song, genres, read_tag(song).note)
    assert write_noting(song, state, OWN, jazz=0.125).action is Action.KEPT
    assert read_genres(song) == genres


@pytest.mark.parametrize("jazz", [0.75, 0.125])
@pytest.mark.parametrize("genres", [("Polka",), ("jAzZ",)])
@pytest.mark.parametrize("alias", ["Polka", "jazz"])
def test_what_is_appended_to_the_genres_of_a_person_makes_none_of_them_ours(
    song, state, genres, alias, jazz
):
    """Not even where the user's aliases respell them on the way."""
    write_genres(song, genres)
    vocabulary = Vocabulary(aliases={f"{alias.title()} Music": (alias,)})
    write_noting(song, state, Policy("append", vocabulary=vocabulary), jazz)
    before = read_genres(song)
    assert write_noting(song, state, OWN, 1 - jazz).action is Action.KEPT
    assert read_genres(song) == before


def test_what_is_appended_to_our_own_stays_ours(song, state):
    write_noting(song, state)
    write_noting(song, state, Policy("append"), jazz=0.125)
    assert (read_genres(song), note_of(song)["genres"]) == (("Jazz", "Rock"), ["Jazz", "Rock"])
    assert write_noting(song, state, OWN).action is Action.WRITTEN


def test_genres_that_replaced_those_of_a_person_are_ours(song, state):
    """Also one that both chose: the user asked for all to be replaced."""
    write_genres(song, ["Jazz", "Polka"])
    write_noting(song, state)
    assert write_noting(song, state, OWN, jazz=0.125).action is Action.WRITTEN


@pytest.mark.parametrize("name", ["secret/place/mine", "secret/place/mine/", "./mine"])
def test_a_note_names_the_folder_of_a_model_and_not_where_it_is(song, state, name, tmp_path):
    given = str(tmp_path / name)
    write_noting(song, state, models=[replace(MODEL, name=given, folder=Path(given))])
    assert note_of(song)["model"] == "mine"
    assert b"secret" not in song.read_bytes()


def test_a_note_names_the_current_folder_if_the_model_is_there(song, state, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    write_noting(song, state, models=[replace(MODEL, name=".", folder=Path("."))])
    assert note_of(song)["model"] == "mine"


def test_a_note_names_a_model_of_the_hub_as_it_is_named_there(song, state):
    hub = replace(MODEL, name="someone/ast", folder=Path("/home/me/.cache/x/snapshots/abc"))
    write_noting(song, state, models=[hub])
    assert note_of(song)["model"] == "someone/ast"


# --- interrupts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_the_block(number):
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(number)
        signal.raise_signal(number)
        done.append("all")
    assert done == ["all"]


def test_an_interrupt_during_a_write_leaves_a_finished_file(song, state, monkeypatch):
    def interrupted(path: Path, genres: object, note: str) -> None:
        signal.raise_signal(signal.SIGINT)
        write_genres(path, list(genres))

    monkeypatch.setattr(apply, "write_genres", interrupted)
    run = state.begin_run("tag")
    with pytest.raises(KeyboardInterrupt):
        write(song, state, run)
    assert read_genres(song) == ("Jazz",)
    assert [item.action for item in undo(state, run)] == [Action.WRITTEN]


def test_handlers_are_as_before_afterwards():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with uninterrupted():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_other_threads_may_write_too():
    """Signals belong to the main thread; elsewhere there is nothing to hold back."""
    done = []

    def block() -> None:
        with uninterrupted():
            done.append(True)

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert done == [True]
