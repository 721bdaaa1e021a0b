from __future__ import annotations

import errno
import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from helpers.containers import KINDS, make
from helpers.recall import INFO, PLAN, recall
from helpers.tagged import ape_tag, frame, id3_tag, with_front
from helpers.writes import (
    POLICY,
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
from mutagen.apev2 import APEv2

from tagger.errors import TagError
from tagger.genres.policy import Policy
from tagger.genres.vocabulary import Vocabulary
from tagger.models.checkpoint import ModelInfo
from tagger.state.store import State
from tagger.tags.genre_tag import read_fields, read_genres, read_tag, write_genres
from tagger.tags.verify import digest_packets
from tagger.types import Action, FrontEnd, Outcome, TagInfo, TagOptions, Track, WriteOptions
from tagger.writing import writer as writer_module
from tagger.writing.interrupts import uninterrupted
from tagger.writing.writer import Writer, report_prediction, tag_of, write_prediction

KNOWN = (INFO.fingerprint, PLAN)


# --- writing --------------------------------------------------------------------------------------


def test_a_genre_is_written_journalled_and_reported(song, state):
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


def test_a_container_without_tags_is_predicted_and_is_not_a_failure(tmp_path, state):
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


def cut(path: Path, genres: object, note: str = "", *_: object) -> None:
    write_genres(path, list(genres))
    os.truncate(path, path.stat().st_size - 2000)


def broken(path: Path, genres: object, note: str = "", *_: object) -> None:
    raise TagError("cannot be written", path)


@pytest.mark.parametrize("damage", [retitled, with_other_audio, cut, broken])
def test_a_write_that_would_change_anything_else_is_refused(song, state, monkeypatch, damage):
    state.save_prediction(predicted(song), *KNOWN)
    before, run = bits(song), state.begin_run("tag")
    monkeypatch.setattr(writer_module, "write_genres", damage)
    outcome = write(song, state, run)
    assert outcome.action is Action.FAILED
    assert outcome.reason
    assert bits(song) == before
    assert list(song.parent.iterdir()) == [song]
    assert state.changes(run) == []
    assert recall(state, identify(song)) is not None


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


def test_a_genre_that_is_set_while_the_copy_is_prepared_is_kept(song, state, monkeypatch):
    def digest_while_the_user_edits(path: Path) -> str | None:
        if not path.name.startswith("."):
            write_genres(path, ["By hand"])
        return digest_packets(path)

    run = state.begin_run("tag")
    monkeypatch.setattr(writer_module, "digest_packets", digest_while_the_user_edits)
    assert write(song, state, run).action is Action.FAILED
    assert read_genres(song) == ("By hand",)
    assert state.changes(run) == []


# --- tags that are remembered ---------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch):
    """The paths of which the tag is read, in order."""
    paths: list[Path] = []

    def read(path: Path, options: TagOptions) -> TagInfo:
        paths.append(path)
        return read_tag(path, options)

    monkeypatch.setattr(writer_module, "read_tag", read)
    return paths


def track_of(path: Path) -> Track:
    return Track.of(path, path.stat())


def remove_genre(path: Path) -> None:
    """Remove the genre and keep its space as padding."""
    media = mutagen.File(path)
    del media["genre"]
    media.save()


def put_times_back(path: Path, genre: str) -> None:
    """Change the genre but neither size nor mtime, as some editors do."""
    status = path.stat()
    write_genres(path, [genre])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert identify(path) == Track(path, status.st_size, status.st_mtime_ns)


def test_a_tag_is_read_once_while_the_file_stays_the_same(roomy, state, reads):
    assert tag_of(track_of(roomy), state).genres == ("Polka",)
    with State(state.path) as again:
        assert tag_of(track_of(roomy), again).genres == ("Polka",)
    assert reads == [roomy]


def test_a_tag_that_changed_without_its_times_is_read_again(roomy, state, reads):
    tag_of(track_of(roomy), state)
    put_times_back(roomy, "Ska")
    assert tag_of(track_of(roomy), state).genres == ("Ska",)
    assert reads == [roomy, roomy]


def test_a_tag_that_we_wrote_need_not_be_read_again(roomy, state, reads):
    write(roomy, state, state.begin_run("tag"), REPLACE)
    reads.clear()
    assert tag_of(track_of(roomy), state) == read_tag(roomy)
    assert reads == []


def test_a_restored_tag_is_read_again(roomy, state, reads):
    run = state.begin_run("tag")
    write_keeping(roomy, state, run)
    undo_keeping(state, run)
    assert tag_of(track_of(roomy), state).genres == ("Polka",)


def test_an_unreadable_tag_is_an_error_and_is_not_stored(roomy, state):
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
    def read_while_the_user_edits(path: Path, options: TagOptions) -> TagInfo:
        tag = read_tag(path, options)
        put_times_back(path, "By hand")
        return tag

    remove_genre(roomy)
    tag_of(track_of(roomy), state)
    prediction = replace(predicted(roomy), track=track_of(roomy))
    monkeypatch.setattr(writer_module, "read_tag", read_while_the_user_edits)
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


def test_a_note_states_what_was_written_and_by_which_model(song, state):
    write_noting(song, state)
    assert note_of(song) == {
        "genres": ["Jazz"],
        "model": "small",
        "fingerprint": "print",
        "confidence": 0.75,
    }


def test_a_note_is_written_only_on_request(song, state):
    write_noting(song, state, options=WriteOptions())
    assert (read_genres(song), read_tag(song).note) == (("Jazz",), "")


def test_an_existing_note_is_always_updated(song, state):
    write_noting(song, state)
    write_noting(song, state, jazz=0.125, options=WriteOptions())
    assert (read_genres(song), note_of(song)["genres"]) == (("Rock",), ["Rock"])
    assert note_of(song)["confidence"] == 0.875


def test_an_undo_restores_the_note_too(song, state):
    write_noting(song, state)
    fields = read_fields(song)
    write_noting(song, state, jazz=0.125)
    undo(state, state.last_run())
    assert read_fields(song) == fields


def test_replace_own_replaces_our_own_genres(song, state):
    write_noting(song, state)
    outcome = write_noting(song, state, OWN, jazz=0.125)
    assert (outcome.action, read_genres(song)) == (Action.WRITTEN, ("Rock",))


@pytest.mark.parametrize("genres", [("Polka",), ("Jazz",), ("Jazz", "Ska")])
@pytest.mark.parametrize("has_note", [False, True])
def test_replace_own_keeps_the_genres_of_a_person(song, state, genres, has_note):
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
def test_a_note_names_the_folder_of_a_model_without_its_path(song, state, name, tmp_path):
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
    def interrupted(path: Path, genres: object, note: str, *_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        write_genres(path, list(genres))

    monkeypatch.setattr(writer_module, "write_genres", interrupted)
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


def test_a_genre_that_only_some_programs_show_is_written_where_the_others_look(tmp_path, state):
    # MPD shows an APEv2 tag with an artist in place of the ID3v2 tag.
    jazz = id3_tag(3, frame(b"TCON", b"\0Jazz") + frame(b"TPE1", b"\0Somebody"))
    path = with_front(tmp_path, jazz, ape_tag(Artist="Somebody"))
    before = path.read_bytes()
    run = state.begin_run("tag")
    assert write(path, state, run, POLICY).action is Action.KEPT
    outcome = write(path, state, run, REPLACE)
    assert (outcome.action, outcome.genres) == (Action.WRITTEN, ("Jazz",))
    assert outcome.reason.startswith("it has this genre, but not in every place")
    assert APEv2(path)["Genre"] == "Jazz"
    assert write(path, state, run, REPLACE).action is Action.UNCHANGED
    undo(state, run)
    assert path.read_bytes() == before


def test_a_wav_without_an_info_list_gets_one_unless_that_is_switched_off(tmp_path, state):
    path = make("wav", tmp_path)
    write_genres(path, ["Jazz"], options=TagOptions(wav_info=False))
    off = WriteOptions(tags=TagOptions(wav_info=False))
    prediction = predicted(path)
    writer = Writer(state, state.begin_run("tag"), off)
    assert write_prediction(prediction, REPLACE, writer).action is Action.UNCHANGED
    assert write(path, state, state.begin_run("tag"), REPLACE).action is Action.WRITTEN
    assert b"IGNR" in path.read_bytes()
