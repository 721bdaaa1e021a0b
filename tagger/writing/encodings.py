"""In which encoding a person's spreadsheet saved a report: what cells that nobody edited tell.

Paths exist on the disk, and genres that were reported are in the tags: a way of saving by which the
cells say something else is out. What a person typed must be words in each way that is left.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tagger.errors import TagError
from tagger.genres.labels import unique_names
from tagger.report.code_pages import Saving, all_savings, has_bytes
from tagger.report.escape import plain_text
from tagger.tags.isolated import read_tag
from tagger.types import Action
from tagger.writing.lost_names import LostNames

Cells = Mapping[str, str]  # of one row, by the name of their column
# Those ways of saving in which what the cells say is true.
TrueIn = Callable[[Cells, Sequence[Saving]], list[Saving]]

# Cells that nobody edits; a genre that is also in one of them was not typed.
KNOWN = ("heard", "second", "third", "existing_genre", "new_genre")
COLUMNS = ("path", "genre", "action", *KNOWN)
MOST_GENRES, MOST_TAGS = 1000, 50  # cells that are examined
MOST_GONE = 1000  # paths that are examined, if none exists
MOST_SHOWN = 3  # readings and paths that a problem lists
HOW = "save the report as CSV UTF-8, or name its code page with --encoding"


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one row says."""

    path: Path  # of the real file, with links resolved
    genres: tuple[str, ...]
    before: tuple[str, ...] | None  # in the tag after the reported run; None: the row does not say
    problem: str = ""  # why the row must not be applied


class Decoder:
    """Decodes the cells of one report."""

    def __init__(self, rows: Iterable[Cells], encoding: str | None = None) -> None:
        """Examine rows of `used_cells`; `encoding` is the code page, if a person knows it."""
        self._lost = LostNames()
        self._is_named = encoding is not None
        self._keeps_all = encoding is not None and encoding.startswith("utf")
        unclear = [row for row in rows if not all(map(str.isascii, row.values()))]
        some_bytes = any(has_bytes(cell) for row in unclear for cell in row.values())
        self._all = all_savings(has_bytes=some_bytes, encoding=encoding)
        tagged = [row for row in unclear if not _before(row).isascii()]
        typed = [row for row in unclear if not row.get("genre", "").isascii()]
        left = _left(self._all, unclear, _existing)
        if len(left) > 1:
            left = _left(left, tagged[:MOST_TAGS], _as_in_tag)
            left = _left(left, typed[:MOST_GENRES], _in_words)
        # Nothing suggests that text in UTF-8 is not what it seems to be.
        self._savings = [Saving()] if Saving() in left else left

    def decode(self, row: Cells) -> Decoded:
        """What the cells of a row say. Raises `ValueError` for a path that no file can have."""
        savings = self._savings_of(row)
        path, problem = self._find(row["path"], savings)
        genre, left, unclear = _choose(row, savings)
        before = next(filter(None, (saving.untouched(_before(row)) for saving in left)), "")
        genres = split_genres(plain_text(genre))
        if not unclear and savings == [Saving()] and not self._is_named:
            unclear = _seems_otherwise(genre)
        if not self._keeps_all and any(mark in genre for mark in "?\ufffd"):
            unclear = f'its genre is "{plain_text(genre)}": the spreadsheet lost letters; {HOW}'
        return Decoded(
            Path(os.path.realpath(path)),
            genres,
            split_genres(plain_text(before)) if _has_before(row) else None,
            problem or unclear,
        )

    def _savings_of(self, row: Cells) -> Sequence[Saving]:
        """The ways of saving in which the path of this row exists; if in none, those of all rows.

        A report may be put together from several.
        """
        if row["path"].isascii():
            return self._savings
        return _existing(row, self._savings) or _existing(row, self._all) or self._savings

    def _find(self, cell: str, savings: Sequence[Saving]) -> tuple[str, str]:
        """The path that a cell names, and a problem if that is not certain."""
        texts = [text for saving in savings if (text := saving.untouched(cell)) is not None]
        paths = list(dict.fromkeys(map(plain_text, texts))) or [plain_text(cell)]
        found = [path for path in paths if os.path.lexists(path)]
        if not found:
            found = list(map(os.fspath, self._lost.find(cell, savings)))
        if not found and "?" in cell:
            return paths[0], f"its path lost letters, and no file fits what is left; {HOW}"
        if len(found) > 1:
            return paths[0], f"its path may mean {' or '.join(found[:MOST_SHOWN])}; {HOW}"
        return (found or paths)[0], ""


def used_cells(row: Cells) -> dict[str, str]:
    """The cells that a decoder needs; a person may have added columns of any size."""
    return {name: row[name] for name in COLUMNS if name in row}


def split_genres(text: str) -> tuple[str, ...]:
    """The genres in a text that separates them by ";"."""
    return unique_names(text.split(";"))


def _left(savings: list[Saving], rows: Iterable[Cells], true_in: TrueIn) -> list[Saving]:
    """The ways of saving in which what the rows say is true.

    A row that is true in none tells nothing: its file is gone, say. If rows rule each other's ways
    out, the report was put together from several, and none is out.
    """
    left, without = savings, 0
    for row in rows:
        if true := true_in(row, left):
            left = true
        elif len(left) < len(savings):
            if true_in(row, savings):
                return savings
        elif (without := without + 1) == MOST_GONE:
            break
    return left


def _existing(row: Cells, savings: Sequence[Saving]) -> list[Saving]:
    """The ways of saving in which the path exists; all if it is ASCII."""
    cell = row["path"]
    if cell.isascii():
        return list(savings)
    paths = [saving.untouched(cell) for saving in savings]
    existing = {path for path in set(paths) if path and os.path.lexists(_file_name(path))}
    return [saving for saving, path in zip(savings, paths, strict=True) if path in existing]


def _as_in_tag(row: Cells, savings: Sequence[Saving]) -> list[Saving]:
    """The ways of saving in which the row says what its file's tag holds."""
    found, tags = [], {}
    for saving in savings:
        path, before = saving.untouched(row["path"]), saving.untouched(_before(row))
        if path is None or before is None:
            continue
        if path not in tags:
            tags[path] = _genres_in(_file_name(path))
        if split_genres(plain_text(before)) == tags[path]:
            found.append(saving)
    return found


def _genres_in(path: str) -> tuple[str, ...] | None:
    try:
        return split_genres(";".join(read_tag(Path(path)).genres)) if os.path.exists(path) else None
    except (TagError, OSError):
        return None


def _in_words(row: Cells, savings: Sequence[Saving]) -> list[Saving]:
    """The ways of saving in which a person may have typed the genre."""
    return [saving for saving in savings if any(ok for _, ok in _readings(row, saving))]


def _before(row: Cells) -> str:
    """The cell that has the genre after the reported run."""
    written = row.get("action") == Action.WRITTEN.value
    return row.get("new_genre" if written else "existing_genre", "")


def _has_before(row: Cells) -> bool:
    written = row.get("action") == Action.WRITTEN.value
    return "action" in row and ("new_genre" if written else "existing_genre") in row


def _file_name(path: str) -> str:
    """The path in a decoded cell; "" for one that no file can have."""
    name = plain_text(path)
    try:
        return name if b"\0" not in os.fsencode(name) else ""
    except UnicodeEncodeError:
        return ""


def _choose(row: Cells, savings: Sequence[Saving]) -> tuple[str, Sequence[Saving], str]:
    """The genre cell as text, the ways of saving that give it, and a problem if it is unclear."""
    cell = row.get("genre", "")
    if cell.isascii():
        return cell, savings, ""
    readings: dict[str, list[Saving]] = {}
    plausible: dict[str, list[Saving]] = {}
    for saving in savings:
        for text, is_plausible in _readings(row, saving):
            readings.setdefault(text, []).append(saving)
            if is_plausible:
                plausible.setdefault(text, []).append(saving)
    left = readings if len(readings) == 1 else plausible
    if len(left) == 1:
        ((text, giving),) = left.items()
        return text, giving, ""
    shown = list((plausible or readings).items())[:MOST_SHOWN]
    if not shown:
        return "", savings, f"the encoding of its genre is unknown; {HOW}"
    names = (f'"{text}" ({giving[0].saved or "UTF-8"})' for text, giving in shown)
    return shown[0][0], savings, f"its genre may mean {' or '.join(names)}; {HOW}"


def _seems_otherwise(genre: str) -> str:
    """The problem of a genre that is UTF-8 by chance: no words, but words in a code page."""
    if Saving().is_plausible(genre):
        return ""
    others = [saving for saving in all_savings(has_bytes=True) if not saving.opened]
    for saving in others:
        text = saving.typed(genre)
        if text is not None and saving.is_plausible(text):
            return f'its genre may mean "{genre}" (UTF-8) or "{text}" ({saving.saved}); {HOW}'
    return ""


def _readings(row: Cells, saving: Saving) -> Iterator[tuple[str, bool]]:
    """What the genre cell may say in one way of saving, and whether a person may have typed it."""
    known = {part.strip() for name in KNOWN for part in row.get(name, "").split(";")}
    genres = row.get("genre", "").split(";")
    options = [_genre_readings(genre, saving, known=genre.strip() in known) for genre in genres]
    for reading in product(*options):
        yield ";".join(text for text, _ in reading), all(plausible for _, plausible in reading)


def _genre_readings(genre: str, saving: Saving, *, known: bool) -> list[tuple[str, bool]]:
    if genre.isascii():
        return [(genre, True)]
    typed, untouched = saving.typed(genre), saving.untouched(genre)
    found: dict[str, bool] = {}
    if untouched is not None and (known or saving.opened):
        # In a file that was opened wrongly, a cell may also be copied from another.
        found[untouched] = (Saving() if saving.opened else saving).is_plausible(untouched)
    if typed is not None and not known:
        typed = unicodedata.normalize("NFC", typed) if saving.saved else typed  # cp1258 has parts
        found.setdefault(typed, saving.is_plausible(typed))
    return list(found.items())
