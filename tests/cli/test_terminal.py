"""Colours: the variables, `--color` and the kind of stream, in every combination; any text."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import click
import pytest
from helpers.command import Run, environment
from helpers.known import know, song
from helpers.terminal import Terminal, open_terminal
from wcwidth import wcswidth

from tagger.cli.tag import main
from tagger.cli.terminal import can_redraw, fitted, has_colors, rich_console, width
from tagger.report.streams import SPELLED, accept_any_text

VARIABLES = ("NO_COLOR", "FORCE_COLOR", "TERM", "CLICOLOR", "COLUMNS", "COLORTERM")
ENVIRONMENTS = [
    ({"NO_COLOR": no, "FORCE_COLOR": force, "TERM": term})
    for no, force, term in itertools.product(
        (None, "", "0", "1", "false"), (None, "", "0", "1"), ("xterm-256color", "dumb", None)
    )
]


class Stream(io.StringIO):
    """A stream that is a terminal, or is not."""

    encoding = "utf-8"  # type: ignore[assignment]

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def wanted(variables: dict[str, str | None], terminal: bool, option: str) -> bool:
    """The rules in the words of their sites: any value counts that is not the empty string."""
    if option != "auto":
        return option == "always"
    if variables["NO_COLOR"] not in (None, ""):
        return False
    if variables["FORCE_COLOR"] not in (None, ""):
        return True
    return terminal and variables["TERM"] != "dumb"


@pytest.mark.parametrize("option", ["", "auto", "always", "never"])
@pytest.mark.parametrize("variables", ENVIRONMENTS, ids=str)
def test_option_variables_and_stream_decide_about_colours(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str | None], option: str
) -> None:
    """Of each stream on its own; click's own output and tables of rich agree with `has_colors`."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    arguments = ["models", *(["--color", option] if option else [])]
    with main.make_context("tag-genres", arguments):
        for terminal in (True, False):
            by_click, by_rich = Stream(terminal), Stream(terminal)
            expected = wanted(variables, terminal, option or "auto")
            assert has_colors(by_click) is expected
            click.echo(click.style("red", fg="red"), file=by_click)
            assert ("\x1b" in by_click.getvalue()) is expected
            rich_console(by_rich).print("red", style="bold red")
            assert ("\x1b" in by_rich.getvalue()) is expected
            assert can_redraw(by_rich) is (terminal and variables["TERM"] != "dumb")


COMMANDS = ("get", "apply", "undo", "models", "doctor")  # a subcommand before its group


@pytest.mark.parametrize(
    "arguments",
    [
        ["Music", "--color", "always", "--quiet"],
        ["--color=always", "Music"],
        ["apply", "genres.csv", "--color", "always"],
        ["undo", "--color", "always"],
        ["models", "--color", "always"],
        ["models", "get", "--color", "always", "maest"],
        ["models", "--color", "always", "get", "maest"],
        ["doctor", "--color", "always"],
        ["--color", "always", "undo"],
        ["--color=always", "models", "get", "maest"],
    ],
    ids=" ".join,
)
def test_every_command_takes_the_option_anywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    seen: list[tuple[str | None, bool]] = []

    def invoke(self: click.Command, ctx: click.Context) -> None:
        seen.append((ctx.command.name, has_colors(Stream(terminal=False))))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "genres.csv").touch()
    monkeypatch.setattr(click.Command, "invoke", invoke)
    with pytest.raises(SystemExit):
        main(arguments, prog_name="tag-genres")
    command = next((name for name in COMMANDS if name in arguments), "tag-genres")
    assert seen[-1] == (command, True)


def test_the_config_file_goes_before_the_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "config.toml").write_text('color = "always"\n')
    given = ["Music", "--config", str(tmp_path / "config.toml")]
    with main.make_context("tag-genres", given):
        assert has_colors(Stream(terminal=False))
    with main.make_context("tag-genres", [*given, "--color", "auto"]):
        assert not has_colors(Stream(terminal=True))


@pytest.mark.parametrize("command", ["models", "doctor", "undo", "apply"])
def test_the_config_file_counts_for_every_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "tag-genres").mkdir()
    (tmp_path / "tag-genres" / "config.toml").write_text('color = "always"\n')
    arguments = [command, *([str(tmp_path)] if command == "apply" else [])]
    with main.make_context("tag-genres", arguments):
        assert has_colors(Stream(terminal=False))
    with main.make_context("tag-genres", [*arguments, "--color", "never"]):
        assert not has_colors(Stream(terminal=True))


def test_tables_are_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "47")
    stream = Stream(terminal=True)
    assert width(stream) == rich_console(stream).width == 47


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8", "utf-16"])
def test_any_text_can_be_written_in_any_encoding(encoding: str) -> None:
    """Our own symbols stay readable; of other text, nothing is lost."""
    symbols = "".join(map(chr, SPELLED)) + "日本\U0001f3b5e\u0301\udc80"
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    accept_any_text(stream)
    stream.write(symbols)
    stream.flush()
    written = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert written.replace("-", "").isprintable()
    if encoding == "ascii":
        assert r"\u65e5\u672c\U0001f3b5e\u0301\udc80" in written and "->" in written


@pytest.fixture
def session(tmp_path: Path) -> Callable[..., AbstractContextManager[Terminal]]:
    """Open a terminal in the home of `run`, in which there is a `Music` of two known tracks."""
    home = tmp_path / "home"
    tracks = [song(home / "Music" / f"{name}.flac", "Polka") for name in ("one", "two")]
    know(home, tracks)

    def session(*arguments: object, **given: str) -> AbstractContextManager[Terminal]:
        return open_terminal(*arguments, cwd=home, env=environment(home), extra=given)

    return session


DRY_RUN = ("Music", "--write-tags", "--dry-run", "--on-existing", "replace")


@pytest.mark.parametrize(
    ("variables", "option", "colored"),
    [
        ({}, (), True),
        ({"NO_COLOR": "1"}, (), False),
        ({"NO_COLOR": ""}, (), True),
        ({"TERM": "dumb"}, (), False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, (), True),
        ({"NO_COLOR": "1"}, ("--color", "always"), True),
        ({"FORCE_COLOR": "1"}, ("--color", "never"), False),
    ],
    ids=str,
)
def test_a_session_has_colours_or_not(
    session: Callable[..., AbstractContextManager[Terminal]],
    variables: dict[str, str],
    option: tuple[str, ...],
    colored: bool,
) -> None:
    with session(*DRY_RUN, *option, **variables) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.has_color is colored
    if variables.get("TERM") == "dumb":  # nothing is drawn over
        assert "\r" not in terminal.raw.replace("\r\n", "") and "\x1b[A" not in terminal.raw


@pytest.mark.parametrize("force", [False, True])
def test_a_pipe_has_colours_only_if_it_is_forced(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, force: bool
) -> None:
    know(tmp_path / "home", [song(tmp_path / "home" / "Music" / "one.flac", "Polka")])
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1" if force else "")
    done = run(*DRY_RUN)
    assert done.returncode == 0
    assert ("\x1b[" in done.stdout) is force
    assert "\r" not in done.stderr


NOTHING_DONE = [("undo",), ("no-such-日本",)]
EVERYTHING = [
    DRY_RUN,
    ("Music", "--explain"),
    ("Music", "--verbose"),
    ("Music", "--csv", "-"),
    ("models",),
    pytest.param(("doctor",), marks=pytest.mark.slow),
    ("undo", "--list"),
    ("--help",),
    *NOTHING_DONE,
]


@pytest.mark.parametrize("arguments", EVERYTHING, ids=" ".join)
def test_no_text_ends_a_command_where_the_encoding_is_ascii(
    session: Callable[..., AbstractContextManager[Terminal]],
    tmp_path: Path,
    arguments: tuple[str, ...],
) -> None:
    """Bars, tables, data and errors, with a name in Japanese and a note."""
    track = next((tmp_path / "home" / "Music").glob("*"))
    track.rename(track.with_stem("日本 \U0001f3b5"))  # it is no longer known
    with session(*arguments, PYTHONIOENCODING="ascii") as terminal:
        code = terminal.wait()
    assert code == (arguments in NOTHING_DONE), terminal.text
    assert "Traceback" not in terminal.text and "UnicodeEncodeError" not in terminal.text
    assert "?????" not in terminal.raw  # a bar is made of "#"
    # A report is UTF-8 wherever it goes.
    assert "-" in arguments or terminal.raw.isascii()


@pytest.mark.parametrize("columns", [20, 40, 80])
@pytest.mark.parametrize(
    "encoding, name",
    [("utf-8", "東京の夜 " * 9), ("ascii", "é" * 3 + " 東京 " * 9), ("utf-8", "a b")],
)
def test_a_message_is_broken_at_spaces_however_wide_its_characters_are(
    columns: int, encoding: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    accept_any_text(stream)
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = fitted(f"  kept: {name}", stream).split("\n")
    assert all(wcswidth(line) <= columns for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])
    shown = name.encode(encoding, "backslashreplace").decode(encoding)
    assert " ".join(lines).split() == ["kept:", *shown.split()]
    print("\n".join(lines), file=stream, flush=True)  # it has no other characters
