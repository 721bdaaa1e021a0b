"""Whether a predicted track is music, and its genres with their confidence. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter

from tagger.genres.labels import (
    MUSIC,
    NON_MUSIC,
    genre_columns,
    genres_of,
    is_audioset,
    is_discogs,
    name_key,
    parent_and_style,
    parent_of,
)
from tagger.genres.vocabulary import Vocabulary
from tagger.types import Prediction

Genres = Sequence[tuple[str, tuple[int, ...]]]  # see `labels.genres_of`


def rank(
    prediction: Prediction, vocabulary: Vocabulary, style: str, *, admitted: bool = True
) -> list[tuple[str, float]]:
    """`(genre, confidence)`, best first, each once; the whitelist applies only if `admitted`.

    `style` is one of `labels.STYLES`.
    """
    find = _admitted if admitted else _spelled
    probabilities = prediction.probabilities
    shares: dict[str, float] = {}
    for genre, places in find(prediction.labels, vocabulary, style):
        share = probabilities[places[0]]
        if len(places) > 1:
            # The sum may exceed 1 if each label has an independent probability.
            share = min(sum(probabilities[place] for place in places), 1.0)
        if genre not in shares:
            shares[genre] = share
        elif prediction.multi_label:
            shares[genre] = max(shares[genre], share)
        else:
            shares[genre] = min(shares[genre] + share, 1.0)
    return sorted(shares.items(), key=itemgetter(1), reverse=True)


def likeliest_parent(genre: str, prediction: Prediction, vocabulary: Vocabulary) -> str | None:
    """The Discogs parent under which a ranked style is most probable, if it may be written."""
    labels = prediction.labels
    found = _admitted(labels, vocabulary, "style")
    places = (place for name, places in found if name == genre for place in places)
    best = max(places, key=prediction.probabilities.__getitem__)
    return vocabulary.admitted(vocabulary.spelled(parent_of(labels[best])))


@lru_cache(maxsize=1024)
def names_in_labels(
    genre: str, labels: tuple[str, ...], vocabulary: Vocabulary, style: str
) -> frozenset[str]:
    """The parents and styles of the Discogs labels that are this ranked genre."""
    own = {place for name, places in _spelled(labels, vocabulary, style) if name == genre
           for place in places}  # fmt: skip
    named = (*genres_of(labels, "style"), *genres_of(labels, "parent"))
    return frozenset(name for name, places in named if not own.isdisjoint(places))


def why_nothing(prediction: Prediction) -> str:
    """Why no genre was predicted at all, whatever confidence is asked for; "" if one was."""
    if not prediction.labels:
        return ""
    if prediction.is_silent:
        return "it is silent; no genre was predicted"
    columns = genre_columns(prediction.labels) or range(len(prediction.labels))
    shares = [prediction.probabilities[column] for column in columns]
    if not max(shares) > 0:  # or NaN
        return "no genre was predicted"
    # By a model whose labels exclude each other; independent ones may all be certain.
    if len(shares) > 1 and not prediction.multi_label and min(shares) == max(shares):
        return "no genre was predicted: all are equally likely"
    return ""


def judge_music(prediction: Prediction, least: float) -> tuple[bool, str]:
    """Whether a track is music, and the reason ("" if there is none, as for silence).

    `least` is the probability that AudioSet's "Music" must reach.
    """
    labels = prediction.labels
    if prediction.is_silent:
        return True, ""
    if prediction.no_music:
        return False, prediction.no_music
    if is_audioset(labels):
        return reaches(MUSIC, prediction.probabilities[labels.index(MUSIC)], least)
    if is_discogs(labels):
        share = max(prediction.probabilities)
        label = labels[prediction.probabilities.index(share)]
        return parent_and_style(label)[0] != NON_MUSIC, f"{label} at {share:.2f} is the best label"
    return True, ""


def reaches(name: str, share: float, bound: float) -> tuple[bool, str]:
    """Whether a share reaches a bound, and the same in words."""
    # Enough digits to show on which side of the bound it is.
    digits = (f"{share:.{count}f}" for count in (2, 4, 6))
    shown = next((d for d in digits if (float(d) < bound) == (share < bound)), str(share))
    reached = share >= bound
    return reached, f"{name} at {shown} {'reaches' if reached else 'is below'} {bound:g}"


# The genres of a model's labels are worked out once per run, not once per track.
@lru_cache(maxsize=64)
def _spelled(labels: tuple[str, ...], vocabulary: Vocabulary, style: str) -> Genres:
    """The genres of the labels, each with one spelling; the whitelist is not applied."""
    first: dict[str, str] = {}
    genres = [(vocabulary.spelled(name), places) for name, places in genres_of(labels, style)]
    return [(first.setdefault(name_key(genre), genre), places) for genre, places in genres]


@lru_cache(maxsize=64)
def _admitted(labels: tuple[str, ...], vocabulary: Vocabulary, style: str) -> Genres:
    """The genres that may be written for the labels, each with one spelling."""
    spelled = _spelled(labels, vocabulary, style)
    admitted = ((vocabulary.admitted(genre), places) for genre, places in spelled)
    return [(genre, places) for genre, places in admitted if genre is not None]
