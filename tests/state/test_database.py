"""The state file is upgraded, refused, set aside or locked, and never lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.containers import sound
from helpers.recall import INFO, PLAN, decoders, recall

from tagger.app.undo import UndoRequest, undo_tags
from tagger.errors import DamagedState, StateError
from tagger.state import database, store
from tagger.state.database import APPLICATION, VERSION, Database, set_aside
from tagger.state.migrations import MIGRATIONS, TABLES
from tagger.state.store import State, open_state
from tagger.tags.genre_tag import read_fields, read_genres, restore_fields, write_genres
from tagger.types import GenreFields, Outcome, Prediction, TagInfo, Track
from tagger.writing.undo import undo_changes
from tagger.writing.writer import Writer

ROOT = Path(__file__).parents[2]
ROOT_ONLY = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may mount"
)
NO_KILL = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
TRACK = Track(Path("/music/a.mp3"), 1000, 10**18 + 1)
OTHER = Track(Path("/music/b.mp3"), 1000, 10**18 + 1)
ADDED = (Track(Path("/music/b.mp3"), 1, 1), "broken", INFO.fingerprint, "decoders")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state.db"


def refuse_message(message: str) -> None:
    raise AssertionError(message)


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as db:
        return list(db.iterdump())


def filled(file: Path, count: int = 200) -> Path:
    """A closed state of many pages."""
    with State(file) as opened, opened.transaction():
        for number in range(count):
            track = Track(Path(f"/music/{number}.mp3"), number, number)
            opened.save_prediction(predicted(track), "print", "plan")
            run = opened.begin_run("tag", "small")
            values = (run, os.fsencode(track.path), json.dumps({"x": "y" * 400}), "[]")
            opened.do(
                "INSERT INTO journal (run, path, before, after, old_size, old_mtime_ns, new_size, "
                "new_mtime_ns) VALUES (?, ?, ?, ?, 1, 1, 2, 2)",
                values,
            )
    return file


def predicted(track: Track) -> Prediction:
    return Prediction(track, ("jazz", "rock"), (0.25, 0.75), 0.5, 8, 1.0)


# --- version 1 ------------------------------------------------------------------------------------


def old_state(file: Path) -> sqlite3.Connection:
    """An empty state as the first version made it."""
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(TABLES)
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.execute("PRAGMA user_version = 1")
    return db


def identity(path: Path) -> tuple[int, int]:
    return path.stat().st_size, path.stat().st_mtime_ns


def change_as_before(
    db: sqlite3.Connection, run: int, path: Path, fields: GenreFields, genres: list[str]
) -> tuple[int, tuple[int, int]]:
    """Put fields into a file and journal it as version 1 did; the entry, and the old identity."""
    before, old = read_fields(path), identity(path)
    if genres:
        write_genres(path, genres)
    else:
        restore_fields(path, fields)
    row = json.dumps({"values": dict(before.values), "has_tags": before.has_tags})
    entry = db.execute(
        "INSERT INTO journal (run, path, before, after, old_size, old_mtime_ns, new_size, "
        "new_mtime_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (run, os.fsencode(path), row, json.dumps(genres), *old, *identity(path)),
    ).lastrowid
    return entry or 0, old


def begin_as_before(db: sqlite3.Connection, kind: str) -> int:
    insert = "INSERT INTO runs (kind, started, model) VALUES (?, '2025-01-01T00:00:00', 'small')"
    return db.execute(insert, (kind,)).lastrowid or 0


class OldRun:
    """A run of version 1 that wrote one file, and then an undo of it."""

    def __init__(self, folder: Path, file: Path, *, is_marked: bool = True) -> None:
        self.path = folder / "a.flac"
        self.path.write_bytes(sound("flac"))
        write_genres(self.path, ["Polka"])
        fields = read_fields(self.path)
        with closing(old_state(file)) as db:
            self.run = begin_as_before(db, "tag")
            entry, old = change_as_before(db, self.run, self.path, fields, ["Jazz"])
            self.undo = begin_as_before(db, "undo")
            change_as_before(db, self.undo, self.path, fields, [])
            if is_marked:
                db.execute("UPDATE journal SET undone_by = ? WHERE id = ?", (self.undo, entry))
                db.execute(
                    "UPDATE journal SET new_size = ?, new_mtime_ns = ? "
                    "WHERE path = ? AND new_size = ? AND new_mtime_ns = ?",
                    (*identity(self.path), os.fsencode(self.path), *old),
                )


def undo_run(file: Path, run: int) -> list[Outcome]:
    with State(file) as opened:
        writer = Writer(opened, opened.begin_run("undo"))
        return list(undo_changes(opened.changes(run), writer))


def actions(outcomes: list[Outcome]) -> list[str]:
    return [outcome.action.value for outcome in outcomes]


def test_a_state_of_version_1_keeps_all_that_it_knew(tmp_path, file):
    shares = array("f", [0.25, 0.75]).tobytes()
    with closing(old_state(file)) as db:
        path, version = os.fsencode(TRACK.path), (TRACK.size, TRACK.mtime_ns)
        row = (path, INFO.fingerprint, PLAN, *version, shares)
        db.execute("INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, 0.5, 8, 1)", row)
        row = (path, "other", *version, decoders_of(tmp_path))
        db.execute("INSERT INTO failures VALUES (?, ?, ?, ?, ?, 'broken')", row)
    with State(file) as opened:
        assert recall(opened, TRACK) == predicted(TRACK)
        assert recall(opened, TRACK, replace(INFO, fingerprint="other")) == "broken"


def decoders_of(folder: Path) -> str:
    with State(folder / "other.db") as state:
        return decoders(state)


def test_a_state_of_version_1_keeps_its_runs_and_what_they_changed(tmp_path, file):
    old = OldRun(tmp_path, file)
    with State(file) as opened:
        assert [(run.kind, run.files, run.remaining) for run in opened.runs()] == [
            ("tag", 1, 0),
            ("undo", 1, 1),
        ]
        assert (opened.last_run(), opened.changes(old.run)) == (None, [])


@pytest.mark.parametrize("version", [2, 3])
def test_what_earlier_versions_took_for_silence_is_predicted_again(file, version):
    """They did so where two channels cancel each other."""
    with closing(old_state(file)) as db:
        for script in MIGRATIONS[1:version]:
            db.executescript(script)
        db.execute(f"PRAGMA user_version = {version}")
        for track, shares in ((TRACK, [0.25, 0.75]), (OTHER, [0.0, 0.0])):
            row = (
                os.fsencode(track.path), INFO.fingerprint, PLAN, track.size, track.mtime_ns,
                array("f", shares).tobytes(), *([b"audio"] * (version > 2)),
            )  # fmt: skip
            values = "?, ?, ?, ?, ?, ?, 0.5, 8, 1" + ", ?" * (version > 2)
            db.execute(f"INSERT INTO predictions VALUES ({values})", row)
    with State(file) as opened:
        assert recall(opened, TRACK) == predicted(TRACK)
        assert recall(opened, OTHER) is None


def test_a_state_of_version_1_takes_what_is_new(file):
    old_state(file).close()
    with State(file) as opened:
        opened.save_tag(TRACK, TagInfo(("Jazz",), note="x"))
        assert opened.find_tag(TRACK) == TagInfo(("Jazz",), note="x")
        assert opened.do("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_run_of_version_1_can_be_undone(tmp_path, file):
    path = tmp_path / "a.flac"
    path.write_bytes(sound("flac"))
    with closing(old_state(file)) as db:
        run = begin_as_before(db, "tag")
        change_as_before(db, run, path, GenreFields({}, False), ["Jazz"])
    assert actions(undo_run(file, run)) == ["written"]
    assert read_genres(path) == ()


def test_an_undo_of_version_1_can_be_undone_and_redone(tmp_path, file):
    old = OldRun(tmp_path, file)
    assert actions(undo_run(file, old.undo)) == ["written"]
    assert read_genres(old.path) == ("Jazz",)
    assert actions(undo_run(file, old.run)) == ["written"]
    assert read_genres(old.path) == ("Polka",)


def test_an_undo_of_version_1_is_not_undone_over_a_genre_set_since(tmp_path, file):
    old = OldRun(tmp_path, file)
    status = old.path.stat()
    write_genres(old.path, ["By hand"])
    os.utime(old.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert identity(old.path) == (status.st_size, status.st_mtime_ns)
    assert actions(undo_run(file, old.undo)) == ["failed"]
    assert read_genres(old.path) == ("By hand",)


def test_an_undo_of_version_1_that_was_killed_before_it_was_recorded_is_seen(tmp_path, file):
    old = OldRun(tmp_path, file, is_marked=False)
    assert actions(undo_run(file, old.run)) == ["unchanged"]
    assert read_genres(old.path) == ("Polka",)
    with State(file) as opened:
        assert opened.changes(old.run) == []


def test_the_undo_of_two_runs_by_version_1_is_undone_in_turn(tmp_path, file):
    path = tmp_path / "a.flac"
    path.write_bytes(sound("flac"))
    write_genres(path, ["Polka"])
    with closing(old_state(file)) as db:
        fields, runs, entries, undos = [], [], [], []
        for genre in ("Jazz", "Rock"):
            fields.append(read_fields(path))
            runs.append(begin_as_before(db, "tag"))
            entries.append(change_as_before(db, runs[-1], path, fields[-1], [genre]))
        for number in (1, 0):
            undos.append(begin_as_before(db, "undo"))
            change_as_before(db, undos[-1], path, fields[number], [])
            entry, old = entries[number]
            db.execute("UPDATE journal SET undone_by = ? WHERE id = ?", (undos[-1], entry))
            db.execute(
                "UPDATE journal SET new_size = ?, new_mtime_ns = ? "
                "WHERE path = ? AND new_size = ? AND new_mtime_ns = ?",
                (*identity(path), os.fsencode(path), *old),
            )
    assert actions(undo_run(file, undos[1])) == ["written"]
    assert read_genres(path) == ("Jazz",)
    assert actions(undo_run(file, undos[0])) == ["written"]
    assert read_genres(path) == ("Rock",)
    with State(file) as opened:
        assert [len(opened.changes(run)) for run in runs] == [1, 1]


OPENED = """
import sys
from pathlib import Path
from tagger.state.store import State
print("ready", flush=True)
sys.stdin.readline()
with State(Path(sys.argv[1])) as state:
    print(state.do("PRAGMA user_version").fetchone()[0], len(state.runs()))
"""


def test_two_programs_upgrade_one_state(tmp_path, file):
    OldRun(tmp_path, file)
    command = [sys.executable, "-c", OPENED, str(file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    for program in both:
        assert program.stdout.readline() == "ready\n"
    for program in both:
        program.stdin.write("\n")
        program.stdin.flush()
    assert [program.communicate()[0] for program in both] == [f"{VERSION} 2\n"] * 2


def test_a_migration_that_fails_leaves_the_old_version(tmp_path, file, monkeypatch):
    OldRun(tmp_path, file)
    before = dump(file)
    broken = (*database.MIGRATIONS[:-1], f"{database.MIGRATIONS[-1]}; SELECT * FROM nothing")
    monkeypatch.setattr(database, "MIGRATIONS", broken)
    with pytest.raises(StateError):
        State(file)
    assert dump(file) == before


# --- files that are not ours, or newer ------------------------------------------------------------


def untouched(folder: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}


def test_a_newer_version_is_refused_and_untouched(tmp_path, file):
    filled(file, 1)
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = untouched(tmp_path)
    with pytest.raises(StateError, match=r"newer version of tag-genres made .*upgrade") as caught:
        open_state(file, refuse_message)
    assert not isinstance(caught.value, DamagedState)
    assert untouched(tmp_path) == before


@pytest.mark.parametrize("content", [b"x", b"garbage " * 1000, b"SQLite format 3\0" + b"\xff" * 99])
def test_a_file_that_is_not_a_state_is_refused_and_untouched(tmp_path, file, content):
    file.write_bytes(content)
    before = untouched(tmp_path)
    with pytest.raises(StateError, match="--state"):
        open_state(file, refuse_message)
    assert untouched(tmp_path) == before


@pytest.mark.parametrize(
    "script", ["CREATE TABLE runs (x)", "PRAGMA application_id = 7", "PRAGMA journal_mode = WAL"]
)
def test_a_database_of_another_program_is_refused_and_untouched(tmp_path, file, script):
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA application_id = 7")
        db.execute(script)
        db.execute("PRAGMA user_version = 1")
    before = untouched(tmp_path)
    with pytest.raises(StateError, match="the database of another program"):
        open_state(file, refuse_message)
    assert untouched(tmp_path) == before


def test_a_damaged_database_of_another_program_is_refused_and_untouched(tmp_path, file):
    with closing(sqlite3.connect(file)) as db:
        db.executescript("CREATE TABLE x (y); PRAGMA application_id = 7;")
        db.executemany("INSERT INTO x VALUES (?)", [("y" * 1000,)] * 50)
        db.commit()
    overwrite(file, 4096, b"\xff" * 4096)
    before = untouched(tmp_path)
    with pytest.raises(StateError) as caught:
        open_state(file, refuse_message)
    assert not isinstance(caught.value, DamagedState)
    assert untouched(tmp_path) == before


# --- damage ---------------------------------------------------------------------------------------


def overwrite(file: Path, at: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)


def damage_page(file: Path) -> None:
    overwrite(file, file.stat().st_size // 4096 // 2 * 4096, b"\xff" * 4096)


def damage_many_pages(file: Path) -> None:
    overwrite(file, 4096, b"\xa5" * (file.stat().st_size - 8192))


def damage_schema(file: Path) -> None:
    overwrite(file, 100, b"\xa5" * 3000)


def cut_in_half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 4096 // 2 * 4096)


def cut_within_a_page(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 6000)


def keep_the_header(file: Path) -> None:
    os.truncate(file, 100)


def damage_page_size(file: Path) -> None:
    overwrite(file, 16, struct.pack(">H", 12345))


DAMAGES = [damage_page, damage_many_pages, damage_schema, cut_in_half, cut_within_a_page,
           keep_the_header, damage_page_size]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_a_state_is_distinguished_from_other_trouble_and_touches_nothing(
    tmp_path, file, damage
):
    damage(filled(file))
    before = untouched(tmp_path)
    with pytest.raises(DamagedState, match="--state") as caught:
        State(file)
    assert "\n" not in str(caught.value)
    assert untouched(tmp_path) == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_kept_aside_and_a_new_one_is_started(tmp_path, file, damage):
    damage(filled(file))
    content, messages = file.read_bytes(), []
    with open_state(file, messages.append) as opened:
        assert opened.runs() == []
        opened.save_failure(*ADDED)
    (message,) = messages
    (aside,) = tmp_path.glob("state.db.damaged-*")
    assert aside.read_bytes() == content
    assert f"kept as {aside}," in message and "cannot be undone" in message


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"x", bytes(5000)])
def test_a_damaged_file_in_place_of_our_own_state_is_set_aside(
    tmp_path, file, content, monkeypatch
):
    file.write_bytes(content)
    monkeypatch.setattr(store, "default_state", lambda: file)
    messages = []
    with open_state(None, messages.append) as opened:
        opened.begin_run("tag")
    (aside,) = tmp_path.glob("state.db.damaged-*")
    assert (aside.read_bytes(), len(messages)) == (content, 1)


def test_damage_that_shows_only_later_is_an_error_with_advice(file):
    filled(file)
    with State(file) as opened:
        opened.do("PRAGMA cache_size = 0")
        overwrite(file, 4096, b"\xa5" * (file.stat().st_size - 4096))
        with pytest.raises(StateError, match="--state"):
            opened.do("SELECT count(*), max(before) FROM journal").fetchone()


def test_a_write_ahead_log_of_garbage_costs_nothing_that_was_in_the_file(file):
    filled(file)
    before = dump(file)
    Path(f"{file}-wal").write_bytes(b"\xa5" * 50_000)
    with open_state(file, refuse_message) as opened:
        assert len(opened.runs()) == 200
    assert dump(file) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from tagger.state.store import State
state = State(Path(sys.argv[1]))
for _ in range(3):
    state.begin_run("tag", "x" * 1000)
state.do("BEGIN")
state.begin_run("tag")
os.kill(os.getpid(), signal.SIGKILL)
"""


@NO_KILL
def test_only_what_was_committed_survives_a_kill(file):
    subprocess.run([sys.executable, "-c", KILLED, file], cwd=ROOT)
    assert Path(f"{file}-wal").stat().st_size > 0
    with open_state(file, refuse_message) as opened:
        assert [opened.has_run(number) for number in (1, 2, 3, 4)] == [True, True, True, False]


# --- setting aside --------------------------------------------------------------------------------


def test_files_that_sqlite_keeps_beside_a_state_move_with_it(tmp_path, file):
    ends = ("", "-wal", "-shm", "-journal")
    for end in ends:
        Path(f"{file}{end}").write_text(f"content{end}")
    aside = set_aside(file)
    assert untouched(tmp_path) == {f"{aside.name}{end}": f"content{end}".encode() for end in ends}


def test_nothing_that_was_set_aside_before_is_overwritten(tmp_path, file):
    asides = []
    for number in range(5):
        file.write_text(f"state {number}")
        asides.append(set_aside(file))
    assert [aside.read_text() for aside in asides] == [f"state {number}" for number in range(5)]


def test_a_kill_while_setting_aside_never_leaves_a_log_for_the_new_state(file, monkeypatch):
    file.write_text("damaged")
    Path(f"{file}-wal").write_text("log")
    plain, seen = os.rename, []

    def rename(old: str, new: str) -> None:
        plain(old, new)
        seen.append((file.exists(), Path(f"{file}-wal").exists()))

    monkeypatch.setattr(os, "rename", rename)
    set_aside(file)
    assert (False, True) not in seen


def test_a_state_that_cannot_be_set_aside_is_an_error_with_advice(file, monkeypatch):
    damage_page(filled(file))

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(StateError, match=r"cannot be moved aside \(Permission denied\).*--state"):
        open_state(file, refuse_message)


# --- the place ------------------------------------------------------------------------------------


def mount(*arguments: object) -> None:
    if not shutil.which("mount"):
        pytest.skip("no mount here")
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is refused here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system with room for 480 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=480k", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", folder], check=True)


@ROOT_ONLY
@pytest.mark.parametrize("name", ["state.db", "new.db", "new/state.db"])
def test_a_read_only_place_is_reported_at_once(disk, name):
    filled(disk / "state.db", 1)
    mount("-o", "remount,ro", disk)
    with pytest.raises(StateError, match=f"{name} cannot be used .*--state") as caught:
        open_state(disk / name, refuse_message)
    assert not isinstance(caught.value, DamagedState)


@ROOT_ONLY
def test_a_full_disk_is_a_state_error_and_costs_nothing_that_was_committed(disk):
    path = disk / "state.db"
    with State(path) as opened:
        with pytest.raises(StateError, match=r"full.*--state"):
            for number in range(10**6):
                saved = number
                track = Track(Path(f"/music/{number}"), 1, 1)
                opened.record(1, GenreFields({"x": ("y" * 5000,)}, True), (), (track, track))
        with pytest.raises(StateError):
            opened.save_prediction(predicted(Track(Path("/" + "x" * 90_000), 1, 1)), "print", "p")
    assert saved > 10
    copy = disk.parent / "copy.db"
    for end in ("", "-wal"):
        if Path(f"{path}{end}").exists():
            shutil.copy(f"{path}{end}", f"{copy}{end}")
    with State(copy) as opened:
        assert len(opened.changes(1)) == saved


@ROOT_ONLY
def test_after_a_full_disk_the_state_goes_on(disk):
    path, ballast = disk / "state.db", disk / "ballast"
    with State(path) as opened:
        ballast.write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
        with pytest.raises(StateError, match="full"):
            opened.save_failure(ADDED[0], "x" * 200_000, "print", "decoders")
        ballast.unlink()
        opened.save_failure(*ADDED[:3], decoders(opened))
        assert recall(opened, ADDED[0]) == "broken"


# --- alone ----------------------------------------------------------------------------------------


HELD = """
import sys
from pathlib import Path
from tagger.state.store import State
with State(Path(sys.argv[1])) as state, state.locked(print):
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other(file, monkeypatch) -> Iterator[subprocess.Popen]:
    """Another process that locks the state until its input ends or it is killed."""
    monkeypatch.setattr(database, "POLL_SECONDS", 0.02)
    command = [sys.executable, "-c", HELD, str(file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        yield process


class Messages(list):
    """The messages of a run that waits; at the first, the other run ends."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.end = end

    def __call__(self, message: str) -> None:
        self.append(message)
        time.sleep(0.2)  # several polls long
        self.end()


def test_a_second_run_waits_says_so_once_and_goes_on_when_the_first_ends(file, other):
    messages = Messages(other.stdin.close)
    with State(file) as opened, opened.locked(messages):
        assert messages == [f"another run is using {file}; waiting until it is done"]


@NO_KILL
def test_the_lock_does_not_outlive_a_kill(file, other):
    messages = Messages(other.kill)
    with State(file) as opened, opened.locked(messages):
        assert len(messages) == 1
    with State(file) as opened, opened.locked(refuse_message):
        pass


def test_the_state_can_be_read_during_another_run(file, other):
    with State(file) as opened:
        assert opened.runs() == []


def test_one_process_can_take_the_lock_repeatedly(file):
    for _ in range(2):
        with State(file) as opened, opened.locked(refuse_message):
            pass


def test_the_lock_is_given_back_when_the_run_fails(file):
    with State(file) as opened:
        with pytest.raises(ValueError, match="x"), opened.locked(refuse_message):
            raise ValueError("x")
        with opened.locked(refuse_message):
            pass


def test_an_unusable_lock_file_is_an_error_with_advice(file):
    Path(f"{file}-lock").write_bytes(b"garbage " * 1000)
    with (
        State(file) as opened,
        pytest.raises(StateError, match="--state"),
        opened.locked(refuse_message),
    ):
        pass


def test_undo_and_its_list_refuse_a_damaged_state_without_setting_it_aside(tmp_path, file):
    damage_page(filled(file))
    before = untouched(tmp_path)
    with pytest.raises(DamagedState):
        undo_tags(UndoRequest(state=file), progress=None)
    assert untouched(tmp_path) == before


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(file):
    with Database(file) as opened:
        with pytest.raises(StateError), opened.transaction():
            opened.do("INSERT INTO failures VALUES ('a', 'b', 1, 1, 'c', 'd')")
            opened.do("INSERT INTO nothing VALUES (1)")
        with opened.transaction():
            assert opened.do("SELECT count(*) FROM failures").fetchone() == (0,)


def test_every_query_says_what_to_do_about_an_error(file):
    with Database(file) as opened:
        for ask in (opened.do, opened.rows, lambda query: opened.do_many(query, [()])):
            with pytest.raises(StateError, match=r"no such table: nowhere.*--state"):
                ask("INSERT INTO nowhere VALUES (1)")


def test_a_transaction_alone_waits_for_the_disk(file):
    normal, full = [(1,)], [(2,)]
    with Database(file) as opened:
        assert opened.rows("PRAGMA synchronous") == normal
        with opened.transaction():
            assert opened.rows("PRAGMA synchronous") == full
        with pytest.raises(StateError), opened.transaction():
            opened.do("INSERT INTO nowhere VALUES (1)")
        assert opened.rows("PRAGMA synchronous") == normal


def test_damage_that_shows_only_on_a_later_page_is_damage(file):
    filled(file)
    with Database(file) as opened:
        assert len(opened.rows("SELECT path FROM predictions")) == 200
    with Database(file, ours=True) as opened:
        # Of a file that was sound as it was opened.
        for page in range(4, file.stat().st_size // 4096):
            overwrite(file, page * 4096, b"\xff" * 4096)
        opened.do("PRAGMA cache_size = 0")
        with pytest.raises(DamagedState, match="--state"):
            opened.rows("SELECT * FROM predictions")


def test_a_change_to_wal_that_sqlite_refuses_at_once_is_tried_again(tmp_path, monkeypatch):
    """As where two runs make the same new file: SQLite does not wait for this lock."""
    do, refused = Database.do, []

    def refuse_once(self, statement, values=()):
        if "journal_mode" in statement and not refused:
            refused.append(statement)
            raise StateError("refused") from sqlite3.OperationalError("database is locked")
        return do(self, statement, values)

    monkeypatch.setattr(Database, "do", refuse_once)
    with Database(tmp_path / "state.db") as opened:
        assert opened.do("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert refused
