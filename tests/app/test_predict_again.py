"""What counts as known: the precision of a prediction, and `--predict-again`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.known import JAZZ, Recorder, bundled, know, rows_of, song, state_of
from helpers.stub_model import NAMES, Model

from tagger.app import tag
from tagger.app.request import TagRequest
from tagger.app.tag import explain_library, tag_library
from tagger.app.undo import UndoRequest, undo_tags
from tagger.genres.policy import Policy
from tagger.state.store import State
from tagger.tags.genre_tag import read_genres
from tagger.tags.isolated import with_audio
from tagger.types import Failure, Prediction, PredictOptions, Track


def request(shelf: Path, precision: str = "auto", **options: Any) -> TagRequest:
    home = shelf.parent
    predict = PredictOptions(precision=precision)
    return TagRequest(
        [shelf], csv=home / "genres.csv", state=state_of(home), options=predict, **options
    )


def run(shelf: Path, *precision: str, **options: Any) -> list[str]:
    progress = Recorder()
    tag_library(request(shelf, *precision, **options), progress)
    return progress.said


def genres(shelf: Path) -> dict[str, str]:
    text = (shelf.parent / "genres.csv").read_text()
    return {name: row["genre"] for name, row in rows_of(text).items()}


def stored(shelf: Path) -> dict[str, str]:
    """The precision of each stored prediction."""
    with State(state_of(shelf.parent)) as state:
        rows = state.rows("SELECT path, precision FROM predictions ORDER BY path")
    return {Path(path.decode()).name: precision for path, precision in rows}


def interrupted(shelf: Path, monkeypatch: pytest.MonkeyPatch, at: str, **options: Any) -> None:
    result = Model.result

    def end(self: Model, one: Track) -> Prediction | Failure:
        if one.path.name == at:
            raise KeyboardInterrupt
        return result(self, one)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Model, "result", end)
        run(shelf, **options)


# --- precision ------------------------------------------------------------------------------------


def test_a_prediction_is_stored_with_its_precision(shelf: Path, model: Model) -> None:
    run(shelf, "bfloat16")
    assert stored(shelf) == dict.fromkeys(NAMES[:3], "bfloat16")


@pytest.mark.parametrize("first", ["float32", "bfloat16", "float16"])
def test_auto_takes_what_is_stored_in_any_precision(shelf: Path, model: Model, first: str) -> None:
    run(shelf, first)
    model.given.clear()
    said = run(shelf)
    assert model.given == []
    assert not any("precision" in line or first in line for line in said)  # nothing is claimed


def test_another_precision_predicts_anew_and_says_so(shelf: Path, model: Model) -> None:
    run(shelf, "bfloat16")
    model.given.clear()
    said = run(shelf, "float32")
    assert model.given == NAMES[:3]  # why the last one failed has nothing to do with it
    assert stored(shelf) == dict.fromkeys(NAMES[:3], "float32")
    assert "earlier predictions: 3 in bfloat16; predicted again in float32" in said
    model.given.clear()
    assert not any("again" in line for line in run(shelf, "float32"))
    assert model.given == []


def test_a_prediction_of_unknown_precision_counts_only_if_none_is_asked_for(
    shelf: Path, model: Model
) -> None:
    know(shelf.parent, [shelf / NAMES[1]], JAZZ)
    said = run(shelf)
    assert model.given == [NAMES[0], *NAMES[2:]]
    assert "earlier predictions: 1 of unknown precision" in said
    model.given.clear()
    said = run(shelf, "float32")
    assert model.given == [NAMES[1]]
    assert "earlier predictions: 1 of unknown precision; predicted again in float32" in said
    assert any("without --precision, theirs are reused" in line for line in said)
    assert set(stored(shelf).values()) == {"float32"}


def test_several_precisions_are_named(shelf: Path, model: Model) -> None:
    run(shelf, "bfloat16")
    song(shelf / "5.flac")
    said = run(shelf)  # the stand-in for "auto" has kept bfloat16
    assert not any("float32" in line for line in said)
    song(shelf / "6.flac")
    model.precision = "float32"
    assert "earlier predictions: 4 in bfloat16" in run(shelf)
    assert "earlier predictions: 4 in bfloat16, 1 in float32" in run(shelf)


def test_the_precisions_of_each_model_are_its_own(
    shelf: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    infos = [bundled(), replace(bundled(), name="other", fingerprint="other")]
    monkeypatch.setattr(tag, "find_models", lambda *_: infos[1:])
    run(shelf, "bfloat16")
    monkeypatch.setattr(tag, "find_models", lambda *_: infos)
    said = run(shelf, "float32")  # all is new for the first model
    assert "earlier predictions: 3 in bfloat16; predicted again in float32" in said


@pytest.mark.parametrize(("second", "anew"), [("bfloat16", 0), ("float32", 1), ("auto", 0)])
def test_a_file_that_moved_is_recognised_in_the_right_precision_alone(
    shelf: Path, model: Model, second: str, anew: int
) -> None:
    run(shelf, "bfloat16")
    (shelf / NAMES[0]).rename(shelf / "0 jazz.flac")
    for name in NAMES[1:]:
        (shelf / name).unlink()
    model.given.clear()
    run(shelf, second)
    assert model.given == ["0 jazz.flac"] * anew


# --- again ----------------------------------------------------------------------------------------


def test_known_tracks_and_failures_are_predicted_again(shelf: Path, model: Model) -> None:
    know(shelf.parent, [shelf / NAMES[1]], JAZZ)
    run(shelf)
    assert genres(shelf)[NAMES[1]] == "Jazz"
    model.given.clear()
    run(shelf, predict_again=True)
    assert model.given == NAMES
    assert genres(shelf)[NAMES[1]] == "Rock"
    model.given.clear()
    run(shelf)
    assert model.given == []
    run(shelf, predict_again=True)
    assert model.given == NAMES


def test_an_interrupted_run_goes_on_with_the_rest(
    shelf: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(shelf.parent, [shelf / name for name in NAMES[:3]], JAZZ)
    run(shelf)
    interrupted(shelf, monkeypatch, NAMES[2], predict_again=True)
    model.given.clear()
    run(shelf)  # what was not replaced stays
    assert model.given == []
    assert [genres(shelf)[name] for name in NAMES[:3]] == ["Jazz", "Rock", "Jazz"]
    said = run(shelf, predict_again=True)
    assert model.given == NAMES[2:3]  # the track after it was finished before
    assert "an earlier --predict-again ended early; 1 track left" in said
    model.given.clear()
    run(shelf, predict_again=True)  # a new one
    assert model.given == NAMES


def test_an_interrupted_run_of_two_models_goes_on_with_the_second(
    shelf: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    infos = [bundled(), replace(bundled(), name="other", fingerprint="other")]
    monkeypatch.setattr(tag, "find_models", lambda *_: infos)
    run(shelf)
    result, asked = Model.result, []

    def end(self: Model, one: Track) -> Prediction | Failure:
        asked.append(one.path.name)
        if len(asked) > len(NAMES):
            raise KeyboardInterrupt
        return result(self, one)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Model, "result", end)
        run(shelf, predict_again=True)
    model.given.clear()
    run(shelf, predict_again=True)
    assert model.given == NAMES
    model.given.clear()
    run(shelf, predict_again=True)
    assert model.given == NAMES + NAMES[:3]  # what fails with the first is not given to the second


def test_what_is_left_out_stays_as_it_is(shelf: Path, model: Model) -> None:
    run(shelf)
    model.given.clear()
    run(shelf, predict_again=True, only_missing=True)
    assert model.given == [NAMES[0], NAMES[3]]
    model.given.clear()
    run(shelf, predict_again=True, skip=["Polka", ".mp3"])
    assert model.given == [NAMES[0]]
    model.given.clear()
    run(shelf, predict_again=True)  # nothing was left over
    assert model.given == NAMES


def test_explaining_may_predict_again(shelf: Path, model: Model) -> None:
    run(shelf)
    model.given.clear()
    assert len(list(explain_library(request(shelf, predict_again=True), Recorder()))) == len(NAMES)
    assert model.given == NAMES


def test_what_a_person_decided_is_left_alone(shelf: Path, model: Model) -> None:
    path = shelf / NAMES[1]
    with State(state_of(shelf.parent)) as state:
        decided = with_audio(Track.of(path, path.stat()))
        state.decide(state.begin_run("tag"), decided, ("Polka",), "confirm", None)
    run(shelf, predict_again=True, write_tags=True, policy=Policy("replace"))
    assert NAMES[1] in model.given
    assert (read_genres(path), read_genres(shelf / NAMES[2])) == (("Polka",), ("Rock",))


def test_what_was_written_can_still_be_undone(shelf: Path, model: Model) -> None:
    run(shelf, write_tags=True, policy=Policy("replace"))
    assert read_genres(shelf / NAMES[1]) == ("Rock",)
    run(shelf, predict_again=True)
    undo_tags(UndoRequest(state=state_of(shelf.parent)), Recorder())
    assert read_genres(shelf / NAMES[1]) == ("Polka",)
