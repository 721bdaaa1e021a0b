"""The results of a run as tables, for a terminal. `app.doubts` defines the words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.app.doubts import LOW, Doubt, Ranking
from tagger.app.failures import FailureGroup
from tagger.cli import messages
from tagger.cli.fitting import Glyphs, cut_middle, cut_path, glyphs_for, relative_name, roots_of
from tagger.cli.fitting import width as columns_of
from tagger.cli.genre_table import NARROW, confidence_line, genre_table
from tagger.cli.terminal import rich_console
from tagger.report.escape import printable
from tagger.types import Action

if TYPE_CHECKING:
    from rich.console import Console as Screen

    from tagger.app.summary import Summary
    from tagger.cli.console import Console

SHOWN_GROUPS = 8  # of failures
LEAST_NAME = 28  # columns for the name of a file in front of its details
NEXT = "no music file was changed; run with --write-tags --dry-run to see what would be written"
LONGEST = 400  # characters of a reason or of genres


def print_results(
    console: Console, summary: Summary, paths: Sequence[Path] = (), reports: Sequence[Path] = ()
) -> None:
    """Print the results of a run over these paths: tables on a terminal, otherwise lines."""
    console.end_diff()
    if not console.shows_steps:
        for line in messages.summary_lines(summary, *reports):
            console.say(line)
        return
    screen, glyphs = rich_console(sys.stderr), glyphs_for(sys.stderr)
    Results(screen, summary, roots_of(paths), glyphs).show(reports)


def print_undone(console: Console, what: str, summary: Summary) -> None:
    """Print the results of an undo."""
    console.end_diff()
    if not console.shows_steps:
        for line in messages.undo_lines(what, summary):
            console.say(line)
        return
    results = Results(rich_console(sys.stderr), summary, roots_of(()), glyphs_for(sys.stderr))
    first, *others = messages.undone_lines(what, summary)
    results.say(first, "bold")
    results.show_failures("--verbose shows them")
    for line in others:
        results.say(line)
    if summary.dry_run and summary.put_back:
        results.say("no file was changed; run without --dry-run to put them back")


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a run on a terminal."""

    screen: Screen
    summary: Summary
    roots: tuple[Path, ...]
    glyphs: Glyphs

    @property
    def width(self) -> int:
        """Columns; the last one stays free, since some terminals wrap a line that is full."""
        return max(self.screen.width - 1, 20)

    def say(self, line: str, style: str = "", indent: int = 0) -> None:
        """Print a line, wrapped between words; a command or path that does not fit stays whole."""
        from rich.padding import Padding
        from rich.text import Text

        line = self.glyphs.plain(line)
        lead, _, last = line.partition(": ")
        is_whole = last.startswith("tag-genres ") or lead == "report"
        if is_whole and columns_of(line) > self.width:
            self.say(f"{lead}:", style)
            self.screen.print(Text(last), soft_wrap=True)
            return
        text = Text(line, style)
        shown = Padding(text, (0, 0, 0, indent), expand=False) if indent else text
        self.screen.print(shown, width=self.width)

    def show(self, reports: Sequence[Path]) -> None:
        """Print everything about a run that predicted or applied genres."""
        summary = self.summary
        self.say(messages.count_line(summary), "bold")
        self._show_genres()
        for line in messages.model_lines(summary):
            self.say(line)
        self._list("most doubtful", summary.doubtful, summary.unsure[LOW])
        self._list("prediction disagrees with the tag", summary.disagreeing, summary.disagreed)
        for line in messages.note_lines(summary):
            self.say(line)
        where = messages.where_failures_are(reports)
        if reports and len(where) > self.width - LEAST_NAME:  # its path is named below, whole
            where = messages.where_failures_are([Path("-")])
        self.show_failures(where)
        lines = list(messages.last_lines(summary, reports))
        if summary.genres and not (summary.write_tags or summary.dry_run):
            lines.insert(sum(line.startswith("report: ") for line in lines), NEXT)
        if lines:
            self.screen.print()
        for line in lines:
            self.say(line)

    def _show_genres(self) -> None:
        summary, table = self.summary, genre_table(self.summary, self.width, self.glyphs)
        if table is not None:
            self.screen.print()
            self.screen.print(table, width=self.width)
        lines = list(confidence_line(summary, self.glyphs))
        if summary.genres and self.width < NARROW:  # where the table has no column for it
            lines = [*messages.genre_lines(summary)][1:] + lines
        if lines and table is not None:
            self.screen.print()
        for line in lines:
            self.say(line)
        if summary.unsure or summary.genres:
            self.say(messages.unsure_line(summary), "yellow" if summary.unsure else "")

    def _list(self, title: str, ranking: Ranking, total: int) -> None:
        """Tracks by name, each with what to know about it."""
        doubts = list(ranking)
        if not doubts:
            return
        count = sum(doubt.tracks for doubt in doubts)
        of = f"{count:,} of {messages.tracks(total)}" if count < total else messages.tracks(count)
        self.screen.print()
        self.say(f"{title} ({of})", "bold")
        rows = [(self._name(doubt), self._detail(doubt, ranking)) for doubt in doubts]
        self._rows(rows)

    def _rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names with details behind them, or below them where a terminal is narrow."""
        from rich.text import Text

        width, gap = self.width, self.glyphs.gap
        details = [cut_middle(detail, width // 2, gap) for _, detail in rows]
        room = width - 4 - max(map(columns_of, details))
        if width < NARROW or room < LEAST_NAME:
            for name, detail in rows:
                self.say(cut_path(name, width - 2, gap), indent=2)
                self.say(cut_middle(detail, width - 4, gap), "cyan", indent=4)
            return
        names = [cut_path(name, room, gap) for name, _ in rows]
        longest = max(map(columns_of, names))  # some columns may be too few for a wide character
        for name, detail in zip(names, details, strict=True):
            pad = " " * (longest - columns_of(name) + 2)
            self.screen.print(Text.assemble("  ", name, pad, (detail, "cyan")), no_wrap=True)

    def _name(self, doubt: Doubt) -> str:
        name = self.glyphs.plain(relative_name(doubt.path, self.roots))
        return f"{name} ({messages.tracks(doubt.tracks)})" if doubt.tracks > 1 else name

    def _detail(self, doubt: Doubt, ranking: Ranking) -> str:
        plain = self.glyphs.plain
        scores = [f"{plain(genre, LONGEST)} {share:.2f}" for genre, share in doubt.ranked]
        if ranking is self.summary.doubtful:
            return f" {self.glyphs.dot} ".join(scores)
        existing = plain("; ".join(doubt.existing), LONGEST)
        existing = cut_middle(existing, self.width // 3, self.glyphs.gap)
        return f"{existing} {self.glyphs.arrow} {scores[0]}"

    def show_failures(self, where: str) -> None:
        """Print the failures by reason."""
        failed = self.summary.actions[Action.FAILED]
        if not failed:
            return
        groups = list(self.summary.failed)
        self.screen.print()
        self.say(f"failed: {messages.files(failed)}", "bold red")
        for group in groups[:SHOWN_GROUPS]:
            self._show_group(group)
        if len(groups) > SHOWN_GROUPS:
            hidden = sum(group.count for group in groups[SHOWN_GROUPS:])
            self.say(f"{hidden:,} more for {len(groups) - SHOWN_GROUPS} other reasons", indent=2)
        if failed > len(groups) or len(groups) > SHOWN_GROUPS:
            self.say(f"all of them: {where}", indent=2)

    def _show_group(self, group: FailureGroup) -> None:
        self.say(f"{messages.files(group.count)}: {printable(group.reason, LONGEST)}", indent=2)
        name = self.glyphs.plain(relative_name(group.example, self.roots))
        self.say(cut_path(name, self.width - 4, self.glyphs.gap), indent=4)
        if group.advice:
            self.say(f"{self.glyphs.arrow} {group.advice}", "cyan", indent=4)
