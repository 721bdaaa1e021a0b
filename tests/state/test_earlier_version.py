"""A state file that version 0.1.0 made, with every kind of row, goes on working.

`state-0.1.0.sql` is its dump; LIBRARY stands for the folder of four example tracks and a broken
file. Three runs made it: one wrote three genres, `apply` wrote one of an edited report over the
second of them, and `undo --path` took the first back. Today's bundled model takes the place of the
one that made it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import mutagen
import pytest
from helpers.command import LIBRARY
from helpers.known import Recorder, bundled, rows_of
from helpers.recall import decoders, recall
from helpers.tagged import tag_with_mutagen

from tagger.app.request import TagRequest
from tagger.app.tag import tag_library
from tagger.app.undo import UndoRequest, undo_tags
from tagger.state.database import APPLICATION, VERSION
from tagger.state.migrations import MIGRATIONS
from tagger.state.store import State
from tagger.tags.fingerprint import fingerprint
from tagger.tags.genre_tag import read_genres, write_genres
from tagger.types import Action, Outcome, Prediction, Track

DUMP = Path(__file__).with_name("state-0.1.0.sql")
MODEL, WINDOW = "e42b7a02d30afdf9", "auto1x41200@16000"  # the fingerprint and windows in the dump
MADE_WITH = "soundfile 0.14.0, av 18.1.0, /usr/bin/ffmpeg, 120 s"
TABLES = ("failures", "journal", "predictions", "runs")
MP3, FLAC = "01 Porch Shuffle.mp3", "02 Quiet Fugue.flac"
OGG, M4A = "03 Back Road.ogg", "04 Mirror Ball.m4a"
GENRES = {MP3: (), FLAC: ("Baroque", "Organ"), OGG: ("Country",), M4A: ("Blues",)}
BEST = {MP3: "reggae", FLAC: "jazz", OGG: "reggae", M4A: "blues"}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The files as the runs left them; sizes and times are those that the dump has."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "broken.mp3").write_text("no music at all\n")
    for name, genres in GENRES.items():
        shutil.copy(LIBRARY / name, folder / name)
        if genres and name != OGG:
            tag_with_mutagen(folder / name, genre=list(genres))
    return folder


@pytest.fixture
def file(tmp_path: Path, library: Path) -> Path:
    """The state of version 0.1.0, moved to this library, model, and decoders of this machine."""
    with State(tmp_path / "other.sqlite3") as other:
        script = DUMP.read_text().replace(MADE_WITH, decoders(other))
    model = bundled()
    script = script.replace(MODEL, model.fingerprint)
    script = script.replace(WINDOW, f"auto1x{model.front_end.window_samples}@16000")
    path = tmp_path / "state.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script.replace("LIBRARY", str(library)))
        for table in ("predictions", "failures"):
            for name, mtime_ns in db.execute(f"SELECT path, mtime_ns FROM {table}"):
                os.utime(os.fsdecode(name), ns=(mtime_ns, mtime_ns))
        # No program can set a file's ctime, so the rows take what it is here.
        for (name,) in db.execute("SELECT path FROM tags").fetchall():
            ctime_ns = os.stat(os.fsdecode(name)).st_ctime_ns
            db.execute("UPDATE tags SET ctime_ns = ? WHERE path = ?", (ctime_ns, name))
        db.commit()
    return path


def track(path: Path) -> Track:
    return Track.of(path, path.stat())


def rows(path: Path) -> dict[str, list[dict[str, object]]]:
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return {table: list(map(dict, db.execute(f"SELECT * FROM {table}"))) for table in TABLES}


def taken_back(file: Path, **asked: object) -> list[Outcome]:
    progress = Recorder()
    undo_tags(UndoRequest(state=file, **asked), progress)
    return progress.outcomes


def test_no_row_and_no_value_is_lost_when_it_is_opened(file):
    before = rows(file)
    with State(file) as state:
        assert state.rows("PRAGMA user_version") == [(VERSION,)]
    after = rows(file)
    assert all(before.values())
    for table, old in before.items():
        kept = [{name: row[name] for name in old[0]} for row in after[table]]
        assert kept == old, table


@pytest.mark.parametrize("name", BEST)
def test_its_predictions_are_found(library, file, name):
    with State(file) as state:
        prediction = recall(state, track(library / name), bundled())
    assert isinstance(prediction, Prediction)
    assert prediction.ranked[0][0] == BEST[name]
    assert sum(prediction.probabilities) == pytest.approx(1)


def test_its_failure_is_found(library, file):
    with State(file) as state:
        reason = recall(state, track(library / "broken.mp3"), bundled())
    assert reason.startswith("no decoder can read it")


@pytest.mark.parametrize("name", GENRES)
def test_its_tags_are_read_again_since_more_of_them_is_understood(library, file, name):
    with State(file) as state:
        assert state.find_tag(track(library / name)) is None


def test_a_run_gives_its_rows_the_fingerprint_of_the_audio(library, file, tmp_path):
    tag_library(TagRequest([library], csv=tmp_path / "genres.csv", state=file), Recorder())
    found = rows(file)
    for table in ("predictions", "failures", "journal"):
        assert all(
            row["audio"] == fingerprint(Path(os.fsdecode(row["path"]))) for row in found[table]
        )
    for number, path in enumerate(sorted(library.iterdir())):
        if path.name != "broken.mp3":
            retitle(path)
        path.rename(path.with_name(f"{number}{path.suffix}"))
    progress = Recorder()
    tag_library(TagRequest([library], csv=tmp_path / "genres.csv", state=file), progress)
    assert any("5 tracks, 5 known from earlier runs" in line for line in progress.said)


def retitle(path: Path) -> None:
    media = mutagen.File(path, easy=True)
    media["title"] = "something else"
    media.save()


def test_a_run_predicts_nothing_again(library, file, tmp_path):
    report, progress = tmp_path / "genres.csv", Recorder()
    tag_library(TagRequest([library], csv=report, state=file), progress)
    assert any("5 tracks, 5 known from earlier runs" in line for line in progress.said)
    found = {name: row["genre"].lower() for name, row in rows_of(report.read_text()).items()}
    assert found == {**BEST, "broken.mp3": ""}


def test_its_runs_are_listed(file):
    with State(file) as state:
        runs = [(run.kind, run.source, run.files, run.remaining) for run in state.runs()]
    assert runs == [
        ("tag", "gtzan-small", 3, 2),
        ("apply", "e.csv", 1, 1),
        ("undo", "of run 1", 1, 1),
    ]


def test_its_changes_are_undone_one_run_after_the_other(library, file):
    assert [each.action for each in taken_back(file)] == [Action.WRITTEN]
    assert read_genres(library / FLAC) == ("Jazz",)
    assert [each.action for each in taken_back(file)] == [Action.WRITTEN] * 2
    assert {name: read_genres(library / name) for name in GENRES} == {
        **dict.fromkeys(GENRES, ()), OGG: ("Country",)
    }  # fmt: skip


def test_its_undo_is_undone(library, file):
    assert [each.action for each in taken_back(file, runs=[3])] == [Action.WRITTEN]
    assert read_genres(library / MP3) == ("Reggae",)


def test_a_genre_that_was_set_since_is_kept(library, file):
    write_genres(library / M4A, ["By hand"])
    actions = {each.path.name: each.action for each in taken_back(file, paths=[library / M4A])}
    assert actions == {M4A: Action.FAILED}
    assert read_genres(library / M4A) == ("By hand",)


# --- version 4, of which there is no dump --------------------------------------------------------

ROWS = {
    "predictions": (b"/m/a.flac", "f", "p", 1, 2, b"\0\0\x80?", 0.5, 8, 30.0, b"au", "note"),
    "failures": (b"/m/b.flac", "f", 3, 4, "decoders", "broken", b"au2"),
    "runs": (1, "tag", "2026-01-01T00:00:00+00:00", "gtzan-small", '["/m"]'),
    "journal": (
        1, 1, b"/m/a.flac", '{"values": {}, "has_tags": false}', '["Rock"]', 1, 1, 1, 2, None, None,
        b"au",
    ),
    "tags": (b"/m/a.flac", 1, 2, 3, '{"genres": ["Rock"]}'),
    "reported": (b"/m/b.flac", "failed", "broken", b"au2"),
}  # fmt: skip


@pytest.fixture
def version_4(tmp_path: Path) -> Path:
    """A state file of version 4, with a row in each table."""
    path = tmp_path / "version-4.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        for script in MIGRATIONS[:4]:
            db.executescript(script)
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute("PRAGMA user_version = 4")
        for table, row in ROWS.items():
            db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        db.commit()
    return path


@pytest.mark.parametrize("table", ROWS)
def test_a_state_of_version_4_keeps_the_rows_of_each_table(version_4, table):
    with closing(sqlite3.connect(version_4)) as db:
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    with State(version_4) as state:
        assert state.rows(f"SELECT {', '.join(names)} FROM {table}") == [ROWS[table]]


def test_a_state_of_version_4_takes_decisions(version_4):
    song = Track(Path("/m/a.flac"), 1, 2, audio=b"au")
    with State(version_4) as state:
        assert state.decided(song) == []
        state.decide(1, song, ["Soul"], "confirm", entry=1)
        assert [each.genres for each in state.decided(song)] == [("Soul",)]
