"""How a command talks to a person while it works; `console` does it on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from tagger.types import Outcome

T = TypeVar("T")


class Progress(Protocol):
    """How a command talks to a person while it works."""

    @property
    def quiet(self) -> bool:
        """Whether nothing but problems is wanted."""
        ...

    def say(self, message: str) -> None:
        """Show one line."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """Show what became of one track, to those who want to see it."""
        ...

    def bar(
        self,
        items: Iterable[T],
        total: int,
        label: str,
        outcome: Callable[[T], Outcome] | None = None,
    ) -> Iterable[T]:
        """Pass the items on, and show how many of `total` (0: unknown) have come.

        `outcome` says what the last of them is.
        """
        ...
