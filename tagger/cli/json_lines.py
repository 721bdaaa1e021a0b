"""`--json`: a run as lines of JSON on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from tagger.cli.console import ignoring_closed_pipe
from tagger.cli.options import ChangeOptions
from tagger.errors import TaggerError

if TYPE_CHECKING:
    from tagger.app.json_lines import JsonLines


def write_line(line: str) -> None:
    """Print a line at once. A reader may end early; raises `ReportError` for a full disk."""
    with ignoring_closed_pipe(sys.stdout):
        click.echo(line)


@contextmanager
def json_lines(
    change: ChangeOptions, command: str, *, all_probabilities: bool = False
) -> Iterator[JsonLines | None]:
    """Where the outcomes of a command go, if `--json` was given; at the end comes the summary."""
    if not change.json:
        yield None
        return
    from tagger.app.json_lines import JsonLines  # before what takes longer: Ctrl-C may come then

    lines = JsonLines(write_line, command, all_probabilities=all_probabilities)
    with ending(lines):
        yield lines


@contextmanager
def ending(lines: JsonLines) -> Iterator[None]:
    """Print the summary at the end, however the run ends."""
    try:
        yield
    except KeyboardInterrupt:
        lines.end(interrupted=True)
        raise
    except Exception as error:
        lines.end(error=str(error) if isinstance(error, TaggerError) else repr(error))
        raise
    else:
        lines.end()
