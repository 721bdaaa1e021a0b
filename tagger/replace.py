"""A file changes only by replacement: a finished copy takes its place in one step, or nothing does.

Used for music and for reports alike. A kill at any moment leaves the old file or the new one, and
at worst a hidden scratch copy beside it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tagger.errors import ChangedSince, HardLinked, TagError

SCRATCH_PREFIX = ".tag-genres-"


def check_replaceable(path: Path) -> os.stat_result:
    """The file's status, if a copy may take its place. Raises `TagError` with the reason if not."""
    status = path.stat()
    if status.st_nlink > 1:
        raise HardLinked(
            f"hard-linked: {status.st_nlink - 1} more of its names would keep the old file", path
        )
    if not os.access(path, os.W_OK):
        raise TagError("the file is read-only", path)
    if not os.access(path.parent, os.W_OK):
        raise TagError("its folder is read-only", path)
    return status


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a copy of `path` beside it; when the block ends without an error, it takes its place.

    The copy has the suffix, mode, owner and extended attributes of the file. If the block raises,
    or the file was changed meanwhile (`ChangedSince`), the copy is deleted and the file stays as it
    was.
    """
    before = check_replaceable(path)
    scratch = scratch_beside(path)
    try:
        shutil.copyfile(path, scratch)
        shutil.copystat(path, scratch)
        _take_owner(scratch, before)
        yield scratch
        sync(scratch)
        if _version(path.stat()) != _version(before):
            raise ChangedSince("another program changed the file meanwhile; run again", path)
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    # The change is done and journalled; some network file systems know no fsync of a folder.
    with suppress(OSError):
        sync(path.parent)


def _version(status: os.stat_result) -> tuple[int, ...]:
    """What differs between two versions of a file, even if a program put its times back."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def scratch_beside(path: Path) -> Path:
    """A fresh hidden name in the same folder, with the same suffix."""
    return path.with_name(f"{SCRATCH_PREFIX}{secrets.token_hex(8)}{path.suffix}")


def sync(path: Path) -> None:
    """Bring a file or a folder onto the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take_owner(scratch: Path, wanted: os.stat_result) -> None:
    status = scratch.stat()
    if os.name == "nt" or (status.st_uid, status.st_gid) == (wanted.st_uid, wanted.st_gid):
        return
    try:
        os.chown(scratch, wanted.st_uid, wanted.st_gid)
    except PermissionError:
        raise TagError("it belongs to another user, and a replaced file would not") from None
    os.chmod(scratch, wanted.st_mode & 0o7777)  # a change of owner clears the setuid bits
