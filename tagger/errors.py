"""The tree of exceptions; the command line catches the root once.

    TaggerError
    ├── LibraryError        no track under the given paths
    ├── AudioError          a track cannot be decoded
    │   ├── EmptyAudio      it contains no samples
    │   ├── NoSound         it is a video without sound
    │   ├── NotPcm          its samples are a coded stream, and noise
    │   └── Truncated       it ends long before its declared length
    ├── Crashed             a file crashed the process that read it, or needs too much memory
    │   └── TooLong         reading it took too long
    ├── CheckpointError     a model cannot be found, is not an AST classifier, or is damaged
    ├── DeviceError         the requested device or precision is not available
    ├── TagError            a tag cannot be read or written
    │   ├── UnsupportedFormat   the container has no tags that we can write
    │   ├── HardLinked          replacing the file would split it from its other names
    │   └── ChangedSince        the file is no longer the one that was predicted or written
    ├── ConfigError         a config file, or a file of genre rules, cannot be used
    ├── StateError          the state file cannot be opened or is newer than this program
    │   └── DamagedState        it is ours, but its content is damaged
    └── ReportError         the report cannot be written, or an edited one cannot be read

A message says what happened and what to do. An error about one file carries its path.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path


class TaggerError(Exception):
    """Root of all errors that a user can do something about."""

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class LibraryError(TaggerError):
    """There is no track under the given paths."""


class AudioError(TaggerError):
    """A track cannot be decoded."""


class EmptyAudio(AudioError):
    """A track contains no samples."""


class NoSound(AudioError):
    """A video without sound: nothing is wrong with it."""


class Truncated(AudioError):
    """A track ends long before its declared length."""


class NotPcm(AudioError):
    """What a track gives as samples is a coded stream, and noise."""


class Crashed(TaggerError):
    """A file crashed the process that read it, or needs too much memory.

    `lasting` is false if the next run may succeed.
    """

    def __init__(self, message: str, *, lasting: bool = True) -> None:
        super().__init__(message)
        self.lasting = lasting


class TooLong(Crashed):
    """Reading a file took longer than allowed."""


class CheckpointError(TaggerError):
    """A model cannot be found, is not an AST audio classifier, or is damaged."""


class DeviceError(TaggerError):
    """The requested device or precision is not available here."""


class TagError(TaggerError):
    """The tag of a file cannot be read or written."""


class UnsupportedFormat(TagError):
    """The container has no tags, or none that can be written safely."""


class HardLinked(TagError):
    """The file has other names; replacing it would split it from them."""


class ChangedSince(TagError):
    """The file on disk is no longer the one that was predicted or written."""


class ConfigError(TaggerError):
    """A config file, or a file of aliases, of allowed genres or of a genre tree, cannot be used."""


class StateError(TaggerError):
    """The state file cannot be opened, or a newer version of this program made it."""


class DamagedState(StateError):
    """The state file is one of ours, but its content is damaged."""


class ReportError(TaggerError):
    """The report cannot be written, or an edited one cannot be read."""


def library_message(error: BaseException) -> object:
    """The message of libsndfile, FFmpeg or the system, without the path that bindings add.

    None for an error without such a message.
    """
    return getattr(error, "error_string", None) or getattr(error, "strerror", None)


def one_line(error: BaseException, limit: int = 200) -> str:
    """The message of an error, on one line of at most `limit` characters without a full stop.

    If it is empty, the name of the error's type.
    """
    try:
        message = str(library_message(error) or error)
    except Exception:  # a message of bytes that are not UTF-8
        message = ""
    text = message.encode("utf-8", "backslashreplace").decode()  # names may not be UTF-8
    return " ".join(text.split())[:limit].rstrip(".") or type(error).__name__


def first_line(error: object, limit: int = 200) -> str:
    """The first line of the message of an error or a warning, or the name of its type.

    For errors of libraries such as torch and SQLAlchemy, whose other lines advise programmers.
    """
    lines = str(error).strip().splitlines()
    return lines[0][:limit] if lines else type(error).__name__


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that is most like a wrong one, whatever its case; None if none is."""
    by_case = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), by_case, n=1, cutoff=0.65)
    return by_case[found[0]] if found else None
