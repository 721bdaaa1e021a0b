"""What a person should know about how a track was decoded is in the report and in --explain."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.command import Run
from helpers.known import JAZZ, ROCK, Shares, know, rows_of, song, state_of

from tagger.state.store import State

NOTE = "its samples were scaled"
CANCEL = "its channels cancel each other, so the louder one was used"


def reason_of(text: str) -> tuple[str, str]:
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    return row["action"], row["reason"]


@pytest.mark.parametrize(
    ("shares", "options", "expected"),
    [
        (JAZZ, (), ("predicted", NOTE)),
        (JAZZ, ("--dry-run",), ("would-write", f"it has no genre; {NOTE}")),
        (JAZZ, ("--write-tags",), ("written", f"it has no genre; {NOTE}")),
        (ROCK, ("--write-tags", "--min-confidence", 0.7), ("unsure", f"Rock at 0.60 {{}}; {NOTE}")),
    ],
)
def test_a_note_is_the_reason_or_follows_it(
    shares: Shares,
    options: tuple[object, ...],
    expected: tuple[str, str],
    invoke: Run,
    tmp_path: Path,
) -> None:
    path = song(tmp_path / "Music" / "a.flac")
    know(tmp_path / "home", [path], shares, NOTE)
    done = invoke(path, "--csv", "-", *options)
    action, reason = reason_of(done.stdout)
    begins, _, ends = expected[1].partition("{}")
    assert action == expected[0] and reason.startswith(begins) and reason.endswith(ends)


def test_a_note_follows_what_cannot_be_tagged_and_counts_as_nothing(
    invoke: Run, tmp_path: Path
) -> None:
    raw, plain = tmp_path / "Music" / "a.aac", song(tmp_path / "Music" / "b.flac")
    raw.write_bytes(b"no tags here")
    know(tmp_path / "home", [raw, plain], JAZZ, NOTE)
    done = invoke(tmp_path / "Music", "--write-tags", "--csv", "-")
    rows = rows_of(done.stdout)
    assert rows["a.aac"]["reason"].startswith("not taggable: ")
    assert rows["a.aac"]["reason"].endswith(f"; {NOTE}")
    assert "cannot be tagged: 1 file" in done.stderr
    done = invoke(plain, "--csv", "-", "--verbose")
    assert f"predicted: {plain}: Jazz ({NOTE})" in done.stderr
    assert "cannot be tagged" not in done.stderr


def test_explain_shows_a_note(invoke: Run, tmp_path: Path) -> None:
    path = song(tmp_path / "Music" / "a.flac")
    know(tmp_path / "home", [path], JAZZ, NOTE)
    assert f"  note:   {NOTE}\n" in invoke(path, "--explain").stdout


def test_a_note_of_a_track_is_stored(run: Run, tmp_path: Path, tiny_model: Path) -> None:
    noise = np.random.default_rng(2).uniform(-0.5, 0.5, 160_000)
    path = tmp_path / "a.flac"
    soundfile.write(path, np.stack([noise, -noise], 1), 16_000)
    done = run(path, "--model", tiny_model, "--csv", "-")
    assert reason_of(done.stdout) == ("predicted", CANCEL), done.stderr
    with State(state_of(tmp_path / "home")) as state:
        assert state.rows("SELECT note FROM predictions") == [(CANCEL,)]
