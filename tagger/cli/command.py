"""What commands are made of: click's classes with errors safe to print, and groups of options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from tagger.cli.sections import in_sections
from tagger.cli.terminal import color_option, default_color, prepare
from tagger.report.escape import printable

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Command(click.Command):
    """A command whose usage errors contain no control codes, and whose help has sections.

    Click's own errors repeat what was typed, or the content of a config file. It has `--color`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(color_option())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options by section; in a narrow terminal, each text below its option."""
        for heading, options in in_sections(self.get_params(ctx)).items():
            records = [record for option in options if (record := option.get_help_record(ctx))]
            with formatter.section(heading):
                formatter.write_dl(records, col_max=formatter.width // 4)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the arguments."""
        prepare()
        if parent is None:
            extra.setdefault("color", default_color())
        with _plain_errors():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _plain_errors():
            return super().invoke(ctx)


class CommandGroup(Command, click.Group):
    """A command with subcommands."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options, then the subcommands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


class MainCommand(Command):
    """The main command; if the first argument names another command, that one runs instead."""

    def __init__(
        self,
        *args: Any,
        others: Mapping[str, click.Command],
        examples: Sequence[tuple[str, str]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.others = others
        self.examples = examples  # commands, and what each does

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the examples before the epilog."""
        with formatter.section("Examples"):
            formatter.write_dl(self.examples, col_max=formatter.width // 2)
        super().format_epilog(ctx, formatter)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the arguments, with the other command if the first one names it.

        `--color`, as the one option of all commands, may come before that name.
        """
        at = 0
        while at < len(args) and args[at].partition("=")[0] == "--color":
            at += 1 if "=" in args[at] else 2
        other = self.others.get(args[at]) if at < len(args) else None
        if other is not None:
            rest = [*args[:at], *args[at + 1 :]]
            return other.make_context(f"{info_name} {args[at]}", rest, parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the context belongs to."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        raise click.UsageError(printable(error.format_message()), error.ctx) from error
    except click.ClickException as error:
        raise click.ClickException(printable(error.format_message())) from error


def option_group(
    *options: Decorator,
) -> Callable[[Callable[..., V]], Callable[[Callable[Concatenate[V, P], R]], Callable[P, R]]]:
    """Turn a function that makes a value of these options into a decorator for commands.

    The function takes the options by name. A decorated command takes the value as its first
    argument; with several groups, the lowest decorator fills the first argument. An option that the
    function does not take, or a parameter without an option, raises a `TypeError` or `KeyError` in
    every run of the command, so none is silently dropped.
    """

    def of(build: Callable[..., V]) -> Callable[[Callable[Concatenate[V, P], R]], Callable[P, R]]:
        names = tuple(inspect.signature(build).parameters)

        def decorate(command: Callable[Concatenate[V, P], R]) -> Callable[P, R]:
            @wraps(command)
            def with_value(*args: P.args, **given: P.kwargs) -> R:
                value = build(**{name: given.pop(name) for name in names})
                return command(value, *args, **given)

            for option in reversed(options):  # click lists the option that is applied last first
                option(with_value)
            return with_value

        return decorate

    return of
