"""What a scan leaves out: folders and copies without music, and what the user excludes.

A path that the user names is always scanned; these rules apply to what is found below it. A link
counts by its own name, wherever it leads.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

OWN_FILE, NAVIDROME, ANDROID = ".tag-genres-ignore", ".ndignore", ".nomedia"
MARKERS = (ANDROID, NAVIDROME, OWN_FILE)
# Folders of servers, systems and sync programs: recycle bins, snapshots, old versions, thumbnails.
# Names of bands are not among them: "Trash", "@peace", "#1 Record", "Recycled".
SYSTEM_FOLDERS = frozenset(map(str.casefold, [
    "@eaDir", "#recycle", "#snapshot", "@tmp", "@SynoResource", "@sharesnap",
    "@sharebin",  # Synology
    "@Recycle", "@Recently-Snapshot", "@__thumb", ".@__thumb", "@Transcode", ".streams",  # QNAP
    "$Recycle.Bin", "System Volume Information", "$WinREAgent", "$Extend", "$SysReset",
    "$Windows.~BT", "$Windows.~WS",  # Windows
    "~snapshot", ".snapshot", ".snapshots", "@snapshots", ".zfs",  # NetApp, snapper, btrfs, ZFS
    ".recycle", ".Recycle.Bin", "trashbox",  # Samba, Unraid, Buffalo
    ".Trash", ".Trashes", ".Spotlight-V100", ".fseventsd", ".TemporaryItems", ".AppleDouble",
    ".DocumentRevisions-V100", "__MACOSX", "Network Trash Folder", "Temporary Items",
    "TheVolumeSettingsFolder", "Backups.backupdb",  # macOS
    "lost+found", "LOST.DIR",  # ext4, Android
    ".stversions", ".stfolder", ".sync", ".dropbox.cache", ".tmp.drivedownload",
    "files_trashbin", "files_versions",  # Syncthing, Resilio, Dropbox, Google Drive, Nextcloud
    ".git", ".svn", ".hg",
]))  # fmt: skip
# Of freedesktop, chkdsk, Samba and QNAP.
SYSTEM_PATTERN = r"\.trash-\d+|found\.\d{3}|@gmt-[\d.]+-[\d.]+|network recycle bin( \d)?"
# In capitals only: ZZ Top's "Recycler" and Nektar's "Recycled" are albums.
OLD_WINDOWS = ("RECYCLER", "RECYCLED")
# The stems of copies that sync programs make when two computers change a file.
CONFLICT = (
    r".*\.sync-conflict-\d{8}-\d{6}(-\w+)?.*"  # Syncthing
    r"|.*\([^()]*conflicted copy[^()]*\).*"  # Dropbox, Nextcloud, MEGA
    r"|.*\([^()]*(konflikt|confli[ct])[^()]*\d{4}-\d\d-\d\d[^()]*\).*"  # Dropbox in other languages
    r"|.*\((case|selective sync|unicode encoding|white ?space) conflict( \d+)?\)"  # Dropbox
    r"|.*\(sfconflict [^()]+\)"  # Seafile
    r"|.*_conflict-\d{8}-\d{6}"  # ownCloud
    r"|.*_[\w-]+_[a-z]{3}-\d\d-\d{6}-\d{4}_(case)?conflict"  # Synology Drive
    r"|.*\.variant-[0-9a-f]{2,}"  # git-annex
)
# The stems of files that are still downloaded, and the file that a program adds for each.
UNFINISHED = r".*\S\.(part|partial|temp|tmp|incomplete)|incomplete[0-9a-f]{32}.*"
BESIDE_UNFINISHED = (".part", ".aria2", ".crdownload", ".!ut", ".!qb", ".!sync", ".partial")
# One of these is in every name that the two patterns match; looking for them takes less time.
HINTS = ("conflict", "konflikt", "conflit", ".variant-", ".part", ".temp", ".tmp", "incomplete")
MOST_BYTES = 1 << 20  # of a file of patterns
# Matching takes time to the power of the stars; a file in a downloaded folder may be a trap.
MOST_STARS, MOST_DOUBLE_STARS = 3, 2  # in one part of a path, in all of it
SHOWN = 2  # names for each reason

SYSTEM, HIDDEN, CONFLICTS, DOWNLOADS, EXCLUDED = (
    "system folders", "hidden", "sync conflicts", "unfinished downloads", "--exclude",
)  # fmt: skip


@dataclass(slots=True)
class LeftOut:
    """What a scan left out, counted by reason."""

    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)  # the first few for each reason
    suffixes: Counter[str] = field(default_factory=Counter)  # of media files that were not listed

    def add(self, reason: str, path: str) -> None:
        """Count a file or folder."""
        self.counts[reason] += 1
        names, name = self.names.setdefault(reason, []), os.path.basename(path)
        if len(names) < SHOWN and name not in names:
            names.append(name)

    @property
    def line(self) -> str:
        """All of it in one line; "" if nothing was left out."""
        counted = [
            f"{reason} {count:,} ({', '.join(self.names[reason])}{', …' * (count > SHOWN)})"
            for reason, count in self.counts.items()
        ]
        return f"left out: {' · '.join(counted)}" if counted else ""


class PatternError(ValueError):
    """A line is not a gitignore pattern."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns in gitignore's form, which apply below one folder."""

    spec: GitIgnoreSpec
    reason: str
    base: str = ""  # the folder, relative to the path that the user named, with a "/" at the end

    def decide(self, path: str) -> bool | None:
        """Whether the last pattern that matches leaves a path out; None if none matches.

        The path is relative to the same as `base`; that of a folder ends with "/".
        """
        path = unicodedata.normalize("NFC", path[len(self.base) :])
        for pattern in reversed(self.spec.patterns):
            found = pattern.match_file(path)
            # Not what lies in a folder that matches: the folder was decided on before.
            if found is not None and found.match.end() == len(path):
                return pattern.include
        return None


@dataclass(frozen=True, slots=True)
class Rules:
    """What is left out in one folder of a scan."""

    folder: str = ""  # relative to the path that the user named, with a "/" at the end
    exclude: Patterns | None = None  # of the user; no file in a library overrides it
    patterns: tuple[Patterns, ...] = ()  # of files in folders, outermost first

    def below(self, name: str) -> Rules:
        """The rules of a folder in this one."""
        return replace(self, folder=f"{self.folder}{name}/")

    def reason(self, name: str, *, is_folder: bool, unfinished: Collection[str] = ()) -> str:
        """Why this entry of the folder is left out; "" if it is not.

        `unfinished` are the names of the files in the folder that are still downloaded. A pattern
        that begins with "!" brings back anything, also what is hidden.
        """
        decided = self._match(f"{self.folder}{name}{'/' * is_folder}")
        if decided is not None:
            return decided
        if is_folder and is_system_folder(name):
            return SYSTEM
        if name.startswith("."):
            return HIDDEN
        return "" if is_folder else _why_no_original(name.casefold(), unfinished)

    def _match(self, path: str) -> str | None:
        """The reason by a pattern of the user, else by the innermost file; "" for a "!"."""
        own = () if self.exclude is None else (self.exclude,)
        for patterns in (*own, *reversed(self.patterns)):
            is_left_out = patterns.decide(path)
            if is_left_out is not None:
                return patterns.reason if is_left_out else ""
        return None

    def with_files(self, path: str, names: Collection[str], *, is_given: bool) -> Rules | str:
        """The rules with those in the folder's own files, or why all of it is left out.

        `path` is the folder, `names` are those of its files that are telling. `is_given`: the user
        named it, so that nothing leaves out all of it. Raises `PatternError`.
        """
        rules = self
        if ANDROID in names and not is_given:
            return ANDROID
        for name in (NAVIDROME, OWN_FILE):
            if name not in names:
                continue
            lines = _read_lines(os.path.join(path, name))
            if name == NAVIDROME and not any(map(_is_pattern, lines)):
                if not is_given:
                    return NAVIDROME
                continue
            found = Patterns(compile_patterns(lines, name), name, self.folder)
            rules = replace(rules, patterns=(*rules.patterns, found))
        return rules


def rules_for(given: str, exclude: Sequence[str]) -> Rules:
    """The rules for a path that the user names, with the patterns of `--exclude`."""
    if not exclude:
        return Rules()
    lines = [_anchored(pattern, given) for pattern in exclude]
    # "Live [2001]" is first of all the name of a folder, although "[2001]" is one digit in a glob.
    plain = ([line, line.replace("[", r"\[")] if "[" in line else [line] for line in lines)
    spec = compile_patterns(chain.from_iterable(plain), EXCLUDED)
    return Rules(exclude=Patterns(spec, EXCLUDED))


def compile_patterns(lines: Iterable[str], name: str) -> GitIgnoreSpec:
    """Patterns in gitignore's form. Raises `PatternError`; `name` says where they stand."""
    from pathspec import GitIgnoreSpec

    lines = list(lines)
    for number, line in enumerate(lines, 1):
        parts = line.split("/")
        costly = any(part.count("*") > MOST_STARS for part in parts)
        if costly or line.count("**") > MOST_DOUBLE_STARS:
            raise PatternError(f"line {number} of {name} has too many stars")
        try:
            GitIgnoreSpec.from_lines([line])
        except (ValueError, re.error) as error:
            raise PatternError(f"line {number} of {name} is not a gitignore pattern") from error
    return GitIgnoreSpec.from_lines(map(_plain, lines))


def _plain(line: str) -> str:
    """The same pattern in a form for which pathspec has no shortcut that skips a folder's name."""
    # A folder copied from a Mac may have its letters in another form than a person types.
    line = re.sub(r"(?<!\\) +$", "", unicodedata.normalize("NFC", line))
    line = re.sub(r"/\*\*(/?)$", r"/**/*\1", line)  # "a/**" is what lies in "a", not "a" itself
    line = re.sub(r"^(!?)/(?=\*\*/)", r"\1", line)
    return re.sub(r"^(!?)(\*\*/)*\*+(/?)$", r"\1?*\3", line)


def check_pattern(text: str) -> str:
    """A pattern of `--exclude` as a line of a gitignore file. Raises `PatternError`."""
    text = text.replace(os.sep, "/")
    line = f"\\{text}" if text.startswith("#") else text  # there it would begin a comment
    reason = f"{text!r} is not a gitignore pattern, or has too many stars"
    try:
        spec = compile_patterns([line], EXCLUDED)
    except PatternError as error:
        raise PatternError(reason) from error
    if not any(pattern.include is not None for pattern in spec.patterns):
        raise PatternError(reason)
    return line


def is_system_folder(name: str) -> bool:
    """Whether a folder of this name belongs to a server, a system or a sync program."""
    folded = name.casefold()
    return (
        folded in SYSTEM_FOLDERS
        or name in OLD_WINDOWS
        or re.fullmatch(SYSTEM_PATTERN, folded) is not None
    )


def is_telling(name: str) -> bool:
    """Whether a file of this name says something about the folder or a file in it."""
    return name in MARKERS or name.casefold().endswith(BESIDE_UNFINISHED)


def unfinished_names(names: Iterable[str]) -> set[str]:
    """The names, in lower case, of the files that a program marks as unfinished by another file."""
    found = (name.casefold() for name in names)
    return {name[: -len(end)] for name in found for end in BESIDE_UNFINISHED if name.endswith(end)}


def _why_no_original(name: str, unfinished: Collection[str]) -> str:
    """Whether a file of this name, in lower case, is a copy or not yet complete."""
    if name in unfinished:
        return DOWNLOADS
    if not any(hint in name for hint in HINTS):
        return ""
    stem = os.path.splitext(name)[0]
    if re.fullmatch(UNFINISHED, stem, re.DOTALL):
        return DOWNLOADS
    return CONFLICTS if re.fullmatch(CONFLICT, stem, re.DOTALL) else ""


def _is_pattern(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _read_lines(path: str) -> list[str]:
    """The lines of a file of patterns, without their ends."""
    name = os.path.basename(path)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            raise PatternError(f"{name} is not a regular file")
        data = Path(path).read_bytes()
    except OSError as error:
        raise PatternError(f"{name} cannot be read") from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as some editors save it
    text = data.decode("utf-16", "replace") if wide else data.decode("utf-8-sig", "surrogateescape")
    return [line.rstrip("\r") for line in text.split("\n")]


def _anchored(pattern: str, given: str) -> str:
    """The pattern, relative to the path that the user named if it is a path below it."""
    sign, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    wanted = os.path.expanduser(body)
    if "/" not in wanted.rstrip("/"):
        return pattern
    path, end = os.path.abspath(wanted), "/" if body.endswith("/") else ""
    if not (os.path.isabs(wanted) or os.path.lexists(path)):
        return pattern
    # Either may lead through links to the other.
    for root in (os.path.join(place, "") for place in (given, os.path.realpath(given))):
        for found in (path, os.path.realpath(path)):
            if os.path.normcase(found).startswith(os.path.normcase(root)):
                return f"{sign}/{found[len(root) :].replace(os.sep, '/')}{end}"
    return pattern
