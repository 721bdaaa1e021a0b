"""What `--help`, `help` and `version` print; a word that is misspelt gets a hint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tagger.cli.help import context_of, subcommands
from tagger.cli.sections import COLUMN, OTHERS, SECTIONS, first_sentence, in_sections
from tagger.cli.tag import main
from tagger.cli.values import Choice

WIDTHS = [40, 50, 80, 100]


def every_command(words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name in subcommands(context_of(main, words).command):
        yield from every_command((*words, name))


COMMANDS = list(every_command())
NAMES = [pytest.param(words, id=" ".join(words) or "tag-genres") for words in COMMANDS]
OPTIONS = [
    pytest.param(option, id=" ".join([*words, *option.opts]))
    for words in COMMANDS
    for option in context_of(main, words).command.params
    if isinstance(option, click.Option)
]


def shown(*arguments: str, width: int = 80) -> str:
    done = CliRunner().invoke(main, arguments, env={"COLUMNS": str(width)})
    assert done.exit_code == 0, done.output
    return done.output


def refused(*arguments: str) -> str:
    """The lines of an error of usage."""
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2, done.output
    return done.output


@pytest.mark.parametrize("words", NAMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_of_the_help_is_wider_than_the_terminal(words: tuple[str, ...], width: int) -> None:
    for text in (shown(*words, "--help", width=width), shown("help", *words, width=width)):
        assert [line for line in text.splitlines() if len(line) > width] == []
    full = shown("help", *words, "--all", width=width)
    assert [line for line in full.splitlines() if len(line) > width] == []


def test_the_help_of_a_run_fits_sixty_lines() -> None:
    assert len(shown("--help").splitlines()) <= 60


@pytest.mark.parametrize("words", NAMES)
def test_the_help_names_every_option_by_all_its_names(words: tuple[str, ...]) -> None:
    context = context_of(main, words)
    for text in (shown(*words, "--help"), shown("help", *words, "--all")):
        typed = set(re.findall(r"(?<![\w-])--?[a-z0-9][a-z0-9-]*", text))
        for option in context.command.get_params(context):
            if isinstance(option, click.Option):
                assert set(option.opts) <= typed


def test_every_option_of_a_run_is_in_a_section() -> None:
    assert OTHERS not in in_sections(main.get_params(click.Context(main)))
    names = [name for section in SECTIONS.values() for name in section.split() if name != "|"]
    assert len(names) == len(set(names))


def test_the_everyday_options_come_first_and_have_short_forms() -> None:
    lines = shown("--help").splitlines()
    first = lines.index("Everyday options:") + 1
    names = [line.split()[:2] for line in lines[first : first + 5]]
    assert [short for short, _ in names] == ["-w,", "-n,", "-m,", "-v,", "-q,"]
    headings = [line for line in lines if line.endswith(":") and line[0] != " "]
    assert headings[0] == "Everyday options:" and headings[-1] == "Commands:"


@pytest.mark.parametrize("option", OPTIONS)
def test_a_short_form_is_the_same_in_every_command(option: click.Option) -> None:
    short = {
        "--write-tags": "-w", "--dry-run": "-n", "--quiet": "-q", "--verbose": "-v",
        "--model": "-m", "--null": "-0",
    }  # fmt: skip
    given = [name for name in option.opts if not name.startswith("--")]
    assert given == [short[name] for name in option.opts if name in short]


@pytest.mark.parametrize("option", OPTIONS)
def test_the_first_sentence_of_an_option_fits_its_line(option: click.Option) -> None:
    sentence = first_sentence(option.help or "")
    assert sentence and len(sentence) <= 80 - 2 - 2 - COLUMN - 2
    assert sentence[0].isupper() and option.help and option.help.partition("  [")[0].endswith(".")


@pytest.mark.parametrize("words", NAMES[1:])
def test_the_first_sentence_of_a_command_fits_its_line(words: tuple[str, ...]) -> None:
    sentence = first_sentence(context_of(main, words).command.help or "")
    assert sentence and len(sentence) <= 80 - 2 - len("  completion  ")


@pytest.mark.parametrize("words", NAMES)
def test_h_and_help_and_the_command_help_print_the_same(words: tuple[str, ...]) -> None:
    assert shown(*words, "--help") == shown(*words, "-h") == shown("help", *words)


def test_help_all_explains_every_option() -> None:
    full = " ".join(shown("help", "--all").split())
    for option in main.params:
        if isinstance(option, click.Option):
            assert " ".join((option.help or "").partition("  [")[0].split()) in full
    assert "130 interrupted" in full


@pytest.mark.parametrize("group", ["config"])
def test_a_command_that_needs_another_word_shows_its_help(group: str) -> None:
    assert refused(group).strip() == shown(group, "--help").strip()


def test_version_is_what_the_option_prints() -> None:
    assert shown("version") == shown("--version")
    assert re.fullmatch(r"tag-genres, version \d+\.\d+\.\d+\S*\n", shown("version"))


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["udno"], "the command 'tag-genres undo'"),
        (["undoo", "--run", "3"], "the command 'tag-genres undo'"),
        (["Modles", "get", "ast"], "the command 'tag-genres models'"),
        (["aply", "genres.csv"], "the command 'tag-genres apply'"),
        (["docter"], "the command 'tag-genres doctor'"),
        (["hepl", "undo"], "the command 'tag-genres help'"),
        (["-q", "undo", "--list"], "'tag-genres undo'"),
        (["-q", "undo"], "'tag-genres undo'"),
        (["-q", "udno"], "'tag-genres undo'"),
        (["music", "undo"], "'tag-genres undo'"),
        (["--run", "3"], "'tag-genres undo'"),
        (["models", "gte", "ast"], "'get'"),
        (["config", "chek"], "'check'"),
        (["--color", "never", "udno"], "the command 'tag-genres undo'"),
        (["help", "modles"], "'models'"),
        (["help", "models", "gte"], "'get'"),
        (["--wirte-tags", "x"], "--write-tags"),
        (["undo", "--dry-rn"], "--dry-run"),
        (["models", "get", "--quite", "ast"], "--quiet"),
        (["--on-existing", "repalce", "x"], "'replace'"),
        (["--by", "Albums", "x"], "'album'"),
        (["apply", "--id3", "2.40", "x"], "'2.4'"),
    ],
    ids=str,
)
def test_a_misspelt_word_is_refused_with_what_was_meant(
    arguments: list[str], meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = refused(*arguments)
    assert re.search(r"did you mean|comes first|is an option of", text, re.IGNORECASE)
    assert meant in text.splitlines()[-1]
    assert re.search(r"Try 'tag-genres( \w+)* --help' for help\.", text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["completion"], "Error: Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish"),
        (["undo", "Music"], "below a folder: tag-genres undo --path FOLDER"),
        (["--top", "two", "x"], "Error: Invalid value for '--top': 'two' is not a valid integer."),
        (["--min-confidence", "high", "x"], "'--min-confidence': 'high' is not a valid float."),
    ],
)
def test_an_error_of_usage_is_plain_text(arguments: list[str], said: str) -> None:
    assert refused(*arguments).rstrip().endswith(said)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_choice_that_is_misspelt_gets_a_hint(option: click.Option) -> None:
    assert isinstance(option.type, Choice) or not isinstance(option.type, click.Choice)


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_a_path_that_exists_is_a_path_however_it_is_spelt(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("udno")
    {"folder": path.mkdir, "file": path.touch}.get(kind, lambda: path.symlink_to("nowhere"))()
    with main.make_context("tag-genres", ["udno"]) as context:
        assert context.params["paths"] == (path,)


def test_a_path_like_no_command_is_a_path_even_if_it_is_missing() -> None:
    with main.make_context("tag-genres", ["no-such-folder"]) as context:
        assert context.params["paths"] == (Path("no-such-folder"),)


def test_a_command_wins_over_a_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("help").mkdir()
    assert shown("help") == shown("--help")
    assert "./help" in shown("help", "help")
    with main.make_context("tag-genres", ["./help"]) as context:
        assert context.params["paths"] == (Path("help"),)
