"""The labels of a model and those of the data, matched by how they are spelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tagger.genres.labels import GTZAN_NAMES
from training.errors import TrainingError

# Names of one genre that differ by more than case, blanks, signs and a "music" at the end, which
# AudioSet has behind many; of AudioSet's other names these stand for a genre that data may have.
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
    """Which outputs of a model are chosen among, and how the data calls them."""

    columns: tuple[int, ...]  # of the model's labels
    names: tuple[str, ...]  # of the columns: the data's name, or else the model's own
    unknown: tuple[str, ...]  # labels of the data that the model does not have


def match_labels(data: Iterable[str], model: Sequence[str], *, multi_label: bool) -> LabelMatch:
    """Match each label of the data with one of the model's: same name, spelling, or alias.

    A model that has every label of the data by its very name chooses among all of its own, as it
    does when it tags, unless it is a multi-label one, which tells more apart than genres. Any other
    chooses among the matched labels alone. Raises `TrainingError` if fewer than two match.
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
    """Letters and digits alone, without case: "Hip-Hop" and "hip hop" are "hiphop"."""
    spelled = GTZAN_NAMES.get(label, label).casefold()
    return "".join(sign for sign in spelled if sign.isalnum())


def common_name(label: str) -> str:
    """What the labels of one genre share: "Hip hop music" is "hiphop", "Heavy metal" is "metal"."""
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
