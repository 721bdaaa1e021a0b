"""The policy that chooses which genres to write, given a prediction. Pure: no files, no model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter

from tagger.names import LABEL_NAMES, name_key
from tagger.provenance import is_own
from tagger.rules import Vocabulary
from tagger.types import Action, Prediction, TagInfo

ON_EXISTING = ("keep", "append", "replace", "replace-own")


@dataclass(frozen=True, slots=True)
class Policy:
    """What gets written, given a prediction and the genres a file already has."""

    on_existing: str = "keep"  # one of ON_EXISTING
    min_confidence: float = 0.5  # of the best genre; below it nothing is written
    top: int = 1  # genres at most, parents not counted
    ratio: float = 0.5  # of the best confidence, that a further genre must reach
    protect: tuple[str, ...] = ()  # a file that has one of these genres is left alone
    with_parents: bool = False  # write the parent of each chosen genre behind them
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    def __post_init__(self) -> None:
        if self.on_existing not in ON_EXISTING:
            raise ValueError(f"on_existing is one of {ON_EXISTING}, not {self.on_existing!r}")
        if not 0 <= self.min_confidence <= 1 or not 0 <= self.ratio <= 1 or self.top < 1:
            raise ValueError(f"not a usable policy: {self}")


DEFAULT_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Decision:
    """The genres a file shall have, or () where it is left alone, and why."""

    action: Action  # WOULD_WRITE, KEPT, UNSURE or UNCHANGED
    genres: tuple[str, ...] = ()
    reason: str = ""
    steps: tuple[str, ...] = ()  # a line for each rule that was asked, in their order


def rank_genres(prediction: Prediction, policy: Policy = DEFAULT_POLICY) -> list[tuple[str, float]]:
    """`(genre, confidence)` best first, each once; empty if the whitelist admits none.

    Of labels that are one genre the best counts where each may be true by itself (multi-label);
    where just one of them is true, their probabilities add up to that of the genre.
    """
    return _rank(prediction, _admitted(prediction.labels, policy.vocabulary))


def decide(prediction: Prediction, tag: TagInfo, policy: Policy) -> Decision:
    """Apply the policy to one track. Nothing is ever erased for want of a result."""
    steps: list[str] = []
    if reason := _reason_to_keep(tag, policy, steps):
        return Decision(Action.KEPT, (), reason, tuple(steps))
    vocabulary = policy.vocabulary
    heard = ranked = _rank(prediction, _heard(prediction.labels, vocabulary))
    if vocabulary.whitelist:
        ranked = rank_genres(prediction, policy)
        wanted = {*_within_reach(heard, policy), *_within_reach(ranked, policy)}
        told = [name for name, _ in heard if {name, vocabulary.admitted(name)} & wanted]
        steps += [_whitelist_step(name, vocabulary) for name in told]
    if reason := _reason_to_doubt(ranked, policy, steps):
        return Decision(Action.UNSURE, (), reason, tuple(steps))
    chosen = _choose(ranked, policy, steps)
    if policy.on_existing == "append":
        chosen = _append(chosen, tag.genres, policy, steps)
    if chosen == tag.genres:
        steps.append(f"equal: it has just {_joined(chosen)}")
        return Decision(Action.UNCHANGED, (), "it has just that", tuple(steps))
    reason = _reason_to_write(chosen, tag.genres, policy)
    if len(chosen) > 1:
        reason += f", as {_joined(chosen)}"
    elif chosen[0] != heard[0][0]:
        reason += f", heard as {heard[0][0]}"
    return Decision(Action.WOULD_WRITE, chosen, reason, tuple(steps))


def unique_names(names: Iterable[str], key: Callable[[str], str] = str.casefold) -> tuple[str, ...]:
    """The first of those that have one key, without blanks around it; none that is blank.

    By default those are one that differ in case alone.
    """
    first: dict[str, str] = {}
    for name in map(str.strip, names):
        if name:
            first.setdefault(key(name), name)
    return tuple(first.values())


# --- ranking --------------------------------------------------------------------------------------


# A run has a few hundred labels at most: their genres are worked out once, not with each track.
@lru_cache(maxsize=64)
def _heard(labels: tuple[str, ...], vocabulary: Vocabulary) -> tuple[str, ...]:
    """The genre of each label, in one spelling; the whitelist is not asked."""
    genres = [vocabulary.spelled(LABEL_NAMES.get(label, label)) for label in labels]
    first: dict[str, str] = {}
    return tuple(first.setdefault(name_key(genre), genre) for genre in genres)


@lru_cache(maxsize=64)
def _admitted(labels: tuple[str, ...], vocabulary: Vocabulary) -> tuple[str | None, ...]:
    """The genre that each label may be written as, in one spelling, or None."""
    return tuple(map(vocabulary.admitted, _heard(labels, vocabulary)))


def _rank(prediction: Prediction, genres: Sequence[str | None]) -> list[tuple[str, float]]:
    """Best first, given the genre of each label."""
    shares: dict[str, float] = {}
    for genre, share in zip(genres, prediction.probabilities, strict=True):
        if genre is None:
            continue
        if genre not in shares:
            shares[genre] = share
        elif prediction.multi_label:
            shares[genre] = max(shares[genre], share)
        else:
            shares[genre] = min(shares[genre] + share, 1.0)  # rounding may take it above
    return sorted(shares.items(), key=itemgetter(1), reverse=True)


def _within_reach(ranked: Sequence[tuple[str, float]], policy: Policy) -> list[str]:
    """Genres that number and ratio let through."""
    floor = policy.ratio * ranked[0][1] if ranked else 0.0
    return [genre for genre, share in ranked[: policy.top] if share >= floor]


# --- rules, each of which leaves its line ---------------------------------------------------------


def _reason_to_keep(tag: TagInfo, policy: Policy, steps: list[str]) -> str:
    """Why what the file has shall stay, or ""."""
    if not tag.genres:
        steps.append("on-existing: it has no genre")
        return ""
    if policy.protect:
        aliased = policy.vocabulary.aliased
        protected = {name_key(aliased(name)) for name in policy.protect}
        found = [genre for genre in tag.genres if name_key(aliased(genre)) in protected]
        if found:
            steps.append(f"protect: it has {found[0]}")
            return f"it has {found[0]}, which is protected"
        steps.append("protect: it has no protected genre")
    if policy.on_existing == "keep":
        steps.append(f"on-existing keep: it has {_joined(tag.genres)}")
        return "it has a genre"
    if policy.on_existing == "replace-own" and not is_own(tag):
        steps.append(f"on-existing replace-own: {_joined(tag.genres)} is from elsewhere")
        return "its genre is not one that tag-genres wrote"
    if policy.on_existing != "append":
        steps.append(f"on-existing {policy.on_existing}: {_joined(tag.genres)} may be replaced")
    return ""


def _whitelist_step(name: str, vocabulary: Vocabulary) -> str:
    admitted = vocabulary.admitted(name)
    if admitted == name:
        return f"whitelist: {name} is on it"
    if admitted is None:
        return f"whitelist: {name} is not on it, nor is a parent of it"
    return f"whitelist: {name} is not on it; its parent {admitted} is"


def _reason_to_doubt(ranked: Sequence[tuple[str, float]], policy: Policy, steps: list[str]) -> str:
    """Why nothing is sure enough to be written, or ""."""
    if not ranked:
        steps.append("whitelist: it leaves nothing")
        return "no genre that it may be is on the whitelist"
    best, confidence = ranked[0]
    sure = confidence >= policy.min_confidence
    if not sure and confidence == 0:
        steps.append("min-confidence: nothing was heard")
        return "it is silent, no genre was heard"
    relation = "reaches" if sure else "is below"
    line = f"{best} at {_told(confidence, policy.min_confidence)} {relation} "
    line += f"{policy.min_confidence:g}"
    steps.append(f"min-confidence: {line}")
    return "" if sure else line


def _told(share: float, bound: float) -> str:
    """A share with as many digits as show on which side of a bound it is."""
    digits = (f"{share:.{count}f}" for count in (2, 4, 6))
    return next((d for d in digits if (float(d) < bound) == (share < bound)), str(share))


def _choose(
    ranked: Sequence[tuple[str, float]], policy: Policy, steps: list[str]
) -> tuple[str, ...]:
    """The genres within reach, and behind them their parents if those are wanted."""
    chosen = _within_reach(ranked, policy)
    if len(chosen) < len(ranked):
        genre, share = ranked[len(chosen)]
        left = f"{genre} at {share:.2f}"
        if len(chosen) < policy.top:
            best = ranked[0][1]
            steps.append(f"ratio: {left} is below {policy.ratio:g} of the best, {best:.2f}")
        else:
            steps.append(f"top: {left} would be one more than {policy.top}")
    if not policy.with_parents:
        return tuple(chosen)
    above = [parent for genre in chosen if (parent := policy.vocabulary.parent(genre))]
    every = unique_names([*chosen, *above], name_key)
    added = every[len(chosen) :]
    steps.append(f"parents: + {_joined(added)}" if added else "parents: none to add")
    return every


def _append(
    chosen: Sequence[str], existing: Sequence[str], policy: Policy, steps: list[str]
) -> tuple[str, ...]:
    """What is there, by its canonical names where the user gave aliases, and then what is new."""
    # The user's aliases alone: a list of genres in lower case shall not respell a curated library.
    kept = unique_names(map(policy.vocabulary.aliased, existing), name_key)
    if existing:
        steps.append(f"on-existing append: {_joined(kept)} stays")
    return unique_names([*kept, *chosen], name_key)


def _reason_to_write(chosen: Sequence[str], existing: Sequence[str], policy: Policy) -> str:
    if not existing:
        return "it has no genre"
    if policy.on_existing == "replace-own":
        return "replaces what tag-genres wrote"
    if policy.on_existing == "replace":
        return f"replaces {_joined(existing)}"
    there = {name_key(policy.vocabulary.aliased(genre)) for genre in existing}
    if all(name_key(genre) in there for genre in chosen):
        return f"respells {_joined(existing)}"
    return f"added to {_joined(existing)}"


def _joined(names: Iterable[str]) -> str:
    return "; ".join(names)
