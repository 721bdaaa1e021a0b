"""Command-line options from a TOML file, by their long names without the leading dashes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagger.app.statements import Statement, scan_toml
from tagger.errors import ConfigError, nearest
from tagger.genres.vocabulary import read_text

# The command must show what a run does to files, and where its options come from.
COMMAND_LINE_ONLY = (
    "write-tags", "dry-run", "explain", "config", "from-file", "null", "force", "confirm",
    "predict-again", "json",
)  # fmt: skip
# These options name a file; the first three may contain the rules instead.
MAY_BE_FILES = ("aliases", "whitelist", "tree", "labels", "state", "log")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a config file, and where, as far as that is known."""

    path: Path
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        places = [it for it in (self.line, self.column) if it is not None]
        return f"{':'.join(map(str, (self.path, *places)))}: {self.message}"


def by_line(faults: Iterable[Fault]) -> list[Fault]:
    """The faults in the order of their lines; first those of the whole file."""
    return sorted(faults, key=lambda fault: fault.line or 0)


@dataclass(frozen=True, slots=True)
class Config:
    """The options of a config file, or of our section in the config of another program.

    `table` is what it sets, `statements` says on which lines, and `faults` are those of its syntax.
    """

    path: Path
    table: Mapping[str, Any]
    statements: Sequence[Statement] = ()
    faults: tuple[Fault, ...] = ()

    def line(self, key: str) -> int | None:
        """The line on which an option is set first; None if it is not known."""
        return next((s.line for s in self.statements if key in s.content), None)

    def fault(self, key: str, message: str) -> Fault:
        """A fault of an option."""
        return Fault(self.path, message, self.line(key))

    def growing(self, key: str) -> Iterator[tuple[int, Any]]:
        """The value of an option after each statement that adds to it, with that line."""
        value: Any = None
        for statement in self.statements:
            if key in statement.content:
                value = _merged(value, statement.content[key])
                yield statement.line, value


def default_config() -> Path:
    """The config file that is read, if it exists, when no other is named."""
    import platformdirs

    return platformdirs.user_config_path("tag-genres") / "config.toml"


def is_there(path: Path) -> bool:
    """Whether there is something at a path, even what cannot be read or a link that leads nowhere.

    A run must not pass over a config file without a word because of its permissions.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        pass
    return True


def read_config(path: Path) -> Config:
    """A config file. Raises `ConfigError` if it cannot be read; other faults are in the result."""
    text = read_text(path)
    try:
        table, statements, wrong = scan_toml(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", path) from error
    faults = tuple(
        Fault(path, f"not valid TOML: {fault.reason}", fault.line, fault.column) for fault in wrong
    )
    return Config(path, table, statements, faults)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, with its folder. Raises `ConfigError`."""
    if is_there(path):
        raise ConfigError(
            f"{path} exists, and is left as it is; edit it, or name another file with --config",
            path,
        )
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        file = path.open("x", encoding="utf-8", newline="\n")  # never replaces a file
        try:
            with file:
                file.write(text)
        except OSError:
            path.unlink()
            raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{path} cannot be written ({reason}); name another file with --config", path
        ) from error


def key_fault(name: str, known: Collection[str], others: Collection[str] = ()) -> str:
    """Why a key of a config file is not one of the known options; "" if it is one.

    `others` are options that only the command line takes, besides `COMMAND_LINE_ONLY`.
    """
    dashed = name.replace("_", "-")
    if name in known and dashed == name:
        return ""
    if dashed in (*COMMAND_LINE_ONLY, *others) and dashed not in known:
        return f"{dashed} cannot be set in a config file; give it on the command line"
    if dashed != name:
        return f"write {dashed}, not {name}"
    meant = nearest(name, known)
    advice = f"did you mean {meant}?" if meant else f"known: {', '.join(known)}"
    return f"there is no option {name}; {advice}"


def beside(config: Path, name: str) -> Path:
    """The file that a config file names: relative to its folder, "~" is the home folder.

    Raises `ConfigError` for the home folder of a user who does not exist.
    """
    try:
        return config.absolute().parent / Path(name).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{name!r} names an unknown home folder", config) from error


def _merged(value: Any, more: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(more, Mapping):
        return {**value, **{key: _merged(value.get(key), more[key]) for key in more}}
    if isinstance(value, list) and isinstance(more, list):  # of an array of tables
        return [*value, *more]
    return more
