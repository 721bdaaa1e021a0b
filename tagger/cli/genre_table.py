"""The genres of a run as a table with bars, and where its confidences lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from tagger.cli.fitting import Glyphs, blocks, cut_middle, width
from tagger.types import Action

if TYPE_CHECKING:
    from rich.table import Table

    from tagger.app.summary import Summary

SHOWN_GENRES = 15  # rows
NARROW, WIDE = 56, 72  # columns, below and above which the table has another form
LONGEST_BAR, SHORTEST_BAR = 30, 3  # columns
GAP = 2  # columns between others
BINS = 10


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its heading and a text for each row."""

    heading: str
    cells: Sequence[str]

    @property
    def width(self) -> int:
        """How many columns of the terminal it needs."""
        return max(map(width, (self.heading, *self.cells)))


def genre_table(summary: Summary, width: int, glyphs: Glyphs) -> Table | None:
    """Genre, tracks, share, mean confidence, a bar, and the files that get it; None if empty.

    A run that only applies genres has no tracks with a prediction, so its files are counted.
    """
    from rich.table import Table
    from rich.text import Text

    counts = summary.genres or summary.written
    if not counts:
        return None
    ranked = sorted(
        {**counts, **summary.written},
        key=lambda genre: (-max(counts[genre], summary.written[genre]), -counts[genre], genre),
    )
    shown, others = ranked[:SHOWN_GENRES], ranked[SHOWN_GENRES:]
    names = [glyphs.plain(genre) for genre in shown]
    names += [f"{len(others)} more"] if others else []
    numbers = _numbers(
        summary, [*((genre,) for genre in shown), *([others] if others else [])], width
    )
    room = width - sum(column.width + GAP for column in numbers)
    name_width = min(Column("genre", names).width, max(room - SHORTEST_BAR - GAP, 8))
    bar_width = min(room - name_width - GAP, LONGEST_BAR)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    table.add_column("genre", no_wrap=True)
    for column in numbers:
        table.add_column(column.heading, justify="right", no_wrap=True)
    if bar_width >= SHORTEST_BAR:
        table.add_column("", style="cyan", no_wrap=True)
    most = max(counts[genre] for genre in shown) or 1
    for row, name in enumerate(names):
        cells = [cut_middle(name, name_width, glyphs.gap), *(it.cells[row] for it in numbers)]
        if bar_width >= SHORTEST_BAR:  # the genres that are only counted have none
            share = counts[shown[row]] / most if row < len(shown) else 0
            cells.append(blocks(share, bar_width, glyphs.bar))
        table.add_row(*map(Text, cells))
    return table


def _numbers(summary: Summary, groups: Sequence[Sequence[str]], width: int) -> list[Column]:
    """The columns between the names and the bars, with a row for each group of genres."""
    counts, written = summary.genres, summary.written
    actions = summary.actions
    total = counts.total() or actions[Action.WRITTEN] + actions[Action.WOULD_WRITE]
    tracks = [sum((counts or written)[genre] for genre in group) for group in groups]
    columns = [
        Column("tracks" if counts else "files", [f"{count:,}" for count in tracks]),
        Column("share", [_percent(count / total) for count in tracks]),
    ]
    if counts:
        means = (summary.mean_confidence(*group) for group in groups)
        heading = "mean confidence" if width >= WIDE else "mean"
        columns.append(Column(heading, ["" if mean is None else f"{mean:.2f}" for mean in means]))
    if counts and written and width >= NARROW:
        files = (sum(written[genre] for genre in group) for group in groups)
        heading = "to be written" if summary.dry_run else "written"
        columns.append(Column(heading, [f"{count:,}" if count else "" for count in files]))
    return columns


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def confidence_line(summary: Summary, glyphs: Glyphs) -> Iterator[str]:
    """Where the confidences lie: how many in each tenth from 0 to 1, and their quartiles."""
    spread = summary.spread
    if not spread:
        return
    tenths = Counter[int]()
    for hundredth, count in spread.items():
        tenths[min(hundredth * BINS // 100, BINS - 1)] += count
    most, last = max(tenths.values()), len(glyphs.levels) - 1
    levels = (
        glyphs.levels[round(last * tenths[place] / most)] if tenths[place] else " "
        for place in range(BINS)
    )
    low, median, high = (quantile(spread, share) for share in (0.25, 0.5, 0.75))
    half = f", half of the tracks from {low:.2f} to {high:.2f}" if low < high else ""
    yield f"confidence: 0 [{''.join(levels)}] 1, median {median:.2f}{half}"


def quantile(spread: Counter[int], share: float) -> float:
    """The confidence that this share of the tracks does not exceed."""
    wanted = share * spread.total()
    places = sorted(spread)
    sums = accumulate(spread[place] for place in places)
    return next(place for place, below in zip(places, sums, strict=True) if below >= wanted) / 100
