"""The interface through which a command reports progress; `cli/console.py` implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from tagger.types import Outcome

T = TypeVar("T")


class Work(Protocol):
    """How much of the work behind a bar is done, in any unit, where tracks cost differently."""

    @property
    def done(self) -> float:
        """The work that is done."""
        ...

    @property
    def left(self) -> float:
        """The work that is left, as far as is known."""
        ...

    @property
    def name(self) -> str:
        """The name of the file that is worked on."""
        ...


class Progress(Protocol):
    """Where a command reports while it works."""

    @property
    def quiet(self) -> bool:
        """Whether only problems are to be reported."""
        ...

    def say(self, message: str) -> None:
        """Show one line."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """Show the outcome of one track, if the user wants to see it."""
        ...

    def news(self, outcome: Outcome) -> None:
        """Show an outcome that is new since the last run, if the user wants to see only those."""
        ...

    def bar(
        self,
        items: Iterable[T],
        total: int,
        label: str,
        outcome: Callable[[T], Outcome] | None = None,
        work: Work | None = None,
    ) -> Iterable[T]:
        """Yield the items and show how many of `total` (0: unknown) are done, and the time left.

        `outcome` turns an item into the outcome that is shown. With `work`, the time left is that
        of the work; otherwise each item counts the same.
        """
        ...

    def now(self, path: Path) -> None:
        """Name the file that is being worked on, in the bar that is shown."""
        ...

    def busy(self, label: str) -> AbstractContextManager[object]:
        """Show, within the block, that something is being done that cannot be counted."""
        ...

    def paused(self) -> AbstractContextManager[object]:
        """Show no bar within the block, which asks the user something."""
        ...


def naming(items: Iterable[T], path: Callable[[T], Path], progress: Progress) -> Iterator[T]:
    """Yield the items; the bar names the path of each while it is worked on."""
    for item in items:
        progress.now(path(item))
        yield item
