"""Parses the answers to questions about the genre of a track. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from tagger.genres.labels import name_key, unique_names
from tagger.genres.policy import Policy
from tagger.report.escape import printable

LONGEST = 200  # characters of a genre


class Command(Enum):
    """An answer that names no genre; the value is what is typed, alone and in any case."""

    ACCEPT = ""
    ALIKE = "a"
    SKIP = "s"
    UNDO = "u"
    QUIT = "q"
    HELP = "?"
    KEEP = "0"


# A person who types one of these means the command; as a genre it would be written into files.
WORDS = {
    "accept": "enter", "yes": "enter", "ok": "enter", "all": "a", "skip": "s", "no": "s",
    "undo": "u", "back": "u", "quit": "q", "exit": "q", "end": "q", "help": "?",
}  # fmt: skip
COMMANDS = {command.value: command for command in Command}


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an answer is not accepted; the question is asked again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices that need no typed genre."""

    predicted: Sequence[str] = ()  # by the digits from 1
    accepts: bool = True  # enter has something to accept
    keeps: bool = False  # there is a genre that can stay, by 0


class Names:
    """How genres that a person types are spelled, and with what they are completed.

    The rules of the policy come first, then a known genre with the same letters and digits.
    """

    def __init__(self, policy: Policy, known: Iterable[str] = ()) -> None:
        """`known` genres in any order; of several spellings of one, the first counts."""
        self.policy = policy
        vocabulary = policy.vocabulary
        genres = unique_names([*vocabulary.every, *known], key=str)
        self.known = tuple(genre for genre in genres if not self.fault(genre))
        self._exact = frozenset(self.known)
        self._by_key: dict[str, str] = {}
        for genre in self.known:
            self._by_key.setdefault(name_key(genre), vocabulary.spelled(genre))

    def spelled(self, genre: str) -> str:
        """The genre as it is written into a file."""
        spelled = self.policy.vocabulary.spelled(genre)
        if spelled != genre or genre in self._exact:
            return spelled
        return self._by_key.get(name_key(genre), genre)

    def completions(self, typed: str) -> list[str]:
        """The known genres that begin with this text, in any case, in alphabetical order."""
        start = typed.casefold()
        found = (genre for genre in self.known if genre.casefold().startswith(start))
        return sorted(found, key=str.casefold)

    def fault(self, genre: str) -> str:
        """Why a text is no genre, or ""."""
        if printable(genre) != genre:
            return "it holds characters that cannot be shown"
        if len(genre) > LONGEST:
            return f"it has more than {LONGEST} characters"
        if not self.policy.without_placeholders([genre]):
            return f'"{genre}" counts as no genre; s skips the track'
        return ""


def parse(line: str, choices: Choices, names: Names) -> Command | tuple[str, ...] | Refused:
    """The command or the genres in a line, or why it is neither.

    Genres are separated by ";". A number is one of the choices; "2-step" is a genre.
    """
    text = unicodedata.normalize("NFC", line).strip()
    command = COMMANDS.get(text.casefold())
    if command is Command.KEEP and not choices.keeps:
        return Refused("there is no genre that could stay")
    if command in (Command.ACCEPT, Command.ALIKE) and not choices.accepts:
        return Refused("nothing was predicted; type a genre, or s to skip")
    if command is not None:
        return command
    if (meant := WORDS.get(text.casefold())) and text not in names.known:
        return Refused(f'"{text}" is not taken as a genre; did you mean {meant}?')
    found: list[str] = []
    for part in filter(None, map(str.strip, text.split(";"))):
        genre = _genre(part, choices, names)
        if isinstance(genre, Refused):
            return genre
        found.append(genre)
    return unique_names(found, name_key) or Refused("there is no genre between the semicolons")


def _genre(part: str, choices: Choices, names: Names) -> str | Refused:
    if part.isdecimal():
        number = int(part[:4])
        if 1 <= number <= len(choices.predicted):
            return choices.predicted[number - 1]
        return Refused(f"there is no choice {part[:4]}")
    if len(part) == 1 and part.isascii():
        return Refused(f"{printable(part)} is no command; ? lists them")
    genre = names.spelled(part)
    fault = names.fault(part) or names.fault(genre)
    return Refused(fault) if fault else genre
