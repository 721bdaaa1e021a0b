"""What can go wrong, as one tree; the command line catches the root once.

    TaggerError
    ├── LibraryError        no track under the given paths
    ├── AudioError          a track cannot be decoded
    │   ├── EmptyAudio      it holds no sample
    │   └── Truncated       it ends long before the length that it declares
    ├── Crashed             a file ended the process that read it, or needs too much memory
    │   └── TooLong         it kept the process busy for too long
    ├── CheckpointError     a model cannot be found, is no AST classifier, or is damaged
    ├── DeviceError         the device or precision asked for is not there
    ├── TagError            a tag cannot be read or written
    │   ├── UnsupportedFormat   the container holds no tags that we can write
    │   ├── HardLinked          replacing the file would split it from its other names
    │   └── ChangedSince        the file is not the one that was predicted or written
    ├── ConfigError         a config file, or a list of genres, cannot be used
    ├── StateError          the state file cannot be opened or is newer than this program
    │   └── DamagedState        it is ours, and its content is broken
    └── ReportError         the report cannot be written, or an edited one not be read

A message says what happened and what to do. An error about one file carries its path.
"""

from pathlib import Path


class TaggerError(Exception):
    """Root of every error that a user can do something about."""

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class LibraryError(TaggerError):
    """The given paths hold no track."""


class AudioError(TaggerError):
    """A track cannot be decoded."""


class EmptyAudio(AudioError):
    """A track decodes to no sample at all."""


class Truncated(AudioError):
    """A track ends long before the length that it declares."""


class Crashed(TaggerError):
    """A file ended the process that read it, or needs too much memory.

    `lasting` is false where the next run may find it otherwise.
    """

    def __init__(self, message: str, *, lasting: bool = True) -> None:
        super().__init__(message)
        self.lasting = lasting


class TooLong(Crashed):
    """A file kept the process that reads it busy for longer than it may."""


class CheckpointError(TaggerError):
    """A model cannot be found, is no AST audio classifier, or is damaged."""


class DeviceError(TaggerError):
    """The device or the precision asked for is not available here."""


class TagError(TaggerError):
    """The tag of a file cannot be read or written."""


class UnsupportedFormat(TagError):
    """The container holds no tags, or none that can be written safely."""


class HardLinked(TagError):
    """The file has other names; replacing it would split them."""


class ChangedSince(TagError):
    """The file on disk is not the one that was predicted or written."""


class ConfigError(TaggerError):
    """A config file, or a file of aliases, of allowed genres or of their tree, cannot be used."""


class StateError(TaggerError):
    """The state file cannot be opened, or a newer version of this program made it."""


class DamagedState(StateError):
    """The state file is one of ours, and its content is broken."""


class ReportError(TaggerError):
    """The report cannot be written, or one that was edited cannot be read."""


def library_words(error: BaseException) -> object:
    """What libsndfile, FFmpeg or the system says, without the path that bindings put around it.

    None for an error that carries no such words.
    """
    return getattr(error, "error_string", None) or getattr(error, "strerror", None)


def one_line(error: BaseException, limit: int = 200) -> str:
    """What an error says, on one line of at most `limit` characters without a full stop.

    An error that says nothing gives the name of its type.
    """
    try:
        words = str(library_words(error) or error)
    except Exception:  # a message of bytes that are not UTF-8
        words = ""
    text = words.encode("utf-8", "backslashreplace").decode()  # names may not be UTF-8
    return " ".join(text.split())[:limit].rstrip(".") or type(error).__name__


def first_line(error: object, limit: int = 200) -> str:
    """The first line of what an error or a warning says, or the name of its type.

    For errors whose further lines are advice to programmers, as torch's and SQLAlchemy's are.
    """
    lines = str(error).strip().splitlines()
    return lines[0][:limit] if lines else type(error).__name__
