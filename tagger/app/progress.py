"""The interface through which a command reports progress; `cli/console.py` implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from tagger.types import Outcome

T = TypeVar("T")


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
    ) -> Iterable[T]:
        """Yield the items and show how many of `total` (0: unknown) are done.

        `outcome` turns an item into the outcome that is shown.
        """
        ...
