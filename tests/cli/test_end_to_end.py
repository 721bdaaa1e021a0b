"""The main job through the console script, on every container."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mutagen
import numpy as np
import openpyxl
import pytest
from helpers.command import DATA, LIBRARY, SCRIPT, Run, environment
from helpers.containers import BORROWED, KINDS, make, packets
from helpers.known import JAZZ, ROCK, bundled, know, rows_of, song

from tagger.errors import TagError
from tagger.tags.genre_tag import other_tags, read_fields, read_genres, read_tag, write_genres

ISSUE_COLUMNS = (
    "path,genre,confidence,agreement,second,second_confidence,third,third_confidence,windows,"
    "seconds,existing_genre,action,reason,model,new_genre,heard"
)


def test_the_example_library_is_predicted_with_the_bundled_model(run: Run, tmp_path: Path) -> None:
    music = shutil.copytree(LIBRARY, tmp_path / "Music")
    before = {path.name: path.read_bytes() for path in music.iterdir()}
    done = run(music)
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "home" / "genres.csv").read_text("utf-8-sig")
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
    silent = {path for path in paths if path.relative_to(music).parts[0] in BORROWED}
    options = ("--model", tiny_model, "--write-tags", "--min-confidence", "0", "--csv", "-")

    first = run(music, *options, "--on-existing", "replace")
    assert first.returncode == 0, first.stderr
    rows = list(csv.DictReader(io.StringIO(first.stdout)))
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    for path, row in zip(paths, rows, strict=True):
        assert row["action"] == ("unsure" if path in silent else "written"), row
        assert path in silent or read_genres(path) == (row["genre"],)
        assert other_tags(path) == others[path]
        assert packets(path) == sound[path]

    second = run(music, *options, "--on-existing", "replace", "--model", tiny_model)
    assert second.returncode == 0, second.stderr
    again = Counter(row["action"] for row in csv.DictReader(io.StringIO(second.stdout)))
    assert again == {"unchanged": len(paths) - len(silent), "unsure": len(silent)}
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
        "import sys; from tagger.cli.tag import main\n"
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


TRACKS = 400  # enough that a fast machine is not done with them before the signal comes


def test_ctrl_c_keeps_what_is_done_and_a_second_run_goes_on(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    music = tmp_path / "Music"
    music.mkdir()
    for number in range(TRACKS):
        song(music / f"{number:04}.flac")
    # It is decoded for longer than the test runs, so that even a late signal interrupts the run.
    endless = music / "endless.mp3"
    endless.write_bytes(b"\xff\xfb\x90\0")
    os.truncate(endless, 1 << 40)
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
    assert 0 < done <= TRACKS
    endless.unlink()
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
        reported = [float(row[label]) for label in prediction.labels]
        np.testing.assert_allclose(reported, prediction.probabilities, atol=1e-6)


# --- from here on, the tests choose what the model predicted: no run needs torch ------------------


@pytest.fixture
def music(invoke: Run, tmp_path: Path) -> Path:
    """Three tracks predicted as rock: without a genre, with one, with two."""
    music = tmp_path / "Music"
    paths = [
        song(music / "a.flac"),
        song(music / "b.mp3", "Polka", kind="mp3"),
        song(music / "sub" / "c.m4a", "Ska", "Dub", kind="m4a"),
    ]
    know(tmp_path / "home", paths, ROCK)
    return music


def genres_in(music: Path) -> dict[str, tuple[str, ...]]:
    return {path.name: read_genres(path) for path in music.rglob("*.*")}


NONE_YET = {"a.flac": (), "b.mp3": ("Polka",), "c.m4a": ("Ska", "Dub")}
ALL_ROCK = dict.fromkeys(NONE_YET, ("Rock",))


def write_all(invoke: Run, music: Path, *options: object) -> None:
    done = invoke(music, "--write-tags", "--on-existing", "replace", *options)
    assert done.returncode == 0, done.stderr


def albums(invoke: Run, root: Path, by: str, *options: object) -> dict[str, dict[str, str]]:
    """Rows of a run over an album of two discs and a compilation; few tracks are jazz."""
    music, known = root / "Music", []
    for place, album, artist, shares in [
        ("Live/CD1/live1.flac", "Live (Disc 1)", "Yes", ROCK),
        ("Live/CD1/live2.flac", "Live (Disc 1)", "Yes", JAZZ),
        ("Live/CD2/live3.flac", "Live [CD2]", "Yes", ROCK),
        ("Now/now1.flac", "Now", "Various Artists", JAZZ),
        ("Now/now2.flac", "Now", "Various Artists", ROCK),
    ]:
        path = song(music / place)
        media = mutagen.File(path)
        media.update({"album": [album], "albumartist": [artist]})
        media.save()
        known.append((path, shares))
    write_genres(music / "Live/CD1/live2.flac", ["Polka"])
    for path, shares in known:
        know(root / "home", [path], shares)
    done = invoke(music, "--write-tags", "--by", by, "--min-confidence", 0, "--csv", "-", *options)
    assert done.returncode == 0 and "5 known from earlier runs" in done.stderr, done.stderr
    return rows_of(done.stdout)


def test_by_album_its_discs_get_one_genre_and_compilations_theirs_by_track(
    invoke: Run, tmp_path: Path
) -> None:
    rows = albums(invoke, tmp_path, "album", "--on-existing", "replace")
    wanted = {f"live{n}.flac": ("Rock",) for n in (1, 2, 3)}
    wanted |= {"now1.flac": ("Jazz",), "now2.flac": ("Rock",)}
    assert genres_in(tmp_path / "Music") == wanted
    means = {name for name, row in rows.items() if "mean of 3 tracks of its album" in row["reason"]}
    assert means == {"live1.flac", "live2.flac", "live3.flac"}
    assert {rows[name]["confidence"] for name in means} == {"0.4"}


def test_by_album_genres_that_are_there_are_kept(invoke: Run, tmp_path: Path) -> None:
    row = albums(invoke, tmp_path, "album")["live2.flac"]
    assert (row["action"], row["new_genre"], row["heard"]) == ("kept", "Polka", "Rock")


def test_by_folder_a_compilation_is_a_folder_like_any_other(invoke: Run, tmp_path: Path) -> None:
    rows = albums(invoke, tmp_path, "folder", "--on-existing", "replace")
    assert genres_in(tmp_path / "Music")["now2.flac"] == ("Jazz",)
    assert rows["now2.flac"]["reason"] == "it has no genre; mean of 2 tracks of its folder"


# --- reports that a person edited -----------------------------------------------------------------


def edited(report: Path, changes: dict[str, str], delimiter: str = ",", start: str = "") -> None:
    """Save a report as a spreadsheet does, with other genres for some files."""
    rows = list(csv.DictReader(io.StringIO(report.read_text(encoding="utf-8-sig"))))
    for row in rows:
        row["genre"] = changes.get(Path(row["path"]).name, row["genre"])
    with report.open("w", encoding="utf-8", newline="") as file:
        file.write(start)
        table = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
        table.writeheader()
        table.writerows(rows)


@pytest.mark.parametrize(("delimiter", "start"), [(",", ""), (";", "\ufeff"), ("\t", "\ufeff")])
def test_an_edited_report_is_planned_applied_and_undone(
    invoke: Run, music: Path, delimiter: str, start: str
) -> None:
    report = music.parent / "home" / "genres.csv"
    assert invoke(music, "--write-tags").returncode == 0
    written = genres_in(music)
    edited(report, {"a.flac": "Bop; Swing", "c.m4a": ""}, delimiter, start)

    planned = invoke("apply", report, "--dry-run")
    assert planned.returncode == 0 and "would write 1" in planned.stderr
    assert genres_in(music) == written
    applied = invoke("apply", report)
    assert applied.returncode == 0, applied.stderr
    assert "written 1 · unchanged 2\nundo with: tag-genres undo --run 2\n" in applied.stderr
    assert genres_in(music) == written | {"a.flac": ("Bop", "Swing")}
    undone = invoke("undo")
    assert undone.returncode == 0 and "run 2: put back the genre of 1 file" in undone.stderr
    assert genres_in(music) == written


def test_an_edited_workbook_is_applied_and_undone(invoke: Run, music: Path) -> None:
    home = music.parent / "home"
    done = invoke(music, "--xlsx", "genres.xlsx")
    assert done.returncode == 0 and "report: genres.xlsx\n" in done.stderr
    assert not (home / "genres.csv").exists()
    book = openpyxl.load_workbook(home / "genres.xlsx")
    for path, genre, *_ in book.active.iter_rows(min_row=2):
        if path.value == str(music / "a.flac"):
            genre.value = "Bop; Música"
    book.save(home / "genres.xlsx")
    before = genres_in(music)
    applied = invoke("apply", "genres.xlsx")
    assert applied.returncode == 0 and "written 1" in applied.stderr, applied.stderr
    assert genres_in(music) == before | {"a.flac": ("Bop", "Música")}
    assert invoke("undo").returncode == 0
    assert genres_in(music) == before


def test_a_run_can_write_both_reports(invoke: Run, music: Path) -> None:
    done = invoke(music, "--xlsx", "r.xlsx", "--csv", "r.csv")
    assert done.returncode == 0 and "report: r.csv, r.xlsx\n" in done.stderr
    by_csv = rows_of((music.parent / "home" / "r.csv").read_text("utf-8-sig"))
    sheet = openpyxl.load_workbook(music.parent / "home" / "r.xlsx").active
    names = [cell.value for cell in sheet[1]]
    by_xlsx = [dict(zip(names, row, strict=True)) for row in sheet.iter_rows(2, values_only=True)]
    assert [row["path"] for row in by_xlsx] == [row["path"] for row in by_csv.values()]
    assert [row["genre"] for row in by_xlsx] == [row["genre"] for row in by_csv.values()]


@pytest.mark.parametrize("option", [("--csv", "r.xlsx"), ("--xlsx", "r.csv")])
def test_a_report_with_the_suffix_of_the_other_is_refused_first(
    invoke: Run, music: Path, option: tuple[str, str]
) -> None:
    done = invoke(music, *option)
    assert done.returncode == 1 and "--xlsx" in done.stderr and done.stderr.count("\n") == 1
    assert not (music.parent / "home" / option[1]).exists()


def test_a_report_without_writing_can_be_applied_where_there_is_no_genre(
    invoke: Run, music: Path
) -> None:
    assert invoke(music).returncode == 0
    done = invoke("apply", music.parent / "home" / "genres.csv", "--all")
    assert done.returncode == 0, done.stderr
    assert genres_in(music) == {name: genres or ALL_ROCK[name] for name, genres in NONE_YET.items()}


def test_what_changed_since_the_report_is_left_alone_and_named(invoke: Run, music: Path) -> None:
    report = music.parent / "home" / "genres.csv"
    assert invoke(music).returncode == 0
    edited(report, {"a.flac": "Bop", "b.mp3": "Bop"})
    write_genres(music / "b.mp3", ["Mine"])
    done = invoke("apply", report)
    assert done.returncode == 3
    assert f"{music / 'b.mp3'}: its genre has changed since the report, to Mine" in done.stderr
    assert genres_in(music) == NONE_YET | {"a.flac": ("Bop",), "b.mp3": ("Mine",)}


def test_a_file_that_is_not_a_report_is_one_line_and_exit_code_1(invoke: Run, music: Path) -> None:
    sheet = music.parent / "sheet.csv"
    sheet.write_text("name,style\na,b\n")
    for file in (sheet, music / "a.flac"):
        done = invoke("apply", file)
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert done.stderr.startswith(f"tag-genres: {file}")


def test_a_report_without_rows_says_that_there_is_nothing_to_do(invoke: Run, music: Path) -> None:
    sheet = music.parent / "sheet.csv"
    sheet.write_text("path,genre\n")
    done = invoke("apply", sheet)
    assert (done.returncode, done.stderr) == (0, "nothing to do\n")


# --- undo -----------------------------------------------------------------------------------------


def test_undo_lists_the_runs_that_changed_tags(invoke: Run, music: Path) -> None:
    write_all(invoke, music)
    assert invoke(music).returncode == 0  # writes nothing, so it is not listed
    assert invoke("undo", "--path", music / "b.mp3").returncode == 0
    head, first, last = invoke("undo", "--list").stdout.splitlines()
    assert head.split() == ["run", "when", "(UTC)", "what", "files", "undone", "by"]
    assert first.split()[0] == "1" and first.split()[3:] == ["tag", "3", "1", "gtzan-small"]
    assert last.split()[0] == "2" and last.split()[3:] == ["undo", "1", "0", "of", "run", "1"]


def test_two_runs_are_undone_together(invoke: Run, music: Path) -> None:
    write_all(invoke, music)
    write_all(invoke, music, "--top", 2)
    done = invoke("undo", "--run", 1, "--run", 2)
    assert done.returncode == 0, done.stderr
    assert genres_in(music) == NONE_YET


def test_a_run_is_not_undone_before_a_later_one_that_overwrote_it(invoke: Run, music: Path) -> None:
    write_all(invoke, music)
    write_all(invoke, music, "--top", 2)
    done = invoke("undo", "--run", 1)
    assert done.returncode == 3
    assert done.stderr.count("run 2 changed it later; undo that first") == 3
    assert set(genres_in(music).values()) == {("Rock", "Metal")}


def test_only_what_lies_under_a_path_is_undone(invoke: Run, music: Path) -> None:
    write_all(invoke, music)
    done = invoke("undo", "--path", os.path.relpath(music / "sub", music.parent / "home"))
    assert done.returncode == 0, done.stderr
    assert genres_in(music) == ALL_ROCK | {"c.m4a": ("Ska", "Dub")}


def test_the_tags_of_a_library_that_moved_are_taken_back(invoke: Run, music: Path) -> None:
    write_all(invoke, music)
    new = music.rename(music.parent / "Moved")
    assert invoke("undo").returncode == 3  # nothing is where it was
    moved = ("--from", music, "--to", new)
    planned = invoke("undo", *moved, "--dry-run")
    assert planned.returncode == 0 and str(new / "a.flac") in planned.stdout
    assert genres_in(new) == ALL_ROCK
    done = invoke("undo", *moved)
    assert done.returncode == 0 and "put back the genre of 3 files" in done.stderr, done.stderr
    assert genres_in(new) == NONE_YET
    assert "3 known from earlier runs" in invoke(new).stderr


@pytest.mark.parametrize("given", [("--from", "."), ("--to", ".")])
def test_undo_needs_the_old_place_and_the_new_one_together(
    invoke: Run, given: tuple[str, str]
) -> None:
    done = invoke("undo", *given)
    assert done.returncode == 2 and "--from and --to go together" in done.stderr


def test_an_undo_is_undone_and_that_as_well(invoke: Run, music: Path) -> None:
    write_all(invoke, music)
    for number, wanted in [(1, NONE_YET), (2, ALL_ROCK), (3, NONE_YET)]:
        done = invoke("undo", "--run", number)
        assert done.returncode == 0, done.stderr
        assert f"this undo is run {number + 1} and can be undone too" in done.stderr
        assert genres_in(music) == wanted


# --- how files are written ------------------------------------------------------------------------


@pytest.fixture
def every_kind(invoke: Run, tmp_path: Path) -> dict[str, Path]:
    """A file of every container that can be made here, each predicted as rock."""
    paths = {}
    for kind in KINDS:
        folder = _folder(tmp_path / "Music" / kind)
        try:
            paths[kind] = make(kind, folder)
        except pytest.skip.Exception:
            continue
        os.utime(paths[kind], ns=(10**18, 10**18 + 7))
    know(tmp_path / "home", paths.values(), ROCK)
    return paths


def shown_by_ffprobe(path: Path) -> dict[str, str]:
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(path)]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    parts = [shown["format"], *shown["streams"]]
    return {key: value for part in parts for key, value in part.get("tags", {}).items()}


def test_provenance_is_in_every_container_and_a_second_run_adds_nothing(
    invoke: Run, tmp_path: Path, every_kind: dict[str, Path]
) -> None:
    music = tmp_path / "Music"
    write_all(invoke, music, "--provenance")
    for kind, path in every_kind.items():
        note = json.loads(read_tag(path).note)
        assert note["genres"] == ["Rock"], kind
        assert (note["model"], note["fingerprint"]) == ("gtzan-small", bundled().fingerprint)
        assert note["confidence"] == 0.6
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in every_kind.values()}
    write_all(invoke, music, "--provenance", "--csv", "again.csv")
    rows = csv.DictReader(io.StringIO((tmp_path / "home" / "again.csv").read_text("utf-8-sig")))
    assert {row["action"] for row in rows} == {"unchanged"}
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not here")
def test_other_programs_see_the_provenance(
    invoke: Run, tmp_path: Path, every_kind: dict[str, Path]
) -> None:
    write_all(invoke, tmp_path / "Music", "--provenance")
    del every_kind["dsdiff"]  # FFmpeg does not read its ID3 chunk
    for kind, path in every_kind.items():
        shown = {key.casefold(): value for key, value in shown_by_ffprobe(path).items()}
        assert shown["genre"] == "Rock", kind
        if kind == "wav":  # with a RIFF INFO list, FFmpeg 5 shows nothing of the ID3 tag
            shown["tag_genres"] = mutagen.File(path)["TXXX:TAG_GENRES"].text[0]
        assert json.loads(shown["tag_genres"])["genres"] == ["Rock"], kind


def test_an_undo_takes_the_provenance_back(
    invoke: Run, tmp_path: Path, every_kind: dict[str, Path]
) -> None:
    before = {path: read_fields(path) for path in every_kind.values()}
    write_all(invoke, tmp_path / "Music", "--provenance")
    assert invoke("undo").returncode == 0
    assert {path: read_fields(path) for path in before} == before


def test_keep_mtime_keeps_it_and_the_run_after_still_knows_all(
    invoke: Run, tmp_path: Path, every_kind: dict[str, Path]
) -> None:
    write_all(invoke, tmp_path / "Music", "--keep-mtime")
    assert {path.stat().st_mtime_ns for path in every_kind.values()} == {10**18 + 7}
    assert all(read_genres(path) == ("Rock",) for path in every_kind.values())
    again = invoke(tmp_path / "Music", "--write-tags", "--on-existing", "replace")
    assert f"{len(every_kind)} known from earlier runs" in again.stderr
    assert f"unchanged {len(every_kind)}" in again.stderr
    assert invoke("undo", "--keep-mtime").returncode == 0
    assert not any(read_genres(path) for path in every_kind.values())


def test_without_keep_mtime_players_see_that_a_file_changed(invoke: Run, music: Path) -> None:
    before = (music / "a.flac").stat().st_mtime_ns
    write_all(invoke, music)
    assert (music / "a.flac").stat().st_mtime_ns > before


def test_a_hard_linked_file_is_written_if_asked_and_its_other_name_keeps_the_old(
    invoke: Run, music: Path
) -> None:
    other = music.parent / "seeding.mp3"
    os.link(music / "b.mp3", other)
    done = invoke(music, "--write-tags", "--on-existing", "replace")
    assert done.returncode == 3 and "hard-linked: 1 other name" in done.stderr
    assert read_genres(music / "b.mp3") == read_genres(other) == ("Polka",)
    write_all(invoke, music, "--break-hardlinks")
    assert (read_genres(music / "b.mp3"), read_genres(other)) == (("Rock",), ("Polka",))


@contextmanager
def immutable(*paths: Path) -> Iterator[None]:
    """Files that nobody may write to, root included, for whom modes do not count."""
    command = ["chattr", "+i", *map(str, paths)]
    if shutil.which("chattr") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("chattr +i does not work here, and root may write to anything else")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *map(str, paths)], check=True)


@contextmanager
def unwritable(*paths: Path) -> Iterator[None]:
    """Files and folders that the user who runs the tests may not write to."""
    if os.geteuid() == 0:
        with immutable(*paths):
            yield
        return
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0o555)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_what_cannot_be_written_has_a_reason_and_everything_else_is_written(
    invoke: Run, music: Path, tmp_path: Path
) -> None:
    locked = song(music / "locked" / "locked.flac")
    paths = [song(music / f"{name}.flac") for name in ("read-only", "linked", "open")]
    know(tmp_path / "home", [locked, *paths], ROCK)
    read_only, linked, opened = paths
    os.link(linked, tmp_path / "other.flac")
    before = {path: path.read_bytes() for path in [locked, *paths]}
    options = ("--write-tags", "--on-existing", "replace", "--csv", "-")
    with unwritable(read_only, locked.parent), opened.open("r+b"):
        done = invoke(music, *options)
    assert done.returncode == 3, done.stderr
    rows = rows_of(done.stdout)
    reasons = {name: row["reason"] for name, row in rows.items() if row["action"] == "failed"}
    assert reasons.keys() == {path.name for path in before}
    assert reasons["read-only.flac"] == "the file is read-only"
    assert reasons["locked.flac"] == "its folder is read-only"
    assert reasons["linked.flac"].startswith("hard-linked: 1 other name")
    assert reasons["open.flac"].startswith("another program has it open for writing")
    assert {path: path.read_bytes() for path in before} == before
    assert all(read_genres(music / name) == ("Rock",) for name in ("a.flac", "b.mp3"))
    assert not list(music.rglob(".tag-genres-*"))
    again = invoke(music, *options, "--break-hardlinks")
    assert again.returncode == 0, again.stderr
    assert "written 4 · unchanged 3" in again.stderr


@pytest.mark.skipif(not DATA.exists(), reason="the corpus of odd files is not beside the project")
@pytest.mark.parametrize(
    ("every", "at_least"), [(8, 18), pytest.param(1, 150, marks=pytest.mark.slow)]
)
def test_the_corpus_of_odd_files_is_tagged_and_restored(
    invoke: Run, tmp_path: Path, every: int, at_least: int
) -> None:
    music = tmp_path / "corpus"
    paths = [
        Path(shutil.copy(path, _folder(music / path.parent.name) / path.name))
        for path in sorted((DATA / "tag-corpus").glob("*/*"))[::every]
    ]
    for path in paths:
        path.chmod(0o644)
    before = {path: _state_of(path) for path in paths}
    # Many of them are silent, which no model predicts anything for.
    know(tmp_path / "home", [path for path in paths if before[path][1] is not None], ROCK)
    done = invoke(*paths, "--csv", "-", "--write-tags", "--on-existing", "replace")
    assert done.returncode == 3 and "Traceback" not in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    for path, row in zip(paths, rows, strict=True):
        if row["action"] != "written":
            assert path.read_bytes() == before[path][-1], row
    assert sum(row["action"] == "written" for row in rows) > at_least
    undone = invoke("undo")
    assert undone.returncode == 0, undone.stderr
    for path in paths:
        assert _state_of(path)[:-1] == before[path][:-1], path


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _state_of(path: Path) -> tuple[object, object, bytes]:
    """Genre and other tags, decoded audio, and bytes of a file."""
    from tagger.audio.reader import read_windows
    from tagger.audio.windows import WindowPlan
    from tagger.errors import AudioError

    try:
        tags: object = (read_fields(path), other_tags(path))
    except TagError as error:
        tags = type(error)
    try:
        audio: object = read_windows(path, WindowPlan(16_000, 16_000, None)).windows.tobytes()
    except AudioError:
        audio = None
    return tags, audio, path.read_bytes()
