"""The manual pages, one for each command, made from its help: `python -m tagger.cli.manual`.

They lie in `tagger/cli/man`, and are installed with the package; a test fails if they are outdated.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import click

from tagger.cli.command import MainCommand
from tagger.cli.formatter import UNWRAPPED
from tagger.cli.help import PROGRAM, context_of, subcommands
from tagger.cli.sections import OTHERS, in_sections
from tagger.cli.tag import main
from tagger.version import __version__

FOLDER = Path(__file__).with_name("man")
Words = tuple[str, ...]  # of a command, without the program


def pages(day: str) -> dict[str, str]:
    """The name and content of each page, made on this day."""
    return {f"{_name(words)}.1": _page(words, day) for words in _commands()}


def _commands(words: Words = ()) -> Iterator[Words]:
    yield words
    for name in subcommands(context_of(main, words).command):
        yield from _commands((*words, name))


def _name(words: Words) -> str:
    return "-".join((PROGRAM, *words))


def _page(words: Words, day: str) -> str:
    ctx = context_of(main, words)
    command, name = ctx.command, _name(words)
    source = f"{PROGRAM} {__version__}"
    lines = [f'.TH {_escaped(name.upper())} 1 {day} "{source}" "User Commands"', ".SH NAME"]
    lines += _text(f"{name} - {command.get_short_help_str()}")
    lines += [".SH SYNOPSIS", ".nf", *_synopsis(ctx), ".fi", ".SH DESCRIPTION"]
    lines += _description(inspect.cleandoc(command.help or ""))
    if isinstance(command, MainCommand):
        lines += [".SH EXAMPLES", *_list((_bold(line), text) for line, text in command.examples)]
    lines += _options(ctx)
    lines += _about_commands(words, ctx)
    if command.epilog:
        lines += [".SH EXIT STATUS", *_text(command.epilog)]
    if words:
        above = [_name(words[:length]) for length in range(len(words))]
        lines += [".SH SEE ALSO", *_references(above)]
    return "\n".join(lines) + "\n"


def _synopsis(ctx: click.Context) -> Iterator[str]:
    yield f"{_bold(ctx.command_path)} {_escaped(' '.join(ctx.command.collect_usage_pieces(ctx)))}"
    if isinstance(ctx.command, MainCommand):
        yield f"{_bold(ctx.command_path)} COMMAND [OPTIONS]..."


def _description(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith(UNWRAPPED):
            yield from (".nf", *map(_line, paragraph.removeprefix(UNWRAPPED).splitlines()), ".fi")
        else:
            yield from _text(paragraph)


def _options(ctx: click.Context) -> Iterator[str]:
    sections = in_sections(ctx.command.get_params(ctx))
    yield ".SH OPTIONS"
    for heading, options in sections.items():
        if heading != OTHERS:
            yield f".SS {_escaped(heading)}"
        records = filter(None, (option.get_help_record(ctx) for option in options))
        yield from _list((_option(names), text) for names, text in records)


def _option(names: str) -> str:
    """Its names in bold, and its value as it is."""
    parts = re.split(r"((?<![\w-])--?[\w-]+)", names)
    return "".join(_bold(part) if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _about_commands(words: Words, ctx: click.Context) -> Iterator[str]:
    commands = subcommands(ctx.command)
    if commands:
        yield ".SH COMMANDS"
        for name, command in commands.items():
            yield from (".TP", *_references([_name((*words, name))]))
            yield from _text(command.get_short_help_str())


def _list(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield from (".TP", term, *_text(text))


def _references(names: list[str]) -> list[str]:
    marks = [","] * (len(names) - 1) + [""]
    return [f".BR {_escaped(name)} (1){mark}" for name, mark in zip(names, marks, strict=True)]


def _text(text: str) -> Iterator[str]:
    """Each sentence on lines of its own, as manual pages are written."""
    for sentence in re.split(r"(?<=[.:]) +(?=[A-Z\"`])|  +(?=\[)", text):
        for line in textwrap.wrap(sentence, 72, break_on_hyphens=False, break_long_words=False):
            yield _line(line)


def _line(text: str) -> str:
    # A line that begins with one of these would be a request.
    return ("\\&" if text.startswith((".", "'")) else "") + _escaped(text)


def _bold(text: str) -> str:
    return f"\\fB{_escaped(text)}\\fP"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")


def write(folder: Path = FOLDER) -> None:
    """Write all pages with the date of today, and remove those of commands that are gone."""
    found = pages(date.today().isoformat())
    for path in folder.glob("*.1"):
        if path.name not in found:
            path.unlink()
    for name, text in found.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write()
