"""What a word that is no command, option or choice was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that is most like the word, whatever its case; None if none is."""
    by_case = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), by_case, n=1, cutoff=0.65)
    return by_case[found[0]] if found else None


class Choice(click.Choice[str]):
    """Click's choice; its error says which one was probably meant."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        """The message for a value that is not among the choices."""
        message = super().get_invalid_choice_message(value, ctx)
        meant = nearest(str(value), self.choices)
        return f"{message} Did you mean {meant!r}?" if meant else message
