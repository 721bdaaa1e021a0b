"""Find the tracks under the given paths, in a stable order, each once."""

from __future__ import annotations

import errno
import os
import stat
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path

from tagger.files.ignore import (
    LeftOut,
    PatternError,
    Rules,
    is_telling,
    rules_for,
    unfinished_names,
)
from tagger.files.media import MEDIA
from tagger.types import Failure, Track

Entries = list[os.DirEntry[str]]

# fmt: off
SUFFIXES = frozenset([
    ".3g2", ".3ga", ".3gp", ".aac", ".ac3", ".adts", ".afc", ".aif", ".aifc", ".aiff", ".ape",
    ".asf", ".au", ".bwf", ".caf", ".dff", ".dsf", ".dts", ".eac3", ".ec3", ".flac", ".m4a",
    ".m4b", ".m4p", ".m4r", ".mka", ".mov", ".mp+", ".mp1", ".mp2", ".mp3", ".mp4", ".mpa", ".mpc",
    ".mpga", ".mpp", ".oga", ".ogg", ".ogx", ".opus", ".snd", ".spx", ".tak", ".tta", ".w64",
    ".wav", ".wave", ".weba", ".webm", ".wma", ".wv",
])
# fmt: on
NO_SUCH_PATH = "no such file or folder"
ALL = Rules()  # the rules of a scan in which the user excludes nothing
LEADS_OUT = "a link to a place outside the library (--follow-links follows it)"


def find_tracks(
    paths: Iterable[Path],
    *,
    follow_links: bool = False,
    exclude: Sequence[str] = (),
    suffixes: Iterable[str] = (),
    left_out: LeftOut | None = None,
) -> Iterator[Track | Failure]:
    """Every track under `paths`, sorted by name within a folder, subfolders among the files.

    In folders, files are chosen by suffix, and what `ignore` describes is left out and counted in
    `left_out`; `exclude` has more patterns, each checked by `check_pattern`, and `suffixes` more
    suffixes, in lower case. A path in `paths` is
    taken whatever its name. Links in `paths`, and links from one place there to another, are
    followed; other links only with `follow_links`. Paths are those of the real files, and a file
    reached twice counts once, with the spelling that comes first. A path that cannot be read, or a
    link that is not followed, gives a `Failure` with that path.
    """
    given = [os.path.abspath(path) for path in paths]
    scan = _Scan(None if follow_links else given, left_out, SUFFIXES.union(suffixes))
    for path in given:
        if not os.path.lexists(path):
            yield Failure(Path(path), NO_SUCH_PATH, lasting=False)
        else:
            # There may be a hundred thousand files in a list of paths.
            yield from scan.visit(path, rules_for(path, exclude) if os.path.isdir(path) else ALL)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder, or the path that the user named, while it is scanned."""

    entries: Entries | list[str]  # that are not visited yet, last first
    rules: Rules  # for the entries
    unfinished: Collection[str] = ()


class _Scan:
    """One walk over the given paths that returns no file twice."""

    def __init__(
        self,
        roots: list[str] | None,
        left_out: LeftOut | None = None,
        suffixes: Collection[str] = SUFFIXES,
    ) -> None:
        """Links are followed only within `roots`, or everywhere if it is None."""
        self._seen: set[bytes] = set()  # keys
        self._suffixes = suffixes
        self._left_out = LeftOut() if left_out is None else left_out
        self._roots = None if roots is None else {identity(root) for root in roots} - {None}

    def visit(self, given: str, rules: Rules = ALL) -> Iterator[Track | Failure]:
        """Depth first, with an explicit stack: folders may lie deeper than Python recurses."""
        stack = [_Folder([given], rules)]
        while stack:
            if not stack[-1].entries:
                stack.pop()
                continue
            found = self._look_at(stack[-1].entries.pop(), stack[-1])
            if isinstance(found, _Folder):
                stack.append(found)
            elif found is not None:
                yield found

    def _look_at(
        self, item: str | os.DirEntry[str], folder: _Folder
    ) -> Track | Failure | _Folder | None:
        """What one path is: a track, a failure, a folder to visit, or nothing."""
        path, is_given = os.fspath(item), isinstance(item, str)
        if not isinstance(item, str) and self._is_left_out(item, folder):
            return None
        is_music, is_real = is_given or _suffix(path) in self._suffixes, _is_real(item)
        try:
            real = path if is_real else os.path.realpath(path, strict=True)
            status = os.stat(real)
        except RecursionError:
            return Failure(Path(path), "a link that leads through too many others", lasting=False)
        except OSError as error:
            # A loop, or a broken link without a suffix, may have been meant as music.
            unknown = error.errno == errno.ELOOP or not os.path.splitext(path)[1]
            wanted = is_music or is_real or unknown
            return Failure(Path(path), _reason(path, error), lasting=False) if wanted else None
        is_folder = stat.S_ISDIR(status.st_mode)
        if not (is_folder or is_music):
            return None
        if not (is_real or is_given or self._is_within(real)):
            return Failure(Path(path), LEADS_OUT, lasting=False)
        if is_folder and real != path and _contains(real, os.path.dirname(path)):
            return Failure(Path(path), "a link to a folder that contains it", lasting=False)
        key = _key(real, status)
        if key in self._seen:
            return None
        if not is_folder:
            self._seen.add(key)
            return _as_track(real, status)
        rules = folder.rules if is_given else folder.rules.below(os.path.basename(path))
        opened = self._open_folder(real, rules, is_given=is_given)
        if isinstance(opened, str):
            self._left_out.add(opened, path)  # and not seen: the user may name it too
            return None
        self._seen.add(key)
        return opened

    def _is_left_out(self, entry: os.DirEntry[str], folder: _Folder) -> bool:
        is_folder = not _is_file(entry)
        reason = folder.rules.reason(entry.name, is_folder=is_folder, unfinished=folder.unfinished)
        if reason:
            self._left_out.add(reason, entry.path)
        return bool(reason)

    def _open_folder(self, path: str, rules: Rules, *, is_given: bool) -> _Folder | Failure | str:
        """A folder to visit, or why it is left out."""
        try:
            entries, names = _list_folder(path, self._suffixes)
            found = rules.with_files(path, names, is_given=is_given)
        except PatternError as error:
            return Failure(Path(path), f"left out, since {error}", lasting=False)
        except OSError as error:
            return Failure(Path(path), _reason(path, error), lasting=False)
        if isinstance(found, str):
            return found
        unfinished = unfinished_names(names)
        for name in names:
            suffix = _suffix(name)
            if suffix in MEDIA and not found.reason(name, is_folder=False, unfinished=unfinished):
                self._left_out.suffixes[suffix] += 1
        return _Folder(entries, found, unfinished)

    def _is_within(self, real: str) -> bool:
        """Whether links to this path are followed.

        Folders are compared by identity: a link may spell a folder's name in another case.
        """
        return self._roots is None or lies_in(Path(real), self._roots)


def _is_real(item: str | os.DirEntry[str]) -> bool:
    """Whether a path needs no resolving: an entry of a real folder that is not itself a link.

    False for every entry on Windows, where a junction does not look like a link.
    """
    return not isinstance(item, str) and not item.is_symlink() and sys.platform != "win32"


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def identity(path: str | Path) -> tuple[int, int] | None:
    """Equal for two names of one file or folder; None for what cannot be read."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def lies_in(path: Path, places: Collection[tuple[int, int] | None]) -> bool:
    """Whether one of these places, by `identity`, is the path or above it, in any spelling."""
    return any(identity(folder) in places for folder in (path, *path.parents))


def _as_track(real: str, status: os.stat_result) -> Track | Failure:
    if not stat.S_ISREG(status.st_mode):
        return Failure(Path(real), "not a regular file", lasting=False)
    if not os.access(real, os.R_OK):
        return Failure(Path(real), "permission denied", lasting=False)
    return Track.of(Path(real), status)


def _key(real: str, status: os.stat_result) -> bytes:
    """Equal for two paths of one file that differ only in case or in Unicode normalisation.

    If those are different files, the inode differs. Hard links share the inode and may be in one
    folder, so the spelling counts for them; folders have no hard links, despite their high link
    count. It is a short digest because one is kept for each file of a scan.
    """
    folded = unicodedata.normalize("NFC", real.casefold())
    linked = status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)
    name = f"{status.st_dev} {status.st_ino} {folded}\0{real if linked else ''}"
    return blake2b(name.encode(errors="surrogatepass"), digest_size=16).digest()


def _list_folder(folder: str, suffixes: Collection[str] = SUFFIXES) -> tuple[Entries, set[str]]:
    """The entries that may be tracks, folders or links to either, in reverse order of names.

    Also the names of files that say something about them, and of other media, see `ignore`.
    """
    found, telling = [], set()
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if is_telling(name):
                telling.add(name)
            elif (suffix := _suffix(name)) in suffixes or not entry.is_file(follow_symlinks=False):
                found.append(entry)
            elif suffix in MEDIA:
                telling.add(name)
    return sorted(found, key=attrgetter("name"), reverse=True), telling


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file or leads to one; one that cannot be read is not."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _contains(folder: str, inner: str) -> bool:
    inner = os.path.realpath(inner)
    return inner == folder or inner.startswith(folder.rstrip(os.sep) + os.sep)


def _reason(path: str, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a link that leads back to itself"
    if error.errno == errno.ENOENT and os.path.islink(path):
        return "a broken link"
    if error.errno == errno.ENAMETOOLONG:
        return "its path is too long for this system"
    return (error.strerror or "cannot be read").lower()
