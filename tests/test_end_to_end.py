"""The main job through the console script, on every container."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA, LIBRARY, SCRIPT, Run, environment
from containers import KINDS, make, packets

from tagger.errors import TagError
from tagger.tags import other_tags, read_fields, read_genres, write_genres

ISSUE_COLUMNS = (
    "path,genre,confidence,agreement,second,second_confidence,third,third_confidence,windows,"
    "seconds,existing_genre,action,reason,model,new_genre,heard"
)


def rows_of(text: str) -> dict[str, dict[str, str]]:
    """Rows of a report by file name."""
    return {Path(row["path"]).name: row for row in csv.DictReader(io.StringIO(text))}


def test_the_example_library_is_predicted_with_the_bundled_model(run: Run, tmp_path: Path) -> None:
    music = shutil.copytree(LIBRARY, tmp_path / "Music")
    before = {path.name: path.read_bytes() for path in music.iterdir()}
    done = run(music)
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "home" / "genres.csv").read_text()
    assert report.splitlines()[0] == ISSUE_COLUMNS
    rows = rows_of(report)
    assert rows.keys() == before.keys()
    assert {row["action"] for row in rows.values()} == {"predicted"}
    assert rows["06 Late Set.wav"]["existing_genre"] == "Jazz"
    assert {path.name: path.read_bytes() for path in music.iterdir()} == before
    assert "gtzan-small (bundled, 10 labels) on cpu" in done.stderr


def test_every_container_is_tagged_remembered_and_restored(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    music = tmp_path / "Music"
    for kind in KINDS:
        for genres in ((), ("Polka",), ("Polka", "Ska")):
            folder = music / kind / str(len(genres))
            folder.mkdir(parents=True)
            try:
                path = make(kind, folder)
            except pytest.skip.Exception:
                continue
            if genres:
                write_genres(path, genres)
    paths = [path for path in sorted(music.rglob("*")) if path.is_file()]
    assert len(paths) >= 3 * 12
    fields = {path: read_fields(path) for path in paths}
    others = {path: other_tags(path) for path in paths}
    sound = {path: packets(path) for path in paths}
    options = ("--model", tiny_model, "--write-tags", "--min-confidence", "0", "--csv", "-")

    first = run(music, *options, "--on-existing", "replace")
    assert first.returncode == 0, first.stderr
    rows = list(csv.DictReader(io.StringIO(first.stdout)))
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    for path, row in zip(paths, rows, strict=True):
        assert row["action"] == "written", row
        assert read_genres(path) == (row["genre"],)
        assert other_tags(path) == others[path]
        assert packets(path) == sound[path]

    second = run(music, *options, "--on-existing", "replace", "--model", tiny_model)
    assert second.returncode == 0, second.stderr
    assert {row["action"] for row in csv.DictReader(io.StringIO(second.stdout))} == {"unchanged"}
    assert f"{len(paths)} known from earlier runs" in second.stderr

    undone = run("undo")
    assert undone.returncode == 0, undone.stderr
    for path in paths:
        assert read_fields(path) == fields[path]
        assert other_tags(path) == others[path]
        assert packets(path) == sound[path]
    assert not list(music.rglob(".tag-genres-*"))


def test_a_second_run_imports_no_torch(run: Run, tmp_path: Path, tiny_model: Path) -> None:
    music = shutil.copytree(LIBRARY, tmp_path / "Music")
    assert run(music, "--model", tiny_model).returncode == 0
    program = (
        "import sys; from tagger.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    home = tmp_path / "home"
    again = subprocess.run(
        [sys.executable, "-c", program, str(music), "--model", str(tiny_model), "--write-tags"],
        capture_output=True,
        text=True,
        cwd=home,
        env=environment(home),
    )
    assert again.returncode == 0, again.stderr
    assert "10 tracks, 10 known from earlier runs" in again.stderr


@pytest.mark.parametrize(
    ("choice", "genres"),
    [("keep", ("Polka",)), ("append", ("Polka", "new")), ("replace", ("new",))],
)
def test_existing_genres_are_kept_appended_to_or_replaced(
    run: Run, tmp_path: Path, tiny_model: Path, choice: str, genres: tuple[str, ...]
) -> None:
    path = make("flac", tmp_path)
    write_genres(path, ("Polka",))
    options = ("--write-tags", "--min-confidence", 0, "--on-existing", choice, "--csv", "-")
    done = run(path, "--model", tiny_model, *options)
    row = rows_of(done.stdout)["sound.flac"]
    new = row["genre"]
    assert read_genres(path) == tuple(new if genre == "new" else genre for genre in genres)
    assert row["action"] == ("kept" if choice == "keep" else "written")
    assert row["existing_genre"] == "Polka"


def test_below_the_floor_nothing_is_written(run: Run, tmp_path: Path, tiny_model: Path) -> None:
    path = make("mp3", tmp_path)
    before = path.read_bytes()
    options = ("--write-tags", "--min-confidence", 1, "--on-existing", "replace", "--csv", "-")
    done = run(path, "--model", tiny_model, *options)
    assert done.returncode == 0
    assert rows_of(done.stdout)["sound.mp3"]["action"] == "unsure"
    assert path.read_bytes() == before


def test_a_dry_run_changes_no_file(run: Run, tmp_path: Path, tiny_model: Path) -> None:
    path = make("vorbis", tmp_path)
    before = path.read_bytes()
    options = ("--write-tags", "--dry-run", "--min-confidence", 0, "--csv", "-")
    done = run(path, "--model", tiny_model, *options)
    assert rows_of(done.stdout)["sound.ogg"]["action"] == "would-write"
    assert path.read_bytes() == before
    assert run("undo").returncode == 1


def test_bad_files_cost_a_row_each_and_exit_code_3(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    music = tmp_path / "Music"
    music.mkdir()
    good = make("flac", music)
    (music / "empty.mp3").touch()
    (music / "text.ogg").write_text("not music at all")
    (music / "broken link.flac").symlink_to(music / "gone.flac")
    (music / "self.flac").symlink_to(music / "self.flac")
    (music / "up").symlink_to(tmp_path)
    mislabelled = shutil.copy(make("m4a", tmp_path), music / "really an m4a.mp3")
    half = make("wavpack", music)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    odd = music / os.fsdecode(b'caf\xe9 \n "quoted", =1.flac')
    shutil.copy(good, odd)
    options = ("--model", tiny_model, "--csv", "-", "--write-tags", "--min-confidence", 0)
    done = run(music, tmp_path / "vanished.mp3", *options)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    rows = rows_of(done.stdout)
    failed = {name for name, row in rows.items() if row["action"] == "failed"}
    assert failed == {
        "empty.mp3", "text.ogg", "broken link.flac", "self.flac", "up", half.name, "vanished.mp3",
    }  # fmt: skip
    assert all(rows[name]["reason"] for name in failed)
    assert rows['caf\\xe9 \n "quoted", =1.flac']["action"] == "written"
    assert rows[Path(mislabelled).name]["action"] == "written"


def test_undo_names_files_that_changed_since(run: Run, tmp_path: Path, tiny_model: Path) -> None:
    music = tmp_path / "Music"
    music.mkdir()
    path, other = make("flac", music), make("mp3", music)
    options = ("--model", tiny_model, "--write-tags", "--min-confidence", 0)
    assert run(music, *options).returncode == 0
    write_genres(path, ("Mine",))
    planned = run("undo", "--dry-run")
    assert planned.returncode == 3 and read_genres(other)
    undone = run("undo")
    assert undone.returncode == 3
    assert str(path) in undone.stderr and "changed since" in undone.stderr
    assert read_genres(path) == ("Mine",)
    assert read_genres(other) == ()


TRACKS = 1600  # enough that a fast machine is not done before the signal comes


def test_ctrl_c_keeps_what_is_done_and_a_second_run_goes_on(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    music = tmp_path / "Music"
    music.mkdir()
    song = make("flac", tmp_path)
    for number in range(TRACKS):
        shutil.copy(song, music / f"{number:04}.flac")
    home, state = tmp_path / "home", tmp_path / "state.sqlite3"
    arguments = [music, "--model", tiny_model, "--state", state, "--batch-size", 4]
    process = subprocess.Popen(
        [*SCRIPT, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
        env=environment(home),
        start_new_session=True,
    )
    while not _predictions(state) and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert "Traceback" not in messages and "run the same command again" in messages
    done = _predictions(state)
    assert 0 < done < TRACKS
    again = run(*arguments)
    assert again.returncode == 0, again.stderr
    assert f"{done} known from earlier runs" in again.stderr
    assert _predictions(state) == TRACKS


def _predictions(state: Path) -> int:
    try:
        with sqlite3.connect(f"file:{state}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM predictions").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        if "database" in locals():
            database.close()


def test_python_gives_the_predictions_of_the_report(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    from tagger import predict

    done = run(LIBRARY, "--model", tiny_model, "--csv", "-", "--all-probabilities")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    predictions = predict(LIBRARY, model=str(tiny_model))
    assert [str(p.track.path) for p in predictions] == [row["path"] for row in rows]
    for prediction, row in zip(predictions, rows, strict=True):
        told = [float(row[label]) for label in prediction.labels]
        np.testing.assert_allclose(told, prediction.probabilities, atol=1e-6)


@pytest.mark.skipif(not DATA.exists(), reason="the corpus of odd files is not beside the project")
def test_the_corpus_of_odd_files_is_tagged_and_restored(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    music = tmp_path / "corpus"
    paths = [
        Path(shutil.copy(path, _folder(music / path.parent.name) / path.name))
        for path in sorted((DATA / "tag-corpus").glob("*/*"))
    ]
    for path in paths:
        path.chmod(0o644)
    before = {path: _state_of(path) for path in paths}
    options = ("--model", tiny_model, "--csv", "-", "--write-tags", "--on-existing", "replace")
    done = run(*paths, *options, "--min-confidence", 0)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    for path, row in zip(paths, rows, strict=True):
        if row["action"] != "written":
            assert path.read_bytes() == before[path][-1], row
    assert sum(row["action"] == "written" for row in rows) > 150
    undone = run("undo")
    assert undone.returncode == 0, undone.stderr
    for path in paths:
        assert _state_of(path)[:-1] == before[path][:-1], path


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _state_of(path: Path) -> tuple[object, object, bytes]:
    """Genre and other tags, decoded audio, and bytes of a file."""
    from tagger.audio import read_windows
    from tagger.errors import AudioError
    from tagger.windows import WindowPlan

    try:
        tags: object = (read_fields(path), other_tags(path))
    except TagError as error:
        tags = type(error)
    try:
        audio: object = read_windows(path, WindowPlan(16_000, 16_000, None)).windows.tobytes()
    except AudioError:
        audio = None
    return tags, audio, path.read_bytes()
