"""Playlists of the results: one M3U8 for each genre, with paths relative to its folder."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from errno import ENOTDIR
from pathlib import Path
from typing import IO

from tagger.errors import ReportError
from tagger.files.atomic import clear_scratch, rewriting
from tagger.files.scan import identity, lies_in
from tagger.genres.labels import name_key, unique_names
from tagger.genres.policy import Policy
from tagger.report.target import written_or_refused
from tagger.types import Action, Outcome

OPTION, SUFFIX = "--playlists", ".m3u8"
FIRST = "#EXTM3U"
# Only a file with this line is replaced or removed.
MARK = "#TAG-GENRES made by tag-genres --playlists; without this line the file is left alone"
TITLE, LENGTH = "#PLAYLIST:", "#EXTINF:"
# Not in the name of a file on Windows, FAT or a network share.
UNSAFE = re.compile(r'[<>:"/\\|?*]+')
RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³]|conin\$|conout\$)(\.|$)", re.IGNORECASE)
LONGEST = 100  # bytes of a name
UNDECIDED = (Action.UNSURE, Action.NO_MUSIC)

Entry = tuple[str, str]  # the line with length and title, and that with the path


def check_folder(folder: Path, *, make: bool = True) -> None:
    """Make the folder for playlists; raise `ReportError` now, rather than after hours, if not.

    With `make` false, only say whether it can be made.
    """
    nearest = folder
    with written_or_refused(folder, OPTION):
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        else:
            folder.is_dir()  # an error if its name is too long
            nearest = next(place for place in _up(folder) if os.path.lexists(place))
            if not nearest.is_dir():
                raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR))
    if not os.access(nearest, os.W_OK):
        raise ReportError(f"{folder} is read-only; name another with {OPTION}")


def _up(folder: Path) -> tuple[Path, ...]:
    return (folder.absolute(), *folder.absolute().parents)


def in_playlists(
    outcomes: Iterable[Outcome],
    folder: Path,
    policy: Policy,
    about: Sequence[Path],
    notify: Callable[[str], None] = lambda message: None,
) -> Iterator[Outcome]:
    """Pass the outcomes on, and write the playlists after the last one.

    Our older playlists in the folder are replaced, or removed if nothing is left for them; entries
    of files that exist and are not under `about`, the absolute paths of this run, stay. Memory does
    not grow with the tracks. Raises `ReportError`.
    """
    folder = folder.resolve()
    with (
        written_or_refused(folder, OPTION),
        tempfile.TemporaryDirectory(prefix="tag-genres-") as spool,
    ):
        lists = _Lists(Path(spool))
        clear_scratch(folder)
        old = [path for path in sorted(folder.glob(f"*{SUFFIX}")) if _is_ours(path)]
        for path in old:
            _keep_others(path, lists, about)
        for outcome in outcomes:
            for genre in genres_of(outcome, policy):
                lists.add(genre, _entry(outcome, folder))
            yield outcome
        written = lists.write(folder, notify)
        for path in old:
            if not any(os.path.samefile(path, other) for other in written):
                path.unlink()
        notify(f"playlists: {len(written):,} in {folder}")


def genres_of(outcome: Outcome, policy: Policy) -> tuple[str, ...]:
    """The genres in the file after the run; without any, the best that was predicted.

    None if the prediction is unsure, or the track is silent or no music.
    """
    if found := policy.parts(policy.without_placeholders(outcome.after)):
        return unique_names(found, name_key)
    is_silent = outcome.prediction is not None and outcome.prediction.is_silent
    if outcome.action in UNDECIDED or is_silent or not outcome.ranked:
        return ()
    return (outcome.ranked[0][0],)


def file_name(genre: str) -> str:
    """A name without suffix that every file system takes: AC/DC becomes AC-DC."""
    text = UNSAFE.sub("-", unicodedata.normalize("NFC", genre))
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
    text = " ".join(text.split()).encode()[:LONGEST].decode(errors="ignore").rstrip(". ")
    text = f"_{text[1:]}" if text.startswith((".", "~")) else text
    if not text or RESERVED.match(text):  # with any suffix
        stem, dot, suffix = text.partition(".")
        return f"{stem}_{dot}{suffix}"
    return text


@dataclass(slots=True)
class _Lists:
    """The entries of each genre, in files until all of them are known."""

    spool: Path
    # By its key, each genre as first spelled and the file of its entries.
    found: dict[str, tuple[str, Path]] = field(default_factory=dict)

    def add(self, genre: str, entry: Entry | None) -> None:
        if entry is None:
            return
        new = genre, self.spool / str(len(self.found))
        _, place = self.found.setdefault(name_key(genre), new)
        with _open(place, "a") as file:
            file.writelines(f"{line}\n" for line in entry)

    def write(self, folder: Path, notify: Callable[[str], None]) -> list[Path]:
        """Write the playlists; returns their paths."""
        written: list[Path] = []
        for _, (genre, place) in sorted(self.found.items()):
            target = _target(folder, file_name(genre), written, notify)
            with rewriting(target) as scratch, _open(scratch, "w") as file:
                title = " ".join(genre.split())
                file.writelines(f"{line}\n" for line in (FIRST, MARK, f"{TITLE}{title}"))
                # A track reached through a link may be in an older playlist too.
                for length, path in dict.fromkeys(_entries(place)):
                    file.write(f"{length}\n{path}\n")
            written.append(target)
        return written


def _open(path: Path, mode: str = "r") -> IO[str]:
    """Names of files that are not UTF-8 keep their bytes."""
    return open(path, mode, encoding="utf-8", errors="surrogateescape", newline="\n")


def _target(
    folder: Path, name: str, written: Sequence[Path], notify: Callable[[str], None]
) -> Path:
    """A free name, or that of an older playlist of ours."""
    plain = target = folder / f"{name}{SUFFIX}"
    taken, number = {path.name.casefold() for path in written}, 1
    while target.name.casefold() in taken or (os.path.lexists(target) and not _is_ours(target)):
        number += 1
        target = folder / f"{name} ({number}){SUFFIX}"
    if target != plain and plain.name.casefold() not in taken:
        notify(f"{plain} is not from tag-genres and stays as it is; the playlist is {target}")
    return target


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with _open(path) as file:
        return [file.readline(1000).rstrip("\r\n") for _ in range(2)] == [FIRST, MARK]


def _entries(path: Path) -> Iterator[Entry]:
    with _open(path) as file:
        length = ""
        for line in (line.rstrip("\r\n") for line in file):
            if line.startswith(LENGTH):
                length = line
            elif line and not line.startswith("#"):
                yield length, line
                length = ""


def _keep_others(playlist: Path, lists: _Lists, about: Sequence[Path]) -> None:
    """Take over the entries of files that are there and that this run is not about."""
    names = {os.path.normcase(place) for place in about}
    places = {identity(place) for place in about} - {None}
    with _open(playlist) as file:
        head = [file.readline() for _ in range(3)][2]
    genre = head.removeprefix(TITLE).strip() if head.startswith(TITLE) else playlist.stem
    for entry in _entries(playlist):
        path = Path(os.path.normpath(playlist.parent / entry[1]))
        is_other = names.isdisjoint(map(os.path.normcase, (path, *path.parents)))
        # A system that ignores case, or a link, spells a path in several ways.
        if is_other and path.exists() and not lies_in(path, places):
            lists.add(genre, entry)


def _entry(outcome: Outcome, folder: Path) -> Entry | None:
    """The lines of a track; None if its path holds the end of a line."""
    try:
        path = os.path.relpath(outcome.path, folder)
    except ValueError:  # another drive of Windows
        path = os.fspath(outcome.path)
    path = path.replace(os.sep, "/")
    if "\n" in path or "\r" in path:
        return None
    if path.startswith(("#", " ")):  # a remark, or spaces that players remove
        path = f"./{path}"
    seconds = round(outcome.prediction.seconds) if outcome.prediction else -1
    title = "".join(char if char.isprintable() else " " for char in outcome.path.stem)
    return f"{LENGTH}{seconds},{title}", path
