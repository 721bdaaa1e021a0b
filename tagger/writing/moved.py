"""Find files of the journal that were moved or renamed since, by the fingerprint of their audio."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tagger.errors import TagError
from tagger.files.scan import find_tracks
from tagger.state.journal import Change
from tagger.state.store import State
from tagger.tags.isolated import read_tag, with_audio
from tagger.types import Track
from tagger.writing.writer import identify

FEWEST_PARTS = 3  # of the path of a folder that is searched unasked: never / or /mnt

Moves = list[tuple[Track, Track]]  # old and present place


def same_genres(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether two tags hold the same genres, in any order, and however programs separate them."""
    return names_of(one) == names_of(other)


def names_of(genres: Iterable[str]) -> frozenset[str]:
    """The parts of genres, in the form that is compared."""
    parts = (part for genre in genres for part in re.split("[;/,\0]", genre))
    plain = (" ".join(unicodedata.normalize("NFC", part).casefold().split()) for part in parts)
    return frozenset(filter(None, plain))


def has_other_audio(change: Change, now: Track) -> bool:
    """Whether the file at the path of a change is known to have other audio than it had then."""
    if not change.new.audio or now in (change.old, change.new):
        return False
    audio = with_audio(now).audio
    return audio is not None and audio != change.new.audio


def is_missing(change: Change) -> bool:
    """Whether its file is no longer at its path, or another one is there in its place."""
    try:
        return has_other_audio(change, identify(change.old.path))
    except OSError:
        return True


def folders_of(missing: Iterable[Change], state: State) -> list[Path]:
    """Where to look for files: in the folders that runs were given.

    For a file that was outside of these, it is the closest folder that still exists, unless that
    is so far up that it holds more than music.
    """
    known = [folder for folder in state.folders() if folder.is_dir()]
    above = {Path.home(), *Path.home().parents}
    for path in {change.old.path.parent for change in missing}:
        if not any(path.is_relative_to(folder) for folder in known):
            closest = next(folder for folder in (path, *path.parents) if folder.is_dir())
            if len(closest.parts) >= FEWEST_PARTS and closest not in above:
                known.append(closest)
    return known


@dataclass(slots=True)
class _Wanted:
    """A missing file, and where it may be now."""

    change: Change  # the last of this file
    now: Track | None = None
    is_sure: bool = False  # it has the genres that the change left

    def is_at(self, now: Track, genres: Sequence[str]) -> bool:
        """Note a place. Of several copies, one with the right genres is the file itself."""
        after, old, new = self.change.after, self.change.old, self.change.new
        self.is_sure = after is None or same_genres(after, genres)
        if not new.audio:  # of an earlier version: only the size and the genres can tell
            is_backup = (now.size, now.mtime_ns) == (old.size, old.mtime_ns) and old != new
            if is_backup or not (now.size == new.size or (after and self.is_sure)):
                self.is_sure = False
                return False
        if self.now is None or self.is_sure:
            self.now = now
        return self.is_sure


@dataclass
class Search:
    """Missing files that are looked for; `moved` is the old and the new place of a library."""

    missing: Sequence[Change]
    state: State
    moved: tuple[Path, Path] | None = None
    _by_audio: dict[bytes, list[_Wanted]] = field(default_factory=dict)
    _taken: set[Path] = field(default_factory=set)
    _owners: dict[Path, Change] = field(default_factory=dict)

    def run(self, folders: Sequence[Path]) -> Moves:
        """The old and the present place of each file that is found, most of them under `folders`.

        Reads the audio of files there until all are found.
        """
        last = {_key(change): change for change in self.state.last_of_each()}
        self._owners = {change.old.path: change for change in last.values()}
        wanted = {_key(change): _Wanted(last.get(_key(change), change)) for change in self.missing}
        for each in wanted.values():
            if audio := each.change.new.audio:
                self._by_audio.setdefault(audio, []).append(each)
            for path in self._guesses(each.change.old.path):
                self._offer(path, None if audio else each)
        suffixes = {change.old.path.suffix.casefold() for change in self.missing}
        for item in find_tracks(folders) if folders and self._by_audio else ():
            if isinstance(item, Track) and item.path.suffix.casefold() in suffixes:
                self._offer(item.path)
                if not self._by_audio:
                    break
        return [(each.change.old, each.now) for each in wanted.values() if each.now]

    def _guesses(self, path: Path) -> list[Path]:
        """Where a file may be without a search: under a new name of the library, or as Unicode.

        Some file systems and sync tools change the form of letters in names.
        """
        guesses = [path]
        if self.moved and path.is_relative_to(self.moved[0]):
            guesses.append(self.moved[1] / path.relative_to(self.moved[0]))
        forms = [unicodedata.normalize(form, str(it)) for it in guesses for form in ("NFC", "NFD")]
        found = dict.fromkeys([*guesses, *map(Path, forms)])
        return [each for each in found if each != path and each.is_file()]

    def _offer(self, path: Path, unknown: _Wanted | None = None) -> None:
        """Note a file, if it is one of those that are missing."""
        owner = self._owners.get(path)
        if path in self._taken or (owner is not None and not is_missing(owner)):
            return
        try:
            now = with_audio(identify(path))
        except OSError:
            return
        candidates = [unknown] if unknown else self._by_audio.get(now.audio or b"", [])
        # A file keeps its name more often than its folder.
        for each in sorted(candidates, key=lambda it: it.change.old.path.name != path.name):
            if each.is_at(now, _genres(path)):
                self._taken.add(path)
                if not unknown and now.audio:
                    candidates.remove(each)
                    if not candidates:
                        del self._by_audio[now.audio]
                return


def _key(change: Change) -> tuple[Path, bytes | None]:
    return change.old.path, change.new.audio or None


def _genres(path: Path) -> tuple[str, ...]:
    with suppress(TagError):
        return read_tag(path).genres
    return ()
