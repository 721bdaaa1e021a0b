"""A question of `--confirm` as lines of text, fitted to the columns of the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from tagger.cli.fitting import blocks, fit, fit_end, width
from tagger.genres.policy import NO_GENRE
from tagger.report.escape import printable

if TYPE_CHECKING:
    from tagger.app.confirm import Place, Question

NAMES_SHOWN = 3  # tracks of an album
LONG = 1000  # characters of genres and reasons
LEAST_BAR, MOST_BAR = 8, 40  # columns
HELP = (
    ("enter", "write what the question proposes"),
    ("1 2 ...", "write this genre of the list"),
    ("0", "keep the genre that the file has: it is decided, and nothing is written"),
    ("letters", "write any genre; Tab completes it, and ; separates several"),
    ("s", "skip: the file stays as it is, and later runs ask again"),
    ("a", "enter, for all like this: same predicted and existing genre, both unsure or neither"),
    ("u", "undo the last answer: its files are restored, and the question is asked again"),
    ("q", "end: what was answered stays written, and no other file is changed"),
)
Style = Literal["", "bold", "dim", "cyan"]
Line = tuple[tuple[str, Style], ...]  # texts, each with its style


def question_lines(question: Question, place: Place, columns: int) -> Iterator[Line]:
    """The lines of a question, each of one or more parts with a style; none is wider."""
    head = f"── {place.number:,} of {place.total:,} "
    yield ((fit(head + "─" * max(columns - width(head), 0), columns), "dim"),)
    yield from _files(question, columns)
    yield from _wrapped(f"existing: {_existing(question)}", columns)
    what = "unsure" if question.is_unsure else "why"
    if question.reason != NO_GENRE or any(question.existing):  # else the line above says that
        yield from _wrapped(f"{what}: {printable(question.reason, LONG)}", columns)
    yield from _choices(question, columns)
    for line in _joined(_keys(question, place), columns):
        yield ((line, "dim"),)


def help_lines(columns: int) -> Iterator[str]:
    """The lines of the help."""
    for key, meaning in HELP:
        for number, line in enumerate(_joined(meaning.split(), columns - 10, " ")):
            yield f"{'' if number else key:<8}  {line}"
    yield fit("press enter after each of them", columns)


def _existing(question: Question) -> str:
    """The genres in the tags; of an album, how many tracks have which."""
    every = question.existing
    shown = [
        f"{printable('; '.join(genres) or 'no genre', LONG)}"
        + (f" ({count:,} track{'s' * (count != 1)})" if len(every) > 1 else "")
        for genres, count in every.most_common(NAMES_SHOWN)
    ]
    if len(every) > NAMES_SHOWN:
        shown.append(f"and {len(every) - NAMES_SHOWN:,} others")
    return "; ".join(shown)


def _files(question: Question, columns: int) -> Iterator[Line]:
    paths = [asked.track.path for asked in question.tracks]
    if len(paths) == 1:
        yield ((fit(printable(paths[0].name), columns), "bold"),)
    else:
        yield ((fit(f"{len(paths):,} tracks of one {question.whole}", columns), "bold"),)
        for path in paths[:NAMES_SHOWN]:
            yield ((fit(f"  {printable(path.name)}", columns), ""),)
        if len(paths) > NAMES_SHOWN:
            yield ((f"  and {len(paths) - NAMES_SHOWN:,} more", ""),)
    yield ((fit_end(printable(str(paths[0].parent)), columns), "dim"),)


def _choices(question: Question, columns: int) -> Iterator[Line]:
    names = [printable(genre, LONG) for genre, _ in question.ranked]
    room = columns - len(" 1    0.00")
    longest = max(map(width, names), default=0)
    name_width = min(longest, max(room - LEAST_BAR, 1))
    bar = max(min(room - name_width - 1, MOST_BAR), 0)
    for number, (name, (_, share)) in enumerate(zip(names, question.ranked, strict=True), start=1):
        shown = fit(name, name_width)
        shown += " " * (name_width - width(shown))
        yield (
            (f" {number} ", "bold"), (f"{shown} ", ""), (blocks(share, bar), "cyan"),
            (f" {share:.2f}", ""),
        )  # fmt: skip


def _keys(question: Question, place: Place) -> Iterator[str]:
    """The keys, in short."""
    if question.proposed:
        yield f"enter: {printable('; '.join(question.proposed), LONG)}"
    if len(question.ranked) > 1:
        yield f"1-{len(question.ranked)}: another"
    if place.can_keep:
        yield "0: keep the existing"
    yield "letters: any genre, Tab completes"
    yield "s: skip, later runs ask again"
    if question.proposed and place.alike:
        yield f"a: enter, also for {_alike(question, place.alike)}"
    if place.can_undo:
        yield "u: undo the last"
    yield "q: end"
    yield "?: help"


def _alike(question: Question, count: int) -> str:
    """The other questions that are like this one."""
    predicted = printable(question.ranked[0][0], LONG)
    has = f"with {_existing(question)}" if any(question.existing) else "without a genre"
    unsure = ", unsure" if question.is_unsure else ""
    return f"{count:,} other{'s' * (count != 1)} predicted as {predicted}{unsure}, {has}"


def _wrapped(text: str, columns: int) -> Iterator[Line]:
    for line in _joined(text.split(" "), columns, " "):
        yield ((line, ""),)


def _joined(parts: Iterable[str], columns: int, separator: str = " · ") -> Iterator[str]:
    """The parts on as few lines as hold them; a part that is wider than a line is cut or split."""
    line = ""
    for part in parts:
        joined = f"{line}{separator}{part}" if line else part
        if width(joined) <= columns:
            line = joined
            continue
        if line:
            yield line
        if separator != " " and width(part) > columns:
            *full, part = _joined(part.split(" "), columns, " ")
            yield from full
        line = fit(part, columns)
    if line:
        yield line
