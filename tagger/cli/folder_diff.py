"""The changes of a dry run on a terminal: a line for each track, below its folder."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from tagger.cli.fitting import Glyphs, cut_middle, glyphs_for, relative_name, roots_of
from tagger.cli.fitting import width as columns_of
from tagger.cli.terminal import width
from tagger.genres.policy import NO_GENRE
from tagger.types import Action, Outcome

Parts = list[tuple[str, str | None]]  # texts and their colours
LONGEST = 1000  # characters of genres and reasons
LEAST_WIDTH = 20  # columns
LEAST_NAME = 16  # columns that the name of a file keeps
OF_GROUP = re.compile(r"mean of \d+ tracks of its \w+$")  # a reason that all of them share


@dataclass(slots=True)
class FolderDiff:
    """Turns outcomes, in the order of their paths, into lines.

    The unsure tracks of a folder follow the others. Memory grows with those of one folder. What
    tracks of one album share is said once, above them.
    """

    columns: Callable[[], int]  # of the terminal, which may change
    glyphs: Glyphs
    roots: tuple[Path, ...] = ()
    verbose: bool = False
    _folder: Path | None = None
    _shared: str = ""  # what was said last above tracks of the folder
    _unsure: list[str] = field(default_factory=list)

    @classmethod
    def on_terminal(cls, paths: Iterable[Path], *, verbose: bool) -> FolderDiff | None:
        """The one for stdout; None if that is no terminal."""
        if not (sys.stdout and sys.stdout.isatty()):
            return None
        stdout, paths = sys.stdout, list(paths)
        roots = roots_of(paths)
        if paths:  # the folder that was named is part of the headings
            roots = tuple(root.parent for root in roots if root.parent.name)
        return cls(lambda: width(stdout), glyphs_for(stdout), roots, verbose)

    @property
    def width(self) -> int:
        """Columns of a line; the last one stays free, since some terminals wrap a full line."""
        return max(self.columns() - 1, LEAST_WIDTH)

    def lines(self, outcome: Outcome) -> Iterator[str]:
        """The lines for the next outcome, after what is left of the folder before."""
        parts = self._parts(outcome)
        if not parts:
            return
        folder = outcome.path.parent
        if folder != self._folder:
            yield from self.rest()
            self._folder, self._shared = folder, ""
            name = self.glyphs.plain(relative_name(folder, self.roots))
            yield click.style(cut_middle(name, self.width, self.glyphs.gap), bold=True)
        is_unsure = outcome.action is Action.UNSURE
        shared = _shared_reason(outcome)
        if shared != self._shared and not is_unsure:
            self._shared = shared
            if shared:
                yield from self._track(f"{shared}:", [], "  ")
        found = self._track(outcome.path.name, parts, " " * (4 if is_unsure or shared else 2))
        if is_unsure:
            self._unsure += found
        else:
            yield from found

    def rest(self) -> Iterator[str]:
        """The unsure tracks of the last folder."""
        if self._unsure:
            yield click.style("  unsure:", fg="yellow")
        yield from self._unsure
        self._unsure.clear()

    def _parts(self, outcome: Outcome) -> Parts:
        """The texts after the name, with colours; [] if the track is not shown."""
        reason, dot = outcome.reason, f" {self.glyphs.dot} "
        before = "; ".join(outcome.existing)
        if outcome.action is Action.WOULD_WRITE:
            after = "; ".join(outcome.genres) or "(no genre)"
            share = f"{outcome.ranked[0][1]:.2f}" if outcome.ranked else ""
            parts = [(f"- {before}" if before else "", "red"), (f"+ {after}", "green")]
            return [*parts, (share, None), (_own_reason(outcome), None)]
        if outcome.action is Action.UNSURE and len(outcome.ranked) and outcome.ranked[0][1] > 0:
            scores = dot.join(f"{genre} {share:.2f}" for genre, share in outcome.ranked[:2])
            return [(scores, "yellow")]
        if outcome.action in (Action.UNSURE, Action.FAILED) or self.verbose:
            color = {Action.FAILED: "red", Action.UNSURE: "yellow"}.get(outcome.action)
            result = (
                reason if outcome.action is Action.UNSURE else f"{outcome.action.value}: {reason}"
            )
            return [(before, None), (result, color)]
        return []

    def _track(self, name: str, parts: Parts, indent: str) -> list[str]:
        """The line for one track, or more where one is too short."""
        gap, plain = self.glyphs.gap, self.glyphs.plain
        shown = [(plain(text, LONGEST), color) for text, color in parts if text]
        name, columns = plain(name), self.width - len(indent)
        room = columns - sum(2 + columns_of(text) for text, _ in shown)
        if room >= min(columns_of(name), LEAST_NAME):
            line = indent + cut_middle(name, room, gap)
            return [line + "".join(f"  {click.style(text, fg=color)}" for text, color in shown)]
        lines, line, left = [indent + cut_middle(name, columns, gap)], "", columns
        for text, color in shown:
            text = cut_middle(text, columns - 2, gap)
            if columns_of(text) + 2 > left:
                lines.append(indent + line)
                line, left = "", columns
            line += f"  {click.style(text, fg=color)}"
            left -= columns_of(text) + 2
        return [*lines, indent + line]


def _shared_reason(outcome: Outcome) -> str:
    """What the track shares with others of its album."""
    found = OF_GROUP.search(outcome.reason) if outcome.action is Action.WOULD_WRITE else None
    return found[0] if found else ""


def _own_reason(outcome: Outcome) -> str:
    return unusual_reason(outcome).removesuffix(_shared_reason(outcome)).rstrip("; ")


def unusual_reason(outcome: Outcome) -> str:
    """Why a genre would be written, without what the lines of the diff show already."""
    existing, genres = "; ".join(outcome.existing), "; ".join(outcome.genres)
    reason = outcome.reason
    replaced = f"replaces {existing}", f"{existing} counts as no genre"
    for usual in (NO_GENRE, *replaced, f"added to {existing}"):
        if reason == usual or reason.startswith((f"{usual};", f"{usual},")):
            reason = reason.removeprefix(usual).removeprefix(f", as {genres}")
            break
    return reason.lstrip(",; ")
