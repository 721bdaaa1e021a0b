"""The order of questions and answers: each answer is taken once, and can be undone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from helpers.known import Recorder
from helpers.typist import Typist

from tagger.app.answers import Names
from tagger.app.confirm import Asked, Genres, Question, Session
from tagger.genres.policy import Policy
from tagger.types import Action, Outcome, Track

ROCK = (("Rock", 0.6), ("Jazz", 0.3))
POP = (("Pop", 0.9),)


def asked(name: str, *existing: str, proposed: str = "Rock") -> Asked:
    return Asked(Track(Path(f"/m/{name}"), 1, 1), existing, (proposed,) if proposed else ())


def question(*names: str, has: Genres = (), ranked=ROCK, unsure: bool = False) -> Question:
    best = ranked[0][0] if ranked else ""
    tracks = tuple(asked(name, *has, proposed=best) for name in names)
    return Question(tracks, ranked, unsure, "why", "album" if len(names) > 1 else "")


class Files:
    """A hand that notes what it is to write."""

    def __init__(self, broken: Iterable[str] = (), failing: Iterable[str] = ()) -> None:
        self.genres: dict[str, Genres] = {}
        self.broken, self.failing = set(broken), set(failing)
        self.stuck: set[str] = set()

    def why_not(self, asked: Asked) -> str:
        return "it is read-only" if asked.track.path.name in self.broken else ""

    def write(self, asked: Asked, genres: Genres | None) -> Outcome:
        path = asked.track.path
        genres = asked.existing if genres is None else genres
        if path.name in self.failing:
            return Outcome(path, Action.FAILED, "no space left")
        self.genres[path.name] = genres
        action = Action.UNCHANGED if genres == asked.existing else Action.WRITTEN
        written = genres if action is Action.WRITTEN else ()
        return Outcome(path, action, existing=asked.existing, genres=written)

    def restore(self, asked: Asked) -> str:
        if asked.track.path.name in self.stuck:
            return "its genre has changed since that run"
        del self.genres[asked.track.path.name]
        return ""


def run(
    typist: Typist, *questions: Question, files: Files | None = None, policy: Policy | None = None
) -> tuple[Files, Session]:
    files = files or Files()
    names = Names(policy or Policy(), ["Soul"])
    session = Session(questions, names, files, Recorder())
    session.run(typist)
    return files, session


def test_each_question_is_asked_once_in_order():
    typist = Typist("", "2", "soul", "0")
    files, _ = run(typist, question("a"), question("b"), question("c"), question("d", has=("Ska",)))
    assert typist.seen == ["a", "b", "c", "d"]
    assert files.genres == {"a": ("Rock",), "b": ("Jazz",), "c": ("Soul",), "d": ("Ska",)}
    assert [(place.number, place.total) for place in typist.places] == [
        (1, 4), (2, 4), (3, 4), (4, 4)
    ]  # fmt: skip


@pytest.mark.parametrize("end", [["q"], ["Q"], []], ids=["q", "Q", "end of the input"])
def test_the_end_leaves_all_other_files_alone(end):
    files, session = run(Typist("", *end), question("a"), question("b"), question("c"))
    assert files.genres == {"a": ("Rock",)}
    assert [path.name for path in session.outcomes] == ["a"]
    assert not session.skipped


def test_a_skipped_track_is_not_decided():
    files, session = run(Typist("s", ""), question("a"), question("b"))
    assert files.genres == {"b": ("Rock",)}
    assert [path.name for path in session.skipped] == ["a"]


def test_a_refused_line_and_help_ask_the_same_question_again():
    typist = Typist("x", "7", "?", "u", "")
    files, _ = run(typist, question("a"), question("b"))
    assert typist.seen == ["a", "b"] and typist.helped == 1
    assert len(typist.replies) == 4 and "nothing" not in typist.replies[0]
    assert files.genres == {"a": ("Rock",)}


LIBRARY = (
    question("a"), question("b", has=("Ska",)), question("c", ranked=POP), question("d"),
    question("e", unsure=True), question("f"),
)  # fmt: skip


def test_a_accepts_all_with_the_same_predicted_and_existing_genre_and_as_sure():
    typist = Typist("a", "q")
    files, _ = run(typist, *LIBRARY)
    assert typist.places[0].alike == 2
    assert files.genres == dict.fromkeys("adf", ("Rock",))
    assert typist.seen == ["a", "b"]


def test_a_leaves_what_was_answered_or_skipped_before():
    typist = Typist("", "s", "", "a")
    files, session = run(typist, *LIBRARY)
    assert typist.seen == ["a", "b", "c", "d", "e"]
    assert files.genres == {"a": ("Rock",), "c": ("Pop",), "d": ("Rock",), "f": ("Rock",)}
    assert [path.name for path in session.skipped] == ["b"]


def test_u_takes_back_one_answer_after_the_other_and_asks_again():
    typist = Typist("", "s", "soul", "u", "u", "u", "2", "q")
    files, session = run(typist, *LIBRARY)
    assert typist.seen == ["a", "b", "c", "d", "c", "b", "a", "b"]
    assert files.genres == {"a": ("Jazz",)}
    assert not session.skipped


def test_u_takes_back_all_that_a_accepted():
    typist = Typist("a", "s", "u", "u", "s", "s", "s", "", "q")
    files, session = run(typist, *LIBRARY)
    assert typist.seen == ["a", "b", "c", "b", "a", "b", "c", "d", "e"]
    assert files.genres == {"d": ("Rock",)}
    assert [place.alike for place in typist.places] == [2, 0, 0, 0, 2, 0, 0, 1, 0]
    assert not typist.places[4].can_undo and typist.places[5].can_undo
    assert sorted(path.name for path in session.skipped) == ["a", "b", "c"]


def test_u_leaves_what_another_program_changed_since():
    files = Files()
    files.stuck = {"a"}
    typist = Typist("a", "u", "q")
    _, session = run(typist, *LIBRARY, files=files)
    assert files.genres == {"a": ("Rock",)}
    assert [path.name for path in session.outcomes] == ["a"]
    assert typist.seen == ["a", "b", "b"]  # d and f are open again, a is not
    assert any("not undone: /m/a" in reply for reply in typist.replies)


def test_a_file_that_cannot_be_written_is_not_asked_about():
    typist = Typist("", "")
    _, session = run(typist, *LIBRARY[:3], files=Files(broken=["b"]))
    assert typist.seen == ["a", "c"]
    assert [path.name for path in session.unwritable] == ["b"]
    assert any("/m/b: it is read-only" in reply for reply in typist.replies)


def test_of_many_files_that_cannot_be_written_the_first_few_are_named():
    names = [f"n{number}" for number in range(9)]
    typist = Typist("")
    run(typist, *map(question, names), files=Files(broken=names[:8]))
    assert typist.seen == ["n8"]
    assert [reply for reply in typist.replies if "not asked" in reply] == [
        *(f"not asked: /m/n{number}: it is read-only" for number in range(3)),
        "not asked: 5 more that cannot be written; see the report",
    ]


def test_a_leaves_out_files_that_cannot_be_written():
    typist = Typist("a", "q")
    files, session = run(typist, *LIBRARY, files=Files(broken=["d"]))
    assert files.genres == dict.fromkeys("af", ("Rock",))
    assert [path.name for path in session.unwritable] == ["d"]


def test_a_write_that_fails_is_said_and_can_be_tried_again():
    files = Files(failing=["a"])
    typist = Typist("", "u", "q")
    _, session = run(typist, question("a"), question("b"), files=files)
    assert typist.seen == ["a", "b", "a"]
    assert any("no space left" in reply for reply in typist.replies)
    assert not session.outcomes


def test_a_failed_outcome_stays_for_the_report():
    _, session = run(Typist(""), question("a"), files=Files(failing=["a"]))
    assert [outcome.action for outcome in session.outcomes.values()] == [Action.FAILED]


def test_an_album_is_asked_about_once():
    typist = Typist("soul", "u", "a")
    files, _ = run(typist, question("a", "b", "c"), question("d", "e"))
    assert typist.seen == ["a", "d", "a"]
    assert files.genres == dict.fromkeys("abcde", ("Rock",))


def test_of_an_album_only_the_files_that_can_be_written_are_asked_about():
    files, session = run(Typist("2"), question("a", "b"), files=Files(broken=["a"]))
    assert files.genres == {"b": ("Jazz",)}
    assert [path.name for path in session.unwritable] == ["a"]


def test_with_append_an_answer_is_added_to_the_existing_genres():
    policy = Policy(on_existing="append")
    files, _ = run(Typist("soul", "0"), *[question(name, has=("Ska",)) for name in "ab"],
                   policy=policy)  # fmt: skip
    assert files.genres == {"a": ("Ska", "Soul"), "b": ("Ska",)}


def test_where_nothing_was_predicted_only_a_genre_or_s_is_an_answer():
    typist = Typist("", "a", "1", "soul")
    files, _ = run(typist, question("a", ranked=(), unsure=True))
    assert files.genres == {"a": ("Soul",)}
    assert typist.seen == ["a"]


@pytest.mark.parametrize("line", ["", "a"])
def test_accepting_erases_nothing_where_nothing_is_proposed(line):
    tracks = (asked("a"), asked("b", "Polka", proposed=""))
    files, session = run(Typist(line), Question(tracks, ROCK, False, "why", "album"))
    assert files.genres == {"a": ("Rock",)}
    assert session.skipped == {Path("/m/b")}
