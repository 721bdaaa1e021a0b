"""The config file that `config init` writes, made from the options themselves."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import click

from tagger.cli.command import MainCommand
from tagger.cli.configurable import all_options, default_of, key_of
from tagger.cli.sections import OTHERS, in_sections
from tagger.cli.values import RuleFile
from tagger.errors import ConfigError

HEAD = """\
Defaults for tag-genres; what is typed on the command line takes precedence. Each key is the long
name of an option, commented out, with its default. Remove the "#" to set it; "" means that it is
not set. Options that decide what one run does (write-tags, dry-run and the like) are only accepted
on the command line. `tag-genres config check` checks this file, `tag-genres config show` shows what
is in force."""
# A value that a config file may hold in place of the name of a file of rules.
RULES = {
    "aliases": '{ Hip-Hop = ["Rap", "/rap .*/"], Electronic = ["Electronica"] }',
    "whitelist": '["Blues", "Classical", "Jazz", "Rock"]',
    "tree": '{ Rock = ["Metal", "Punk"], Jazz = ["Swing"] }',
}
WIDTH = 80


def template(main: MainCommand) -> str:
    """A config file in which each option that may be configured is commented out."""
    lines = list(_comment(HEAD))
    sections = in_sections(all_options(main).values())
    if others := sections.pop(OTHERS, []):
        sections["Other commands"] = others
    for heading, options in sections.items():
        lines += ["", "", f"# --- {heading} ".ljust(WIDTH, "-")]
        for option in options:
            lines += [
                "",
                *_comment(_about(option)),
                f"#{key_of(option.name or '')} = {_value(option)}",
            ]
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """A value as TOML writes it, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        items = ", ".join(f"{toml(str(key))} = {toml(item)}" for key, item in value.items())
        return f"{{ {items} }}" if items else "{}"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(option: click.Option) -> str:
    default = default_of(option)
    if isinstance(option.type, RuleFile):
        try:
            option.type.load([])
        except ConfigError:
            return "{}"
        return "[]"
    if default is None:
        return "[]" if option.multiple else '""'
    return toml(default)


def _about(option: click.Option) -> str:
    text = " ".join((option.help or "").split())
    if isinstance(option.type, click.Choice):
        text += f" One of: {', '.join(map(str, option.type.choices))}."
    if rules := RULES.get(key_of(option.name or "")):
        text += f" Or the rules themselves: {rules}."
    return text


def _comment(text: str) -> Iterator[str]:
    # A line must not look like a setting: what is on both sides of "=" stays together.
    kept = text.replace(" = ", "\0=\0")
    for line in textwrap.wrap(kept, WIDTH - 2, break_on_hyphens=False, break_long_words=False):
        yield f"# {line.replace(chr(0), ' ')}"
