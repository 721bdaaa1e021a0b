"""Names of the parts of a split, as folders and columns of tables spell them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

SPELLINGS = {
    "train": ("train", "training", "trainset", "trn"),
    "valid": ("valid", "validation", "validate", "validset", "val", "valset"),
    "dev": ("dev", "devset", "devel", "development"),
    "eval": ("eval", "evaluation", "evalset"),
    "test": ("test", "testing", "tests", "testset", "tst", "holdout"),
}
WORDS = {word: name for name, words in SPELLINGS.items() for word in words}
# Words that say nothing in names such as "Training Data" or "genres_test".
EMPTY = frozenset(
    ["audio", "clips", "data", "dataset", "files", "genres", "part", "set", "songs", "split"]
)
FOLD = re.compile(r"(?:k?folds?|split|cv)[\W_]*0*(\d{1,3})")


def stated_part(name: str) -> str:
    """The part that a folder or cell names: a key of `SPELLINGS`, "fold" and a number, or ""."""
    plain = unicodedata.normalize("NFKC", name).casefold().strip()
    if fold := FOLD.fullmatch(plain):
        return f"fold{int(fold[1])}"
    words = [word for word in re.split(r"[\W_]+", plain) if word and word not in EMPTY]
    return WORDS.get(words[0], "") if len(words) == 1 else ""


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
