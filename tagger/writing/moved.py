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
from tagger.state.recognition import is_from_before
from tagger.state.store import State
from tagger.tags.genre_tag import field_genres
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

    change: Change
    in_effect: Sequence[Change]  # of the same file, latest first
    now: Track | None = None

    def is_at(self, now: Track, genres: Sequence[str], *, is_guess: bool) -> bool:
        """Note a place, and return whether it is surely the file: it has the genres it was left.

        A copy from before the change, such as a backup or a twin, is not the file. If an undo was
        killed, the file may have the genres of either side.
        """
        last = self.in_effect[0]
        is_sure = any(
            each.after is None or same_genres(each.after, genres) for each in self.in_effect
        )
        is_old = (now.size, now.mtime_ns) == (last.old.size, last.old.mtime_ns)
        if (is_old and last.old != last.new) or is_from_before(last, now.path):
            return False
        if not is_sure and same_genres(field_genres(last.before), genres):
            return False
        if not (last.new.audio or now.size == last.new.size or (last.after and is_sure)):
            return False  # of an earlier version: only the size and the genres can tell
        if is_sure or (is_guess and self.now is None):
            self.now = now
        return is_sure


@dataclass
class Search:
    """Missing files that are looked for; `moved` is the old and the new place of a library."""

    missing: Sequence[Change]
    state: State
    moved: tuple[Path, Path] | None = None
    force: bool = False  # somebody may have set other genres since
    _by_audio: dict[bytes, list[_Wanted]] = field(default_factory=dict)
    _taken: set[Path] = field(default_factory=set)
    _guessed: set[Path] = field(default_factory=set)  # each for one missing file only
    _owners: dict[Path, Change] = field(default_factory=dict)

    def run(self, folders: Sequence[Path]) -> Moves:
        """The old and the present place of each file that is found, most of them under `folders`.

        Reads the audio of files there until all are found.
        """
        self._owners = {change.old.path: change for change in self.state.last_of_each()}
        wanted: dict[tuple[Path, bytes | None], _Wanted] = {}
        for change in self.missing:
            if _key(change) not in wanted:
                entries = self.state.in_effect(change.old.path)
                same = [entry for entry in entries if _key(entry) == _key(change)]
                wanted[_key(change)] = _Wanted(change, same or [change])
        for each in wanted.values():
            if audio := each.change.new.audio:
                self._by_audio.setdefault(audio, []).append(each)
            for path in self._guesses(each.change.old.path):
                self._offer(path, each)
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

    def _offer(self, path: Path, guess: _Wanted | None = None) -> None:
        """Note a file, if it is one of those that are missing, or the one that it may be."""
        owner = self._owners.get(path)
        if path in self._taken or (owner is not None and not is_missing(owner)):
            return
        try:
            now = with_audio(identify(path))
        except OSError:
            return
        candidates = self._by_audio.get(now.audio or b"", [])
        found = [guess] if guess and not guess.change.new.audio else candidates
        genres = _genres(path) if found else ()
        # A file keeps its name more often than its folder.
        found = sorted(found, key=lambda it: it.change.old.path.name != path.name)
        for each in found:
            if each.is_at(now, genres, is_guess=False):
                self._taken.add(path)
                if each in candidates:
                    candidates.remove(each)
                if now.audio and not candidates:
                    self._by_audio.pop(now.audio, None)
                return
        for each in found if path not in self._guessed else ():
            if each.now is None and (each is guess or self.force):
                each.is_at(now, genres, is_guess=True)
                if each.now is not None:
                    self._guessed.add(path)
                    return


def _key(change: Change) -> tuple[Path, bytes | None]:
    return change.old.path, change.new.audio or None


def _genres(path: Path) -> tuple[str, ...]:
    with suppress(TagError):
        return read_tag(path).genres
    return ()
