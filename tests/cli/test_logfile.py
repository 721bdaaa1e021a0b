"""The log beside the state file holds what would only be in the way on a terminal."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import IO

import pytest
from helpers import sounds
from helpers.command import Run

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
