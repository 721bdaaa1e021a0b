"""`--confirm`: the questions, their order, and what becomes of each answer.

Pure: a `Person` is asked (by `cli/confirm.py`), and a `Hand` writes (`app/asking.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tagger.app.answers import Choices, Command, Names, Refused, parse
from tagger.app.progress import Progress
from tagger.genres.policy import append_to
from tagger.types import Action, Outcome, Track

FAULTS_SHOWN = 3  # files that cannot be written, before a question
Genres = tuple[str, ...]
Like = tuple[Genres, frozenset[Genres], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """A track that somebody is asked about."""

    track: Track
    existing: Genres  # in its tag
    proposed: Genres  # what the policy would write, or if it is unsure, would if it were not


@dataclass(frozen=True, slots=True)
class Question:
    """One question, about a track or about those of an album or a folder."""

    tracks: tuple[Asked, ...]
    ranked: tuple[tuple[str, float], ...]  # the best few genres and their confidence
    is_unsure: bool
    reason: str  # why the policy is unsure, or would change the tag
    whole: str = ""  # "album" or "folder", if it is about all tracks that are in one

    @property
    def proposed(self) -> Genres:
        """The genres that enter accepts; () if nothing was predicted."""
        return self.tracks[0].proposed

    @property
    def existing(self) -> Counter[Genres]:
        """The genres in the tags, and how many tracks have them."""
        return Counter(asked.existing for asked in self.tracks)

    @property
    def like(self) -> Like:
        """Equal for two questions that are alike: "a" answers both."""
        best = tuple(genre for genre, _ in self.ranked[:1])
        return best, frozenset(self.existing), self.is_unsure


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question is among the others."""

    number: int  # from 1
    total: int
    alike: int  # how many others "a" would answer too
    can_undo: bool
    can_keep: bool  # the existing genres, which every file has


class Person(Protocol):
    """Somebody who answers."""

    def show(self, question: Question, place: Place, names: Names) -> None:
        """Show a question."""
        ...

    def ask(self) -> str | None:
        """The line that is typed in answer; None at the end of the input."""
        ...

    def help(self) -> None:
        """Show what can be typed."""
        ...

    def reply(self, line: str) -> None:
        """Show what became of an answer."""
        ...


class Hand(Protocol):
    """Changes the files."""

    def why_not(self, asked: Asked) -> str:
        """Why the file cannot be written, or ""."""
        ...

    def write(self, asked: Asked, genres: Genres | None) -> Outcome:
        """Write the genres, or none and keep the existing; store that a person decided so."""
        ...

    def restore(self, asked: Asked) -> str:
        """Undo the last `write` of a track; returns why that was impossible, or ""."""
        ...


class Session:
    """Asks one question after the other, until all are answered or the person has enough."""

    def __init__(
        self, questions: Sequence[Question], names: Names, hand: Hand, progress: Progress
    ) -> None:
        self._questions, self._names, self._hand = questions, names, hand
        self._progress = progress
        self._open = [True] * len(questions)
        self._alike = Counter(question.like for question in questions)  # of the open ones
        self._steps: list[list[int]] = []  # the questions that each answer was for
        self._next = 0
        self._faults: list[str] = []  # of files that cannot be written; not yet said
        self.outcomes: dict[Path, Outcome] = {}  # of the tracks that were answered
        self.skipped: set[Path] = set()
        self.unwritable: set[Path] = set()

    def run(self, person: Person) -> None:
        """Ask until the end; what was answered is written at once."""
        while (index := self._first_open()) is not None:
            question = self._writable(self._questions[index])
            if question is None:
                self._close(index)
                continue
            self._say_faults(person)
            alike = self._alike[self._questions[index].like] - 1
            can_keep = all(map(self._names.policy.without_placeholders, question.existing))
            place = Place(index + 1, len(self._questions), alike, bool(self._steps), can_keep)
            answer = self._answer(question, place, person)
            if answer is Command.QUIT:
                return
            if answer is Command.UNDO:
                self._undo(person)
            elif answer is Command.ALIKE:
                self._accept_alike(index, person)
            else:
                self._steps.append([index])
                self._close(index)
                self._take(question, answer, person)
        self._say_faults(person)

    def _first_open(self) -> int | None:
        while self._next < len(self._open) and not self._open[self._next]:
            self._next += 1
        return self._next if self._next < len(self._open) else None

    def _close(self, index: int) -> None:
        self._open[index] = False
        self._alike[self._questions[index].like] -= 1

    def _writable(self, question: Question) -> Question | None:
        """The question about those of its tracks that can be written, or None; notes why not."""
        left = []
        for asked in question.tracks:
            if asked.track.path in self.outcomes:
                continue  # an undo left it as it was
            if reason := self._hand.why_not(asked):
                self.unwritable.add(asked.track.path)
                self._faults.append(f"not asked: {asked.track.path}: {reason}")
            else:
                self.unwritable.discard(asked.track.path)
                left.append(asked)
        return replace(question, tracks=tuple(left)) if left else None

    def _say_faults(self, person: Person) -> None:
        for line in self._faults[:FAULTS_SHOWN]:
            person.reply(line)
        if (more := len(self._faults) - FAULTS_SHOWN) > 0:
            person.reply(f"not asked: {more:,} more that cannot be written; see the report")
        self._faults.clear()

    def _answer(self, question: Question, place: Place, person: Person) -> Command | Genres:
        predicted = [genre for genre, _ in question.ranked]
        choices = Choices(predicted, accepts=bool(question.proposed), keeps=place.can_keep)
        person.show(question, place, self._names)
        while True:
            with self._progress.paused():
                line = person.ask()
            answer = Command.QUIT if line is None else parse(line, choices, self._names)
            if isinstance(answer, Refused):
                person.reply(answer.reason)
            elif answer is Command.HELP:
                person.help()
            elif answer is Command.UNDO and not place.can_undo:
                person.reply("there is no answer to undo")
            else:
                return answer

    def _take(self, question: Question, answer: Command | Genres, person: Person) -> None:
        if answer is Command.SKIP:
            self.skipped.update(asked.track.path for asked in question.tracks)
            person.reply("skipped; a later run asks again")
            return
        self._reply(self._write(question, answer), person)

    def _reply(self, outcomes: Sequence[Outcome], person: Person) -> None:
        decided: Counter[str] = Counter()
        for outcome in outcomes:
            if outcome.action is Action.FAILED:
                person.reply(f"failed: {outcome.path}: {outcome.reason}")
            else:
                decided["; ".join(outcome.after)] += 1
        for genres, count in decided.items():
            tracks = f" ({count:,} track{'s' * (count != 1)})" if len(outcomes) > 1 else ""
            person.reply(f"decided: {genres}{tracks}")

    def _write(self, question: Question, answer: Command | Genres) -> list[Outcome]:
        policy, outcomes = self._names.policy, []
        for asked in question.tracks:
            if answer is Command.ACCEPT and not asked.proposed:
                self.skipped.add(asked.track.path)  # never erase what it has
                continue
            genres: Genres | None = None  # it keeps those that it has
            if answer is Command.ACCEPT:
                genres = asked.proposed
            elif not isinstance(answer, Command):
                genres = answer
                if policy.on_existing == "append":
                    genres = append_to(answer, asked.existing, policy, [])
            outcome = self._hand.write(asked, genres)
            self.outcomes[asked.track.path] = outcome
            outcomes.append(outcome)
        return outcomes

    def _accept_alike(self, index: int, person: Person) -> None:
        """Accept what was predicted, for a question and all open ones that are like it."""
        like = self._questions[index].like
        indices = [
            number
            for number in range(index, len(self._questions))
            if self._open[number] and self._questions[number].like == like
        ]
        step: list[int] = []
        self._steps.append(step)
        outcomes: list[Outcome] = []
        for number in self._progress.bar(indices, len(indices), "writing"):
            question = self._writable(self._questions[number])
            step.append(number)
            self._close(number)
            if question is not None:
                outcomes += self._write(question, Command.ACCEPT)
        self._say_faults(person)
        self._reply(outcomes, person)

    def _undo(self, person: Person) -> None:
        """Take the last answer back and open its questions again."""
        restored = 0
        for index in self._steps.pop():
            question = self._questions[index]
            for asked in question.tracks:
                path = asked.track.path
                self.skipped.discard(path)
                outcome = self.outcomes.get(path)
                problem = ""
                if outcome is not None and outcome.action is not Action.FAILED:
                    problem = self._hand.restore(asked)
                    restored += not problem
                if problem:
                    person.reply(f"not undone: {path}: {problem}")
                else:
                    self.outcomes.pop(path, None)
            self._open[index] = True
            self._alike[question.like] += 1
            self._next = min(self._next, index)
        person.reply(f"undone: {restored:,} track{'s' * (restored != 1)} restored")
