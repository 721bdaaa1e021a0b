"""Names of the parts of a split, as folders and columns of tables spell them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

SPELLINGS = {
    "train": ("train", "training", "trainset", "traindata", "trn", "trainingsdaten"),
    "valid": (
        *("valid", "validation", "validate", "validset", "val", "valset", "validierung"),
        "validierungsdaten",
    ),
    "dev": ("dev", "devset", "devel", "development"),
    "eval": ("eval", "evaluation", "evalset"),
    "test": ("test", "testing", "tests", "testset", "testdata", "tst", "holdout", "testdaten"),
}
WORDS = {word: name for name, words in SPELLINGS.items() for word in words}
# Words that say nothing in names such as "Training Data" or "genres_test".
EMPTY = frozenset(
    [
        *("audio", "clips", "data", "dataset", "files", "genre", "genres", "music", "part", "set"),
        *("songs", "split", "tracks", "v"),
    ]
)
FOLD = re.compile(r"(?:k?folds?|split|cv)[\W_]*0*(\d{1,3})")


def stated_part(name: str) -> str:
    """The part that a folder or cell names: a key of `SPELLINGS`, "fold" and a number, or ""."""
    plain = unicodedata.normalize("NFKC", name).casefold().strip()
    if fold := FOLD.fullmatch(plain):
        return f"fold{int(fold[1])}"
    words = words_of(name)
    return WORDS.get(words[0], "") if len(words) == 1 else ""


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case, without numbers and those that say nothing."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return [word for word in re.split(r"[\W\d_]+", plain) if word and word not in EMPTY]


def stated_parts(names: Collection[str]) -> dict[str, str]:
    """What `stated_part` gives for each name, without the words that all of them share.

    So "gtzan-train" beside "gtzan-test" is a part.
    """
    words = {name: words_of(name) for name in names}
    shared = set.intersection(*map(set, words.values())) if len(words) > 1 else set()
    plain = {name: " ".join(word for word in words[name] if word not in shared) for name in names}
    return {name: stated_part(name) or stated_part(plain[name]) for name in names}


def roles(names: Collection[str]) -> dict[str, str]:
    """What each of these stated parts is used as: `train`, `valid`, `test` or a fold.

    Two names depend on the others: "dev" is what is learned from in data sets of "dev" and "eval"
    or "test", and "eval" is what is tested on where there is another part to validate on.
    """
    role = {name: name for name in names}
    learns = "train" in names or any(name.startswith("fold") for name in names)
    if "dev" in names:
        role["dev"] = "valid" if learns else "train"
    if "eval" in names:
        validates = "valid" in names or ("dev" in names and "test" not in names)
        role["eval"] = "test" if validates and "test" not in names else "valid"
    return role
