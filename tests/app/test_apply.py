"""`apply` writes what a person edited in a report, and reports the rows that it cannot follow."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path

import pytest
from helpers import sounds
from helpers.containers import sound
from helpers.known import Recorder
from helpers.reports import Row, report, run, save, song, undo

from tagger.app import apply
from tagger.app import undo as undo_command
from tagger.app.apply import ApplyRequest
from tagger.errors import ReportError
from tagger.genres.provenance import make_note
from tagger.report.table import write_csv
from tagger.state.store import State
from tagger.tags.genre_tag import (
    read_fields,
    read_genres,
    read_tag,
    write_genres,
)
from tagger.types import Action, Outcome, Prediction, Track, WriteOptions
from tagger.writing import writer

NOTE = make_note(["Jazz"], model="small", fingerprint="print", confidence=0.5)


def applied(home: Path, rows: list[Row], **asked: object) -> list[tuple[Action, str]]:
    _, progress = run(home, rows, **asked)
    return [(outcome.action, outcome.reason) for outcome in progress.outcomes]


def bits(path: Path) -> tuple[bytes, int]:
    return path.read_bytes(), path.stat().st_mtime_ns


# --- which rows are followed ----------------------------------------------------------------------


def test_just_the_edited_rows_are_written(home):
    paths = song(home), song(home, name="b.flac")
    rows = report(home, *paths)
    rows[1]["genre"] = "Polka"
    before = bits(paths[0])
    assert applied(home, rows) == [
        (Action.UNCHANGED, "nobody edited its row"),
        (Action.WRITTEN, ""),
    ]
    assert (bits(paths[0]), read_genres(paths[1])) == (before, ("Polka",))


def test_every_row_is_written_on_request(home):
    paths = song(home), song(home, name="b.flac")
    rows = report(home, *paths)
    rows[1]["genre"] = "Polka"
    assert [action for action, _ in applied(home, rows, every=True)] == [Action.WRITTEN] * 2
    assert [read_genres(path) for path in paths] == [("Jazz",), ("Polka",)]


@pytest.mark.parametrize("every", [False, True])
def test_a_blank_genre_does_not_remove_the_tag(home, every):
    path = song(home, "Ska")
    rows = report(home, path)
    rows[0]["genre"] = " "
    before = bits(path)
    assert applied(home, rows, every=every) == [(Action.UNCHANGED, "its row has no genre")]
    assert bits(path) == before


def test_a_file_that_has_the_genre_already_is_not_written(home):
    path = song(home, "Polka")
    rows = report(home, path)
    rows[0]["genre"] = "Polka"
    before = bits(path)
    assert applied(home, rows) == [(Action.UNCHANGED, "it already has this genre")]
    assert bits(path) == before


def test_applying_a_second_time_writes_nothing(home):
    path = song(home)
    rows = report(home, path)
    rows[0]["genre"] = "Polka"
    run(home, rows)
    before = bits(path)
    assert applied(home, rows) == [(Action.UNCHANGED, "it already has this genre")]
    assert bits(path) == before


def test_a_corrected_case_is_written(home):
    path = song(home, "polka")
    rows = report(home, path)
    rows[0]["genre"] = "Polka"
    run(home, rows)
    assert read_genres(path) == ("Polka",)


def test_several_genres_are_written_as_several_values(home):
    path = song(home)
    rows = report(home, path)
    rows[0]["genre"] = "Polka; Ska;Dub"
    run(home, rows)
    assert read_fields(path).values["GENRE"] == ("Polka", "Ska", "Dub")


# --- what cannot be followed ----------------------------------------------------------------------


def test_a_genre_that_changed_since_the_report_is_kept(home):
    path = song(home, "Ska")
    rows = report(home, path)
    rows[0]["genre"] = "Polka"
    write_genres(path, ["By hand", "Dub"])
    before = bits(path)
    ((action, reason),) = applied(home, rows)
    assert (action, bits(path)) == (Action.FAILED, before)
    assert reason.startswith("its genre has changed since the report, to By hand; Dub; make a new")


def test_a_genre_that_was_removed_since_the_report_is_not_put_back(home):
    path = song(home, "Ska")
    rows = report(home, path)
    rows[0]["genre"] = "Polka"
    path.write_bytes(sound("flac"))
    ((action, reason),) = applied(home, rows)
    assert (action, read_genres(path)) == (Action.FAILED, ())
    assert "to none;" in reason


def test_a_genre_whose_letters_the_spreadsheet_lost_is_not_a_later_change(home):
    path = song(home, "Джаз", "Étude")
    rows = [{**row, "genre": "Polka"} for row in report(home, path)]
    assert rows[0]["existing_genre"] == "Джаз; Étude"
    for lost, action in (("???; Étude", Action.FAILED), ("????; Étude", Action.WRITTEN)):
        ((found, _),) = applied(home, [{**rows[0], "existing_genre": lost}])
        assert found is action


def test_a_report_without_the_existing_genre_replaces_any_genre(home):
    path = song(home, "Ska")
    rows = [{"path": str(path), "genre": "Polka"}]
    assert applied(home, rows) == [(Action.WRITTEN, "")]


def test_what_the_run_of_the_report_wrote_is_not_a_later_change(home):
    path = song(home, "Jazz")
    done = Outcome(path, Action.WRITTEN, genres=("Jazz",), ranked=(("Jazz", 0.5),))
    write_csv([done], home / "genres.csv", model="small")
    with (home / "genres.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0]["genre"] = "Polka"
    assert applied(home, rows) == [(Action.WRITTEN, "")]


def test_one_value_with_a_semicolon_is_not_a_later_change(home):
    path = song(home, "Rock; Pop")
    assert read_genres(path) == ("Rock; Pop",)
    rows = report(home, path)
    rows[0]["genre"] = "Polka"
    assert applied(home, rows) == [(Action.WRITTEN, "")]


def test_one_value_with_a_semicolon_becomes_two_when_edited(home):
    path = song(home, "Rock; Pop")
    rows = report(home, path)
    rows[0]["genre"] = "Rock; Pop"
    run(home, rows)
    assert read_fields(path).values["GENRE"] == ("Rock", "Pop")


def test_a_file_that_is_gone_is_named(home):
    path = song(home)
    rows = report(home, path)
    rows[0]["genre"] = "Polka"
    path.unlink()
    assert applied(home, rows) == [(Action.FAILED, "no such file or directory")]


def test_a_file_that_holds_no_tags_is_named_and_untouched(home):
    path = sounds.make("adts", home / "music", 1)
    rows = report(home, path)
    rows[0]["genre"] = "Polka"
    before = bits(path)
    ((action, reason),) = applied(home, rows)
    assert (action, bits(path)) == (Action.FAILED, before)
    assert "AAC files are read but not written; convert it to have it tagged: ffmpeg" in reason


def test_of_two_rows_for_one_file_neither_is_followed(home):
    path = song(home)
    rows = report(home, path) * 2
    rows[0], rows[1] = {**rows[0], "genre": "Polka"}, {**rows[1], "genre": "Ska"}
    assert applied(home, rows) == [
        (Action.FAILED, "row 3 gives it another genre"),
        (Action.FAILED, "row 2 gives it another genre"),
    ]
    assert read_genres(path) == ()


def test_a_row_that_cannot_be_followed_does_not_stop_the_others(home):
    paths = song(home), song(home, name="b.flac")
    rows = [{**row, "genre": "Polka"} for row in report(home, *paths)]
    paths[0].unlink()
    assert [action for action, _ in applied(home, rows)] == [Action.FAILED, Action.WRITTEN]


def test_a_hard_link_is_split_only_if_allowed(home):
    path = song(home)
    os.link(path, home / "other.flac")
    rows = [{**row, "genre": "Polka"} for row in report(home, path)]
    ((action, reason),) = applied(home, rows)
    assert action is Action.FAILED and reason.startswith("hard-linked")
    options = WriteOptions(break_hardlinks=True)
    assert applied(home, rows, writing=options) == [(Action.WRITTEN, "")]
    assert read_genres(home / "other.flac") == ()


def test_audio_that_changed_since_the_prediction_is_reported(home):
    path = song(home)
    rows = [{**row, "genre": "Polka"} for row in report(home, path)]
    with State(home / "state.db") as state:
        old = Prediction(Track(path, 1, 1), ("jazz",), (1.0,), 1.0, 8, 1.0)
        state.save_prediction(old, "print", "plan")
    reason = "the file has changed since it was predicted"
    assert applied(home, rows) == [(Action.WRITTEN, reason)]


def test_a_file_that_is_not_a_report_is_refused_before_a_run_starts(home):
    (home / "genres.csv").write_text("file,genre\n")
    with pytest.raises(ReportError):
        apply.apply_csv(ApplyRequest(home / "genres.csv", state=home / "state.db"), Recorder())
    assert not (home / "state.db").exists()


# --- dry run, undo and notes ----------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(home):
    path = song(home, "Ska")
    rows = [{**row, "genre": "Polka"} for row in report(home, path)]
    before = bits(path)
    summary, progress = run(home, rows, dry_run=True)
    (outcome,) = progress.outcomes
    assert (outcome.action, outcome.existing, outcome.genres) == (
        Action.WOULD_WRITE,
        ("Ska",),
        ("Polka",),
    )
    assert (bits(path), summary.how_to_undo) == (before, "")
    with State(home / "state.db") as state:
        assert state.runs() == []


def test_a_dry_run_finds_what_the_real_one_would_refuse(home):
    path = song(home)
    os.link(path, home / "other.flac")
    rows = [{**row, "genre": "Polka"} for row in report(home, path)]
    assert applied(home, rows, dry_run=True) == applied(home, rows)


def test_what_was_applied_can_be_undone(home):
    path = song(home, "Ska")
    fields = read_fields(path)
    run(home, [{**row, "genre": "Polka"} for row in report(home, path)])
    assert undo(home) == [Action.WRITTEN]
    assert read_fields(path) == fields


def test_a_run_of_apply_is_listed_by_the_name_of_its_file(home):
    run(home, [{**row, "genre": "Polka"} for row in report(home, song(home))])
    (listed,) = undo_command.list_runs(home / "state.db")
    assert (listed.kind, listed.source, listed.files) == ("apply", "genres.csv", 1)


def test_a_genre_of_a_person_removes_the_note_and_undo_restores_it(home):
    path = song(home, "Jazz", note=NOTE)
    run(home, [{**row, "genre": "Polka"} for row in report(home, path)])
    assert read_tag(path).note == ""
    undo(home)
    assert read_tag(path).note == NOTE


def test_the_times_are_kept_on_request(home):
    path = song(home, "Ska")
    before = path.stat().st_mtime_ns
    rows = [{**row, "genre": "Polka"} for row in report(home, path)]
    run(home, rows, writing=WriteOptions(keep_mtime=True))
    assert (path.stat().st_mtime_ns, read_genres(path)) == (before, ("Polka",))


# --- interrupts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("nth", [1, 2])
def test_an_interrupt_says_how_to_undo_what_was_written_so_far(home, nth, monkeypatch):
    paths = [song(home, "Ska", name=f"{number}.flac") for number in range(3)]
    rows = [{**row, "genre": "Polka"} for row in report(home, *paths)]
    written, progress = [], Recorder()

    def interrupted(path: Path, *arguments: object) -> None:
        written.append(path)
        if len(written) == nth:
            signal.raise_signal(signal.SIGINT)
        write_genres(path, *arguments)

    monkeypatch.setattr(writer, "write_genres", interrupted)
    with pytest.raises(KeyboardInterrupt):
        apply.apply_csv(ApplyRequest(save(home, rows), state=home / "state.db"), progress)
    assert [read_genres(path) for path in paths] == [("Polka",)] * nth + [("Ska",)] * (3 - nth)
    assert progress.said == [f"undo with: tag-genres undo --run 1 --state {home / 'state.db'}"]
    assert undo(home) == [Action.WRITTEN] * nth
    assert {read_genres(path) for path in paths} == {("Ska",)}


def test_an_interrupt_before_anything_was_written_says_nothing(home, monkeypatch):
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    rows = [{**row, "genre": "Polka"} for row in report(home, song(home))]
    monkeypatch.setattr(apply, "write_edit", interrupted)
    progress = Recorder()
    with pytest.raises(KeyboardInterrupt):
        apply.apply_csv(ApplyRequest(save(home, rows), state=home / "state.db"), progress)
    assert progress.said == []
