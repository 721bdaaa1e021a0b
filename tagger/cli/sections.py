"""The sections of `--help`: a line for each option that many people need, the others by name."""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

OTHERS = "Options"
SHORT = 6  # options
# In the order in which a person needs them. `tag-genres --help` only names those behind "|";
# `tag-genres help --all` explains them too.
SECTIONS = {
    "Everyday options": "--write-tags --dry-run --model --verbose --quiet",
    "What to do": "--confirm --explain --predict-again",
    "Which tracks": "--only-missing --skip | --exclude --suffix --from-file --null --follow-links",
    "Which genres": (
        "--on-existing --min-confidence --top --by | --whitelist --aliases --tree --with-parents "
        "--style --ratio --min-music --protect --placeholder --separators"
    ),
    "How tags are written": (
        "| --provenance --id3 --id3v23-join --no-wav-info --charset "
        "--keep-mtime --break-hardlinks --drop-attributes"
    ),
    "The model": "| --labels --windows",
    "Speed": "| --device --precision --batch-size --workers --decode-timeout",
    "Output": (
        "--csv --json | --xlsx --playlists --all-probabilities --color --strict --log "
        "--state --config --version --help"
    ),
}
RARE = {name for names in SECTIONS.values() for name in names.partition("|")[2].split()}
COLUMN, FULL_COLUMN = 21, 27  # characters of an option and its value, beside its text
CHOICE = "CHOICE"  # what stands for a list of choices that is too long


def in_sections(params: Iterable[click.Parameter]) -> dict[str, list[click.Option]]:
    """The options under their headings; those of no section come first."""
    given = {max(p.opts, key=len): p for p in params if isinstance(p, click.Option)}
    if len(given) <= SHORT:  # the few of `models`, say, need no headings
        return {OTHERS: list(given.values())}
    listed = {heading: options.split() for heading, options in SECTIONS.items()}
    others = [name for name in given if not any(name in names for names in listed.values())]
    if len(others) > len(given) // 2:  # of a script of training: the headings are not for it
        return {OTHERS: list(given.values())}
    found = {
        heading: [given[name] for name in names if name in given]
        for heading, names in ({OTHERS: others} | listed).items()
    }
    return {heading: options for heading, options in found.items() if options}


def write_full(ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """List the options by section, with all that is known about them."""
    for heading, options in in_sections(ctx.command.get_params(ctx)).items():
        with formatter.section(heading):
            rows = (_full_row(ctx, option, formatter.width) for option in options)
            formatter.write_dl((row for row in rows if row), col_max=FULL_COLUMN)


def write_brief(ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """List the options by section: the first sentence about frequent ones, the others by name."""
    for heading, options in in_sections(ctx.command.get_params(ctx)).items():
        rare = [option for option in options if RARE.intersection(option.opts)]
        rows = [_brief_row(ctx, option) for option in options if option not in rare]
        names = ", ".join(name for option in rare for name in option.opts)
        if not rows:
            formatter.write_paragraph()
            formatter.write_text(f"{heading}: {names}")
            continue
        with formatter.section(heading):
            formatter.write_dl(((f"{term:{COLUMN}}", text) for term, text in rows), col_max=COLUMN)
            if names:
                formatter.write_text(f"also {names}")


def first_sentence(text: str) -> str:
    """The text before the first full stop or the default."""
    return re.split(r"\.(?:\s|$)|  \[", text, maxsplit=1)[0].strip()


def _full_row(ctx: click.Context, option: click.Option, width: int) -> tuple[str, str] | None:
    row = option.get_help_record(ctx)
    if row and len(row[0]) + 2 > width and isinstance(option.type, click.Choice):
        choices = ", ".join(map(str, option.type.choices))
        return f"{_names(option)} {CHOICE}", f"{row[1]}  [{choices}]"
    return row


def _brief_row(ctx: click.Context, option: click.Option) -> tuple[str, str]:
    metavar = CHOICE if isinstance(option.type, click.Choice) else option.make_metavar(ctx)
    value = "" if option.is_flag else f" {metavar}"
    return f"{_names(option)}{value}", first_sentence(option.help or "")


def _names(option: click.Option) -> str:
    return ", ".join(sorted(option.opts, key=len))
