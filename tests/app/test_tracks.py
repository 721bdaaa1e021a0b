from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.known import JAZZ, Recorder, bundled, know, rows_of, song, state_of
from helpers.stub_model import Model, predicted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagger.app import pending
from tagger.app import tracks as found
from tagger.app.request import TagRequest
from tagger.app.summary import Summary
from tagger.app.tag import explain_library, tag_library
from tagger.app.tracks import CHANGED, RunTracks
from tagger.genres.policy import Policy
from tagger.state.store import State
from tagger.tags.genre_tag import read_genres
from tagger.types import Action, Failure, Prediction, PredictOptions, TagInfo, Track

OPTIONS = PredictOptions()
GONE = Failure(Path("/music/gone.mp3"), "permission denied", lasting=False)


def track(number: int, size: int = 1) -> Track:
    return Track(Path(f"/music/{number:03}.mp3"), size, 10, 20)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened


@pytest.fixture(autouse=True)
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "PAGE_ROWS", 3)


def made(state: State, items: Iterable[Track | Failure]) -> RunTracks:
    return RunTracks(items, state, bundled(), OPTIONS)


def results(library: RunTracks) -> list[Any]:
    return [item for item, _ in library.items()]


# --- what is known --------------------------------------------------------------------------------


KINDS = ["unknown", "predicted", "failed", "both", "changed", "unreadable"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
@given(kinds=st.lists(st.sampled_from(KINDS), max_size=12), tagged=st.sets(st.integers(0, 11)))
def test_a_page_gives_what_a_query_for_each_track_would(tmp_path_factory, kinds, tagged):
    info = bundled()
    with State(tmp_path_factory.mktemp("state") / "state.db") as state:
        items: list[Track | Failure] = []
        wanted: list[Prediction | Failure | None] = []
        library = made(state, [])
        plan, decoders = library.plan.key, library.decoders
        for number, kind in enumerate(kinds):
            one = track(number)
            items.append(GONE if kind == "unreadable" else one)
            known = {"unreadable": GONE, "failed": Failure(one.path, "broken")}
            known |= dict.fromkeys(("predicted", "both"), predicted(one))
            wanted.append(known.get(kind))
            if kind in ("predicted", "both"):
                state.save_prediction(predicted(one), info.fingerprint, plan)
            if kind in ("failed", "both"):
                state.save_failure(one, "broken", info.fingerprint, decoders)
            if kind == "changed":
                state.save_prediction(predicted(track(number, 2)), info.fingerprint, plan)
                state.save_failure(track(number, 3), "broken", info.fingerprint, decoders)
            if number in tagged:
                state.save_tag(one, TagInfo((f"genre {number}",)))

        library = made(state, items)
        assert [getattr(item, "reason", item) for item in results(library)] == [
            getattr(item, "reason", item) if item else CHANGED for item in wanted
        ]
        tags = [None if item is GONE else state.find_tag(item) for item in items]
        assert [tag for _, tag in library.items()] == tags
        unknown = [item for item, known in zip(items, wanted, strict=True) if known is None]
        assert [one for _, one, _ in library.unknown()] == unknown
        tracks = [item for item in items if isinstance(item, Track)]
        assert library.count_tracks() == (len(tracks), len(unknown), 0)
        assert library.count() == len(items)


@pytest.mark.parametrize(
    "options", [PredictOptions(windows=4), PredictOptions(windows=None)], ids=["4", "all"]
)
def test_a_prediction_with_another_plan_is_not_known(state, options):
    state.save_prediction(predicted(track(0)), bundled().fingerprint, made(state, []).plan.key)
    assert made(state, [track(0)]).count_tracks() == (1, 0, 0)
    assert RunTracks([track(0)], state, bundled(), options).count_tracks() == (1, 1, 0)


def test_a_track_that_failed_is_tried_again_with_more_time(state):
    library = made(state, [track(0)])
    library.save(1, track(0), Failure(track(0).path, "broken"))
    assert made(state, [track(0)]).count_tracks() == (1, 0, 0)
    patient = RunTracks([track(0)], state, bundled(), PredictOptions(decode_timeout=999))
    assert patient.count_tracks() == (1, 1, 0)


def test_a_failure_that_does_not_last_concerns_only_this_run(state):
    library = made(state, [track(0)])
    library.save(1, track(0), Failure(track(0).path, "permission denied", lasting=False))
    assert library.count_tracks() == (1, 0, 0)
    assert [item.reason for item in results(library)] == ["permission denied"]
    assert made(state, [track(0)]).count_tracks() == (1, 1, 0)


def test_a_file_name_that_is_no_text_comes_back(state):
    odd = Track(Path("/music/\udcff\n\u00e4.mp3"), 1, 2, 3)
    assert [one for _, one, _ in made(state, [odd]).unknown()] == [odd]


def test_folders_come_once_for_tracks_that_follow_each_other(state):
    names = ["a/1", "a/2", "a/b/1", "a/b/2", "a/3", "c/1"]
    library = made(state, [Track(Path(f"/music/{name}.mp3"), 1, 1) for name in names])
    folders = [str(folder) for folder in library.folders()]
    assert folders == ["/music/a", "/music/a/b", "/music/a", "/music/c"]


# --- memory and locks -----------------------------------------------------------------------------


def test_items_are_stored_as_they_come(state):
    def items() -> Iterator[Track]:
        for number in range(10):
            yield track(number)
            assert state.rows("SELECT count(*) FROM run_tracks") == [(number + 1,)]

    assert made(state, items()).count() == 10


def test_no_more_than_a_page_is_held(state, monkeypatch):
    library, rows, held = made(state, map(track, range(10))), State.rows, []

    def counted(self: State, *arguments: Any) -> list[Any]:
        held.append(len(page := rows(self, *arguments)))
        return page

    monkeypatch.setattr(State, "rows", counted)
    assert len(results(library)) == 10
    assert len(list(library.unknown())) == 10
    assert len(list(library.folders())) == 1
    assert held == [3, 3, 3, 1, 0] * 3


@pytest.mark.parametrize("walk", [RunTracks.items, RunTracks.unknown, RunTracks.folders])
def test_another_program_can_write_between_two_tracks(state, walk: Callable[..., Any]):
    library = made(state, map(track, range(10)))
    with closing(sqlite3.connect(state.path, timeout=0, isolation_level=None)) as other:
        for _ in walk(library):
            other.execute("INSERT INTO runs (kind, started, model) VALUES ('tag', '', '')")
            # Not even a reader blocks it: the whole log is copied into the file.
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


def test_what_becomes_known_during_the_run_comes_once(state):
    library, met = made(state, map(track, range(10))), []
    for number, one, _ in library.unknown():
        met.append(one)
        library.save(number, one, predicted(one))
    assert met == [track(number) for number in range(10)]
    assert results(library) == [predicted(one) for one in met]


def test_without_a_place_for_files_all_is_in_memory(state, monkeypatch):
    def nowhere() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    assert made(state, [track(0)]).count() == 1
    assert state.rows("PRAGMA temp_store") == [(2,)]


# --- predicting, and what is left out -------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Tracks with and without a genre, one that cannot be predicted, one whose tag is broken."""
    music = tmp_path / "Music"
    song(music / "A" / "1 jazz.flac")
    for name in ("2 polka.flac", "3 polka.flac"):
        song(music / "A" / name, "Polka")
    (music / "A" / "4 broken.mp3").write_text("no music")
    song(music / "B" / "5.flac")
    return music


def tagged(shelf: Path, **options: Any) -> tuple[Summary, dict[str, dict[str, str]], Recorder]:
    home, progress = shelf.parent, Recorder()
    report = home / "genres.csv"
    summary = tag_library(
        TagRequest([shelf], csv=report, state=state_of(home), **options), progress
    )
    return summary, rows_of(report.read_text()), progress


def test_every_track_is_predicted_once_and_has_its_row(shelf: Path, model: Model):
    summary, rows, progress = tagged(shelf)
    assert model.given == list(rows) == sorted(rows)
    assert {name: row["genre"] for name, row in rows.items()} == {
        "1 jazz.flac": "Jazz", "2 polka.flac": "Rock", "3 polka.flac": "Rock", "4 broken.mp3": "",
        "5.flac": "Rock",
    }  # fmt: skip
    assert rows["4 broken.mp3"]["reason"] == "broken"
    assert summary.actions == {Action.PREDICTED: 4, Action.FAILED: 1}
    assert progress.bars == [("scanning", 0), ("predicting", 5), ("reporting", 5)]
    model.given.clear()
    _, again, progress = tagged(shelf)
    assert model.given == [] and again == rows
    assert progress.bars == [("scanning", 0), ("reporting", 5)]


def test_what_was_predicted_before_a_run_ends_is_kept(shelf: Path, model: Model, monkeypatch):
    result = Model.result

    def end(self: Model, one: Track) -> Prediction | Failure:
        if one.path.name.startswith("3"):
            raise KeyboardInterrupt
        return result(self, one)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Model, "result", end)
        tagged(shelf)
    model.given.clear()
    tagged(shelf)
    # The track after it was finished before, and is kept too.
    assert model.given == ["3 polka.flac", "5.flac"]


def test_with_only_missing_no_track_with_a_genre_is_predicted(shelf: Path, model: Model):
    summary, rows, progress = tagged(shelf, only_missing=True, write_tags=True)
    assert model.given == ["1 jazz.flac", "4 broken.mp3", "5.flac"]
    assert summary.actions == {Action.WRITTEN: 2, Action.KEPT: 2, Action.FAILED: 1}
    row = rows["2 polka.flac"]
    assert (row["action"], row["existing_genre"], row["new_genre"]) == ("kept", "Polka", "Polka")
    assert row["reason"] == "it already has a genre; not predicted (--only-missing)"
    assert row["genre"] == row["confidence"] == row["windows"] == ""
    assert read_genres(shelf / "A" / "1 jazz.flac") == ("Jazz",)
    assert read_genres(shelf / "A" / "2 polka.flac") == ("Polka",)
    assert any("5 tracks, 2 left out" in line for line in progress.said)
    assert ("reading tags", 5) in progress.bars and ("predicting", 3) in progress.bars


def test_what_is_known_already_is_shown_with_only_missing(shelf: Path, model: Model):
    know(shelf.parent, [shelf / "A" / "2 polka.flac"], JAZZ)
    _, rows, progress = tagged(shelf, only_missing=True, dry_run=True)
    assert rows["2 polka.flac"]["genre"] == "Jazz"
    assert rows["2 polka.flac"]["reason"] == "it already has a genre"
    assert rows["3 polka.flac"]["genre"] == ""
    assert any("1 known from earlier runs, 1 left out" in line for line in progress.said)


def test_without_only_missing_the_next_run_predicts_what_was_left_out(shelf: Path, model: Model):
    tagged(shelf, only_missing=True)
    model.given.clear()
    _, rows, _ = tagged(shelf)
    assert model.given == ["2 polka.flac", "3 polka.flac"]
    assert rows["2 polka.flac"]["genre"] == "Rock"


def test_tags_that_are_known_are_not_read_again(shelf: Path, model: Model, monkeypatch):
    from tagger.writing import writer

    (shelf / "A" / "4 broken.mp3").unlink()
    read, real = [], writer.read_tag
    monkeypatch.setattr(
        writer, "read_tag", lambda path, charset: read.append(path.name) or real(path)
    )
    tagged(shelf, only_missing=True)
    assert sorted(read) == ["1 jazz.flac", "2 polka.flac", "3 polka.flac", "5.flac"]
    read.clear()
    tagged(shelf, only_missing=True)
    assert read == []


def test_the_mean_of_an_album_is_of_the_tracks_that_were_predicted(shelf: Path, model: Model):
    shutil.copy(shelf / "B" / "5.flac", shelf / "A" / "6.flac")
    _, rows, _ = tagged(shelf, only_missing=True, dry_run=True, by="folder")
    assert rows["6.flac"]["reason"].endswith("; mean of 2 tracks of its folder")
    assert rows["6.flac"]["confidence"] == rows["1 jazz.flac"]["confidence"] == "0.4"


def test_what_was_left_out_is_explained(shelf: Path, model: Model):
    request = TagRequest([shelf / "A"], state=state_of(shelf.parent), only_missing=True)
    explained = {one.outcome.path.name: one.outcome for one in explain_library(request, Recorder())}
    assert explained["2 polka.flac"].action is Action.KEPT
    assert "--only-missing" in explained["2 polka.flac"].reason
    assert explained["1 jazz.flac"].genres == ("Jazz",)


def test_a_track_is_shown_with_the_genre_that_the_policy_names(shelf: Path, model: Model):
    shown = pending._predicted(model.result(track(0)), Policy())
    assert (shown.path, shown.ranked[0][0]) == (track(0).path, "Rock")
    silent = predicted(track(0), (0.0,) * len(bundled().labels))
    assert pending._predicted(silent, Policy()).ranked == ()
    assert pending._predicted(Failure(track(0).path, "broken"), Policy()).reason == "broken"


# --- what is skipped ------------------------------------------------------------------------------


def test_a_genre_that_is_skipped_is_not_predicted_and_stays(shelf: Path, model: Model):
    skip = ["POL-KA"]  # names are compared as everywhere else
    _, rows, progress = tagged(shelf, skip=skip, write_tags=True, policy=Policy("replace"))
    assert model.given == ["1 jazz.flac", "4 broken.mp3", "5.flac"]
    row = rows["2 polka.flac"]
    assert (row["action"], row["new_genre"], row["genre"]) == ("kept", "Polka", "")
    assert row["reason"] == "it has POL-KA; not predicted (--skip)"
    assert read_genres(shelf / "A" / "2 polka.flac") == ("Polka",)
    assert any("5 tracks, 2 left out" in line for line in progress.said)


def test_what_is_skipped_is_left_alone_even_if_an_earlier_run_predicted_it(
    shelf: Path, model: Model
):
    know(shelf.parent, [shelf / "A" / "2 polka.flac"], JAZZ)
    _, rows, progress = tagged(shelf, skip=["Polka"], write_tags=True, policy=Policy("replace"))
    assert rows["2 polka.flac"]["action"] == "kept"
    assert read_genres(shelf / "A" / "2 polka.flac") == ("Polka",)
    assert not any("known from earlier" in line for line in progress.said)
    _, rows, _ = tagged(shelf, write_tags=True, policy=Policy("replace"))
    assert read_genres(shelf / "A" / "2 polka.flac") == ("Jazz",)


def test_what_a_suffix_skips_is_reported_with_its_genre(shelf: Path, model: Model):
    (shelf / "A" / "2 polka.flac").rename(shelf / "B" / "2 polka.M4B")
    _, rows, _ = tagged(shelf, skip=[".m4b"], by="album", dry_run=True)
    assert model.given == ["1 jazz.flac", "3 polka.flac", "4 broken.mp3", "5.flac"]
    row = rows["2 polka.M4B"]
    assert row["reason"] == "its name ends with .m4b; not predicted (--skip)"
    assert row["existing_genre"] == row["new_genre"] == "Polka"
