"""The log beside the state file holds what would only be in the way on a terminal."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import IO

import pytest
from helpers import sounds
from helpers.command import Run
from helpers.known import ROCK, know, song

from tagger.cli import logfile
from tagger.cli.logfile import logged

LOG = logging.getLogger("tagger.somewhere")


def lines(state: Path) -> list[str]:
    """What was logged, without the time."""
    return [line[20:] for line in Path(f"{state}.log").read_text().splitlines()]


def test_what_a_decoder_prints_is_logged_with_the_name_of_the_file_and_not_shown(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    path = sounds.make("mp3, constant", tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 97 // 100])  # libmpg123 notes that its header says more
    once = ("--windows", 8)  # they are decoded together
    done = run(path, "--model", tiny_model, "--state", tmp_path / "s", "--verbose", *once)
    assert "Xing" not in done.stderr + done.stdout
    (note,) = (line for line in lines(tmp_path / "s") if "Xing" in line)
    assert note.startswith(f"{path}: ")


def test_a_failed_track_is_logged_with_its_reason(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    (tmp_path / "text.mp3").write_text("no music")
    run(tmp_path / "text.mp3", "--model", tiny_model, "--state", tmp_path / "s")
    line = lines(tmp_path / "s")[-1]
    assert "no decoder can read it" in line
    assert line.startswith(f"{tmp_path / 'text.mp3'}: ")


def test_an_entry_is_one_line_that_a_terminal_does_not_obey(tmp_path: Path) -> None:
    with logged(tmp_path / "s"):
        LOG.info("%s: %s", "\x1b[2J.mp3", "one\ntwo\r")
    assert lines(tmp_path / "s") == [r"\x1b[2J.mp3: one\x0atwo\x0d"]


def test_without_messages_there_is_no_log(tmp_path: Path) -> None:
    with logged(tmp_path / "s"):
        LOG.debug("detail")
    assert not (tmp_path / "s.log").exists()


def test_a_log_that_cannot_be_written_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.log").mkdir()
    with logged(tmp_path / "s"):
        LOG.info("something")
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_the_place_of_the_log_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s.log")
    with logged(tmp_path / "s"):
        LOG.info("something")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_log_on_a_full_disk_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(handler: logging.FileHandler) -> IO[str]:
        return open("/dev/full", "w")

    monkeypatch.setattr(logging.FileHandler, "_open", full)
    with logged(tmp_path / "s"):
        LOG.info("something")
    assert capsys.readouterr() == ("", "")


def test_the_log_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "BYTES", 1000)
    with logged(tmp_path / "s"):
        for number in range(500):
            LOG.info("entry %d", number)
    assert lines(tmp_path / "s")[-1] == "entry 499"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2000


def test_each_write_is_logged_with_its_run_and_can_be_found_again(
    invoke: Run, tmp_path: Path
) -> None:
    path, log = song(tmp_path / "a.flac", "Polka"), tmp_path / "writes.log"
    know(tmp_path / "home", [path], ROCK)
    assert invoke(path, "--write-tags", "--on-existing", "replace", "--log", log).returncode == 0
    assert invoke("undo", "--log", log).returncode == 0
    assert invoke(path, "--write-tags", "--quiet").returncode == 0  # into the usual log
    written = [line[20:] for line in log.read_text().splitlines()]
    assert written == [
        f"written: {path}: Polka -> Rock (run 1)", f"written: {path}: Rock -> Polka (run 2)",
    ]  # fmt: skip


def test_what_a_dry_run_would_write_is_not_logged(invoke: Run, tmp_path: Path) -> None:
    path, log = song(tmp_path / "a.flac"), tmp_path / "writes.log"
    know(tmp_path / "home", [path], ROCK)
    assert invoke(path, "--write-tags", "--dry-run", "--log", log).returncode == 0
    assert not log.exists()


def test_a_log_that_is_renamed_during_a_run_starts_anew(tmp_path: Path) -> None:
    log, old = tmp_path / "writes.log", tmp_path / "writes.log.1"
    with logged(tmp_path / "s", log):
        LOG.info("before")
        log.rename(old)  # as logrotate does
        LOG.info("after")
        log.unlink()
        LOG.info("again")
    with logged(tmp_path / "s", log):
        LOG.info("the next run")
    assert [line[20:] for line in log.read_text().splitlines()] == ["again", "the next run"]
    assert old.read_text()[20:] == "before\n"
    assert not (tmp_path / "s.log").exists()


def test_logrotate_may_also_copy_and_truncate_it(tmp_path: Path) -> None:
    log = tmp_path / "writes.log"
    with logged(None, log):
        LOG.info("before")
        os.truncate(log, 0)
        LOG.info("after")
    assert log.read_text()[20:] == "after\n"


def test_a_log_of_the_users_own_is_never_rotated_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfile, "BYTES", 1000)
    with logged(tmp_path / "s", tmp_path / "own.log"):
        for number in range(500):
            LOG.info("entry %d", number)
    assert [path.name for path in tmp_path.iterdir()] == ["own.log"]
    assert len((tmp_path / "own.log").read_text().splitlines()) == 500


def test_a_log_in_a_folder_that_does_not_exist_is_refused(invoke: Run, tmp_path: Path) -> None:
    done = invoke(song(tmp_path / "a.flac"), "--log", tmp_path / "none" / "x.log")
    assert done.returncode == 2 and f"there is no folder {tmp_path / 'none'}" in done.stderr
