"""Collects what `--confirm` asks about, writes what is answered, and reports on the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tagger.app.answers import Names
from tagger.app.confirm import Asked, Genres, Person, Question, Session
from tagger.app.decided import decided_by_hand
from tagger.app.pending import tag_if_any
from tagger.app.progress import Progress
from tagger.app.results import Result, results
from tagger.app.summary import log_written
from tagger.app.tracks import RunTracks
from tagger.errors import TagError
from tagger.genres.albums import Key
from tagger.genres.labels import genres_of
from tagger.genres.policy import Policy, decide, rank_genres
from tagger.state.store import State
from tagger.types import Action, Outcome, Prediction, TagInfo, Track
from tagger.writing.by_hand import write_answer
from tagger.writing.undo import undo_change
from tagger.writing.writer import Writer, identify, tag_of

KIND = "confirm"  # of a decision
SHOWN, LEAST_SHOWN = 5, 0.005  # genres of a question, and their confidence
ANY = ("Genre",)  # to try whether a file can be written
NOT_ASKED = "not asked; a later run with --confirm asks"
SKIPPED = "skipped; a later run with --confirm asks again"


@dataclass(frozen=True, slots=True)
class Asking:
    """A run that asks before it writes."""

    tracks: Sequence[RunTracks]
    by: str  # one of albums.BY
    policy: Policy
    writer: Writer
    progress: Progress

    def ask(self, person: Person) -> Answered:
        """Ask about all that is unsure or would change, and write each answer at once.

        If the answers end early, no other file is written.
        """
        state, policy = self.writer.state, self.policy
        count = self.tracks[0].count()
        found = results(self.tracks, self.by, policy)
        questions = collect(self.progress.bar(found, count, "deciding"), policy, state)
        names = Names(policy, _known_genres(self.writer, policy))
        pen = _Pen(replace(self.writer, decides=KIND), self.tracks[0])
        session = Session(questions, names, pen, self.progress)
        try:
            session.run(person)
        finally:
            for outcome in session.outcomes.values():
                if outcome.action is Action.WRITTEN:
                    log_written(outcome, self.writer.run)
        asked = {asked.track.path for question in questions for asked in question.tracks}
        count = sum(it.action is not Action.FAILED for it in session.outcomes.values())
        other = "other " if count else ""
        done = f"{count:,} of {len(asked):,} tracks answered; no {other}file is changed"
        person.reply(done if asked else "nothing to ask: no track is unsure or would change")
        return Answered(session, frozenset(asked), policy, state)


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers of a run."""

    session: Session
    asked: frozenset[Path]  # all that questions were about
    policy: Policy
    state: State

    def outcome(self, result: Result) -> Outcome | None:
        """The outcome of a track that a question was about.

        None for any other, and for a file that cannot be written: it was not asked about.
        """
        item, session = result.item, self.session
        path = item.track.path if isinstance(item, Prediction) else item.path
        if path not in self.asked or path in session.unwritable:
            return None
        prediction = item if isinstance(item, Prediction) else None
        ranked = tuple(rank_genres(prediction, self.policy)) if prediction else ()
        if (outcome := session.outcomes.get(path)) is not None:
            return replace(outcome, prediction=prediction, ranked=ranked)
        if prediction is None:
            return None
        tag = tag_if_any(prediction.track, result.tag, self.state)
        decision = decide(prediction, tag, self.policy)
        action, why = Action.KEPT, SKIPPED if path in session.skipped else NOT_ASKED
        if decision.action is Action.UNSURE:
            action, why = Action.UNSURE, f"{decision.reason}; {why}"
        return Outcome(path, action, why, prediction, tag.genres, ranked=ranked)


def collect(found: Iterable[Result], policy: Policy, state: State) -> list[Question]:
    """The questions about these results, in order; those about one album are one."""
    questions: dict[Key, Question] = {}
    for number, result in enumerate(found):
        question = _question(result, policy, state)
        if question is None:
            continue
        key = result.group or (str(number),)
        if (same := questions.get(key)) is not None:
            whole = "folder" if key[0] == "folder" else "album"
            question = replace(same, tracks=(*same.tracks, *question.tracks), whole=whole)
        questions[key] = question
    return list(questions.values())


def _question(result: Result, policy: Policy, state: State) -> Question | None:
    """The question about one track; None if its tag would stay as it is, or cannot be read."""
    item = result.item
    if not isinstance(item, Prediction):
        return None
    try:
        tag = result.tag or tag_of(item.track, state)
    except TagError:
        return None
    decision = decide(item, tag, policy)
    is_unsure = decision.action is Action.UNSURE
    if not is_unsure and decision.action is not Action.WOULD_WRITE:
        return None
    if decided_by_hand(item.track, tag, state) is not None:
        return None
    best = [each for each in rank_genres(item, policy)[:SHOWN] if each[1] > 0]
    ranked = [*best[:1], *(each for each in best[1:] if each[1] >= LEAST_SHOWN)]
    reason = "; ".join(filter(None, (decision.reason, result.source, item.note)))
    asked = Asked(item.track, tag.genres, decision.genres or _unsure_genres(item, tag, policy))
    return Question((asked,), tuple(ranked), is_unsure, reason)


def _unsure_genres(item: Prediction, tag: TagInfo, policy: Policy) -> Genres:
    """The genres that would be written if no confidence were too low; () if there are none."""
    decision = decide(item, tag, replace(policy, min_confidence=0.0))
    return tag.genres if decision.action is Action.UNCHANGED else decision.genres


def _known_genres(writer: Writer, policy: Policy) -> Iterator[str]:
    """The genres of the models, then those in tags that any run has read."""
    for info in writer.models:
        yield from (
            policy.vocabulary.spelled(name) for name, _ in genres_of(info.labels, policy.style)
        )
    yield from policy.parts(writer.state.tagged_genres())


@dataclass(slots=True)
class _Pen:
    """Writes answers and takes them back; see `confirm.Hand`."""

    writer: Writer
    tracks: RunTracks
    now: dict[Path, Track] = field(default_factory=dict)  # files as we left them
    undo_run: int | None = None

    def why_not(self, asked: Asked) -> str:
        """Try the write in memory; see `confirm.Hand`."""
        rehearsal = replace(self.writer, run=None)
        genres = asked.proposed or ANY
        outcome = write_answer(self._as_left(asked), asked.existing, genres, rehearsal)
        return outcome.reason if outcome.action is Action.FAILED else ""

    def write(self, asked: Asked, genres: Genres | None) -> Outcome:
        """Write, with the decision; see `confirm.Hand`."""
        outcome = write_answer(self._as_left(asked), asked.existing, genres, self.writer)
        if outcome.action is Action.WRITTEN:
            self._note(asked.track.path)
        return outcome

    def restore(self, asked: Asked) -> str:
        """Undo through the journal, as a run of its own; see `confirm.Hand`."""
        state, path = self.writer.state, asked.track.path
        if self.undo_run is None:
            self.undo_run = state.begin_run("undo")
        runs = () if self.writer.run is None else (self.writer.run,)
        unwritten = [each for each in state.unwritten_decisions(*runs) if each.path == path]
        if unwritten:
            state.take_back(unwritten, self.undo_run)
            return ""
        writer = Writer(state, self.undo_run, self.writer.options)
        outcome = undo_change(state.in_effect(path)[0], writer)
        if outcome.action is Action.FAILED:
            return outcome.reason
        self._note(path)
        return ""

    def _as_left(self, asked: Asked) -> Track:
        return self.now.get(asked.track.path, asked.track)

    def _note(self, path: Path) -> None:
        self.now[path] = now = identify(path)
        self.tracks.refresh(now)
