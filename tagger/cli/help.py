"""`tag-genres help` and `tag-genres version`: what `--help` and `--version` print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click
from click.shell_completion import CompletionItem

from tagger.cli.candidates import matching
from tagger.cli.command import Command, MainCommand
from tagger.cli.formatter import Context
from tagger.errors import nearest
from tagger.version import __version__

PROGRAM = "tag-genres"


def print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """For `--version`: print it and exit."""
    if value and not ctx.resilient_parsing:
        click.echo(f"{PROGRAM}, version {__version__}")
        ctx.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=print_version,
    help="Print the version.",
)


@click.command(cls=Command)
def version() -> None:
    """Print the version."""
    print_version(click.get_current_context(), click.Option(["--version"]), True)


def subcommands(command: click.Command) -> Mapping[str, click.Command]:
    """The commands that may follow this one, by name."""
    if isinstance(command, MainCommand):
        return command.others
    return command.commands if isinstance(command, click.Group) else {}


def context_of(main: MainCommand, words: Iterable[str]) -> Context:
    """The context in which the command of these words would run.

    Raises `UsageError` for a word that is no command.
    """
    ctx = Context(main, info_name=PROGRAM, obj=main, **main.context_settings)
    for word in words:
        known = subcommands(ctx.command)
        if word not in known:
            meant = nearest(word, known)
            advice = f"did you mean {meant!r}?" if meant else f"it has {', '.join(known) or 'none'}"
            raise click.UsageError(f"{ctx.command_path} has no command {word!r}; {advice}")
        command = known[word]
        # As where it runs: the main command is not the parent of the others.
        is_first = ctx.command is main
        name, parent = (f"{PROGRAM} {word}", None) if is_first else (word, ctx)
        ctx = Context(command, info_name=name, parent=parent, obj=main, **command.context_settings)
    return ctx


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        known = subcommands(context_of(ctx.obj, ctx.params.get("words") or ()).command)
    except click.UsageError:
        return []
    return matching({name: it.get_short_help_str() for name, it in known.items()}, incomplete)


@click.command("help", cls=Command)
@click.argument("words", metavar="[COMMAND]...", nargs=-1, shell_complete=_complete)
@click.option("--all", "full", is_flag=True, help="Explain every option.")
@click.pass_context
def help_command(ctx: click.Context, words: tuple[str, ...], full: bool) -> None:
    """Show the help of a command; with --all, every option in full.

    `tag-genres help models get` shows what `tag-genres models get --help` does. A first word that
    names a command is always the command: to tag a folder named help, write ./help.
    """
    shown = context_of(ctx.obj, words)
    shown.full = full
    click.echo(shown.get_help())
