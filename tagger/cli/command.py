"""What commands are made of: click's classes with errors safe to print, and groups of options."""

from __future__ import annotations

import errno
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from click.shell_completion import CompletionItem

from tagger.cli.formatter import Context
from tagger.cli.sections import first_sentence, write_brief, write_full
from tagger.cli.terminal import color_option, default_color, fitted, prepare
from tagger.errors import nearest
from tagger.report.escape import printable

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")
# In a context's meta: a function that gives the message of a usage error, with its place if the
# options are from a config file.
LOCATE = "tagger.cli.command.locate"
# What writing to a full disk gives, or to one that fails.
FULL = (errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Contradiction(click.UsageError):
    """Options that contradict each other; `names` are the parameters'."""

    def __init__(self, message: str, *names: str) -> None:
        super().__init__(message)
        self.names = names


class Command(click.Command):
    """A command whose usage errors contain no control codes, and whose help has sections.

    Click's own errors repeat what was typed, or the content of a config file. It has `--color`.
    """

    context_class = Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(color_option())
        # Errors name the first one: "Try 'tag-genres --help' for help."
        self.context_settings.setdefault("help_option_names", ["--help", "-h"])
        self.context_settings.setdefault("max_content_width", 100)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options by section."""
        write_full(ctx, formatter)

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first sentence of the help, at its full length."""
        return first_sentence(self.help or "")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The options, and a group's commands, each with the first sentence of its help."""
        found = super().shell_complete(ctx, incomplete)
        return [CompletionItem(it.value, it.type, first_sentence(it.help or "")) for it in found]

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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first word; an error names the commands if none is like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if nearest(args[0], self.commands):
                raise
            names = ", ".join(self.commands)
            raise click.UsageError(f"{error.format_message()} There are: {names}.", ctx) from error


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

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show what the command does, at length if asked, and examples."""
        formatter.write_usage(ctx.command_path, "COMMAND [OPTIONS]...", prefix=" " * len("Usage: "))
        text = inspect.cleandoc(self.help or "")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text if is_full(ctx) else text.partition("\n\n")[0])
            formatter.write_paragraph()
            formatter.write_dl(self.examples, col_max=0)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options, briefly unless asked, and the other commands."""
        (write_full if is_full(ctx) else write_brief)(ctx, formatter)
        with formatter.section("Commands"):
            rows = [(name, it.get_short_help_str()) for name, it in self.others.items()]
            formatter.write_dl(rows, col_max=0)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """End the long help with the exit codes."""
        if is_full(ctx):
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
        extra["obj"] = self  # `help` shows it; `doctor` and `config` examine its options
        at = 0
        while at < len(args) and args[at].partition("=")[0] == "--color":
            at += 1 if "=" in args[at] else 2
        words = args[at:]
        other = self.others.get(words[0]) if words else None
        if other is not None:
            rest = [*args[:at], *words[1:]]
            return other.make_context(f"{info_name} {words[0]}", rest, parent, **extra)
        if extra.get("resilient_parsing"):
            return super().make_context(info_name, args, parent, **extra)
        if words and not words[0].startswith("-"):
            program = self.context_class(self, info_name=info_name, **self.context_settings)
            self._check_path(words[0], nearest(words[0], self.others), program)
        try:
            ctx = super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise self._with_command(error, words) from error
        for number, path in enumerate(map(str, ctx.params.get("paths", ()))):
            meant = path if path in self.others else None if number else nearest(path, self.others)
            self._check_path(path, meant, ctx)
        return ctx

    def _check_path(self, path: str, meant: str | None, ctx: click.Context) -> None:
        """Raise `UsageError` for a missing path that is probably the command `meant`, misspelt."""
        if meant and not os.path.lexists(path):
            advice = f"did you mean the command '{ctx.command_path} {meant}'?"
            raise UsageError(f"there is no file or folder {printable(path)!r}; {advice}", ctx)

    def _with_command(self, error: click.UsageError, words: list[str]) -> click.UsageError:
        """The error with the command that an unknown option was probably meant for."""
        if not isinstance(error.__cause__, click.NoSuchOption):
            return error
        program, option = error.ctx.command_path if error.ctx else "", error.__cause__.option_name
        name = next((word for word in words if word in self.others), None)
        advice = f"A command comes first: '{program} {name}'."
        if name is None:
            of = (it for it, other in self.others.items() if _has_option(other, option))
            name = next(of, None)
            advice = f"It is an option of '{program} {name}'."
        return UsageError(f"{error.message} {advice}", error.ctx) if name else error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the context belongs to."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


def _has_option(command: click.Command, name: str) -> bool:
    return any(name in param.opts for param in command.params)


def is_full(ctx: click.Context) -> bool:
    """Whether the help is to explain all options."""
    return isinstance(ctx, Context) and ctx.full


class UsageError(click.UsageError):
    """One whose message is broken at spaces on a terminal."""

    def format_message(self) -> str:
        """The message as it is shown."""
        return _shown(super().format_message())


def _shown(message: str) -> str:
    # After what click prints before it; a long first word begins the next line.
    line = fitted(f"Error: {message}", sys.stderr)
    return line.removeprefix("Error:").removeprefix(" ")


def plain_message(error: click.UsageError) -> str:
    """The message on one line, without the names that click gives to types."""
    message = error.format_message()
    if isinstance(error, click.MissingParameter):  # it lists the choices in lines
        message = " ".join(message.split())
    return message.replace(" integer range.", " integer.").replace(" float range.", " float.")


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:  # its message is the help
        raise
    except click.UsageError as error:
        locate = error.ctx.meta.get(LOCATE) if error.ctx else None
        message = locate(error) if locate else plain_message(error)
        raise UsageError(printable(message), error.ctx) from error
    except click.ClickException as error:
        raise click.ClickException(_shown(printable(error.format_message()))) from error
    except OSError as error:
        if error.filename is not None or error.errno not in FULL:
            raise
        reason = (error.strerror or "").lower()
        raise click.ClickException(f"the output cannot be written: {reason}") from error


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
