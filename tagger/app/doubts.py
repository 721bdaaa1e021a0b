"""The tracks that a person should look at after a run, and what the words in its results mean.

predicted  The genre that the models find most probable for a track of music, whether or not the
           whitelist admits it. Silence, and what is not music, has none.
unsure     A track for which no genre is certain enough to be written: its best genre is below
           `--min-confidence`, or it has none (silence, or nothing that the whitelist admits). With
           `--write-tags` or `--dry-run`, a file that keeps its genre is never unsure: there was
           nothing to decide. Without them, every predicted track is judged by the same confidence.
doubtful   The unsure tracks that have a best genre; the one with the least confidence first.
disagrees  A track whose predicted genre reaches `--min-confidence`, while its file has genres and
           none of them is the same one: by spelling, as an alias, above or below it in the tree
           (or, of a Discogs style, its parent), or as a word in the other's name (Hard Rock and
           Rock). Names that count as no genre do not count, nor does what a person decided. The
           most confident first.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

from tagger.genres.labels import is_discogs
from tagger.genres.policy import Policy
from tagger.genres.ranking import names_in_labels, rank, why_nothing
from tagger.types import BY_HAND, Action, Outcome

LISTED = 10  # tracks in each list
LOW, SILENT, NOTHING, OFF_LIST = (
    "below --min-confidence", "silent", "without any predicted genre",
    "without a predicted genre on the whitelist",
)  # fmt: skip
WORD = re.compile(r"[^\W_]+")
Ranked = Sequence[tuple[str, float]]  # (genre, confidence), best first


def predicted_genres(outcome: Outcome, policy: Policy) -> Ranked:
    """What the models predict for a track, best first; () if it is silent or no music."""
    prediction = outcome.prediction
    if prediction is None or outcome.action is Action.NO_MUSIC or why_nothing(prediction):
        return ()
    ranked: Ranked = outcome.ranked
    if policy.vocabulary.whitelist:
        ranked = rank(prediction, policy.vocabulary, policy.style, admitted=False)
    return ranked if ranked and ranked[0][1] > 0 else ()


def why_unsure(outcome: Outcome, policy: Policy) -> str:
    """Why no genre of a track is certain enough, as one of the constants above; "" if one is."""
    prediction = outcome.prediction
    if prediction is None or outcome.action not in (Action.UNSURE, Action.PREDICTED):
        return ""
    if prediction.is_silent:
        return SILENT
    if why_nothing(prediction):
        return NOTHING
    share = outcome.ranked[0][1] if outcome.ranked else 0.0
    if not share > 0:
        return OFF_LIST if policy.vocabulary.whitelist else NOTHING
    return "" if share >= policy.floor(prediction) else LOW


def disagrees(outcome: Outcome, predicted: Ranked, policy: Policy) -> bool:
    """Whether the first of the predicted genres is none of those that the file has."""
    prediction = outcome.prediction
    existing = policy.without_placeholders(outcome.existing)
    if prediction is None or not predicted or not existing or outcome.reason == BY_HAND:
        return False
    genre, share = predicted[0]
    if share < policy.floor(prediction):
        return False
    vocabulary = policy.vocabulary
    related = [genre, *vocabulary.ancestors(vocabulary.spelled(genre))]
    if is_discogs(prediction.labels):
        related += names_in_labels(genre, prediction.labels, vocabulary, policy.style)
    if any(policy.has(existing, name) for name in related):
        return False
    return not any(
        policy.key(genre) in map(policy.key, vocabulary.ancestors(vocabulary.spelled(name)))
        or _share_words(name, genre)
        for name in policy.parts(existing)
    )


def _share_words(one: str, other: str) -> bool:
    """Whether all words of one name are in the other's, in the same order: Rock, Hard Rock."""
    spaced = (" ".join(WORD.findall(name.casefold())) for name in (one, other))
    shorter, longer = sorted(spaced, key=len)
    return bool(shorter) and f" {shorter} " in f" {longer} "


@dataclass(frozen=True, slots=True)
class Doubt:
    """A track in a list of results, or several with one prediction, such as an album."""

    path: Path  # of several tracks, the folder that holds all of them
    ranked: Ranked  # the best two genres
    existing: tuple[str, ...]
    tracks: int = 1


class Ranking:
    """The few tracks with the lowest numbers; of equal ones the first. Memory does not grow.

    If `grouped`, tracks with the same prediction and the same existing genres take one place.
    """

    def __init__(self, *, grouped: bool = False) -> None:
        self.grouped = grouped
        self._entries: list[tuple[float, int, Doubt]] = []  # number, key and track, ascending

    def __iter__(self) -> Iterator[Doubt]:
        return (doubt for _, _, doubt in self._entries)

    def add(self, number: float, outcome: Outcome, ranked: Ranked) -> None:
        """Take a track into the list, if its number is low enough."""
        entries = self._entries
        if len(entries) == LISTED and number > entries[-1][0]:
            return
        shares = outcome.prediction.probabilities if outcome.prediction else ()
        key = hash((shares, outcome.existing))
        for place, (_, known, doubt) in enumerate(entries if self.grouped else ()):
            if known == key:
                entries[place] = (number, key, _joined(doubt, outcome.path))
                return
        new = Doubt(outcome.path, tuple(ranked[:2]), outcome.existing)
        entries.insert(bisect_right(entries, number, key=itemgetter(0)), (number, key, new))
        del entries[LISTED:]


def _joined(doubt: Doubt, path: Path) -> Doubt:
    """The doubt with one more track."""
    folder = doubt.path if doubt.tracks > 1 else doubt.path.parent
    shared = Path(os.path.commonpath([folder, path.parent]))
    return replace(doubt, path=shared, tracks=doubt.tracks + 1)
