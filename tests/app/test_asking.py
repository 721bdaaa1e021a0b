"""What a person decides is written at once, and later runs leave it; files are read by mutagen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mutagen
import pytest
from helpers.known import JAZZ, ROCK, Recorder, bundled, know, rows_of, song, state_of
from helpers.stub_model import Model
from helpers.typist import Typist

from tagger.app import tag
from tagger.app.request import TagRequest
from tagger.app.summary import Summary
from tagger.app.tag import Explanation, explain_library, tag_library
from tagger.app.undo import UndoRequest, list_runs, undo_tags
from tagger.errors import StateError
from tagger.genres.policy import Policy
from tagger.genres.vocabulary import Vocabulary
from tagger.types import BY_HAND, PredictOptions

REPLACE = Policy(on_existing="replace", min_confidence=0.5)


@pytest.fixture
def music(home: Path) -> Path:
    """Four tracks that are predicted as Rock; one of them has a genre."""
    folder = home / "music"
    names = ("a.flac", "b.flac", "c.mp3", "d.m4a")
    paths = [
        song(folder / name, *(["Polka"] if name[0] == "b" else []), kind=name.partition(".")[2])
        for name in names
    ]
    know(home, paths)
    return folder


def genres(path: Path) -> list[str]:
    """By mutagen's own easy interface."""
    return (mutagen.File(path, easy=True) or {}).get("genre", [])


def retitle(path: Path) -> None:
    media = mutagen.File(path, easy=True)
    media["title"] = "another"
    media.save()


def set_genre(path: Path, *genres: str) -> None:
    media = mutagen.File(path, easy=True)
    media["genre"] = list(genres)
    media.save()


def request(music: Path, **asked: Any) -> TagRequest:
    home = music.parent
    options = {"write_tags": True, "policy": REPLACE, "csv": home / "genres.csv", **asked}
    return TagRequest([music], state=state_of(home), **options)


def confirm(music: Path, *lines: str, **asked: Any) -> Typist:
    typist = Typist(*lines)
    tag_library(request(music, **asked), Recorder(), typist)
    return typist


def run(music: Path, **asked: Any) -> Summary:
    return tag_library(request(music, **asked), Recorder())


def reported(music: Path) -> dict[str, dict[str, str]]:
    return rows_of((music.parent / "genres.csv").read_text())


def undo(music: Path, *runs: int) -> Recorder:
    recorder = Recorder()
    undo_tags(UndoRequest(runs=runs, state=state_of(music.parent)), recorder)
    return recorder


def explained(music: Path, name: str) -> Explanation:
    found = explain_library(request(music, write_tags=False), Recorder())
    return next(one for one in found if one.outcome.path.name == name)


# --- what is asked, written and reported ---------------------------------------------------------


def test_answers_are_in_the_tags_and_in_the_report(music):
    typist = confirm(music, "", "0", "Soul; funk", "s", policy=REPLACE)
    assert typist.seen == ["a.flac", "b.flac", "c.mp3", "d.m4a"]
    assert [genres(path) for path in sorted(music.iterdir())] == [
        ["Rock"], ["Polka"], ["Soul", "funk"], []
    ]  # fmt: skip
    rows = reported(music)
    cells = ("action", "reason", "new_genre")
    assert {name: tuple(row[cell] for cell in cells) for name, row in rows.items()} == {
        "a.flac": ("written", BY_HAND, "Rock"),
        "b.flac": ("unchanged", BY_HAND, "Polka"),
        "c.mp3": ("written", BY_HAND, "Soul; funk"),
        "d.m4a": ("kept", "skipped; a later run with --confirm asks again", ""),
    }  # fmt: skip
    assert {row["heard"] for row in rows.values()} == {"Rock"}


def test_after_q_no_other_file_is_written_and_the_report_has_all_of_them(music):
    confirm(music, "", "q")
    assert [genres(path) for path in sorted(music.iterdir())] == [["Rock"], ["Polka"], [], []]
    reasons = {name: row["reason"] for name, row in reported(music).items()}
    assert reasons == {
        "a.flac": BY_HAND,
        **dict.fromkeys(("b.flac", "c.mp3", "d.m4a"), "not asked; a later run with --confirm asks"),
    }


def test_only_what_is_unsure_or_would_change_is_asked_about(music):
    know(music.parent, [music / "c.mp3"], {"jazz": 0.4, "rock": 0.3})
    (music / "broken.flac").write_bytes(b"fLaC")
    typist = confirm(music, "", "", "", policy=Policy())  # b.flac keeps its genre
    assert typist.seen == ["a.flac", "c.mp3", "d.m4a"]
    assert [question.is_unsure for question in typist.questions] == [False, True, False]
    assert [genres(music / name) for name in ("b.flac", "c.mp3")] == [["Polka"], ["Jazz"]]


def test_unsure_tracks_stay_unsure_if_they_are_skipped(music):
    know(music.parent, [music / "a.flac"], {"jazz": 0.4, "rock": 0.3})
    confirm(music, "s")
    row = reported(music)["a.flac"]
    assert (row["action"], row["new_genre"]) == ("unsure", "")
    assert row["reason"].startswith("Jazz at 0.40 is below 0.5; skipped")


def test_what_enter_writes_follows_the_policy(music):
    policy = Policy(on_existing="append", top=2, ratio=0.1)
    confirm(music, "", "", policy=policy)
    assert genres(music / "a.flac") == ["Rock", "Metal"]
    assert genres(music / "b.flac") == ["Polka", "Rock", "Metal"]


def test_genres_are_completed_from_rules_model_and_library(music):
    rules = Vocabulary(aliases={"Drum & Bass": ("dnb",)})
    typist = confirm(music, "dnb", policy=Policy(on_existing="replace", vocabulary=rules))
    assert genres(music / "a.flac") == ["Drum & Bass"]
    assert typist.names is not None
    assert typist.names.completions("p") == ["Polka", "Pop"]
    assert typist.names.completions("d") == ["Disco", "dnb", "Drum & Bass"]


def test_a_file_that_cannot_be_written_is_reported_as_ever(music):
    (music / "a.flac").chmod(0o444)
    typist = confirm(music, "q")
    assert typist.seen == ["b.flac"]
    assert any("a.flac: the file is read-only" in reply for reply in typist.replies)
    row = reported(music)["a.flac"]
    assert (row["action"], row["reason"]) == ("failed", "the file is read-only")


def test_without_a_question_it_says_so(decided):
    confirm(decided, "", "")
    typist = confirm(decided)
    assert not typist.questions
    assert typist.replies == ["nothing to ask: no track is unsure or would change"]


class Meddler(Typist):
    """Another program changes a file before each answer."""

    def __init__(self, path: Path, change: Callable[[Path], None], *lines: str) -> None:
        super().__init__(*lines)
        self.path, self.change = path, change

    def ask(self) -> str | None:
        self.change(self.path)
        return super().ask()


@pytest.mark.parametrize("change", [retitle, lambda path: set_genre(path, "Ska")])
def test_a_file_that_changes_while_a_person_thinks_is_not_written(music, change):
    meddler = Meddler(music / "a.flac", change, "soul")
    tag_library(request(music), Recorder(), meddler)
    assert genres(music / "a.flac") != ["soul"]
    assert meddler.replies[-1].startswith("0 of 4 tracks answered")
    row = reported(music)["a.flac"]
    assert (row["action"], "meanwhile" in row["reason"]) == ("failed", True)
    assert confirm(music, "q").seen == ["a.flac"]  # it was not decided


def test_0_writes_nothing_even_if_a_genre_is_not_in_every_place(music):
    path = music / "c.mp3"
    set_genre(path, "Rock")
    ape = mutagen.apev2.APEv2()
    ape["Genre"] = "Other"
    ape.save(path)
    know(music.parent, [path])
    before = path.read_bytes()
    typist = confirm(music, "s", "s", "0")
    assert "c.mp3" in typist.seen
    assert path.read_bytes() == before
    run(music)
    assert path.read_bytes() == before


# --- u -------------------------------------------------------------------------------------------


def test_u_restores_every_byte_and_asks_again(music):
    before = (music / "c.mp3").read_bytes()
    typist = confirm(music, "s", "s", "soul", "u", "q")
    assert typist.seen == ["a.flac", "b.flac", "c.mp3", "d.m4a", "c.mp3"]
    assert (music / "c.mp3").read_bytes() == before
    assert reported(music)["c.mp3"]["action"] == "kept"
    assert confirm(music, "q", policy=REPLACE).seen == ["a.flac"]


def test_u_after_a_restores_all_and_the_next_answers_hold(music):
    typist = confirm(music, "a", "u", "soul", "0", "funk", "u", "ska")
    assert typist.seen == [
        "a.flac",
        "b.flac",
        "a.flac",
        "b.flac",
        "c.mp3",
        "d.m4a",
        "c.mp3",
        "d.m4a",
    ]
    assert [genres(path) for path in sorted(music.iterdir())] == [
        ["soul"], ["Polka"], ["ska"], []
    ]  # fmt: skip
    first = list_runs(state_of(music.parent))[0]  # each file counts once
    assert (first.files, first.remaining) == (3, 2)
    run(music, policy=Policy(on_existing="replace", min_confidence=0.0))
    assert [genres(path) for path in sorted(music.iterdir())] == [
        ["soul"], ["Polka"], ["ska"], ["Rock"]
    ]  # fmt: skip


def test_u_forgets_a_decision_that_wrote_nothing(music):
    confirm(music, "s", "0", "u", "q")
    run(music)
    assert genres(music / "b.flac") == ["Rock"]


# --- later runs ----------------------------------------------------------------------------------


@pytest.fixture
def decided(music: Path) -> Path:
    """The library after a person has decided on the first two tracks."""
    confirm(music, "soul", "0", "q")
    return music


def is_untouched(music: Path) -> bool:
    return [genres(music / name) for name in ("a.flac", "b.flac")] == [["soul"], ["Polka"]]


@pytest.mark.parametrize("on_existing", ["keep", "append", "replace", "replace-own"])
@pytest.mark.parametrize("by", ["track", "album", "folder"])
def test_no_later_run_touches_what_was_decided(decided, on_existing, by):
    policy = Policy(on_existing=on_existing, min_confidence=0.0, placeholders=("Polka",))
    run(decided, policy=policy, by=by)
    assert is_untouched(decided)
    assert genres(decided / "c.mp3") == ["Rock"]
    for name in ("a.flac", "b.flac"):
        row = reported(decided)[name]
        assert (row["action"], row["reason"], row["heard"]) == ("kept", BY_HAND, "Rock")


def test_a_later_confirm_does_not_ask_again(decided):
    assert confirm(decided, "q").seen == ["c.mp3"]


@pytest.mark.parametrize(
    "asked", [{"predict_again": True}, {"options": PredictOptions(windows=2)}], ids=str
)
@pytest.mark.parametrize("change", [lambda path: None, retitle], ids=["as it was", "retagged"])
def test_other_predictions_of_decided_tracks_do_not_matter(decided, asked, change, monkeypatch):
    model = Model(monkeypatch)
    change(decided / "a.flac")
    run(decided, **asked)
    assert "a.flac" in model.given
    assert is_untouched(decided)


def test_two_models_ask_about_their_mean(music, monkeypatch):
    other = replace(bundled(), fingerprint="other", name="other")
    found = {"gtzan-small": bundled(), "other": other}
    monkeypatch.setattr(tag, "find_model", lambda name, *_, **__: found[name])
    Model(monkeypatch)
    typist = confirm(music, "", "q", model=["gtzan-small", "other"])
    assert typist.questions[0].ranked[0] == ("Rock", pytest.approx(ROCK["rock"], abs=1e-6))
    assert genres(music / "a.flac") == ["Rock"]
    run(music, model=["other"], policy=Policy(on_existing="replace", min_confidence=0.0))
    assert reported(music)["a.flac"]["reason"] == BY_HAND


@pytest.mark.parametrize(
    "change",
    [
        lambda path: retitle(path),
        lambda path: path.rename(path.with_name("z.flac")),
        lambda path: (retitle(path), path.rename(path.with_name("z.flac"))),
        lambda path: set_genre(path, "By another program"),
        lambda path: (set_genre(path, "Other"), path.rename(path.with_name("z.flac"))),
        lambda path: set_genre(path),
    ],
    ids=["retagged", "moved", "both", "other genre", "other genre and moved", "no genre"],
)
@pytest.mark.parametrize("name", ["a.flac", "b.flac"])
def test_a_decided_file_is_known_whatever_becomes_of_it(decided, name, change):
    change(decided / name)
    before = {path.name: path.read_bytes() for path in decided.glob("*.flac")}
    for _ in range(2):
        run(decided, policy=Policy(on_existing="replace", min_confidence=0.0))
        assert {path.name: path.read_bytes() for path in decided.glob("*.flac")} == before


def test_two_decided_files_may_swap_their_names(decided):
    a, b, c = (decided / name for name in ("a.flac", "b.flac", "x.flac"))
    a.rename(c), b.rename(a), c.rename(b)
    run(decided)
    assert [genres(a), genres(b)] == [["Polka"], ["soul"]]


def test_another_track_in_the_place_of_a_decided_one_is_not_decided(decided):
    other = song(decided.parent / "other.flac")
    other.replace(decided / "a.flac")
    know(decided.parent, [decided / "a.flac"], JAZZ)
    run(decided)
    assert genres(decided / "a.flac") == ["Jazz"]


def test_a_copy_of_a_decided_file_is_decided_and_a_twin_of_it_is_not(decided):
    shutil.copytree(decided, decided.parent / "copy")
    twin = shutil.copy(decided / "a.flac", decided / "twin.flac")
    set_genre(Path(twin), "Other")
    run(decided.parent / "copy", csv=None)
    assert is_untouched(decided.parent / "copy")
    run(decided)
    assert genres(decided / "twin.flac") == ["Rock"]
    assert is_untouched(decided)


def test_of_an_album_decided_tracks_stay_and_count_in_the_mean(music):
    know(music.parent, [music / "a.flac"], {"jazz": 0.9, "rock": 0.1})
    confirm(music, "soul", "q", policy=Policy(on_existing="replace", min_confidence=0.0))
    typist = confirm(music, "", by="folder", policy=REPLACE)
    (question,) = typist.questions
    assert [asked.track.path.name for asked in question.tracks] == ["b.flac", "c.mp3", "d.m4a"]
    assert question.whole == "folder"
    share = (3 * ROCK["rock"] + 0.1) / 4
    assert question.ranked[0] == ("Rock", pytest.approx(share, abs=1e-6))
    assert [genres(path) for path in sorted(music.iterdir())] == [["soul"], *[["Rock"]] * 3]


def test_explain_says_who_decided(decided):
    found = explained(decided, "a.flac")
    assert found.outcome.reason == BY_HAND
    assert [step[: step.index(" on ")] for step in found.steps] == ["by hand: soul was chosen"]


def test_a_playlist_has_the_genre_of_the_file(decided):
    run(decided, playlists=decided.parent / "lists")
    assert "a.flac" in (decided.parent / "lists" / "soul.m3u8").read_text()


def test_a_run_that_writes_nothing_shows_it_too(decided):
    run(decided, write_tags=False)
    assert reported(decided)["a.flac"]["reason"] == BY_HAND


# --- undo ----------------------------------------------------------------------------------------


def test_undo_takes_back_what_the_run_decided_and_its_undo_brings_it_back(decided):
    undo(decided, 1)
    assert [genres(decided / name) for name in ("a.flac", "b.flac")] == [[], ["Polka"]]
    assert confirm(decided, "q").seen == ["a.flac"]
    undo(decided, 2)
    assert is_untouched(decided)
    run(decided, policy=Policy(on_existing="replace", min_confidence=0.0))
    assert is_untouched(decided)


def test_after_an_undo_runs_write_again(decided):
    undo(decided, 1)
    run(decided)
    assert [genres(decided / name) for name in ("a.flac", "b.flac")] == [["Rock"], ["Rock"]]


def test_an_undo_that_leaves_a_file_alone_leaves_its_decision_too(decided):
    set_genre(decided / "a.flac", "By another program")
    undo(decided, 1)
    run(decided)
    assert genres(decided / "a.flac") == ["By another program"]


def test_a_run_that_only_kept_genres_is_undone_by_its_number(music):
    confirm(music, "s", "0", "q")
    progress = undo(music, 1)
    assert progress.said == ["no longer decided by hand: 1 track whose genre stayed"]
    with pytest.raises(StateError, match="nothing to undo"):
        undo(music, 1)
    run(music)
    assert genres(music / "b.flac") == ["Rock"]


def test_a_decision_of_an_undone_run_does_not_come_back_with_a_later_one(decided):
    undo(decided, 1)
    confirm(decided, "funk", "q")
    assert genres(decided / "a.flac") == ["funk"]
    run(decided)
    assert [genres(decided / name) for name in ("a.flac", "b.flac")] == [["funk"], ["Rock"]]
