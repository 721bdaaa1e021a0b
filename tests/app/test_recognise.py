"""Tracks that another program re-tagged, renamed, moved or copied are not predicted again."""

from __future__ import annotations

import csv
import os
import shutil
import time
from pathlib import Path
from typing import Any

import mutagen
import pytest
import taglib
from helpers.containers import SUFFIX
from helpers.known import Recorder, bundled, rows_of, song, state_of
from helpers.models import save_ast

from tagger.app.apply import ApplyRequest, apply_csv
from tagger.app.request import TagRequest
from tagger.app.tag import tag_library
from tagger.app.tracks import RunTracks
from tagger.genres.policy import Policy
from tagger.state.store import State
from tagger.tags.fingerprint import fingerprint
from tagger.tags.genre_tag import read_genres
from tagger.types import PredictOptions, Track

KINDS = ["mp3", "flac", "vorbis", "opus", "m4a", "wav", "aiff", "wavpack", "wma", "dsf"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """An album of a track of each kind, and one that cannot be predicted."""
    for kind in KINDS:
        song(tmp_path / "Music" / "Album" / f"{kind}{SUFFIX[kind]}", kind=kind)
    song(tmp_path / "Music" / "broken.flac")
    return tmp_path / "Music"


def run(library: Path, **options: Any) -> tuple[dict[str, dict[str, str]], Recorder]:
    home, progress = library.parent, Recorder()
    report = home / "genres.csv"
    request = TagRequest([library], csv=report, state=state_of(home), **options)
    tag_library(request, progress)
    return rows_of(report.read_text("utf-8-sig")), progress


def retag(library: Path) -> None:
    for number, path in enumerate(tracks(library)):
        with taglib.File(path, save_on_exit=True) as file:
            file.tags |= {"TITLE": ["another title"], "RATING": ["5"], "COMMENT": ["x" * 5000]}
        if number % 2:
            media = mutagen.File(path)
            media.save()


def touch(library: Path) -> None:
    for path in tracks(library):
        os.utime(path, (1, 1))


def sort_again(library: Path) -> None:
    for number, path in enumerate(tracks(library)):
        target = library / "Sorted" / f"{number % 3}" / f"{number:02}{path.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def swap_names(library: Path) -> None:
    """Every name belongs to another track now."""
    by_suffix: dict[str, list[Path]] = {}
    for path in tracks(library):
        shutil.copy(path, path.with_name(f"copy {path.name}"))
        by_suffix.setdefault(path.suffix, []).append(path)
    for first, other in (("broken", "Album/flac"), ("Album/flac", "Album/copy flac")):
        (library / f"{first}.flac").rename(library / "x")
        (library / f"{other}.flac").rename(library / f"{first}.flac")
        (library / "x").rename(library / f"{other}.flac")


def copy(library: Path) -> None:
    shutil.copytree(library, library / "copy")


def tracks(library: Path) -> list[Path]:
    return sorted(path for path in library.rglob("*") if path.is_file())


def known(progress: Recorder) -> str:
    (line,) = (line for line in progress.said if "labels" in line)
    return line.rpartition("· ")[2]


CHANGES = [retag, touch, sort_again, swap_names, copy]


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_predicted_again(library, model, change):
    before, _ = run(library)
    assert len(model.given) == len(KINDS) + 1
    model.given.clear()
    change(library)
    for _ in range(2):
        rows, progress = run(library)
        count = len(tracks(library))
        assert model.given == []
        assert known(progress) == f"{count} tracks, {count} known from earlier runs"
    same = {row["genre"] for row in before.values()}
    assert {row["genre"] for row in rows.values()} == same


def test_a_prediction_follows_its_audio_and_not_its_name(library, model):
    song(library / "jazz.flac")
    before, _ = run(library)
    assert (before["jazz.flac"]["genre"], before["flac.flac"]["genre"]) == ("Jazz", "Rock")
    (library / "jazz.flac").rename(library / "x")
    (library / "Album" / "flac.flac").rename(library / "jazz.flac")
    (library / "x").rename(library / "Album" / "flac.flac")
    rows, _ = run(library)
    assert (rows["jazz.flac"]["genre"], rows["flac.flac"]["genre"]) == ("Rock", "Jazz")


def test_another_recording_under_the_same_name_is_predicted(library, model):
    run(library)
    model.given.clear()
    path = library / "Album" / "flac.flac"
    song(library / "new.flac").replace(path)
    os.utime(path, (2, 2))
    run(library)
    assert model.given == ["flac.flac"]


def test_a_moved_track_leaves_no_row_behind_and_a_copy_does(library, model):
    run(library)
    sort_again(library)
    run(library)
    with State(state_of(library.parent)) as state:
        stored = {os.fsdecode(path) for (path,) in state.rows("SELECT path FROM predictions")}
        stored |= {os.fsdecode(path) for (path,) in state.rows("SELECT path FROM failures")}
    assert stored == set(map(str, tracks(library)))
    copy(library)
    run(library)
    with State(state_of(library.parent)) as state:
        assert state.rows("SELECT count(*) FROM predictions") == [(2 * len(KINDS),)]


def test_genres_are_written_to_recognised_tracks_and_still_known(library, model):
    run(library)
    retag(library)
    sort_again(library)
    rows, _ = run(library, write_tags=True, policy=Policy(min_confidence=0))
    written = [row for row in rows.values() if row["action"] == "written"]
    assert len(written) == len(KINDS)
    assert all(read_genres(Path(row["path"])) == ("Rock",) for row in written)
    model.given.clear()
    run(library)
    assert model.given == [library / "broken.flac"] or model.given == []


def test_the_journal_does_not_follow_to_a_twin(tmp_path, model):
    """Its genre, the same that a run wrote to the file that is gone, is a person's own."""
    written, twin = song(tmp_path / "Music" / "a.flac"), song(tmp_path / "Twins" / "a.flac", "Rock")
    time.sleep(0.02)  # some clocks of file systems tick every 10 ms
    run(written.parent, write_tags=True, policy=Policy(min_confidence=0))
    assert read_genres(written) == ("Rock",)
    written.unlink()
    _, progress = run(twin.parent)
    assert known(progress) == "1 track, 1 known from earlier runs"
    with State(state_of(tmp_path)) as state:
        assert [change.old.path for change in state.last_changes()] == [written]


@pytest.mark.parametrize("by", ["album", "folder"])
def test_the_mean_of_an_album_is_of_recognised_tracks_too(library, model, by):
    before, _ = run(library, by=by)
    model.given.clear()
    touch(library)
    rows, _ = run(library, by=by)
    assert model.given == []
    assert {n: row["reason"] for n, row in rows.items()} == {
        n: row["reason"] for n, row in before.items()
    }


def test_what_only_missing_leaves_out_is_shown_if_it_is_recognised(library, model):
    run(library, write_tags=True, policy=Policy(min_confidence=0))
    touch(library)
    rows, _ = run(library, only_missing=True, dry_run=True)
    assert rows["flac.flac"]["genre"] == "Rock"


def test_every_model_recognises_its_own_predictions(library, model, tmp_path):
    other = str(save_ast(tmp_path / "other"))
    options = PredictOptions(windows=2)
    run(library, options=options)
    model.given.clear()
    retag(library)
    with State(state_of(tmp_path)) as state:
        items = [Track.of(path, path.stat()) for path in tracks(library)]
        first = RunTracks(items, state, bundled(), options)
        from tagger.models.find import find_model

        second = first.with_model(find_model(other, quiet=True))
        from tagger.app.pending import recognise

        for by_model in (first, second):
            recognise(by_model, Recorder())
        assert first.count_tracks() == (len(items), 0, 0)
        assert second.count_tracks() == (len(items), len(items), 0)


@pytest.mark.parametrize("change", CHANGES)
def test_what_one_kind_of_run_recognises_stays_known_to_the_others(library, model, change):
    every = [PredictOptions(windows=2), PredictOptions(windows=3), PredictOptions(windows=None)]
    for options in every:
        run(library, options=options)
    change(library)
    model.given.clear()
    for options in every:
        run(library, options=options)
    assert model.given == []


def test_an_edited_report_calls_no_retagged_track_changed(library, model):
    rows, _ = run(library)
    retag(library)
    report = library.parent / "edited.csv"
    with report.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["path", "genre"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "genre": "Polka"} for row in rows.values())
    progress = Recorder()
    apply_csv(ApplyRequest(report, state=state_of(library.parent)), progress)
    assert {item.reason for item in progress.outcomes if item.genres == ("Polka",)} == {""}


def test_the_first_run_reads_no_audio_to_recognise_it(library, model, monkeypatch):
    _, progress = run(library)
    assert "recognising" not in [label for label, _ in progress.bars]
    _, progress = run(library)
    assert "recognising" not in [label for label, _ in progress.bars]


def test_a_file_without_audio_is_not_taken_for_another(library, model):
    for name in ("1 broken.mp3", "2 broken.mp3"):
        (library / name).touch()
    run(library)
    assert fingerprint(library / "1 broken.mp3") == b""
    with State(state_of(library.parent)) as state:
        missing = state.rows("SELECT count(*) FROM predictions WHERE audio IS NULL")
        assert missing == [(0,)]
    model.given.clear()
    os.utime(library / "1 broken.mp3", (1, 1))
    run(library)
    assert model.given == ["1 broken.mp3"]


def test_recognising_costs_no_scan_of_the_state(tmp_path):
    with State(tmp_path / "state.db") as state:
        for table in ("predictions", "failures", "journal"):
            plan = state.rows(f"EXPLAIN QUERY PLAN SELECT path FROM {table} WHERE audio = x'00'")
            assert "USING" in plan[0][3] and "INDEX" in plan[0][3]
