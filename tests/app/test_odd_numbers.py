"""Dates, sizes and other numbers that a file system may report end no command and lose nothing."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.known import JAZZ, Recorder, know, song, state_of
from helpers.properties import examples
from hypothesis import given
from hypothesis import strategies as st

from tagger.app.apply import ApplyRequest, apply_csv
from tagger.app.request import TagRequest
from tagger.app.state_file import look_at_state
from tagger.app.tag import explain_library, tag_library
from tagger.app.undo import UndoRequest, undo_tags
from tagger.files.scan import find_tracks
from tagger.state.store import State
from tagger.tags.genre_tag import read_genres
from tagger.types import Action, TagInfo, Track, WriteOptions

SECOND = 10**9  # ns
DATES = {
    "NTFS's first": -11_644_473_600 * SECOND,
    "before 1970": -1,
    "after that": 2**63,
    "of the year 2300": 10_413_792_000 * SECOND + 123_456_789,
    "the last of all": (2**63 - 1) * SECOND,
    "the first of all": -(2**63) * SECOND,
}
MOST = 2**64 - 1
KEPT = WriteOptions(keep_mtime=True)


@pytest.fixture(params=[*DATES.values()], ids=[*DATES])
def date(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def folder(date: int) -> Iterator[Path]:
    """A folder on a file system that knows this date, if there is one here."""
    places = [path for path in ("/dev/shm", None) if path is None or os.access(path, os.W_OK)]
    for place in places:
        with tempfile.TemporaryDirectory(dir=place) as name:
            os.utime(name, ns=(date, date))
            if os.stat(name).st_mtime_ns == date:
                yield Path(name)
                return
    pytest.skip("no file system here knows this date")


@pytest.fixture
def music(folder: Path, date: int, tmp_path: Path) -> Path:
    """One track of that date without a genre, predicted as jazz."""
    path = song(folder / "a.flac")
    os.utime(path, ns=(date, date))
    know(tmp_path, [path], JAZZ)
    return path


def asked(tmp_path: Path, **more: object) -> dict[str, object]:
    return {"state": state_of(tmp_path), **more}


def tagged(music: Path, tmp_path: Path, **more: object) -> Recorder:
    progress = Recorder()
    target = tmp_path / "genres.csv"
    request = TagRequest([music.parent], csv=target, **asked(tmp_path, **more))  # type: ignore[arg-type]
    tag_library(request, progress)
    assert not any(label == "predicting" for label, _ in progress.bars)  # it was known
    return progress


def rows_in(report: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report.read_text(encoding="utf-8-sig"), newline="")))


def done(progress: Recorder) -> list[Action]:
    return [outcome.action for outcome in progress.outcomes]


@pytest.mark.parametrize("kept", [False, True])
def test_a_track_of_any_date_is_written_known_again_and_undone(music, date, tmp_path, kept):
    writing = WriteOptions(keep_mtime=kept)
    assert done(tagged(music, tmp_path, dry_run=True)) == [Action.WOULD_WRITE]
    assert done(tagged(music, tmp_path, write_tags=True, writing=writing)) == [Action.WRITTEN]
    assert read_genres(music) == ("Jazz",)
    assert (music.stat().st_mtime_ns == date) == kept
    assert done(tagged(music, tmp_path, write_tags=True, writing=writing)) == [Action.KEPT]
    progress = Recorder()
    undo_tags(UndoRequest(state=state_of(tmp_path), writing=writing), progress)
    assert (done(progress), read_genres(music)) == ([Action.WRITTEN], ())
    assert (music.stat().st_mtime_ns == date) == kept


def test_a_track_of_any_date_is_explained(music, tmp_path):
    request = TagRequest([music.parent], **asked(tmp_path))
    (track,) = explain_library(request, Recorder())
    assert track.outcome.action is Action.WOULD_WRITE


def test_an_edit_of_a_track_of_any_date_is_applied_and_undone(music, date, tmp_path):
    tagged(music, tmp_path)
    report = tmp_path / "genres.csv"
    rows = rows_in(report)
    with report.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "genre": "Ska"} for row in rows)
    progress = Recorder()
    apply_csv(ApplyRequest(report, state=state_of(tmp_path), writing=KEPT), progress)
    assert (done(progress), read_genres(music)) == ([Action.WRITTEN], ("Ska",))
    assert music.stat().st_mtime_ns == date
    undo_tags(UndoRequest(state=state_of(tmp_path)), Recorder())
    assert read_genres(music) == ()


def test_a_moved_track_of_any_date_is_undone(music, date, tmp_path):
    tagged(music, tmp_path, write_tags=True, writing=KEPT)
    moved = music.parent / "other" / music.name
    moved.parent.mkdir()
    music.rename(moved)
    places = (music.parent, moved.parent)
    undo_tags(UndoRequest(state=state_of(tmp_path), moved=places), Recorder())
    assert read_genres(moved) == ()


def test_a_report_and_a_state_of_any_date_are_used(music, date, tmp_path, folder):
    report, state = folder / "genres.csv", folder / "state.sqlite3"
    shutil.copyfile(state_of(tmp_path), state)
    for _ in range(2):
        tag_library(TagRequest([music], csv=report, state=state), Recorder())
        for path in (report, state):
            os.utime(path, ns=(date, date))
    assert len(report.read_text(encoding="utf-8").splitlines()) == 2
    assert look_at_state(state, is_default=False).check == "ok"


def status(size: int, mtime_ns: int, ctime_ns: int, inode: int) -> os.stat_result:
    """The status of a regular file as a network or FUSE file system may report it."""
    times = {"st_atime_ns": mtime_ns, "st_mtime_ns": mtime_ns, "st_ctime_ns": ctime_ns}
    times["st_blocks"] = size // 512
    return os.stat_result((0o100644, inode, MOST, 1, 0, 0, size, 0, 0, 0), times)


NUMBERS = st.integers(-(2**95), 2**95) | st.sampled_from([*DATES.values(), 2**63, MOST])


@examples(200)
@given(size=st.integers(0, MOST), mtime=NUMBERS, ctime=NUMBERS, path=st.just(Path("/a.mp3")))
def test_what_a_file_system_reports_can_be_stored_and_found_again(
    size, mtime, ctime, path, tmp_path_factory
):
    track = Track.of(path, status(size, mtime, ctime, MOST))
    for number, given_number in zip(
        (track.size, track.mtime_ns, track.ctime_ns), (size, mtime, ctime), strict=True
    ):
        assert -(2**63) <= number < 2**63
        assert (number - given_number) % 2**64 == 0
    with State(tmp_path_factory.getbasetemp() / "numbers.db") as state:
        state.save_tag(track, TagInfo(("Jazz",)))
        assert state.find_tag(track) == TagInfo(("Jazz",))


@given(first=st.integers(-(2**80), 2**80), change=st.integers(1, 2**63))
def test_a_change_of_the_date_is_never_missed(first, change):
    tracks = [Track.of(Path("/a"), status(1, date, 0, 1)) for date in (first, first + change)]
    assert tracks[0] != tracks[1]


@pytest.mark.parametrize(
    "reported",
    [(2**63, 0, 0, 1), (MOST, 2**70, -(2**70), MOST), (0, -(2**63) - 1, 2**63, 2**63)],
)
def test_a_scan_passes_on_a_file_with_any_numbers(reported, tmp_path, monkeypatch):
    path, plain = song(tmp_path / "music" / "a.flac"), os.stat

    def odd(name, *arguments, **options):
        is_track = os.fspath(name) == str(path)
        return status(*reported) if is_track else plain(name, *arguments, **options)

    monkeypatch.setattr(os, "stat", odd)
    (track,) = find_tracks([path.parent])
    assert isinstance(track, Track)
    state = state_of(tmp_path)
    target = tmp_path / "genres.csv"
    tag_library(TagRequest([path.parent], csv=target, state=state, write_tags=True), Recorder())
    (row,) = rows_in(target)
    assert row["path"] == str(path)
