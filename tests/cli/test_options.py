"""Every option of every command changes what the command asks for, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import click
import pytest
from click.testing import CliRunner

from tagger.app import apply, doctor, models, tag, undo
from tagger.app import config as app_config
from tagger.cli import config_command, config_show
from tagger.cli import tag as cli
from tagger.cli.config import Checked, check
from tagger.cli.config_command import config
from tagger.cli.console import Console
from tagger.cli.models import get, show
from tagger.cli.tag import OTHER_COMMANDS, main

ROOT = Path("/").resolve()
COMMANDS = {"tag-genres": main, "get": get, "show": show, **OTHER_COMMANDS}
COMMANDS |= {f"config {name}": command for name, command in config.commands.items()}
# Arguments without which a command does not run; an option is given in addition to them.
NEEDED = {
    "tag-genres": ["music"],
    "apply": ["apply", "genres.csv"],
    "undo": ["undo"],
    "models": ["models"],
    "get": ["models", "get", "maest"],
    "show": ["models", "show", "maest"],
    "doctor": ["doctor"],
    "config init": ["config", "init"],
    "config check": ["config", "check"],
    "config show": ["config", "show"],
}
# What each option is given, and what that changes in the request: its field, and the field's value.
CASES: dict[str, dict[str, tuple[list[str], dict[str, Any]]]] = {
    "tag-genres": {
        "paths": (["more"], {"paths": (Path("music"), Path("more"))}),
        "write_tags": (["--write-tags"], {"write_tags": True}),
        "confirm": (
            ["--write-tags", "--confirm"],
            {"write_tags": True, "person": "person"},
        ),
        "explain": (["--explain"], {"command": "explain_library"}),
        "predict_again": (["--predict-again"], {"predict_again": True}),
        "on_existing": (["--on-existing", "append"], {"policy.on_existing": "append"}),
        "only_missing": (["--only-missing"], {"only_missing": True}),
        "skip": (["--skip", "Polka", "--skip", ".m4b"], {"skip": ("Polka", ".m4b")}),
        "protect": (["--protect", "Polka"], {"policy.protect": ("Polka",)}),
        "separators": (["--separators", "; |"], {"policy.separators": ";|"}),
        "placeholder": (
            ["--placeholder", "Misc", "--placeholder", "Blah"],
            {"policy.placeholders": ("Misc", "Blah")},
        ),
        "min_confidence": (["--min-confidence", "0.7"], {"policy.min_confidence": 0.7}),
        "min_music": (["--min-music", "0.9"], {"policy.min_music": 0.9}),
        "top": (["--top", "3"], {"policy.top": 3}),
        "ratio": (["--ratio", "0.25"], {"policy.ratio": 0.25}),
        "aliases": (
            ["--aliases", "aliases.toml"],
            {"policy.vocabulary.aliases": {"Rock": ("rawk",)}},
        ),
        "whitelist": (["--whitelist", "list.txt"], {"policy.vocabulary.whitelist": ("Rock",)}),
        "tree": (
            ["--tree", "tree.toml", "--with-parents"],
            {"policy.vocabulary.tree": {"Metal": "Rock"}, "policy.with_parents": True},
        ),
        "with_parents": (
            ["--tree", "tree.toml", "--with-parents"],
            {"policy.vocabulary.tree": {"Metal": "Rock"}, "policy.with_parents": True},
        ),
        "style": (["--style", "parent"], {"policy.style": "parent"}),
        "by": (["--by", "album"], {"by": "album"}),
        "provenance": (["--provenance"], {"writing.provenance": True}),
        "csv": (["--csv", "other.csv"], {"csv": Path("other.csv")}),
        "xlsx": (["--xlsx", "r.xlsx"], {"xlsx": Path("r.xlsx"), "csv": None}),
        "playlists": (["--playlists", "lists"], {"playlists": Path("lists")}),
        "all_probabilities": (["--all-probabilities"], {"all_probabilities": True}),
        "model": (["--model", "a", "--model", "b"], {"model": ("a", "b")}),
        "labels": (
            ["--model", "a", "--labels", "list.txt"],
            {"model": ("a",), "labels": Path("list.txt")},
        ),
        "windows": (["--windows", "5"], {"options.windows": 5}),
        "device": (["--device", "cpu"], {"options.device": "cpu"}),
        "precision": (["--precision", "float16"], {"options.precision": "float16"}),
        "batch_size": (["--batch-size", "6"], {"options.batch_size": 6}),
        "workers": (["--workers", "7"], {"options.workers": 7}),
        "decode_timeout": (["--decode-timeout", "8.5"], {"options.decode_timeout": 8.5}),
        "from_file": (["--from-file", "list.txt"], {"scan.from_file": Path("list.txt")}),
        "null": (
            ["-0", "--from-file", "list.txt"],
            {"scan.null": True, "scan.from_file": Path("list.txt")},
        ),
        "exclude": (
            ["--exclude", "Podcasts/", "--exclude", "#old"],
            {"scan.exclude": ("Podcasts/", "\\#old")},
        ),
        "suffix": (
            ["--suffix", "MKV", "--suffix", "*.ts"],
            {"scan.suffixes": (".mkv", ".ts")},
        ),
        "follow_links": (["--follow-links"], {"scan.follow_links": True}),
        "strict": (["--strict"], {"console.strict": True}),
        "dry_run": (["--dry-run"], {"dry_run": True, "console.diff": True}),
        "config": (
            ["--config", "config.toml"],
            {"policy.top": 9, "state": ROOT / "config.db"},
        ),
    },
    "apply": {
        "file": (["--", "--odd.csv"], {"file": Path("--odd.csv")}),
        "every": (["--all"], {"every": True}),
        "encoding": (["--encoding", "cp1251"], {"encoding": "cp1251"}),
        "placeholder": (["--placeholder", ""], {"policy.placeholders": ()}),
        "dry_run": (["--dry-run"], {"dry_run": True, "console.diff": True}),
        "config": (["--config", "config.toml"], {"state": ROOT / "config.db"}),
    },
    "undo": {
        "listing": (["--list"], {"command": "list_runs"}),
        "runs": (["--run", "3", "--run", "4"], {"runs": (3, 4)}),
        "paths": (["--path", "/a", "--path", "/b"], {"paths": (ROOT / "a", ROOT / "b")}),
        "old_place": (["--from", "/a", "--to", "/"], {"moved": (ROOT / "a", ROOT)}),
        "new_place": (["--from", "/b", "--to", "/"], {"moved": (ROOT / "b", ROOT)}),
        "force": (["--force"], {"force": True}),
        "dry_run": (["--dry-run"], {"dry_run": True, "console.diff": True}),
        "config": (["--config", "config.toml"], {"state": ROOT / "config.db"}),
    },
    "models": {
        "as_json": (["--json"], {"command": "models_json"}),
    },
    "show": {"name": (["ast"], {"name": "ast"})},
    "get": {
        "name": (["ast"], {"name": "ast"}),
        "labels": (["--labels", "list.txt"], {"labels": Path("list.txt")}),
        "accept_licence": (["--accept-licence"], {"accepted": True}),
        "quiet": (["--quiet"], {"quiet": True, "console.quiet": True}),
    },
    "doctor": {
        "state": (["--state", "own.db"], {"named.state": Path("own.db")}),
        "path": (
            ["--config", "config.toml"],
            {
                "path": Path("config.toml"),
                "exists": True,
                "lines": {"top": 1, "state": 2},
                "named.state": ROOT / "config.db",
            },
        ),
    },
    "config init": {"path": (["--config", "new.toml"], {"path": Path("new.toml")})},
    "config check": {"path": (["--config", "config.toml"], {"path": Path("config.toml")})},
    "config show": {
        "every": (["--all"], {"every": True}),
        "as_json": (["--json"], {"as_json": True}),
        "path": (["--config", "config.toml"], {"path": Path("config.toml"), "is_named": True}),
    },
    "config": {},
}
SHARED = {
    "keep_mtime": (["--keep-mtime"], {"writing.keep_mtime": True}),
    "break_hardlinks": (["--break-hardlinks"], {"writing.break_hardlinks": True}),
    "drop_attributes": (["--drop-attributes"], {"writing.drop_attributes": True}),
    "state": (["--state", "own.db"], {"state": Path("own.db")}),
    "quiet": (["--quiet"], {"console.quiet": True}),
    "verbose": (["--verbose"], {"console.verbose": True}),
    "json": (["--json"], {"lines": ANY}),
}
for _command in ("tag-genres", "apply", "undo"):
    CASES[_command].update(SHARED)
TAGS = {
    "id3": (["--id3", "2.3"], {"writing.tags.id3": "2.3"}),
    "id3v23_join": (["--id3v23-join", "nul"], {"writing.tags.id3v23_join": "\0"}),
    "no_wav_info": (["--no-wav-info"], {"writing.tags.wav_info": False}),
    "charset": (["--charset", "cp1251"], {"writing.tags.charset": "cp1251"}),
}
for _command in ("tag-genres", "apply"):
    CASES[_command].update(TAGS)
# They change what is printed or logged, not what is asked for.
PRINTED = {("tag-genres", "version"), ("doctor", "as_json"), ("help", "words"), ("help", "full")}
PRINTED |= {("completion", "shell"), ("models", "verbose")}
PRINTED |= {(command, "color") for command in COMMANDS}
PRINTED |= {(command, "log") for command in ("tag-genres", "apply", "undo")}


class Called(Exception):
    """A command reached its function in `app`."""

    def __init__(self, function: str, asked: dict[str, Any]) -> None:
        self.asked = {"command": function, **asked}


def flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The fields of a dataclass, and of those in it, by their dotted names."""
    if not is_dataclass(value):
        yield name, value
        return
    for field in fields(value):
        if field.init:
            yield from flat(getattr(value, field.name), f"{name}.{field.name}".lstrip("."))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the files that options name; functions of `app` only report their request."""
    files = {
        "aliases.toml": 'Rock = "rawk"',
        "list.txt": "Rock",
        "tree.toml": 'Rock = ["Metal"]',
        "config.toml": f"top = 9\nstate = '{ROOT / 'config.db'}'",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TAG_GENRES_MODEL", raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))

    def requested(function: str) -> Any:
        def call(request: object, console: Console, person: object = None) -> None:
            values = {**dict(flat(request, "")), **dict(flat(console, "console"))}
            raise Called(function, {**values, "person": person})

        return call

    def named(function: str, *names: str) -> Any:
        def call(*values: object, **more: object) -> None:
            raise Called(function, {**dict(zip(names, values, strict=True)), **more})

        return call

    def checked_at(path: Path | None) -> Checked:
        is_shown = click.get_current_context().command.name == "show"
        return check(main, path) if is_shown else named("check", "path")(path)

    def shown(main: object, checked: Checked, **more: object) -> None:
        named("shown", "path")(checked.path, **more)

    def get_model(name: str, say: Any, **more: object) -> None:
        raise Called("get_model", {"name": name, **dict(flat(say.__self__, "console")), **more})

    # There is no terminal here.
    monkeypatch.setattr(cli, "person_at_terminal", lambda wanted, **_: "person" if wanted else None)
    for function in ("tag_library", "explain_library"):
        monkeypatch.setattr(tag, function, requested(function))
    monkeypatch.setattr(apply, "apply_csv", requested("apply_csv"))
    monkeypatch.setattr(undo, "undo_tags", requested("undo_tags"))
    monkeypatch.setattr(undo, "list_runs", named("list_runs", "state"))
    monkeypatch.setattr(models, "list_models", named("list_models"))
    monkeypatch.setattr(models, "show_model", named("show_model", "name"))
    monkeypatch.setattr(models, "models_json", named("models_json"))
    monkeypatch.setattr(models, "get_model", get_model)
    monkeypatch.setattr(doctor, "examine", lambda asked, show: requested("examine")(asked, None))
    monkeypatch.setattr(app_config, "write_new", lambda path, text: named("write", "path")(path))
    monkeypatch.setattr(config_command, "check", lambda main, path: checked_at(path))
    monkeypatch.setattr(config_show, "shown", shown)


def asked(arguments: list[str]) -> dict[str, Any]:
    """What a command asks of `app`."""
    result = CliRunner().invoke(main, arguments)
    assert isinstance(result.exception, Called), (result.output, result.exception)
    return result.exception.asked


PARAMETERS = [
    pytest.param(name, parameter, id=f"{name} {parameter.name}")
    for name, command in COMMANDS.items()
    for parameter in command.params
    if (name, parameter.name) not in PRINTED
]


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_an_option_changes_its_field_of_the_request_alone(
    name: str, parameter: click.Parameter
) -> None:
    given, changed = CASES[name][parameter.name or ""]  # a new option needs a case
    needed = NEEDED[name]
    before = asked(needed)
    if isinstance(parameter, click.Argument) and parameter.nargs == 1:
        needed = needed[:-1]  # the argument is replaced
    after = asked([*needed, *given])
    if "command" in changed:  # it asks for something else, with other fields
        assert after["command"] == changed["command"] != before["command"]
    else:
        assert {field: value for field, value in after.items() if before[field] != value} == changed


def test_every_case_is_of_an_option_that_exists() -> None:
    known = {name: {p.name for p in command.params} for name, command in COMMANDS.items()}
    assert {name: set(cases) - known[name] for name, cases in CASES.items()} == {
        name: set() for name in CASES
    }
