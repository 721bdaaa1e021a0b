"""The policy that chooses which genres to write, given a prediction. Pure: no files, no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tagger.genres.labels import STYLES, is_discogs, name_key, unique_names
from tagger.genres.placeholders import PLACEHOLDERS, all_placeholders
from tagger.genres.provenance import is_own
from tagger.genres.ranking import judge_music, likeliest_parent, rank, reaches, why_nothing
from tagger.genres.separators import SEPARATORS, check_separators, split_value
from tagger.genres.vocabulary import Vocabulary
from tagger.types import Action, Prediction, TagInfo

ON_EXISTING = ("keep", "append", "replace", "replace-own")
NO_GENRE = "it has no genre"
INCOMPLETE = "it has this genre, but not in every place where programs look"
MIN_CONFIDENCE = 0.5
# If each label has an independent probability, those of genres are low: with YAMNet, which knows
# AudioSet's labels, the best genre is above 0.5 in 1 of 465 clips of music, and above 0.1 in 114.
MIN_CONFIDENCE_MULTI_LABEL = 0.1


@dataclass(frozen=True, slots=True)
class Policy:
    """What gets written, given a prediction and the genres a file already has."""

    on_existing: str = "keep"  # one of ON_EXISTING
    min_confidence: float | None = None  # of the best genre; None: see `floor`
    top: int = 1  # at most this many genres, not counting parents
    ratio: float = 0.5  # of the best confidence, which each further genre must reach
    protect: tuple[str, ...] = ()  # a file that has one of these genres is left alone
    with_parents: bool = False  # write the parents of the chosen genres after them
    style: str = "style"  # one of STYLES: which part of a Discogs label is written
    # Below this probability of AudioSet's "Music" a track is not music (2 of 465 clips by YAMNet).
    min_music: float = 0.2
    separators: str = SEPARATORS  # between genres in one value of a file; "" for none
    placeholders: tuple[str, ...] = PLACEHOLDERS  # names that count as no genre
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    def __post_init__(self) -> None:
        if self.on_existing not in ON_EXISTING:
            raise ValueError(f"on_existing is one of {ON_EXISTING}, not {self.on_existing!r}")
        if self.style not in STYLES:
            raise ValueError(f"style is one of {STYLES}, not {self.style!r}")
        bounds = (self.min_confidence or 0.0, self.ratio, self.min_music)
        if not all(0 <= bound <= 1 for bound in bounds) or self.top < 1:
            raise ValueError(f"not a usable policy: {self}")
        if check_separators(self.separators) != self.separators:
            raise ValueError(f"separators contain a space: {self.separators!r}")

    def floor(self, prediction: Prediction) -> float:
        """The confidence below which nothing is written."""
        if self.min_confidence is not None:
            return self.min_confidence
        if prediction.floor is not None:
            return prediction.floor
        return MIN_CONFIDENCE_MULTI_LABEL if prediction.multi_label else MIN_CONFIDENCE

    def parts(self, genres: Iterable[str]) -> tuple[str, ...]:
        """The genres in the values of a file, of which one value may hold several."""
        own = self.vocabulary.names
        return tuple(part for value in genres for part in split_value(value, self.separators, own))

    def key(self, genre: str) -> str:
        """Equal for two names that the user's aliases or their spelling make one genre."""
        return name_key(self.vocabulary.aliased(genre))

    def has(self, genres: Sequence[str], name: str) -> str:
        """The value of a file, or the part of one, that is this genre; "" if there is none."""
        key, own = self.key(name), self.vocabulary.names
        if len(self.parts([name])) > 1:
            own = (*own, name)  # a name that the user gives, such as Pop/Rock, is one genre
        parts = (part for value in genres for part in split_value(value, self.separators, own))
        found = (genre for genre in (*parts, *genres) if self.key(genre) == key)
        return next(found, "")

    def without_placeholders(self, genres: Iterable[str]) -> tuple[str, ...]:
        """The values of a file that hold a genre; a value that holds one stays as it is."""
        return tuple(
            value
            for value in genres
            if not all_placeholders([value], self.placeholders)
            and not all_placeholders(self.parts([value]), self.placeholders)
        )


DEFAULT_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Decision:
    """The genres to write to a file, or () if it is left alone, and why."""

    action: Action  # WOULD_WRITE, KEPT, UNSURE, NO_MUSIC or UNCHANGED
    genres: tuple[str, ...] = ()
    reason: str = ""
    steps: tuple[str, ...] = ()  # a line for each rule that was applied, in order


def rank_genres(prediction: Prediction, policy: Policy = DEFAULT_POLICY) -> list[tuple[str, float]]:
    """`(genre, confidence)`, best first, each once; empty if the whitelist admits none.

    If several labels are one genre, their probabilities add up, except in a multi-label model,
    where the best one counts. Those of a Discogs style under several parents always add up. Labels
    that are not genres are left out.
    """
    return rank(prediction, policy.vocabulary, policy.style)


def why_no_music(prediction: Prediction, policy: Policy = DEFAULT_POLICY) -> str:
    """Why a track is not music, or "", as for silence and for models that know only genres."""
    is_music, line = judge_music(prediction, policy.min_music)
    return "" if is_music else line


def decide(prediction: Prediction, tag: TagInfo, policy: Policy) -> Decision:
    """Apply the policy to one track. A track without a result keeps its genres."""
    is_music, line = judge_music(prediction, policy.min_music)
    steps = [f"music: {line}"] if line else []
    if not is_music:
        return Decision(Action.NO_MUSIC, (), line, tuple(steps))
    if reason := _reason_to_keep(tag, policy, steps):
        return Decision(Action.KEPT, (), reason, tuple(steps))
    if reason := why_nothing(prediction):
        return Decision(Action.UNSURE, (), reason, (*steps, f"prediction: {reason}"))
    vocabulary = policy.vocabulary
    every = ranked = rank(prediction, vocabulary, policy.style, admitted=False)
    if vocabulary.whitelist:
        ranked = rank_genres(prediction, policy)
        wanted = {*_within_reach(every, policy), *_within_reach(ranked, policy)}
        shown = [name for name, _ in every if {name, vocabulary.admitted(name)} & wanted]
        steps += [_whitelist_step(name, vocabulary) for name in shown]
    if reason := _reason_to_doubt(ranked, policy.floor(prediction), steps):
        return Decision(Action.UNSURE, (), reason, tuple(steps))
    chosen = _add_parents(_choose(ranked, policy, steps), prediction, policy, steps)
    if policy.on_existing == "append":
        chosen = append_to(chosen, tag.genres, policy, steps)
    is_equal = policy.parts(chosen) == policy.parts(tag.genres)
    if is_equal:
        steps.append(f"equal: it has exactly {_joined(chosen)}")
    if is_equal and not tag.outdated:
        return Decision(Action.UNCHANGED, (), "it already has this genre", tuple(steps))
    reason = INCOMPLETE if is_equal else _reason_to_write(chosen, tag.genres, policy)
    if len(chosen) > 1:
        reason += f", as {_joined(chosen)}"
    elif chosen[0] != every[0][0]:
        reason += f", predicted as {every[0][0]}"
    return Decision(Action.WOULD_WRITE, chosen, reason, tuple(steps))


def new_genres(genres: Sequence[str], tag: TagInfo, policy: Policy) -> list[str]:
    """Those of the genres to be written into a tag that come from the model."""
    if policy.on_existing != "append" or is_own(tag, policy.parts):
        return list(genres)
    # Genres of a person that we append to must not count as ours later.
    return [genre for genre in genres if not policy.has(tag.genres, genre)]


def _within_reach(ranked: Sequence[tuple[str, float]], policy: Policy) -> list[str]:
    """The genres that `top` and `ratio` admit."""
    floor = policy.ratio * ranked[0][1] if ranked else 0.0
    return [genre for genre, share in ranked[: policy.top] if share >= floor and share > 0]


# --- rules, each of which adds a line to `steps` --------------------------------------------------


def _reason_to_keep(tag: TagInfo, policy: Policy, steps: list[str]) -> str:
    """Why the file keeps its genres, or ""."""
    if not tag.genres:
        steps.append(f"on-existing: {NO_GENRE}")
        return ""
    if policy.protect:
        found = next(filter(None, (policy.has(tag.genres, name) for name in policy.protect)), "")
        if found:
            steps.append(f"protect: it has {found}")
            return f"it has {found}, which is protected"
        steps.append("protect: it has no protected genre")
    if not policy.without_placeholders(tag.genres):
        steps.append(f"placeholder: {_joined(tag.genres)} counts as no genre")
        return ""
    if policy.on_existing == "keep":
        steps.append(f"on-existing keep: it has {_joined(tag.genres)}")
        return "it already has a genre"
    if policy.on_existing == "replace-own" and not is_own(tag, policy.parts):
        steps.append(f"on-existing replace-own: {_joined(tag.genres)} is not from tag-genres")
        return "its genre is not one that tag-genres wrote"
    if policy.on_existing != "append":
        steps.append(f"on-existing {policy.on_existing}: {_joined(tag.genres)} may be replaced")
    return ""


def _whitelist_step(name: str, vocabulary: Vocabulary) -> str:
    admitted = vocabulary.admitted(name)
    if admitted == name:
        return f"whitelist: {name} is on it"
    if admitted is None:
        return f"whitelist: {name} is not on it, nor is any of its parents"
    return f"whitelist: {name} is not on it; its parent {admitted} is"


def _reason_to_doubt(ranked: Sequence[tuple[str, float]], floor: float, steps: list[str]) -> str:
    """Why no genre is certain enough to be written, or ""."""
    if not ranked:
        steps.append("whitelist: no genre is left")
        return "none of its possible genres is on the whitelist"
    if not ranked[0][1] > 0:
        steps.append("min-confidence: nothing was predicted")
        return "none of its possible genres was predicted"
    sure, line = reaches(*ranked[0], floor)
    steps.append(f"min-confidence: {line}")
    return "" if sure else line


def _choose(ranked: Sequence[tuple[str, float]], policy: Policy, steps: list[str]) -> list[str]:
    """The genres that `top` and `ratio` admit; adds a line about the first that they reject."""
    chosen = _within_reach(ranked, policy)
    if len(chosen) < len(ranked):
        genre, share = ranked[len(chosen)]
        rejected = f"{genre} at {share:.2f}"
        if len(chosen) < policy.top and not share:
            steps.append("ratio: no other genre was predicted")
        elif len(chosen) < policy.top:
            best = ranked[0][1]
            steps.append(f"ratio: {rejected} is below {policy.ratio:g} of the best, {best:.2f}")
        else:
            steps.append(f"top: {rejected} would be one more than {policy.top}")
    return chosen


def _add_parents(
    chosen: Sequence[str], prediction: Prediction, policy: Policy, steps: list[str]
) -> tuple[str, ...]:
    """The chosen genres, followed by the parents that are wanted."""
    vocabulary = policy.vocabulary
    of_styles = policy.style == "both" and is_discogs(prediction.labels)
    if not of_styles and not policy.with_parents:
        return tuple(chosen)
    above: list[str | None] = []
    if of_styles:
        above = [likeliest_parent(genre, prediction, vocabulary) for genre in chosen]
    if policy.with_parents:
        above += map(vocabulary.parent, chosen)
    every = unique_names([*chosen, *filter(None, above)], name_key)
    added = every[len(chosen) :]
    steps.append(f"parents: + {_joined(added)}" if added else "parents: none to add")
    return every


def append_to(
    chosen: Sequence[str], existing: Sequence[str], policy: Policy, steps: list[str]
) -> tuple[str, ...]:
    """The existing values, with the user's aliases resolved, followed by the new genres.

    A value that holds several genres stays exactly as it is. Placeholders give way to a genre.
    """
    real = policy.without_placeholders(existing)
    # Only the user's aliases: a whitelist in lower case must not respell a curated library.
    respelled = tuple(
        policy.vocabulary.aliased(value) if len(policy.parts([value])) == 1 else value
        for value in real
    )
    kept = real if respelled == real else unique_names(respelled, name_key)
    there = {policy.key(genre) for genre in (*policy.parts(kept), *kept)}
    added = tuple(genre for genre in chosen if policy.key(genre) not in there)
    if real:
        steps.append(f"on-existing append: {_joined(kept)} stays")
    return (*kept, *added) if added or kept != real else tuple(existing)


def _reason_to_write(chosen: Sequence[str], existing: Sequence[str], policy: Policy) -> str:
    if not existing:
        return NO_GENRE
    if not policy.without_placeholders(existing):
        return f"{_joined(existing)} counts as no genre"
    if policy.on_existing == "replace-own":
        return "replaces what tag-genres wrote"
    if policy.on_existing == "replace":
        return f"replaces {_joined(existing)}"
    there = {policy.key(genre) for genre in (*policy.parts(existing), *existing)}
    if all(policy.key(genre) in there for genre in chosen):
        return f"respells {_joined(existing)}"
    return f"added to {_joined(existing)}"


def _joined(names: Iterable[str]) -> str:
    return "; ".join(names)
