"""The names of a checkpoint's outputs: in its config, or in a file that the user gives.

They become genres in tags, so whatever is no name of a genre is refused. Transformers calls outputs
without names LABEL_0, LABEL_1 and so on.
"""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagger.errors import CheckpointError
from tagger.genres.labels import genre_columns, name_key
from tagger.models.checkpoint import first_unusable
from tagger.models.folders import read_bytes

# What a training script calls an output for which it has no name.
PLACEHOLDER = re.compile(
    r"(label|class|cls|genre|category|output|target|tag|id|idx|index)[\W_]*\d+([.,]\d+)?", re.I
)
NOTHING = frozenset(["none", "null", "nan"])  # a name that was missing, as a text
WITH_NUMBER = re.compile(r"(\D*)(\d{1,9})(\D*)")
# "3,rock" or "LABEL_3: rock": a line with its number
NUMBERED = re.compile(r"(?:LABEL_)?(\d{1,9})\s*[.:=,;)\t ]\s*(\S.*)", re.I)
# A line of a table, of YAML or of code, which is more than a name.
MARKED = re.compile(
    r"""[-*=>]+\s.*|\[.*|'.*'|.*".*|.*[,;]|.*[,;:=\t]\s*\d+|(LABEL_)?\d+\s*[,;:=\t].*""",
    re.S | re.I,
)
LONGEST = 60  # characters of a name in a message
ADVICE = (
    "write the names to a text file, one per line in the order of the model's outputs, and add "
    "--labels FILE"
)


class UnusableNames(ValueError):
    """Why these names cannot be used, in words that continue a sentence."""


def config_names(
    config: Mapping[str, Any], outputs: Callable[[], int | None], heads: int | None = None
) -> tuple[str, ...]:
    """The names in a config of transformers, in the order of the outputs. Raises `UnusableNames`.

    `outputs` counts them in the weights, if it can; it is called where the config does not say.
    `heads` is how many the head of an adapter has, if it has one: the config is that of its base.
    """
    if config.get("id2label") is None:
        if isinstance(config.get("label2id"), dict):
            raise UnusableNames("its config.json has label2id but no id2label")
        count = outputs() or stated(config)
        of = f"{count} outputs" if count else "outputs"
        raise UnusableNames(f"its config.json has no names (id2label) for its {of}")
    found = _by_index(config["id2label"], "id2label of its config.json")
    count = config.get("num_labels")
    if heads is not None and heads != len(found):
        raise UnusableNames(f"its head has {heads} outputs, and its config names {len(found)}")
    if count is not None and count != len(found):
        raise UnusableNames(f"num_labels is {count}, and id2label has {len(found)} names")
    check_names(found)
    return found


def stated(config: Mapping[str, Any]) -> int | None:
    """How many outputs a config says that there are; None if it does not."""
    count, named = config.get("num_labels"), config.get("id2label")
    if type(count) is int:
        return count
    return len(named) if isinstance(named, (dict, list)) else None


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a file, in the order of the outputs. Raises `CheckpointError`.

    It has one name per line; blank lines, and lines that begin with "#", do not count. Or it is
    JSON: a list, or an object as `id2label`, `label2id`, or a config with one of these.
    """
    try:
        found = _parse(_text(read_bytes(path)))
        check_names(found)
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise CheckpointError(f"--labels {path}: {reason}", path) from error
    except ValueError as error:
        raise CheckpointError(f"--labels {path}: {error}", path) from error
    return found


def check_names(names: Sequence[str]) -> None:
    """Raise `UnusableNames` unless they are at least two names, and no two are one genre."""
    if len(names) < 2:
        what = "there is only one name" if names else "there is no name"
        raise UnusableNames(f"{what}, and a classifier of genres has at least two")
    for index, name in enumerate(names):
        if first_unusable([name]) is not None:
            raise UnusableNames(f"{_short(name)} cannot be a label: it has a control character")
        if not any(unicodedata.category(char)[0] not in "CZ" for char in name):
            raise UnusableNames(f"the name of output {index} is empty")
        if _names_nothing(name.strip()):
            raise UnusableNames(f"output {index} is called {_short(name)}, which names no genre")
    if _only_count(names):
        raise UnusableNames(
            f"they only count the outputs, from {_short(names[0])} to {_short(names[-1])}"
        )
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        _check_first(first, names, index, name)
    # Labels that are not genres, such as sounds of AudioSet, may be spelled alike.
    first.clear()
    for index in genre_columns(names) or range(len(names)):
        _check_first(first, names, index, name_key(names[index]))


def _names_nothing(name: str) -> bool:
    has_letters = any(map(str.isalpha, name))
    return not has_letters or name.casefold() in NOTHING or bool(PLACEHOLDER.fullmatch(name))


def _only_count(names: Sequence[str]) -> bool:
    """Whether they differ only in a number, such as "x 1" and "x 2", but not "60s" and "70s"."""
    parts = [found.groups() for name in names if (found := WITH_NUMBER.fullmatch(name))]
    numbers = sorted({int(number) for _, number, _ in parts})
    is_count = len(numbers) == len(names) and numbers[-1] - numbers[0] == len(names) - 1
    return is_count and len({(before, after) for before, _, after in parts}) == 1


def _check_first(first: dict[str, int], names: Sequence[str], index: int, key: str) -> None:
    """Note that an output has this key. Raises `UnusableNames` if an earlier one has it."""
    earlier = first.setdefault(key, index)
    if earlier != index:
        one, other = _short(names[earlier]), _short(names[index])
        same = f"both called {one}" if one == other else f"called {one} and {other}, one genre"
        raise UnusableNames(f"outputs {earlier} and {index} are {same}")


def _parse(text: str) -> tuple[str, ...]:
    start = text.lstrip()[:1]
    if start in ("{", "["):
        try:
            value = json.loads(text, object_pairs_hook=_unique)
        except RecursionError as error:
            raise UnusableNames("it is not JSON: it is nested too deeply") from error
        except json.JSONDecodeError as error:
            if start == "{":
                raise UnusableNames(f"it is not JSON: {error}") from error
        else:
            return _from_json(value)
    return _from_lines(text)


def _from_json(value: Any) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(_text_of(name, f"name {index}") for index, name in enumerate(value))
    for key in ("id2label", "label2id"):
        if value.get(key) is not None:
            return _by_index(_unswapped(value[key], key), key)
    return _by_index(_unswapped(value, "it"), "it")


def _from_lines(text: str) -> tuple[str, ...]:
    lines = (line.strip() for line in re.split(r"\r\n?|\n", text))
    kept = [line for line in lines if line and not line.startswith("#")]
    numbered = [found for line in kept if (found := NUMBERED.fullmatch(line))]
    if len(numbered) < max(2, len(kept)):  # "2 Tone" may be a genre; not every line is numbered
        return tuple(map(_bare, kept))
    by_index = {int(found[1]): found[2] for found in numbered}
    if by_index.keys() != set(range(len(kept))):
        raise UnusableNames(f"its lines are numbered, but not from 0 to {len(kept) - 1}")
    return tuple(_bare(by_index[index]) for index in range(len(kept)))


def _bare(name: str) -> str:
    """A name without the quotes of a table. Raises `UnusableNames` for more than a name."""
    if quoted := re.fullmatch(r'"([^"]+)"', name):
        name = quoted[1].strip()
    if MARKED.fullmatch(name):
        raise UnusableNames(f"{_short(name)} is more than a name; each line must have one name")
    return name


def _by_index(value: Any, what: str) -> tuple[str, ...]:
    """The names of an object as `id2label` or `label2id`, in the order of their numbers."""
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "not an object"
        raise UnusableNames(f'{what} is {kind}: it must be of the form {{"0": "blues", ...}}')
    by_index: dict[int, str] = {}
    for key, name in value.items():
        if not re.fullmatch(r"\d{1,9}", str(key), re.ASCII):
            raise UnusableNames(f"{what} has {_short(str(key))} where the number of an output is")
        if int(key) in by_index:
            raise UnusableNames(f"{what} names output {int(key)} twice")
        by_index[int(key)] = _text_of(name, f"{what}: the name of output {int(key)}")
    for index in range(len(by_index)):
        if index not in by_index:
            raise UnusableNames(
                f"{what} has no name for output {index}, but one for output {max(by_index)}; the "
                "first output has the number 0"
            )
    return tuple(by_index[index] for index in range(len(by_index)))


def _unswapped(value: Any, what: str) -> Any:
    """`label2id` turned into `id2label`; anything else as it is."""
    if not isinstance(value, dict) or not all(type(number) is int for number in value.values()):
        return value
    if all(re.fullmatch(r"\d+", key, re.ASCII) for key in value):
        return value
    swapped: dict[str, str] = {}
    for name, number in value.items():
        if str(number) in swapped:
            raise UnusableNames(f"{what} names output {number} twice")
        swapped[str(number)] = name
    return swapped


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; Python would silently keep the last of two values of one key."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise UnusableNames(f"{_short(key)} stands there twice")
        found[key] = value
    return found


def _text_of(value: Any, what: str) -> str:
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise UnusableNames(f"{what} is {_short(str(value))}, not a text")
    return value.strip()


def _text(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as some editors save it
        with suppress(UnicodeDecodeError):
            return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusableNames("it is not a text in UTF-8") from None


def _short(name: str) -> str:
    return repr(name if len(name) <= LONGEST else f"{name[:LONGEST]}...")
