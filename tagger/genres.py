"""From labels to genres, and the policy that chooses what to write. Pure: no files, no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tagger.types import Action, Prediction

# How the labels of GTZAN are spelled in a library; other labels are taken as they are.
GENRE_NAMES = {
    "blues": "Blues",
    "classical": "Classical",
    "country": "Country",
    "disco": "Disco",
    "hiphop": "Hip-Hop",
    "jazz": "Jazz",
    "metal": "Metal",
    "pop": "Pop",
    "reggae": "Reggae",
    "rock": "Rock",
}
ON_EXISTING = ("keep", "append", "replace")


@dataclass(frozen=True, slots=True)
class Policy:
    """What gets written, given a prediction and the genres a file already has."""

    on_existing: str = "keep"  # one of ON_EXISTING
    min_confidence: float = 0.5  # of the best genre; below it nothing is written
    top: int = 1  # genres at most
    ratio: float = 0.5  # of the best confidence, that a further genre must reach

    def __post_init__(self) -> None:
        if self.on_existing not in ON_EXISTING:
            raise ValueError(f"on_existing is one of {ON_EXISTING}, not {self.on_existing!r}")
        if not 0 <= self.min_confidence <= 1 or not 0 <= self.ratio <= 1 or self.top < 1:
            raise ValueError(f"not a usable policy: {self}")


@dataclass(frozen=True, slots=True)
class Decision:
    """The genres a file shall have, or () where it is left alone, and why."""

    action: Action  # WOULD_WRITE, KEPT, UNSURE or UNCHANGED
    genres: tuple[str, ...] = ()
    reason: str = ""


def rank_genres(prediction: Prediction) -> list[tuple[str, float]]:
    """`(genre, confidence)` best first; of labels that are spelled alike the best counts."""
    ranked: dict[str, float] = {}
    for label, confidence in prediction.ranked:
        ranked.setdefault(GENRE_NAMES.get(label, label), confidence)
    return list(ranked.items())


def decide(prediction: Prediction, existing: Sequence[str], policy: Policy) -> Decision:
    """Apply the policy to one track. Nothing is ever erased for want of a result."""
    if existing and policy.on_existing == "keep":
        return Decision(Action.KEPT, reason="it has a genre")
    ranked = rank_genres(prediction)
    best, confidence = ranked[0]
    if confidence < policy.min_confidence:
        reason = f"{best} at {confidence:.2f} is below {policy.min_confidence:g}"
        return Decision(Action.UNSURE, reason=reason)
    floor = policy.ratio * confidence
    chosen = tuple(genre for genre, share in ranked[: policy.top] if share >= floor)
    if policy.on_existing == "append":
        chosen = unique_names([*existing, *chosen])
    if chosen == tuple(existing):
        return Decision(Action.UNCHANGED, reason="it has just that")
    return Decision(Action.WOULD_WRITE, chosen, _more(chosen, best))


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """The first of those that differ in case or in blanks around them alone; none that is blank."""
    first: dict[str, str] = {}
    for name in map(str.strip, names):
        if name:
            first.setdefault(name.casefold(), name)
    return tuple(first.values())


def _more(chosen: tuple[str, ...], best: str) -> str:
    """What the file gets, where that is more than the best genre."""
    return "" if chosen == (best,) else f"as {'; '.join(chosen)}"
