"""Match the labels of a model with those of the data by their spelling."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tagger.genres.labels import GTZAN_NAMES
from training.errors import TrainingError

# Names of one genre that differ by more than case, spaces, punctuation and a final "music", which
# AudioSet adds to many; only AudioSet's names of genres that data may have are listed.
ALIASES = {
    "heavymetal": "metal",
    "rhythmandblues": "rnb",
    "randb": "rnb",
    "rb": "rnb",
    "drumnbass": "drumandbass",
    "drumbass": "drumandbass",
    "independent": "indie",
    "musicoflatinamerica": "latin",
}
SHOWN = 12  # labels in a message


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """The outputs of a model to choose from, and their names in the data."""

    columns: tuple[int, ...]  # of the model's labels
    names: tuple[str, ...]  # of the columns: the data's name if it has one, else the model's
    unknown: tuple[str, ...]  # labels of the data that the model does not have


def match_labels(data: Iterable[str], model: Sequence[str], *, multi_label: bool) -> LabelMatch:
    """Match each label of the data with one of the model's: same name, spelling, or alias.

    If a model has every label of the data under exactly that name, it chooses from all of its own
    labels, as in tagging. Any other model, and a multi-label model, which knows more than genres,
    chooses only from the matched labels. Raises `TrainingError` if fewer than two match.
    """
    wanted = sorted(set(data))
    if not multi_label and set(wanted) <= set(model):
        return LabelMatch(tuple(range(len(model))), tuple(model), ())
    found: dict[int, str] = {}
    for same in (str, plain_name, common_name):
        for label in wanted:
            index = _find(label, model, same)
            if index is not None and label not in found.values():
                found.setdefault(index, label)
    if len(found) < 2:
        raise TrainingError(
            f"fewer than two labels of the data ({_some(wanted)}) are among the model's "
            f"({_some(model)})"
        )
    unknown = tuple(label for label in wanted if label not in found.values())
    columns = tuple(sorted(found))
    return LabelMatch(columns, tuple(found[index] for index in columns), unknown)


def plain_name(label: str) -> str:
    """Letters and digits only, case folded: "Hip-Hop" and "hip hop" become "hiphop"."""
    spelled = unicodedata.normalize("NFC", GTZAN_NAMES.get(label, label)).casefold()
    return "".join(character for character in spelled if character.isalnum())


def common_name(label: str) -> str:
    """The common name: "Hip hop music" becomes "hiphop", "Heavy metal" becomes "metal"."""
    plain = plain_name(label)
    short = plain.removesuffix("music") or plain
    return ALIASES.get(short, short)


def _find(label: str, model: Sequence[str], same: Callable[[str], str]) -> int | None:
    name = same(label)
    places = (index for index, other in enumerate(model) if name and same(other) == name)
    return next(places, None)


def _some(labels: Sequence[str]) -> str:
    more = len(labels) - SHOWN
    return ", ".join(labels[:SHOWN]) + (f" and {more} more" if more > 0 else "")
