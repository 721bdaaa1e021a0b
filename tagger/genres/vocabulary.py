"""The user's own rules about genres: aliases, a whitelist, and a tree of parents."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagger.errors import ConfigError, one_line
from tagger.genres.labels import name_key

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True)
class _Tables:
    """The rules of a vocabulary in the form for lookups: from a `name_key` to a genre."""

    aliased: dict[str, str] = field(default_factory=dict)
    patterns: dict[re.Pattern[str], str] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)  # in whitelist or tree
    allowed: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    every: list[str] = field(default_factory=list)  # each name in the rules, genres and aliases
    punctuated: list[str] = field(default_factory=list)  # names with more than letters and digits


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How genres are spelled, which of them may be written, and the parent of each.

    Names are compared by `name_key`. The loaders below reject contradictory rules of a user; here,
    the first one counts.
    """

    # Genre -> its other names; "/.../" is a regular expression for a whole name, in any case.
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    whitelist: tuple[str, ...] = ()  # () admits every genre
    tree: Mapping[str, str] = field(default_factory=dict, hash=False)  # genre -> its parent
    _tables: _Tables = field(default_factory=_Tables, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tables = self._tables
        for genre in self.aliases:
            tables.aliased.setdefault(name_key(genre), genre)
        for given, others in self.aliases.items():
            genre = tables.aliased[name_key(given)]
            for alias in others:
                if _is_pattern(alias):
                    tables.patterns.setdefault(re.compile(alias[1:-1], re.IGNORECASE), genre)
                else:
                    tables.aliased.setdefault(name_key(alias), genre)
        for genre in (*self.whitelist, *self.tree.values(), *self.tree):
            tables.listed.setdefault(name_key(genre), self.aliased(genre))
        for genre in map(self.spelled, self.whitelist):
            tables.allowed.setdefault(name_key(genre), genre)
        for genre, parent in self.tree.items():
            tables.parents.setdefault(name_key(self.spelled(genre)), self.spelled(parent))
        aliases = (
            name for names in self.aliases.values() for name in names if not _is_pattern(name)
        )
        listed = (*self.whitelist, *self.tree.values(), *self.tree)
        tables.every.extend(dict.fromkeys((*self.aliases, *aliases, *listed)))
        tables.punctuated.extend(
            name for name in tables.every if not name.replace(" ", "").isalnum()
        )

    @property
    def every(self) -> tuple[str, ...]:
        """All names in the rules, as they are spelled there; some may be aliases of others."""
        return tuple(self._tables.every)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the rules that contain punctuation: they may look like several genres."""
        return tuple(self._tables.punctuated)

    def aliased(self, name: str) -> str:
        """The genre that a name is an alias of, or the name itself."""
        genre = self._tables.aliased.get(name_key(name))
        if genre is not None:
            return genre
        patterns = self._tables.patterns.items()
        return next((genre for pattern, genre in patterns if pattern.fullmatch(name)), name)

    def spelled(self, name: str) -> str:
        """The name as the aliases, whitelist or tree spell it, or the name itself.

        Applying it twice gives the same result.
        """
        genre = self.aliased(name)
        return self._tables.listed.get(name_key(genre), genre)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Parents in the tree, nearest first."""
        parents = self._tables.parents
        # Aliases may merge a genre with one of its ancestors, which makes a circle.
        found = {name_key(name): name}
        parent = parents.get(name_key(name))
        while parent is not None and name_key(parent) not in found:
            found[name_key(parent)] = parent
            parent = parents.get(name_key(parent))
        return tuple(found.values())[1:]

    def admits(self, name: str) -> bool:
        """Whether the whitelist contains a genre, or is empty."""
        return not self._tables.allowed or name_key(name) in self._tables.allowed

    def admitted(self, name: str) -> str | None:
        """The name if the whitelist admits it, else its nearest admitted ancestor, or None."""
        return name if self.admits(name) else self.parent(name)

    def parent(self, name: str) -> str | None:
        """The nearest ancestor that the whitelist admits."""
        return next(filter(self.admits, self.ancestors(name)), None)


def load_whitelist(source: object) -> tuple[str, ...]:
    """Genres from a list, or from a text file: one per line, comments start with "#".

    Raises `ConfigError` for a file that cannot be read or names no genre, and for a value that is
    not a list of names.
    """
    if not isinstance(source, str | Path):
        return _names(source, "whitelist")
    path = Path(source)
    lines = [line.strip() for line in read_text(path).splitlines()]
    genres = tuple(line for line in lines if line and not line.startswith("#"))
    if not genres:
        raise ConfigError(f"{path} names no genre; write one on each line", path)
    return genres


def load_aliases(source: object) -> dict[str, tuple[str, ...]]:
    """Genre -> its other names, from such a mapping or a TOML file that contains it.

    A single name needs no list. Raises `ConfigError` for a file that cannot be read, for a value
    that is not such a mapping, for a bad regular expression, and for an alias of two genres.
    """
    table, where = _table(source, "aliases")
    aliases = {_name(genre, where): _names(others, where) for genre, others in table.items()}
    owners: dict[str, str] = {}
    for genre in aliases:
        _claim(owners, genre, genre, where)
    for genre, others in aliases.items():
        for alias in others:
            if _is_pattern(alias):
                _check_pattern(alias, where)
            else:
                _claim(owners, alias, genre, where)
    return aliases


def load_tree(source: object) -> dict[str, str]:
    """Genre -> its parent, from a mapping of each parent to its children, or a file.

    The file is TOML with such a mapping, or YAML (`.yaml`, `.yml`) in beets' format: nested lists
    of names, where the first occurrence of a genre counts. Raises `ConfigError` for a file that
    cannot be read, a value that is not such a mapping, and a genre with two parents or in a circle.
    """
    if isinstance(source, str | Path) and Path(source).suffix.lower() in (".yaml", ".yml"):
        return _read_beets_tree(Path(source))
    table, where = _table(source, "tree")
    tree: dict[str, str] = {}
    parents: dict[str, str] = {}  # by `name_key`
    for parent, children in table.items():
        for child in _names(children, where):
            known = parents.setdefault(name_key(child), _name(parent, where))
            if name_key(known) != name_key(parent):
                raise ConfigError(
                    f"{where}: {child!r} is listed under {known!r} and under {parent!r}; "
                    "leave it under one of them"
                )
            tree.setdefault(child, known)
    for genre in tree:
        _check_ancestors(genre, parents, where)
    return tree


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises `ConfigError` if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; fix that line", path) from error


def read_text(path: Path) -> str:
    """The text of a file. Raises `ConfigError` if it cannot be read or is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text; save it as UTF-8", path) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"{str(path)!r} cannot be read ({reason}); give the path of a readable file"
        raise ConfigError(message, path) from error


def _read_beets_tree(path: Path) -> dict[str, str]:
    import yaml  # needed only for this kind of file

    text = read_text(path)
    try:
        # A few lines of lists that refer to one another can expand until they fill the memory.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ConfigError(f"{path} has an alias (*); write the names out", path)
        content = yaml.safe_load(text)
        if not isinstance(content, list | dict):
            raise ConfigError(f"{path} is not a tree of genres: write nested lists of names", path)
        places = [
            (_name(genre, str(path)), parent and _name(parent, str(path)))
            for genre, parent in _places(content, None)
        ]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = one_line(error, 500)
        raise ConfigError(f"{path} is not valid YAML: {reason}; fix that line", path) from error
    first: dict[str, tuple[str, str | None]] = {}
    for genre, parent in places:
        first.setdefault(name_key(genre), (genre, parent))
    return {genre: parent for genre, parent in first.values() if parent}


def _places(node: object, parent: Any) -> Iterator[tuple[Any, Any]]:
    """Each name in nested lists and mappings, with the name that it is listed under."""
    if isinstance(node, list):
        for item in node:
            yield from _places(item, parent)
    elif isinstance(node, dict):
        for genre, children in node.items():
            yield genre, parent
            yield from _places(children, genre)
    elif node is not None:
        yield node, parent


def _table(source: object, name: str) -> tuple[Mapping[Any, Any], str]:
    """The mapping, and the name of its source for messages."""
    where = name
    if isinstance(source, str | Path):
        where = str(source)
        content = read_toml(Path(source))
        source = content[name] if set(content) == {name} else content
    if not isinstance(source, Mapping):
        raise ConfigError(f'{where}: write a table with lines such as Rock = ["Punk", "Grunge"]')
    return source, where


def _names(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        value = [value]
    return tuple(_name(name, where) for name in value)


def _name(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: {value!r} is not the name of a genre; write a text in quotes")
    return value.strip()


def _claim(owners: dict[str, str], name: str, genre: str, where: str) -> None:
    owner = owners.setdefault(name_key(name), genre)
    if owner != genre:
        raise ConfigError(
            f"{where}: {name!r} is an alias of both {owner!r} and {genre!r}; remove one of them"
        )


def _is_pattern(alias: str) -> bool:
    return len(alias) > 2 and alias[0] == alias[-1] == "/"


def _check_pattern(alias: str, where: str) -> None:
    try:
        re.compile(alias[1:-1])
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"{where}: {alias!r} is not a regular expression ({error}); "
            "fix it, or remove the slashes"
        ) from error


def _check_ancestors(genre: str, parents: Mapping[str, str], where: str) -> None:
    line = [genre]
    while (parent := parents.get(name_key(line[-1]))) is not None:
        line.append(parent)
        if name_key(parent) == name_key(genre):
            circle = " under ".join(line)
            raise ConfigError(f"{where}: a circle, {circle}; remove one of them")
        if len(line) > len(parents) + 1:
            return  # the circle is further up; the genres in it report it
