"""A genre is written to a file and undone, as a run does it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import mutagen

from tagger.genres.policy import Policy
from tagger.state.store import State
from tagger.tags.genre_tag import write_genres
from tagger.types import Action, Outcome, Prediction, Track, WriteOptions
from tagger.writing.undo import undo_changes
from tagger.writing.writer import Writer, write_prediction

POLICY = Policy()
REPLACE = Policy("replace")


def identify(path: Path) -> Track:
    status = path.stat()
    return Track(path, status.st_size, status.st_mtime_ns)


def predicted(path: Path, jazz: float = 0.75) -> Prediction:
    return Prediction(identify(path), ("jazz", "rock"), (jazz, 1 - jazz), 1.0, 8, 1.0)


def write(path: Path, state: State, run: int, policy: Policy = POLICY, jazz: float = 0.75):
    return write_prediction(predicted(path, jazz), policy, Writer(state, run))


def undo(state: State, run: int):
    return list(undo_changes(state.changes(run), Writer(state, state.begin_run("undo"))))


def bits(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


def retitled(path: Path, genres: object, note: str = "", *_: object) -> None:
    write_genres(path, list(genres))
    media = mutagen.File(path, easy=True)
    media["title"] = ["something else"]
    media.save()


def with_other_audio(path: Path, genres: object, note: str = "", *_: object) -> None:
    write_genres(path, list(genres))
    data = bytearray(path.read_bytes())
    data[-600:-590] = b"\x55" * 10
    path.write_bytes(data)


KEEP_TIMES = WriteOptions(keep_mtime=True)


def write_keeping(path: Path, state: State, run: int, jazz: float = 0.75) -> Outcome:
    before = identify(path)
    outcome = write_prediction(predicted(path, jazz), REPLACE, Writer(state, run, KEEP_TIMES))
    assert identify(path) == before
    return outcome


def undo_keeping(state: State, run: int) -> list[Action]:
    writer = Writer(state, state.begin_run("undo"), KEEP_TIMES)
    return [outcome.action for outcome in undo_changes(state.changes(run), writer)]
