"""Work grows with the files that change; it is counted, because timings vary too much."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.known import ROCK, Recorder, know, song, state_of

from tagger.app.request import TagRequest
from tagger.app.summary import Summary
from tagger.app.tag import tag_library
from tagger.genres.policy import Policy
from tagger.state.store import State
from tagger.tags.genre_tag import read_genres, write_genres
from tagger.types import Action
from tagger.writing import writer

TRACKS = 300


@pytest.fixture
def library(tmp_path: Path) -> Path:
    first = song(tmp_path / "Music" / "0000.flac")
    tracks = [first, *(first.with_name(f"{number:04}.flac") for number in range(1, TRACKS))]
    for path in tracks[1:]:
        shutil.copy(first, path)
    know(tmp_path, tracks, ROCK)
    return first.parent


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often tags are read and files replaced."""
    counted: Counter[str] = Counter()

    def counting(name: str) -> Callable[..., Any]:
        real = getattr(writer, name)

        def call(*arguments: Any, **named: Any) -> Any:
            counted[name] += 1
            return real(*arguments, **named)

        return call

    for name in ("read_tag", "replacing"):
        monkeypatch.setattr(writer, name, counting(name))
    yield counted


def run(library: Path, **options: Any) -> Summary:
    home = library.parent
    request = TagRequest([library], csv=home / "genres.csv", state=state_of(home), **options)
    return tag_library(request, Recorder())


def test_files_that_do_not_change_are_not_opened_again(library: Path, calls: Counter[str]) -> None:
    options = {"write_tags": True, "policy": Policy(min_confidence=0.9)}
    assert run(library, **options).actions[Action.UNSURE] == TRACKS
    assert calls == {"read_tag": TRACKS}
    calls.clear()
    assert run(library, **options).actions[Action.UNSURE] == TRACKS
    assert calls == {}


def test_known_tracks_cost_no_query_each(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(library)
    asked: Counter[str] = Counter()
    for name in ("do", "rows"):
        real = getattr(State, name)

        def counted(*arguments: Any, name: str = name, real: Callable[..., Any] = real) -> Any:
            asked[name] += 1
            return real(*arguments)

        monkeypatch.setattr(State, name, counted)
    assert run(library).actions == {Action.PREDICTED: TRACKS}
    assert asked["rows"] and asked.total() < TRACKS / 5


def test_work_grows_with_the_files_that_changed(library: Path, calls: Counter[str]) -> None:
    replace = {"write_tags": True, "policy": Policy("replace")}
    assert run(library, **replace).actions[Action.WRITTEN] == TRACKS
    some = sorted(library.iterdir())[:20]
    for path in some:
        write_genres(path, ["Polka"])
    know(library.parent, some, ROCK)
    calls.clear()
    summary = run(library, **replace)
    assert summary.actions == {Action.WRITTEN: 20, Action.UNCHANGED: TRACKS - 20}
    assert calls == {"read_tag": 2 * 20, "replacing": 20}  # once to decide, once before the write
    assert all(read_genres(path) == ("Rock",) for path in some)
