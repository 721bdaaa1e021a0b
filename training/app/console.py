"""Progress and messages on stderr."""

from __future__ import annotations

import os

import click

from tagger.report.escape import printable


def say(message: str) -> None:
    """Print a line on stderr; with several processes, only the first one does."""
    if is_first():
        click.echo(printable(message), err=True)


def is_first() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"
