"""The command in the process of the tests, for tests of neither signals nor pipes."""

from __future__ import annotations

import subprocess
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from helpers.command import Run, environment, words

from tagger.cli.tag import main


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """As `run`, in this process: tens of milliseconds where no model has to be loaded."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.chdir(home)
    for name, value in environment(home).items():
        monkeypatch.setenv(name, value)

    def invoke(*arguments: object) -> subprocess.CompletedProcess[str]:
        # Files, not click's test runner: a report on stdout is written to its descriptor.
        with TemporaryFile("w+") as output, TemporaryFile("w+") as error:
            ends = pytest.raises(SystemExit)
            with redirect_stdout(output), redirect_stderr(error), ends as ended:
                main(words(arguments), prog_name="tag-genres")
            texts = []
            for stream in (output, error):
                stream.seek(0)
                texts.append(stream.read())
        return subprocess.CompletedProcess([], ended.value.code or 0, *texts)  # type: ignore[arg-type]

    return invoke
