"""What may follow in a command line, for completion in a shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from tagger.cli.command import MainCommand


def matching(help_of: Mapping[str, str], typed: str) -> list[CompletionItem]:
    """The names that begin with the typed text, in any case, with their help."""
    start = typed.casefold()
    return [
        CompletionItem(name, help=text)
        for name, text in help_of.items()
        if name.casefold().startswith(start)
    ]


def first_words(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Paths; before anything else, commands too."""
    commands = {}
    if isinstance(ctx.command, MainCommand) and not _has_started(ctx):
        commands = {name: it.get_short_help_str() for name, it in ctx.command.others.items()}
    return [*matching(commands, typed), CompletionItem(typed, type="file")]


def models(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """The short names of models."""
    from tagger.models.presets import PRESETS

    return matching(dict.fromkeys(PRESETS, ""), typed)


def models_and_folders(
    ctx: click.Context, param: click.Parameter, typed: str
) -> list[CompletionItem]:
    """The short names of models, and folders, which may hold one."""
    return [*models(ctx, param, typed), CompletionItem(typed, type="dir")]


def one_of(*words: str) -> Callable[..., list[CompletionItem]]:
    """A function that completes these words."""
    return lambda ctx, param, typed: matching(dict.fromkeys(words, ""), typed)


def genres(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """The genres of the models that have a short name."""
    from tagger.genres.labels import genres_of
    from tagger.models.presets import PRESETS

    labels = {preset.genre_labels for preset in PRESETS.values()}
    parts = [part for each in labels for part in (genres_of(each), genres_of(each, "parent"))]
    return matching(
        dict.fromkeys(sorted({genre for part in parts for genre, _ in part}), ""), typed
    )


def runs(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """The runs that can be undone, latest first."""
    from tagger.state.glance import undoable_runs
    from tagger.state.store import default_state

    found = undoable_runs(ctx.params.get("state") or default_state())
    given = ctx.params.get("runs") or ()
    return matching({str(run): text for run, text in found.items() if run not in given}, typed)


def _has_started(ctx: click.Context) -> bool:
    """Whether anything has been typed that belongs to the main command alone."""
    names = (param.name or "" for param in ctx.command.params if param.name != "color")
    return any(ctx.get_parameter_source(it) is ParameterSource.COMMANDLINE for it in names)
