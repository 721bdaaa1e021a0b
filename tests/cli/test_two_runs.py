"""Of two runs at once over one library, with one state, the second waits and finds all done."""

from __future__ import annotations

import csv
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.command import SCRIPT, environment
from helpers.containers import packets
from helpers.known import song

from tagger.tags.genre_tag import read_genres, read_tag

TRACKS = 40
WAITING = "another run is using"
SECONDS = 120  # the longest that a test waits for a process


@dataclass
class Place:
    """A library, a state, and a home for the processes that work on them."""

    root: Path

    def __post_init__(self) -> None:
        for folder in (self.music, self.home):
            folder.mkdir()
        for number in range(TRACKS):
            kind, suffix = (("flac", "flac"), ("mp3", "mp3"))[number % 2]
            song(self.music / f"{number:02}.{suffix}", kind=kind)

    music = property(lambda self: self.root / "Music")
    home = property(lambda self: self.root / "home")
    state = property(lambda self: self.root / "state.sqlite3")

    def command(self, name: str, model: Path) -> list[object]:
        """A run that writes, with a report of its own."""
        writing = ["--write-tags", "--on-existing", "replace", "--min-confidence", 0]
        own = ["--csv", f"{name}.csv", "--state", self.state, "--batch-size", 1]
        return [self.music, "--model", model, *writing, *own]

    @contextmanager
    def started(self, name: str, model: Path) -> Iterator[subprocess.Popen[str]]:
        """The run in a process, which says what it does into a file and so cannot block."""
        command = [*SCRIPT, *map(str, self.command(name, model))]
        with (
            (self.home / f"{name}.log").open("w") as log,
            subprocess.Popen(
                command, stderr=log, cwd=self.home, env=environment(self.home), text=True
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()  # where a test failed; else it has ended

    def said(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text()

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.home / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def count(self, table: str, what: str = "*") -> int:
        """How many rows the state has, read without waiting for a lock."""
        try:
            with closing(sqlite3.connect(f"file:{self.state}?mode=ro", uri=True)) as database:
                return int(database.execute(f"SELECT count({what}) FROM {table}").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    def tags(self) -> dict[str, object]:
        """What is in every file of the library, by its name."""
        return {path.name: (read_tag(path), packets(path)) for path in self.music.iterdir()}


def wait_until(happened: Callable[[], bool], *processes: subprocess.Popen[str]) -> None:
    """Return as soon as a condition holds, which must be before the processes end."""
    end = time.monotonic() + SECONDS
    while not happened():
        assert all(process.poll() is None for process in processes), "it ended before"
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.001)


@dataclass
class Two:
    """How two runs that started together ended: the one that came first, and the other."""

    place: Place
    codes: list[int]
    first: str
    second: str


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Two:
    place = Place(tmp_path_factory.mktemp("together"))
    names = ["a", "b"]
    with place.started("a", tiny_model) as a, place.started("b", tiny_model) as b:
        codes = [process.wait(SECONDS) for process in (a, b)]
    names.sort(key=lambda name: WAITING in place.said(name))
    return Two(place, codes, *names)


def test_both_end_well(two: Two) -> None:
    assert two.codes == [0, 0], two.place.said("a") + two.place.said("b")


def test_the_one_that_waits_says_so_and_the_other_does_not(two: Two) -> None:
    assert WAITING in two.place.said(two.second)
    assert WAITING not in two.place.said(two.first)
    assert two.place.said(two.second).count(WAITING) == 1


def test_nothing_is_predicted_twice(two: Two) -> None:
    assert "known from earlier runs" not in two.place.said(two.first)
    assert f"{TRACKS} tracks, {TRACKS} known from earlier runs" in two.place.said(two.second)


def test_nothing_is_written_twice(two: Two) -> None:
    assert two.place.count("journal") == two.place.count("journal", "DISTINCT path") == TRACKS
    assert {row["action"] for row in two.place.rows(two.first)} == {"written"}
    assert {row["action"] for row in two.place.rows(two.second)} == {"unchanged"}


def test_both_reports_have_every_track(two: Two) -> None:
    paths = [str(path) for path in sorted(two.place.music.iterdir())]
    for name in (two.first, two.second):
        assert [row["path"] for row in two.place.rows(name)] == paths


def test_every_file_has_what_the_report_says(two: Two) -> None:
    for row in two.place.rows(two.second):
        assert read_genres(Path(row["path"])) == (row["genre"],)


@pytest.mark.parametrize("table", ["predictions", "journal"])
def test_a_run_that_waits_goes_on_where_a_killed_one_stopped(
    tmp_path: Path, tiny_model: Path, two: Two, table: str
) -> None:
    place = Place(tmp_path)
    with place.started("first", tiny_model) as first:
        wait_until(Path(f"{place.state}-lock").exists, first)
        with place.started("second", tiny_model) as second:
            wait_until(lambda: WAITING in place.said("second"), first, second)
            # The second run takes back a write that the first has not finished.
            wait_until(lambda: place.count(table) > 1, first, second)
            first.kill()
            assert first.wait(SECONDS) == -signal.SIGKILL
            known = place.count("predictions")
            # Otherwise the kill came too late to test anything.
            assert 0 < place.count(table) < TRACKS
            assert second.wait(SECONDS) == 0, place.said("second")

    shown = re.search(r"(\d+) known from earlier runs", place.said("second"))
    assert shown is not None and int(shown[1]) == known
    assert place.tags() == two.place.tags()
    assert len(place.rows("second")) == place.count("predictions") == TRACKS
    assert place.count("journal", "DISTINCT path") == place.count("journal") == TRACKS


def test_an_undo_waits_for_a_run_and_goes_on_after_it(tmp_path: Path, two: Two) -> None:
    home = tmp_path / "home"
    home.mkdir()
    state = shutil.copy(two.place.state, tmp_path / "state.sqlite3")
    other = sqlite3.connect(f"{state}-lock", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with (
        closing(other),
        subprocess.Popen(
            [*SCRIPT, "undo", "--dry-run", "--state", str(state)],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=home,
            env=environment(home),
        ) as undo,
    ):
        try:
            assert undo.stderr is not None
            assert WAITING in undo.stderr.readline()
            assert undo.poll() is None
            other.close()
            shown, messages = undo.communicate(timeout=SECONDS)
        finally:
            undo.kill()
    assert undo.returncode == 0, messages
    assert shown.count("+ (no genre)") == TRACKS
