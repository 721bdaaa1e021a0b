"""A run as lines of JSON: what is in them, when they come, and how a run ends."""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.command import ROOT
from helpers.known import JAZZ, Recorder, know, song, state_of
from helpers.stub_model import NAMES, Model, predicted

from tagger.app.apply import ApplyRequest, apply_csv
from tagger.app.json_lines import JsonLines
from tagger.app.tag import TagRequest, tag_library
from tagger.app.undo import UndoRequest, undo_tags
from tagger.cli.json_lines import ending
from tagger.errors import LibraryError
from tagger.genres.policy import Policy
from tagger.state.store import State
from tagger.tags.genre_tag import read_genres
from tagger.tags.isolated import with_audio
from tagger.types import Action, Failure, Outcome, Prediction, Track


class Lines:
    """The lines of a run; `watch` is called after each."""

    def __init__(self, command: str = "tag", **options: Any) -> None:
        self.raw: list[str] = []
        self.watch: Callable[[], None] = lambda: None
        self.lines = JsonLines(self._take, command, **options)

    def _take(self, line: str) -> None:
        self.raw.append(line)
        self.watch()

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line, parse_constant=pytest.fail) for line in self.raw]

    def tracks(self) -> dict[str, dict[str, Any]]:
        found = [line for line in self.all() if line["type"] == "track"]
        by_name = {Path(line["path"]).name: line for line in found}
        assert len(by_name) == len(found)  # each once
        return by_name

    def summary(self) -> dict[str, Any]:
        kinds = [line["type"] for line in self.all()]
        assert kinds.index("summary") == len(kinds) - 1
        return self.all()[-1]


def tagged(shelf: Path, lines: Lines | None = None, **options: Any) -> Lines:
    lines, home = lines or Lines(), shelf.parent
    request = TagRequest(
        [shelf], csv=home / "genres.csv", state=state_of(home), lines=lines.lines, **options
    )
    with ending(lines.lines):
        tag_library(request, Recorder())
    return lines


def line_of(path: str | Path, **fields: Any) -> dict[str, Any]:
    """The line of an outcome."""
    lines = Lines()
    lines.lines.track(replace(Outcome(Path(path), Action.PREDICTED), **fields))
    (line,) = lines.raw
    assert line.isascii() and line.isprintable()
    return json.loads(line, parse_constant=pytest.fail)


# --- what is in a line ----------------------------------------------------------------------------


def test_a_track_has_what_its_row_of_the_report_has(shelf: Path, model: Model) -> None:
    lines = tagged(shelf, write_tags=True, policy=Policy("append", top=2, ratio=0.1)).tracks()
    text = (shelf.parent / "genres.csv").read_text("utf-8-sig")
    rows = {Path(row["path"]).name: row for row in csv.DictReader(text.splitlines())}
    assert list(lines) == list(rows) == NAMES
    for name, row in rows.items():
        line = lines[name]
        best = line["predicted"][0]["genre"] if line["predicted"] else ""
        for column in ("path", "action", "reason"):
            assert line[column] == row[column]
        assert "; ".join(line["existing"]) == row["existing_genre"]
        assert "; ".join(line["new"]) == row["new_genre"]
        assert best == row["genre"]
        for number in ("agreement", "windows", "seconds"):
            assert line[number] == (float(row[number]) if row[number] else None)
    assert lines[NAMES[1]]["new"] == ["Polka", "Rock", "Metal"]  # lists stay lists
    assert lines[NAMES[1]]["precision"] == "float32"
    assert lines[NAMES[1]]["models"] == ["gtzan-small"]


def test_it_is_said_whether_a_prediction_is_of_this_run(shelf: Path, model: Model) -> None:
    know(shelf.parent, [shelf / NAMES[1]], JAZZ)
    lines = tagged(shelf).tracks()
    assert [lines[name]["from_earlier_run"] for name in NAMES] == [False, True, False, None]
    assert lines[NAMES[1]]["precision"] is None  # an earlier version did not store it
    lines = tagged(shelf, predict_again=True).tracks()
    assert [lines[name]["from_earlier_run"] for name in NAMES] == [False, False, False, None]


def test_every_line_has_every_field(shelf: Path, model: Model) -> None:
    lines = [*tagged(shelf).tracks().values(), line_of("/x", action=Action.KEPT)]
    assert len({tuple(line) for line in lines}) == 1


def test_the_probability_of_every_label_is_there_if_it_is_asked_for(
    shelf: Path, model: Model
) -> None:
    lines = tagged(shelf, Lines(all_probabilities=True)).tracks()
    shares = lines[NAMES[0]]["probabilities"]
    assert len(shares) == 10 and shares["jazz"] == pytest.approx(0.8)
    assert lines[NAMES[3]]["probabilities"] == {}


TEXTS = ("caf\xe9 \u202e.mp3".encode(), b"a\nb\x7f\x1b.mp3", "\U0001f3b5.mp3".encode())
NO_TEXTS = (b"caf\xe9.mp3", b"\xff\xfe.mp3", b"\xed\xa0\x80.mp3")


@pytest.mark.parametrize("name", [*TEXTS, *NO_TEXTS])
def test_a_program_gets_the_exact_bytes_of_any_name(name: bytes) -> None:
    line = line_of(os.fsdecode(b"/music/" + name))
    if name in TEXTS:
        assert line["path_base64"] is None
        assert line["path"].encode() == b"/music/" + name
    else:
        assert base64.b64decode(line["path_base64"]) == b"/music/" + name
        assert "\ufffd" in line["path"]


@pytest.mark.parametrize("text", ["a\u2028b", "\x1b[31m\x85", 'say "x"\\', "\x7f", "\U0001f3b5"])
def test_any_text_is_on_one_line(text: str) -> None:
    line = line_of("/x", reason=text, existing=(text, text))
    assert (line["existing"], line["reason"]) == ([text, text], text)


@pytest.mark.parametrize("text", ["caf\udce9", "\ud83d", "\udfff\ud83d"])
def test_a_text_that_is_not_unicode_is_valid_all_the_same(text: str) -> None:
    line = line_of("/x", reason=text, existing=(text,))
    shown = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    assert (line["reason"], line["existing"]) == (shown, [shown])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_is_finite_or_null(value: float) -> None:
    one = replace(predicted(Track(Path("/x"), 1, 1)), seconds=value, agreement=value)
    line = line_of("/x", prediction=one, ranked=(("Rock", 0.5),))
    assert line["seconds"] is line["agreement"] is None


def test_the_page_describes_every_field(shelf: Path, model: Model) -> None:
    page = (
        (ROOT / "tagger/report/README.md").read_text("utf-8").partition("\n## Lines of JSON\n")[2]
    )
    described: dict[str, set[str]] = {}
    for table in re.findall(r"\| field of (?:a|the) (\w+) .*?(?=\n\n)", page, re.DOTALL):
        rows = page.partition(f" {table} | meaning |\n|---|---|\n")[2].partition("\n\n")[0]
        cells = [row.split("|")[1] for row in rows.splitlines()]
        described[table] = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    lines = tagged(shelf, Lines(all_probabilities=True), write_tags=True)
    with State(state_of(shelf.parent)) as state:
        lines.lines.run(state.runs()[0])
    found = {line["type"]: {*line} - described["line"] for line in lines.all()}
    assert {kind: described[kind] for kind in found} == found
    assert described["line"] == {"version", "type"}


# --- when they come -------------------------------------------------------------------------------


def test_in_a_run_that_decides_nothing_a_track_comes_as_it_is_predicted(
    shelf: Path, model: Model
) -> None:
    know(shelf.parent, [shelf / NAMES[0]], JAZZ)
    song(shelf / "5.flac")
    lines, given = Lines(), []
    lines.watch = lambda: given.append(len(model.given))
    tagged(shelf, lines)
    # The model takes two at a time, and finishes the second of them first.
    assert list(lines.tracks()) == [NAMES[2], NAMES[1], "5.flac", NAMES[3], NAMES[0]]
    assert given[:4] == [2, 2, 4, 4]


def test_what_a_person_decided_is_final_as_soon_as_it_is_predicted(
    shelf: Path, model: Model
) -> None:
    path = shelf / NAMES[1]
    track = with_audio(Track.of(path, path.stat()))
    with State(state_of(shelf.parent)) as state:
        state.decide(state.begin_run("tag"), track, ("Polka",), "confirm", None)
    lines = tagged(shelf)
    assert next(iter(lines.tracks())) == NAMES[1]
    assert lines.tracks()[NAMES[1]]["action"] == "kept"
    assert lines.tracks()[NAMES[1]]["new"] == ["Polka"]


@pytest.mark.parametrize(
    "options", [{"write_tags": True}, {"dry_run": True}, {"by": "folder"}], ids=str
)
def test_otherwise_it_comes_when_it_is_decided(
    shelf: Path, model: Model, options: dict[str, Any]
) -> None:
    assert list(tagged(shelf, **options).tracks()) == NAMES


def test_each_write_has_its_line_at_once(shelf: Path, model: Model) -> None:
    lines, on_disk = Lines(), []
    lines.watch = lambda: on_disk.append([read_genres(shelf / name)[0] for name in NAMES[1:3]])
    tagged(shelf, lines, write_tags=True, policy=Policy("replace"))
    assert on_disk[:3] == [["Polka", "Polka"], ["Rock", "Polka"], ["Rock", "Rock"]]


# --- the end --------------------------------------------------------------------------------------


def test_the_summary_counts_the_lines(shelf: Path, model: Model) -> None:
    summary = tagged(shelf, write_tags=True, policy=Policy("replace")).summary()
    assert summary["tracks"] == 4
    assert list(summary["actions"]) == [action.value for action in Action]
    counts = {name: count for name, count in summary["actions"].items() if count}
    assert counts == {"written": 3, "failed": 1}
    assert summary["predicted_genres"] == summary["written_genres"] == {"Rock": 2, "Jazz": 1}
    assert summary["failures"] == [{"reason": "broken", "count": 1}]
    assert summary["reports"] == [str(shelf.parent / "genres.csv")]
    assert (summary["run"], summary["command"]) == (1, "tag")
    assert summary["undo"] == f"tag-genres undo --run 1 --state {state_of(shelf.parent)}"
    assert summary["interrupted"] is False and summary["error"] is None


def test_apply_and_undo_have_the_same_lines(shelf: Path, model: Model) -> None:
    fields = {tuple(line) for line in tagged(shelf).all()}
    report, state = shelf.parent / "genres.csv", state_of(shelf.parent)
    report.write_text(f"path,genre\n{shelf / NAMES[1]},Ska; Dub\n")
    applied, undone = Lines("apply"), Lines("undo")
    with ending(applied.lines):
        apply_csv(ApplyRequest(report, state=state, lines=applied.lines), Recorder())
    line = applied.tracks()[NAMES[1]]
    assert (line["existing"], line["new"]) == (["Polka"], ["Ska", "Dub"])
    assert (line["predicted"], line["models"]) == ([], [])
    assert applied.summary()["actions"]["written"] == 1
    with ending(undone.lines):
        undo_tags(UndoRequest(state=state, lines=undone.lines), Recorder())
    line = undone.tracks()[NAMES[1]]
    assert (line["existing"], line["new"]) == (["Ska", "Dub"], ["Polka"])
    assert undone.summary()["undo"].startswith("tag-genres undo --run 2")
    assert {tuple(line) for line in [*applied.all(), *undone.all()]} == fields


def test_an_undo_that_leaves_no_genre_says_so(shelf: Path, model: Model) -> None:
    tagged(shelf, write_tags=True)
    undone = Lines("undo")
    undo_tags(UndoRequest(state=state_of(shelf.parent), lines=undone.lines), Recorder())
    assert undone.tracks()[NAMES[0]]["new"] == []


def test_an_undo_of_two_runs_has_a_line_for_each_change(shelf: Path, model: Model) -> None:
    tagged(shelf, write_tags=True, policy=Policy("replace"))
    know(shelf.parent, [shelf / NAMES[1]], JAZZ)
    tagged(shelf, write_tags=True, policy=Policy("replace"))
    undone = Lines("undo")
    request = UndoRequest(runs=(1, 2), state=state_of(shelf.parent), lines=undone.lines)
    undo_tags(request, Recorder())
    paths = [Path(line["path"]).name for line in undone.all()]
    assert sorted(paths) == sorted([*NAMES[:3], NAMES[1]])


def test_an_interrupted_run_has_a_summary(
    shelf: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, lines = Model.result, Lines()

    def end(self: Model, one: Track) -> Prediction | Failure:
        if one.path.name == NAMES[2]:
            raise KeyboardInterrupt
        return result(self, one)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Model, "result", end)
        tagged(shelf, lines)
    summary = lines.summary()
    assert summary["interrupted"] is True
    assert summary["tracks"] == len(lines.tracks()) == 3
    assert summary["reports"] == []


def test_a_run_that_is_interrupted_while_it_writes_says_how_to_undo(
    shelf: Path, model: Model
) -> None:
    lines = Lines()

    def interrupt() -> None:
        if len(lines.raw) == 2:
            raise KeyboardInterrupt

    lines.watch = interrupt
    with pytest.raises(KeyboardInterrupt):
        tagged(shelf, lines, write_tags=True, policy=Policy("replace"))
    summary = lines.summary()
    assert (summary["run"], summary["actions"]["written"]) == (1, 2)
    assert summary["undo"].startswith("tag-genres undo --run 1")


def test_an_error_is_in_the_summary(tmp_path: Path) -> None:
    lines = Lines()
    with pytest.raises(LibraryError):
        tagged(tmp_path / "nowhere", lines)
    summary = lines.summary()
    assert "no such file" in summary["error"] and summary["tracks"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a name there is text")
def test_a_run_gives_a_name_that_is_not_text(tmp_path: Path, model: Model) -> None:
    name = os.fsdecode(b"caf\xe9 jazz.flac")
    song(tmp_path / "Music" / "a.flac").rename(tmp_path / "Music" / name)
    (line,) = tagged(tmp_path / "Music").tracks().values()
    assert base64.b64decode(line["path_base64"]) == os.fsencode(tmp_path / "Music" / name)
